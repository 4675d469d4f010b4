"""Signed bytes of the centre's own mutations: devices give them back after a restore."""

import re
from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.wire import Mutation, Page, Proof
from server.store.protocol import Read
from sync.mutation import decode_mutation, split_dot

PROVEN_LANE = 0
"""Orders, recalls, warnings and what comes with them; the register is loaded again by hand."""


CARRIED = frozenset(parent for child in ENTITIES.values() for parent, _ in child.carries)


class _Dots(Struct):
    """The part of an encoded row that says whose writes stand in it."""

    entity: str
    dot: str
    writes: dict[str, tuple[str, ...]] = {}


_dots = msgspec.json.Decoder(_Dots)


class Proofs:
    """Adds to a page the signed bytes of what the nodes of this centre wrote in it."""

    def added(self, txn: Read, page: Page) -> Page:
        """The page with its proofs. Nothing is given away that is not in the page's scope."""
        if page.lane != PROVEN_LANE or not page.rows:
            return page
        nodes = txn.find("node_key")
        of_nodes = re.compile("|".join(map(re.escape, nodes)).encode())
        dots = {
            dot
            for row in page.rows
            if of_nodes.search(row)  # type: ignore[call-overload]
            for dot in _written(_dots.decode(row))  # type: ignore[arg-type]
            if split_dot(dot)[0] in nodes
        }
        proofs = [
            one for dot, raw in txn.words(dots).items() if (one := _proof(txn, page, dot, raw))
        ]
        return replace(page, proofs=sorted(proofs, key=lambda one: (one.replica, one.n)))


def _written(row: _Dots) -> Iterable[str]:
    yield row.dot
    for write in row.writes.values():
        yield from write[1:]


def _proof(txn: Read, page: Page, dot: str, raw: bytes) -> Proof | None:
    run = txn.get("run", dot)
    if run is None or not all_in(decode_mutation(raw), page.scope):
        return None
    replica, lane, n = split_dot(dot)
    return Proof(replica, lane, n, raw.decode(), run["sig"])


def all_in(mutation: Mutation, scope: str) -> bool:
    """True when every row that the mutation makes or changes is one that the scope may hold.

    A parent row lives in the scopes that its children carry it into, so it is told by its kind.
    """
    return all(
        change.entity in CARRIED
        or (
            change.entity in ENTITIES
            and scope in scopes_of(ENTITIES[change.entity], change.fields, mutation.actor)
        )
        for change in mutation.changes
    )

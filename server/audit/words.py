"""One line of the log by itself and behind the one before: its hash, its words, its number."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from schema.codes import Code
from schema.wire import Mutation
from server.audit.finding import At, Finding, Flaw
from server.store.inspect import Line
from sync.canonical import canonical, sha256_hex
from sync.mutation import VOID, Refusal, decode_mutation, dot_of, hash_of

UNREAD = frozenset({Code.MUTATION, Code.WRONG_REPLICA, Code.WRONG_CENTRE, Code.TOO_LARGE})
"""Words that were logged although nobody could read them, or that named another as their author."""


class Link(Struct, frozen=True):
    """A mutation as a link of its lane's chain.

    `stands_for` is what the next one must name; `proof` what it must name to prove these bytes.
    None is what nobody can say. `strict` is false for words that nobody held to the chain.
    """

    seq: int
    prev: str | None
    stands_for: str | None
    proof: str | None
    strict: bool = True


class _Told(Struct):
    """What even words that are no mutation may say."""

    prev: str | None = None


def at_line(line: Line) -> At:
    return {"seq": line.seq, "dot": line.dot}


def chain_after(before: str, line: Line) -> str:
    """The chain hash of a line that follows the one with this chain hash."""
    told = [before, line.seq, line.dot, line.hash, line.verdict, line.code]
    return sha256_hex(canonical(told).encode())


def follows(before: str | None, after: int, line: Line) -> Iterator[Finding]:
    """What is wrong with this line behind seq `after`, whose chain hash may not be known."""
    if line.seq != after + 1:
        yield Finding(Flaw.GAP, {"seq": after + 1}, f"{after} → {line.seq}")
    elif before is not None and chain_after(before, line) != line.chain:
        yield Finding(Flaw.CHAIN, at_line(line))


def link_of(line: Line, raw: bytes) -> tuple[Link | None, Finding | None]:
    """The line as a link of its lane. A Finding when its bytes are not what was logged."""
    if hash_of(raw) != line.hash:
        return None, Finding(Flaw.BYTES, at_line(line), hash_of(raw))
    unread = line.code in UNREAD
    try:
        mutation = decode_mutation(raw)
    except Refusal as refusal:
        if unread:
            return Link(line.seq, _prev(raw), line.hash, line.hash, False), None
        return None, Finding(Flaw.MUTATION, at_line(line), refusal.detail or "")
    named = dot_of(mutation.replica, mutation.lane, mutation.n)
    if named != line.dot and not unread:
        return None, Finding(Flaw.MUTATION, at_line(line), named)
    return _link(line, mutation), None


def _link(line: Line, mutation: Mutation) -> Link:
    if line.code in UNREAD:
        return Link(line.seq, mutation.prev, line.hash, line.hash, False)
    if mutation.intent == VOID:
        lost = mutation.changes[0].fields.get("lost") if mutation.changes else None
        return Link(line.seq, None, lost if isinstance(lost, str) else None, None)
    return Link(line.seq, mutation.prev, line.hash, line.hash, line.code != Code.CHAIN)


def _prev(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Told).prev
    except (ValueError, RecursionError):
        return None

"""What waits for a person at the centre, and what somebody dealt with, listed with every write.

A page reads as much of a list as it shows, however long the list is.
"""

from collections.abc import Iterable

from msgspec import Struct

from schema.wire import Row
from server.shelves import take_off
from server.store.protocol import Doc, Read, Span, Txn, walk_kind
from sync.conflict import RULE_RECALL_ARRIVED
from sync.quarantine import row_id
from sync.supplement import RULE_AFTER_CLOSE

CONFLICTS, QUARANTINE, LOST = "conflict", "quarantine", "void"
"""Lists of rows, by their entity."""

WORDS, SEEN = "kept", "seen_only"
"""Lists of what is kept beside the log, by its kind: words without a number; rows that only a
device still has."""

WAITS, DONE = "waits", "done"
_PLACE = "listed"
_PROOF = "unproven"

PAGE_LINES = 50
URGENT_RULES = (RULE_RECALL_ARRIVED, RULE_AFTER_CLOSE)
"""Work done against a recall; a call for help after the incident was closed."""


class Part(Struct, frozen=True):
    """One page of a list: the entries it shows, and how many there are in all."""

    of: list[str]
    """Ids of rows, or keys of what is kept beside the log."""
    page: int
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_LINES))

    @property
    def after(self) -> int:
        """How many come after this page."""
        return max(0, self.total - self.page * PAGE_LINES)


def waiting_part(txn: Read, name: str, page: int) -> Part:
    """A page of what waits: the most urgent first, then what has waited longest."""
    return _part(txn, Span(WAITS, f"{name} "), page)


def lost_part(txn: Read, since_ms: int, page: int) -> Part:
    """A page of what devices said since then that they lost, the newest first."""
    low = f"{LOST} {_order(since_ms)}"
    return _part(txn, Span(WAITS, f"{LOST} ", low, newest=True), page)


def _part(txn: Read, span: Span, page: int) -> Part:
    total = txn.count_in(span)
    page = max(1, min(page, -(-total // PAGE_LINES)))
    found = txn.some(span, (page - 1) * PAGE_LINES, PAGE_LINES)
    return Part([doc["of"] for doc in found.values()], page, total)


def waiting_count(txn: Read, *names: str) -> int:
    """How many entries of these lists wait."""
    return sum(txn.count(WAITS, f"{name} ") for name in names)


def done_lately(txn: Read, name: str) -> list[str]:
    """What was dealt with last, the newest first."""
    found = txn.some(Span(DONE, f"{name} ", newest=True), 0, PAGE_LINES)
    return [doc["of"] for doc in found.values()]


def waits_as(txn: Read, name: str, ref: str) -> str | None:
    """The key beside the log of an entry that waits, by its `row_id`."""
    place = txn.get(_PLACE, f"{name} {ref}")
    line = txn.get(WAITS, place["key"]) if place and place["state"] == WAITS else None
    return line["of"] if line else None


def is_open(txn: Read, conflict: Row) -> bool:
    """A recall that met work done is settled by a ruling beside it, not by an edit of it.

    Where the row itself was removed, nothing is left to decide.
    """
    fields = conflict.fields
    subject = (fields["row_entity"], fields["row_id"])
    stored = txn.rows([subject]).get(subject)
    if fields["state"] != "open" or stored is None or stored.row.removed:
        return False
    if fields["rule"] != RULE_RECALL_ARRIVED:
        return True
    dots = {side["dot"] for side in fields["sides"]}
    recalls = [one.row for one in txn.children("recall", fields["row_id"])]
    named = {row.id for row in recalls if row.dot in dots}
    rulings = [one.row for one in txn.children("ruling", fields["row_id"])]
    return not any(row.fields["recall"] in named for row in rulings)


def list_rows(txn: Txn, rows: Iterable[Row], now_ms: int) -> None:
    """Afterwards each of these rows stands in the list where it belongs, if in any."""
    for row in rows:
        if row.entity == CONFLICTS:
            urgent, waits = row.fields["rule"] in URGENT_RULES, is_open(txn, row)
        elif row.entity == QUARANTINE:
            urgent, waits = row.fields["intent"] == "help.call", row.fields["state"] == "open"
        elif row.entity == LOST:
            urgent, waits = False, True
        else:
            continue
        _list(txn, row.entity, row.id, waits, _order(now_ms, waits and urgent))


def list_beside(txn: Txn, name: str, key: str, doc: Doc) -> None:
    """Afterwards what is kept under this key stands in the list where it belongs, if in any."""
    closed_at = doc.get("closed_at")
    if closed_at is not None:
        if waits_as(txn, name, _ref(name, key)):
            take_off(txn, doc)
        _list(txn, name, key, False, _order(closed_at))
    elif name == WORDS or _wants_proof(txn, key, doc):
        _list(txn, name, key, True, _order(doc["at"]))
    else:
        _unlist(txn, name, key)


def _wants_proof(txn: Txn, key: str, doc: Doc) -> bool:
    """False once every write in the row is in the log; else it is looked at when one comes."""
    dots = sorted(dots_of(doc["row"]))
    missing = next((dot for dot in dots if not txn.logged([dot])), None)
    if missing:
        txn.put(_PROOF, f"{missing} {key}", {"of": key})
    return missing is not None


def dots_of(row: Doc) -> set[str]:
    """Every write that stands in a row as a device reported it."""
    return {row["dot"], *(dot for write in row["writes"].values() for dot in write[1:])}


def prove(txn: Txn, dots: Iterable[str]) -> None:
    """These came into the log: rows that nothing explained before may be explained now."""
    if not txn.any_of(_PROOF):
        return
    for dot in dots:
        for line, found in txn.find(_PROOF, f"{dot} ").items():
            txn.delete(_PROOF, line)
            doc = txn.get(SEEN, found["of"])
            if doc and not doc.get("closed_at"):
                list_beside(txn, SEEN, found["of"], doc)


def index_waiting(txn: Txn) -> None:
    """All that waits for a person, or was decided by one, is listed."""
    for entity in (CONFLICTS, QUARANTINE, LOST):
        for stored in txn.walk(entity):
            decided_at = stored.row.fields.get("decided_at")
            list_rows(txn, [stored.row], decided_at or stored.row.arrived)
    for name in (WORDS, SEEN):
        for key, doc in walk_kind(txn, name):
            list_beside(txn, name, key, doc)


def _order(ms: int, urgent: bool = False) -> str:
    return f"{0 if urgent else 1} {ms:015d}"


def _list(txn: Txn, name: str, of: str, waits: bool, order: str) -> None:
    """Put it into the one list or the other; what stands there already keeps its place."""
    ref, state = _ref(name, of), WAITS if waits else DONE
    past = txn.get(_PLACE, f"{name} {ref}")
    if past and past["state"] == state:
        return
    _unlist(txn, name, of)
    key = f"{name} {order} {ref}"
    txn.put(state, key, {"of": of})
    txn.put(_PLACE, f"{name} {ref}", {"state": state, "key": key})


def _unlist(txn: Txn, name: str, of: str) -> None:
    whose = f"{name} {_ref(name, of)}"
    if past := txn.get(_PLACE, whose):
        txn.delete(past["state"], past["key"])
        txn.delete(_PLACE, whose)


def _ref(name: str, of: str) -> str:
    return row_id(of) if name in (WORDS, SEEN) else of

"""Conflict records: what was settled by rule, and what waits for a person."""

from typing import Any

from msgspec.structs import replace

from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.wire import Row
from sync.canonical import canonical, sha256_hex
from sync.merge import FieldState, is_disputed
from sync.rows import Stored, Wrote, side

RULE_LEVEL = "4.3#10"
RULE_MOVE = "4.3#12"
RULE_CONTACT = "4.3#16"
RULE_RECALL_SIGNED = "4.3#1"
RULE_RECALL_BLIND = "4.3#2"
RULE_RECALL_ARRIVED = "4.3#3"

RULES = {("incident_summary", "level"): RULE_LEVEL}
"""Fields whose rivals are settled by a rule of their own; the rest fall under that of contacts."""

ID_LENGTH = 32


def conflict_id(entity: str, id: str, field: str, dots: list[str]) -> str:
    """The same dispute has the same id wherever it is found."""
    return sha256_hex(canonical([entity, id, field, sorted(dots)]).encode())[:ID_LENGTH]


def conflict_row(
    subject: Row, field: str, sides: list[dict[str, Any]], rule: str, verdict: dict[str, Any]
) -> Stored:
    """A Conflict about `field` of `subject`. `verdict` holds state, winner and needs."""
    dots = [one["dot"] for one in sides]
    id = conflict_id(subject.entity, subject.id, field, dots)
    entity = ENTITIES[subject.entity]
    fields = {
        "row_entity": subject.entity,
        "row_id": subject.id,
        "field": field,
        "sides": sides,
        "rule": rule,
        "unit": subject.fields.get("unit"),
        "scopes": list(scopes_of(entity, subject.fields, subject.actor)),
        "winner": None,
        "needs": None,
        **verdict,
    }
    return Stored(Row("conflict", id, 0, max(dots), "", "", subject.arrived, fields))


def found_by_write(wrote: Wrote) -> list[Stored]:
    """The Conflicts that one `set` opens: of its own rivals, and of those that it leaves over."""
    row, found = wrote.stored.row, []
    for name, state in wrote.after.items():
        if is_disputed(state) and _sides(state) != _sides(wrote.before[name]):
            sides = [side(head) for head in state.heads]
            verdict = _verdict_of(row, state)
            rule = RULES.get((row.entity, name), RULE_CONTACT)
            found.append(conflict_row(row, name, sides, rule, verdict))
    return found


def _verdict_of(row: Row, state: FieldState) -> dict[str, Any]:
    if state.open:
        return {"state": "open", "needs": "unit" if row.fields.get("unit") else "centre"}
    return {"state": "auto", "winner": state.live.dot}


def _sides(state: FieldState) -> list[str]:
    return [head.dot for head in state.heads]


def ids_ended(wrote: Wrote) -> dict[str, str]:
    """`{field: conflict id}` of the disputes that stood before this write and do no more."""
    row = wrote.stored.row
    return {
        name: conflict_id(row.entity, row.id, name, _sides(state))
        for name, state in wrote.before.items()
        if is_disputed(state) and _sides(state) != _sides(wrote.after[name])
    }


def closed(conflict: Stored, by: str | None, at: int) -> Stored:
    """The record once a person decided it, or once a further rival replaced it (`by` None)."""
    done = {"state": "decided", "decided_by": by, "decided_at": at}
    fields = conflict.row.fields | (done if by else {"state": "superseded"})
    return replace(conflict, row=replace(conflict.row, fields=fields))

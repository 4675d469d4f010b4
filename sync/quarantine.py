"""What was not applied: its author and a duty officer see it until a person closes it."""

from msgspec.structs import replace

from schema.codes import Code
from schema.wire import Change, Row, Verdict
from sync.canonical import sha256_hex
from sync.conflict import ID_LENGTH
from sync.known import Arrival, Session
from sync.mutation import Refusal
from sync.rows import Stored

ENTITY = "quarantine"
KEPT = frozenset({"refused", "quarantined"})


def row_id(dot: str) -> str:
    """The id of the row that shows a mutation; the same for the row that tells a late verdict."""
    return sha256_hex(dot.encode())[:ID_LENGTH]


def quarantine_row(
    arrival: Arrival, verdict: Verdict, session: Session | None, now_ms: int
) -> Stored:
    """The row that shows a mutation's words, and why they were not applied."""
    m = arrival.mutation
    fields = {
        "replica": m.replica,
        "dot": verdict.dot,
        "hash": verdict.hash,
        "verdict": verdict.verdict,
        "code": verdict.code,
        "detail": verdict.detail,
        "intent": m.intent,
        "author": session.actor if session else None,
        "unit": (session.unit or None) if session else None,
        "stamp": m.stamp,
        "changes": [_plain(change) for change in m.changes],
        "state": "open",
        "note": None,
    }
    return Stored(Row(ENTITY, row_id(verdict.dot), 0, verdict.dot, "", "", now_ms, fields))


def _plain(change: Change) -> dict[str, object]:
    return {"op": change.op, "entity": change.entity, "id": change.id, "fields": change.fields}


def judged_again(stored: Stored, verdict: Verdict) -> Stored:
    """The row once its mutation was let in and got another verdict, whatever that is."""
    told = {"code": verdict.code, "detail": verdict.detail}
    if verdict.verdict in KEPT:
        told["verdict"] = verdict.verdict
    return replace(stored, row=replace(stored.row, fields=stored.row.fields | told))


def check_open(change: Change, stored: Stored) -> None:
    """Refusal `not_quarantined` when somebody has dealt with it, or it is of the other kind.

    What was refused can only be closed; what waits for a judgement is let in or rejected.
    """
    if change.entity != ENTITY:
        return
    fields = stored.row.fields
    wanted = "refused" if change.fields.get("state") == "closed" else "quarantined"
    if fields["state"] != "open" or fields["verdict"] != wanted:
        raise Refusal(Code.NOT_QUARANTINED, fields["state"])


def let_in(change: Change) -> bool:
    """True for the change by which a duty officer releases a mutation."""
    return change.entity == ENTITY and change.fields.get("state") == "released"

"""What only some may do at level II or I: the matrix lets a dispatcher alone act up to III."""

from schema.codes import Code
from schema.intents import Intent
from schema.roles import Role
from schema.wire import Change
from sync.known import Known
from sync.mutation import Refusal

GRAVE = frozenset({"I", "II"})


def check_level(known: Known, intent: Intent, change: Change, roles: frozenset[Role]) -> None:
    """Refusal `level_limit` unless one of the roles may do this at the level that it is about."""
    if intent.grave and not roles & set(intent.grave) and _levels(known, change) & GRAVE:
        raise Refusal(Code.LEVEL_LIMIT, f"{change.entity}/{change.id}")


def may_at(intent: Intent, roles: frozenset[Role], level: object) -> bool:
    """Whether one of the roles may do what is limited, at this level."""
    return bool(roles & set(intent.grave if level in GRAVE and intent.grave else intent.roles))


def _levels(known: Known, change: Change) -> set[object]:
    """The levels that a change sets, or at which it ends somebody's duty."""
    fields = change.fields
    match change.entity:
        case "incident_summary" if "level" in fields:
            return {fields["level"], _level_of(known, change.id)}
        case "incident" if fields.get("state") == "closed":
            return {_level_of(known, change.id)}
        case "step" | "round":
            target = known.rows.get(("target", str(fields.get("target"))))
            return {_level_of(known, target.row.fields["incident"])} if target else set()
    return set()


def _level_of(known: Known, incident: str) -> object:
    summary = known.rows.get(("incident_summary", incident))
    return summary.row.fields.get("level") if summary else None

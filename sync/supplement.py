"""What comes after its incident was closed is taken as a supplement; a call for help reopens it."""

from schema.wire import Row
from sync.conflict import conflict_row
from sync.known import Known
from sync.rows import Stored

RULE_AFTER_CLOSE = "4.3#9"
FIELD = "state"
SUPPLEMENTS = frozenset({"step", "feedback", "help_call"})


def after_close(known: Known, made: list[Stored]) -> tuple[bool, list[Stored]]:
    """Whether a closed incident is concerned, and the Conflicts that propose to reopen it."""
    late, found = False, []
    for stored in made:
        incident = _incident_of(known, stored.row)
        if incident is None or incident.fields.get("state") != "closed":
            continue
        late = True
        if stored.row.entity == "help_call":
            found.append(_reopen(incident, stored.row))
    return late, found


def _incident_of(known: Known, row: Row) -> Row | None:
    if row.entity not in SUPPLEMENTS or "target" not in row.fields:
        return None
    target = known.rows.get(("target", str(row.fields.get("target"))))
    stored = known.rows.get(("incident", target.row.fields["incident"])) if target else None
    return stored.row if stored else None


def _reopen(incident: Row, call: Row) -> Stored:
    shut = incident.writes.get(FIELD, (incident.stamp, incident.dot))
    sides = [
        {"dot": shut[1], "value": "closed", "actor": incident.actor, "stamp": shut[0]},
        {"dot": call.dot, "value": "help_call", "actor": call.actor, "stamp": call.stamp},
    ]
    verdict = {"state": "open", "needs": "centre"}
    return conflict_row(incident, FIELD, sides, RULE_AFTER_CLOSE, verdict)

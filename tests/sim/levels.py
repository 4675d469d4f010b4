"""What a dispatcher alone may not do at level II or I, worked out anew. Knows no `sync/`."""

from typing import TYPE_CHECKING, Any

from tests.sim.broken import Broken
from tests.sim.writes import fields_of

if TYPE_CHECKING:
    from tests.sim.model import Model

GRAVE = {"I", "II"}
LIMITED = {"incident.open", "incident.edit", "target.close", "target.send_back"}
UNLIMITED_ROLES = {"shift_lead", "centre_head"}


def check_level(model: "Model", dot: str) -> None:
    """Nobody acts beyond the levels of their role, and nobody within them is held back for it."""
    line = model.log[dot]
    mutation = line.mutation
    if mutation is None or mutation["intent"] not in LIMITED:
        return
    found = [one for change in mutation["changes"] for one in _levels(model, change)]
    if None in found:
        return  # What its author had seen has not all come back after a restore.
    beyond = bool(GRAVE & set(found)) and not UNLIMITED_ROLES & set(
        model.roles_of(mutation["actor"])
    )
    if line.verdict in ("applied", "merged") and beyond and "reoffered" not in line.tags:
        raise Broken("rights", f"{dot} {mutation['intent']} at {found} by {mutation['actor']}")
    if line.code == "level_limit":
        model.count("level_limit")
        if not beyond:
            raise Broken("unfair_refusal", f"{dot} {mutation['intent']} at {found}")


def _levels(model: "Model", change: dict[str, Any]) -> list[str | None]:
    """The levels that a change is about, "" for none; None for one that is not settled."""
    fields, entity = change.get("fields", {}), change["entity"]
    if entity == "incident_summary" and "level" in fields:
        return [fields["level"] or "", _level_of(model, change["id"])]
    if entity == "incident" and fields.get("state") == "closed":
        return [_level_of(model, change["id"])]
    if entity in ("step", "round"):
        target = model.rows.get(("target", fields["target"]))
        return [_level_of(model, target.first["incident"])] if target else []
    return []


def _level_of(model: "Model", incident: str) -> str | None:
    fact = model.rows.get(("incident_summary", incident))
    if fact is None:
        return ""
    if "level" in model.unsettled_fields(fact):
        return None
    return fields_of(fact).get("level") or ""

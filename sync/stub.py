"""A row that only the centre had is lost with its log; what devices give back still needs it."""

from msgspec.structs import replace

from sync.known import Known
from sync.rows import Key, Stored

INCIDENT = "incident"
SUMMARY = "incident_summary"


def stubs(known: Known, made: dict[Key, Stored]) -> list[Stored]:
    """The incident behind each summary that a device brought back: open, its particulars gone."""
    found = []
    for stored in made.values():
        key = (INCIDENT, stored.row.id)
        if stored.row.entity == SUMMARY and key not in known.rows and key not in made:
            row = replace(stored.row, entity=INCIDENT, fields={"state": "open"}, writes={}, open={})
            found.append(replace(stored, row=row, history={}))
    return found

"""What the pages about units, people, machines and conflicts show: projections of one read."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.wire import Row
from server.machines import newest
from server.store.protocol import Read
from server.waiting import CONFLICTS, done_lately, waiting_part
from server.web.contents import Shown, about, shown_fields, shown_value
from server.web.lookup import Lookup, UnitName, all_units, text, unit_name
from server.web.paging import Listed
from server.web.views_unapplied import written
from sync.conflict import RULE_MOVE
from sync.filings import FILING, RULING
from sync.fold import position_of
from sync.moves import ruled_out
from sync.removal import RULE_REMOVAL
from sync.rows import base_of
from sync.supplement import RULE_AFTER_CLOSE

UNTOLD_MS = -1
"""The time of what tells none, such as the first value of a row that the centre made itself."""

STALE_AFTER_MS = 24 * 3_600_000
"""A machine's place older than this is marked; where it stands today is not known."""


class Side(Struct, frozen=True):
    """One of several values that compete."""

    dot: str
    value: str
    who: str
    at: int
    shown: list[Shown] = []
    """The value as a page prints it."""


class Dispute(Struct, frozen=True):
    """A Conflict with the row it is about."""

    row: Row
    subject: Row | None
    about: str
    unit: str
    field: str
    sides: list[Side]
    directive: str | None
    incident: str | None
    """The incident that somebody proposes to reopen."""
    decided_by: str
    current: str
    """What stands in the row now."""

    @property
    def has_field(self) -> bool:
        """True when it is about one field of a row rather than about the whole of it."""
        whole = (RULE_AFTER_CLOSE, RULE_REMOVAL)
        return not self.directive and self.row.fields["rule"] not in whole

    @property
    def is_of_filings(self) -> bool:
        """True when people filed one machine's move differently."""
        return bool(self.row.fields["rule"] == RULE_MOVE)

    @property
    def state(self) -> str:
        """The state of a conflict that is settled."""
        if self.row.fields["state"] != "open":
            return str(self.row.fields["state"])
        return "ruled" if self.subject else "removed"

    @property
    def winner(self) -> Side | None:
        dot = self.row.fields.get("winner")
        return next((side for side in self.sides if side.dot == dot), None)


class Inbox(Struct, frozen=True):
    """A page of what waits for a person, and what was settled of late without or by one."""

    open: Listed[Dispute]
    settled: list[Dispute]


def _side(look: Lookup, side: dict[str, Any]) -> Side:
    at = side.get("at") or written(side["stamp"]) or UNTOLD_MS
    return Side(side["dot"], str(side.get("value") or ""), look.person(side.get("actor")), at)


def sides_of(look: Lookup, row: Row, field: str) -> list[Side]:
    """The values of a disputed field, oldest first; none while it is not disputed."""
    return sorted((_side(look, one) for one in row.open.get(field, [])), key=lambda one: one.at)


def dispute(look: Lookup, conflict: Row) -> Dispute:
    fields = conflict.fields
    subject = look.row(fields["row_entity"], fields["row_id"])
    sides = [_worded(look, conflict, _side(look, one), one) for one in fields["sides"]]
    return Dispute(
        conflict,
        subject,
        about(look, subject),
        look.unit(fields.get("unit")),
        text(conflict, "field"),
        sorted(sides, key=lambda one: one.at),
        subject.fields.get("directive") if subject else None,
        fields["row_id"] if fields["rule"] == RULE_AFTER_CLOSE else None,
        look.person(fields.get("decided_by")),
        text(subject, str(fields.get("field") or "")),
    )


def _worded(look: Lookup, conflict: Row, side: Side, told: dict[str, Any]) -> Side:
    """The side with its value as a page prints it: a field's, an edit's, or a fact's name."""
    entity, rule, value = conflict.fields["row_entity"], conflict.fields["rule"], told.get("value")
    if rule == RULE_AFTER_CLOSE:
        fact = "entity.help_call" if value == "help_call" else "desk.incident.closed_then"
        shown = [Shown("", "word", fact)]
    elif rule == RULE_REMOVAL and isinstance(value, dict):
        shown = shown_fields(look, entity, value)
    elif rule == RULE_REMOVAL:
        shown = [Shown("", "word", "desk.op.remove")]
    elif rule == RULE_MOVE:
        side = replace(side, value=told["value"]["filing"])
        shown = [Shown("field.place", "place", value)]
    elif entity == "target":
        shown = [Shown("", "word", "entity.recall" if value == "recall" else f"step.{value}")]
    else:
        shown = [shown_value(look, entity, text(conflict, "field"), value)]
    return replace(side, shown=shown)


def inbox(txn: Read, page: int) -> Inbox:
    """The most urgent first, then what has waited longest."""
    look, part = Lookup(txn), waiting_part(txn, CONFLICTS, page)
    return Inbox(
        Listed(_disputes(look, part.of), part), _disputes(look, done_lately(txn, CONFLICTS))
    )


def _disputes(look: Lookup, ids: list[str]) -> list[Dispute]:
    return [dispute(look, row) for id in ids if (row := look.row(CONFLICTS, id))]


def one_dispute(txn: Read, id: str) -> Dispute | None:
    look = Lookup(txn)
    row = look.row("conflict", id)
    return dispute(look, row) if row else None


class Machine(Struct, frozen=True):
    """A machine, where it was last seen, and who to call."""

    row: Row
    unit: str
    moves: list[tuple[Row, str]]
    position: dict[str, Any] | None
    ruled_out: set[str]
    """Filings against which somebody ruled."""

    def phone(self, who: str) -> tuple[str, str]:
        """Name and phone of the `manager` or `operator`: the newest that stands, or the card."""
        standing = (move for move, _ in self.moves if move.id not in self.ruled_out)
        source = next(standing, self.row)
        return text(source, who), text(source, f"{who}_phone")


def machines(txn: Read) -> list[Machine]:
    """Every machine, with each person's newest filings, newest first."""
    look = Lookup(txn)
    found = []
    for row in look.children("equipment", None):
        moves, rulings = (
            [stored.row for stored in newest(txn, entity, row.id)] for entity in (FILING, RULING)
        )
        moves.sort(key=lambda one: one.fields["at"], reverse=True)
        named = [(move, look.person(move.actor)) for move in moves]
        unit = look.unit(row.fields.get("unit"))
        position = position_of(moves, rulings)
        found.append(Machine(row, unit, named, position, ruled_out(rulings)))
    return sorted(found, key=lambda one: (one.unit, text(one.row, "name")))


class Phone(Struct, frozen=True):
    """A number; while it is disputed, every value, all of them dialable."""

    row: Row
    sides: list[Side]
    base: tuple[str, ...]


class Contact(Struct, frozen=True):
    row: Row
    phones: list[Phone]


class Contacts(Struct, frozen=True):
    """One unit's contacts, or none while no unit is chosen."""

    unit: UnitName | None
    contacts: list[Contact]
    units: list[UnitName]


DUTIES = ("head", "liaison", "duty_room")


def contacts(txn: Read, unit: str | None) -> Contacts:
    look = Lookup(txn)
    row = look.row("unit", unit)
    people = look.children("contact", row.id) if row else []
    people.sort(key=lambda one: (DUTIES.index(one.fields["duty"]), one.fields.get("n") or 0))
    found = [
        Contact(
            person,
            [
                Phone(phone, sides_of(look, phone, "number"), base_of(phone, "number"))
                for phone in look.children("contact_phone", person.id)
            ],
        )
        for person in people
    ]
    return Contacts(unit_name(row) if row else None, found, all_units(look))


def units(txn: Read) -> list[UnitName]:
    """The register."""
    return all_units(Lookup(txn))


def actors(txn: Read) -> list[tuple[str, str, str]]:
    """`(code, kind, name)` of the bodies that take part but are no linked units."""
    return [(code, doc["kind"], doc["name"]) for code, doc in txn.find("actor").items()]


def people(txn: Read) -> list[tuple[Row, str]]:
    """Everyone in the directory with the name of the unit."""
    look = Lookup(txn)
    named = [(row, look.unit(row.fields.get("unit"))) for row in look.children("person", None)]
    return sorted(named, key=lambda one: (one[1], text(one[0], "name")))

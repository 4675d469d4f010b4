"""Names behind ids: people and units, read once per view."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from schema.wire import Row
from server.store.protocol import Read


class UnitName(Struct, frozen=True):
    """A linked unit as lists and pickers show it."""

    id: str
    code: str
    name: str
    tier: str
    category: str
    category_name: str
    initials: str
    terminal: bool
    gateway: str | None


class Lookup:
    """Rows by id, kept for the length of one read."""

    def __init__(self, txn: Read) -> None:
        self.txn = txn
        self._rows: dict[tuple[str, str], Row | None] = {}

    def row(self, entity: str, id: str | None) -> Row | None:
        """The row when it is there and not removed."""
        if not id:
            return None
        key = (entity, id)
        if key not in self._rows:
            stored = self.txn.rows([key]).get(key)
            self._rows[key] = None if stored is None or stored.row.removed else stored.row
        return self._rows[key]

    def person(self, actor: str | None) -> str:
        """A person's name with the post, or the id of somebody who is not in the directory."""
        row = self.row("person", actor)
        return text(row, "name") if row else (actor or "")

    def unit(self, id: str | None) -> str:
        row = self.row("unit", id)
        return text(row, "name") if row else (id or "")

    def children(self, entity: str, parent: str | None) -> list[Row]:
        """Rows that are not removed, in the order of their creation."""
        found = self.txn.children(entity, parent)
        return [stored.row for stored in found if not stored.row.removed]


def text(row: Row | None, field: str) -> str:
    """A text field as it is shown; nothing for a missing row or value."""
    value: Any = row.fields.get(field) if row else None
    return "" if value is None else str(value)


def unit_name(row: Row) -> UnitName:
    return UnitName(
        row.id,
        text(row, "code"),
        text(row, "name"),
        text(row, "tier"),
        text(row, "category"),
        text(row, "category_name"),
        text(row, "initials"),
        bool(row.fields.get("terminal")),
        row.fields.get("gateway"),
    )


def all_units(look: Lookup) -> list[UnitName]:
    """Every unit in the order of the register."""
    return sorted((unit_name(row) for row in look.children("unit", None)), key=by_code)


def by_code(unit: UnitName) -> tuple[str, str]:
    return unit.code, unit.name


class Group(Struct, frozen=True):
    """A tier or category, with the units that one click takes."""

    code: str
    name: str
    units: list[UnitName]


def grouped(units: Iterable[UnitName]) -> dict[str, list[Group]]:
    """`{tier: [category, …]}` in the order of the register."""
    tiers: dict[str, dict[str, list[UnitName]]] = {}
    for unit in units:
        tiers.setdefault(unit.tier, {}).setdefault(unit.category, []).append(unit)
    return {
        tier: [Group(code, of[0].category_name, of) for code, of in sorted(categories.items())]
        for tier, categories in sorted(tiers.items())
    }

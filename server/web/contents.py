"""Changes and rows in words: each field by its label, its value as pages show it elsewhere.

Nothing here trusts what it shows: words that were refused may hold anything.
"""

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from schema.entities import CHECKS, ENTITIES, refers_to
from schema.fields import Field, check_of
from schema.wire import Row
from server.web.lookup import Lookup, text

TEXT_CHARS_MAX = 2000
NAME_CHARS_MAX = 60
FIELDS_SHOWN_MAX = 40
CHANGES_SHOWN_MAX = 20

PLACE = ("place", "lat_e6", "lon_e6", "accuracy_m")
TOLD_BY_TARGET = frozenset({"directive", "incident", "unit"})
"""What the name of a target says already."""

NOTHING: tuple[Any, ...] = (None, "", [])
"""What says nothing in a row that is new."""

WORD_GROUPS = {"verdict": "ruling"}
"""The group of words of a choice, where it is not the field's own name."""


class Shown(Struct, frozen=True):
    """One field. `label` is a key of the dictionary; `kind` says how a page prints `value`.

    `now` is what stands in the row, where this would change it.
    """

    label: str
    kind: str
    value: Any
    now: "Shown | None" = None


class Content(Struct, frozen=True):
    """What one change does to one row, or, with no `op`, what a row says."""

    op: str
    entity: str
    about: str
    fields: list[Shown]


def contents_of(look: Lookup, changes: Iterable[dict[str, Any]]) -> list[Content]:
    """The changes of a mutation, each `{op, entity, id, fields}`."""
    return [_content(look, one) for one in list(changes)[:CHANGES_SHOWN_MAX]]


def _content(look: Lookup, change: dict[str, Any]) -> Content:
    op, entity, id = change["op"], change["entity"], change["id"]
    row = None if op == "create" else look.row(entity, id)
    shown = shown_fields(look, entity, change["fields"], row)
    return Content(op[:NAME_CHARS_MAX], entity[:NAME_CHARS_MAX], about(look, row), shown)


def row_content(look: Lookup, row: Row) -> Content:
    """What a row says; one without a field of its own to tell it by says which it is."""
    return Content("", row.entity, "", shown_fields(look, row.entity, row.fields))


def shown_fields(
    look: Lookup, entity: str, fields: dict[str, Any], row: Row | None = None
) -> list[Shown]:
    """Every field that says something; those of a place together; beside what stands in `row`."""
    rest = dict(fields)
    if "target" in rest:
        rest = {name: value for name, value in rest.items() if name not in TOLD_BY_TARGET}
    place = {}
    if _is_place(entity, rest):
        place = {name: rest.pop(name, None) for name in PLACE}
    found = []
    for name, value in list(rest.items())[:FIELDS_SHOWN_MAX]:
        if row or value not in NOTHING:
            one = shown_value(look, entity, name, value)
            found.append(_beside(look, one, row, name) if row else one)
    return [*found, Shown("field.place", "place", place)] if place else found


def _is_place(entity: str, fields: dict[str, Any]) -> bool:
    checks = CHECKS.get(entity, {})
    here = [name for name in PLACE if fields.get(name) is not None and name in checks]
    return {"lat_e6", "lon_e6"} <= set(here) and all(checks[n](fields[n]) for n in here)


def _beside(look: Lookup, one: Shown, row: Row, name: str) -> Shown:
    now = shown_value(look, row.entity, name, row.fields.get(name))
    return one if now.value == one.value else Shown(one.label, one.kind, one.value, now)


def shown_value(look: Lookup, entity: str, name: str, value: Any) -> Shown:
    """A value by its field's kind; one that its field cannot hold, as it came."""
    label = f"field.{name[:NAME_CHARS_MAX]}"
    field = ENTITIES[entity].fields.get(name) if entity in ENTITIES else None
    if value is None:
        return Shown(label, "none", None)
    if field is None or not check_of(field)(value):
        return Shown(label, "text", plain(value))
    return Shown(label, *_printed(look, entity, name, field, value))


def _printed(look: Lookup, entity: str, name: str, field: Field, value: Any) -> tuple[str, Any]:
    if field.kind == "choice":
        return "word", _word(entity, name, value)
    if field.kind == "bool":
        return "word", "desk.yes" if value else "desk.no"
    if field.kind == "ref":
        return "text", named(look, refers_to(field, name), value)
    if field.kind in ("time", "photos", "clocks", "texts"):
        return field.kind, value
    if name == "number" or name.endswith("_phone"):
        return "tel", value
    return "text", plain(value)


def _word(entity: str, name: str, value: str) -> str:
    if (entity, value) == ("incident", "closed"):
        return "state.ended"
    return f"{WORD_GROUPS.get(name, name)}.{value}"


def plain(value: Any) -> str:
    """Any value as text of bounded length."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= TEXT_CHARS_MAX else said[:TEXT_CHARS_MAX] + "…"


def named(look: Lookup, entity: str, id: str) -> str:
    """The row that a field names, in a few words; its id when it is not known here."""
    row = look.row(entity, id)
    name = about(look, row)
    if row is not None and row.entity == "target":
        name = " · ".join(part for part in (name, look.unit(row.fields.get("unit"))) if part)
    return name or id


def about(look: Lookup, row: Row | None) -> str:
    """A few words that say which row it is."""
    if row is None:
        return ""
    if row.entity == "contact_phone":
        contact = look.row("contact", row.fields.get("contact"))
        return f"{text(contact, 'name')} {text(contact, 'post')}".strip()
    if row.entity == "target":
        return text(look.row("directive", row.fields["directive"]), "no")
    if row.entity in ("incident", "incident_summary"):
        return text(look.row("incident_summary", row.id), "title")
    if row.entity == "help_call":
        return look.person(row.actor)
    return text(row, "name") or text(row, "no") or text(row, "reason")

"""Scopes: the sets of rows that a replica may hold, by the kind of device it is."""

from functools import cache
from typing import Any

from msgspec import Struct

from schema.entities import ENTITIES, Entity
from schema.roles import Role


class DeviceKind(Struct, frozen=True):
    """A kind of device: which roles may enrol on it and which scopes it is granted."""

    name: str
    roles: tuple[Role, ...]
    scopes: tuple[str, ...]


DEVICE_KINDS: dict[str, DeviceKind] = {
    kind.name: kind
    for kind in (
        DeviceKind(
            "phone",
            (Role.RESPONDER,),
            ("directory", "unit/{unit}", "actor/{actor}", "device/{replica}"),
        ),
        DeviceKind(
            "tablet",
            (Role.DUTY, Role.UNIT_HEAD, Role.STEWARD),
            ("directory", "unit/{unit}", "register/{unit}", "actor/{actor}", "device/{replica}"),
        ),
        DeviceKind(
            "operator", (Role.OPERATOR,), ("directory", "actor/{actor}", "device/{replica}")
        ),
    )
}

SCOPE_KINDS: tuple[str, ...] = ("centre", "directory", "unit", "register", "actor", "device")
"""`centre` the console's; `directory` everyone's; `unit` a unit's orders; `register` the cards of
its duty room; `actor` what concerns one person; `device` what concerns one replica."""


def granted(kind: str, unit: str, actor: str, replica: str) -> tuple[str, ...]:
    """The scopes that a newly enrolled device of this kind is granted."""
    names = {"unit": unit, "actor": actor, "replica": replica}
    return tuple(template.format(**names) for template in DEVICE_KINDS[kind].scopes)


def scopes_of(entity: Entity, fields: dict[str, Any], actor: str) -> tuple[str, ...]:
    """The scopes that a row itself belongs to, not counting those that carry it."""
    found: list[str] = []
    for template in entity.scopes:
        kind, name = _parts(template)
        if kind == "*":
            found.extend(fields.get(name) or ())
        elif not name:
            found.append(template)
        elif value := actor if name == "@actor" else fields.get(name):
            found.append(f"{kind}/{value}")
    return tuple(dict.fromkeys(found))


@cache
def _parts(template: str) -> tuple[str, str]:
    """`(kind, field)`: `*` for a field that lists scopes, no field for a scope that is one."""
    if template.startswith("{*"):
        return "*", template[2:-1]
    kind, _, name = template.partition("/")
    return kind, name.strip("{}")


def carried_into(entity: Entity, fields: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """`(scope, entity, id)` of every parent row that this row brings along."""
    unit = fields.get("unit")
    return tuple(
        (f"unit/{unit}", parent, fields[by]) for parent, by in entity.carries if fields.get(by)
    )


def lane_of(entity: str) -> int:
    """The lane that rows of this entity travel in."""
    return ENTITIES[entity].lane

"""Who may do what, worked out from the register as the log tells it. Knows no `sync/`."""

from typing import Any

from msgspec import Struct, field

from schema.entities import ENTITIES, refers_to
from schema.intents import INTENTS

Key = tuple[str, str]

GRANTS = {
    "phone": ("directory", "unit/{unit}", "actor/{actor}", "device/{replica}"),
    "tablet": (
        *("directory", "unit/{unit}", "register/{unit}", "actor/{actor}", "device/{replica}"),
    ),
    "operator": ("directory", "actor/{actor}", "device/{replica}"),
}
"""What a device of each kind may hold."""

WITHOUT_RIGHT = frozenset({"no_right", "not_yours", "role_cut"})


class Rights(Struct, frozen=True):
    """What a person could do, until `until` (ms)."""

    until: int
    unit: str | None
    roles: tuple[str, ...]


class Register(Struct):
    """Everybody's rights, now and before."""

    now: dict[str, Rights] = field(default_factory=dict)
    past: dict[str, list[Rights]] = field(default_factory=dict)
    units: dict[Key, str | None] = field(default_factory=dict)
    """The unit of each row that has one."""

    def copy(self) -> "Register":
        past = {actor: list(one) for actor, one in self.past.items()}
        return Register(dict(self.now), past, dict(self.units))

    def note(self, key: Key, doc: dict[str, Any], at: int) -> None:
        """A row as it is now."""
        fields = doc["fields"]
        if "unit" in ENTITIES[key[0]].fields:
            self.units[key] = fields.get("unit")
        if key[0] != "person":
            return
        gone = doc["removed"]
        roles = () if gone else tuple(sorted(fields.get("roles") or ()))
        unit = None if gone else fields.get("unit")
        had = self.now.get(key[1])
        if had and (had.unit, had.roles) != (unit, roles):
            before = Rights(at, had.unit, had.roles)
            self.past.setdefault(key[1], []).append(before)
        self.now[key[1]] = Rights(0, unit, roles)

    def granted(self, kind: str, actor: str, replica: str) -> frozenset[str]:
        """The scopes that a device of this person must have."""
        rights = self.now.get(actor)
        if rights is None or not rights.unit:
            return frozenset()
        names = {"unit": rights.unit, "actor": actor, "replica": replica}
        return frozenset(scope.format(**names) for scope in GRANTS[kind])

    def allows(self, mutation: dict[str, Any], received: int, slack: int = 0) -> bool:
        """True when its author has the right now, or had it up to `slack` ms before it was written.

        Whoever writes in the very millisecond of a change may be judged either way.
        """
        actor = mutation["actor"]
        at = min(int(mutation["stamp"][:12], 16), received) - slack
        then = next((one for one in self.past.get(actor, ()) if at < one.until), None)
        rights = [one for one in (self.now.get(actor), then) if one]
        return any(self._may(mutation, one) for one in rights)

    def ever_allowed(self, mutation: dict[str, Any]) -> bool:
        actor = mutation["actor"]
        rights = [*self.past.get(actor, ()), *([self.now[actor]] if actor in self.now else ())]
        return any(self._may(mutation, one) for one in rights)

    def _may(self, mutation: dict[str, Any], rights: Rights) -> bool:
        intent = INTENTS.get(mutation["intent"])
        if intent is None or not set(intent.roles) & set(rights.roles):
            return False
        if intent.reach == "centre":
            return True
        made = {
            (one["entity"], one["id"]): one["fields"].get("unit")
            for one in mutation["changes"]
            if one["op"] == "create"
        }
        return all(self._in_reach(one, made, rights) for one in mutation["changes"])

    def _in_reach(
        self, change: dict[str, Any], made: dict[Key, str | None], rights: Rights
    ) -> bool:
        """The row and everything that it is filed under is of the author's unit."""
        entity, fields = ENTITIES[change["entity"]], change.get("fields", {})
        key = (change["entity"], change["id"])
        units = {fields["unit"]} if fields.get("unit") else set()
        if key in self.units:
            units.add(self.units[key])
        for name, one in entity.fields.items():
            parent = (refers_to(one, name), fields.get(name))
            if parent[0] and "unit" in ENTITIES[parent[0]].fields:
                for known in (made, self.units):
                    if parent in known:
                        units.add(known[parent])
        return units <= {rights.unit}

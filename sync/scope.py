"""Which scopes a row enters and leaves when it changes."""

from msgspec import Struct

from schema.entities import ENTITIES
from schema.scopes import carried_into, lane_of, scopes_of
from schema.wire import Row


class Member(Struct, frozen=True):
    """A row's place in one scope; `present` False is the `out` that tells devices to drop it."""

    scope: str
    lane: int
    entity: str
    id: str
    present: bool = True


def memberships(before: Row | None, after: Row) -> list[Member]:
    """The scopes that the row is in after the change, those it left, and the parents it carries.

    A removed row stays where it was: its tombstone must reach whoever holds it.
    """
    entity = ENTITIES[after.entity]
    now = scopes_of(entity, after.fields, after.actor)
    was = scopes_of(entity, before.fields, before.actor) if before else ()
    members = [Member(scope, entity.lane, after.entity, after.id) for scope in now]
    members += [
        Member(scope, entity.lane, after.entity, after.id, False)
        for scope in was
        if scope not in now
    ]
    if before is None:
        members += [
            Member(scope, lane_of(parent), parent, id)
            for scope, parent, id in carried_into(entity, after.fields)
        ]
    return members

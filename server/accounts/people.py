"""People as the register knows them now: a changed role holds from the next request on."""

from collections.abc import Iterable

from schema.roles import Role
from schema.wire import Row
from server.store.protocol import Read


def person_row(read: Read, actor: str) -> Row | None:
    """The person's row, None when there is none or it was removed."""
    return people_rows(read, [actor]).get(actor)


def people_rows(read: Read, actors: Iterable[str]) -> dict[str, Row]:
    """The rows of these people, without those who are not there or were removed."""
    stored = read.rows([("person", actor) for actor in actors])
    return {id: one.row for (_, id), one in stored.items() if not one.row.removed}


def roles_of(person: Row) -> frozenset[Role]:
    """The roles we know; one that a newer version added gives no right here."""
    known = {str(role) for role in Role}
    return frozenset(Role(name) for name in person.fields.get("roles") or () if name in known)


def unit_of(person: Row) -> str | None:
    """The id of the person's unit, None for the centre's own people."""
    return person.fields.get("unit") or None

"""Home: the one centre that judges a row, and what every other server makes of a mutation."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.entities import ENTITIES, refers_to
from schema.wire import Change, Mutation, Row
from sync.known import Arrival
from sync.mutation import Refusal
from sync.rights import Made, made_by
from sync.rows import Author, Key, Moment, Stored, at_home, created

Rows = Mapping[Key, Stored]

Gateways = Mapping[str, str]
"""A unit's `gateway` → the centre that stands there. A gateway without one judges nothing."""

Arrivals = dict[str, int]
"""`{server: ms}`: when each server first had a mutation. Kept by dot, beside its log line."""

ISSUED = frozenset({"directive"})
"""What belongs to whoever creates it: a county answers the city's incident by its own orders."""


def home_of(change: Change, rows: Rows, made: Made, centre: str, gateways: Gateways) -> str:
    """The centre that judges the changed row; `centre` is the one its author is enrolled with.

    A row keeps its home. A new one has that of its parent, directly under a unit that of the
    centre which serves the unit, and without a parent, or while it is unknown, the author's own.
    """
    return _told_home(change, rows, made, centre, gateways) or centre


def one_home(mutation: Mutation, rows: Rows, centre: str, gateways: Gateways) -> str:
    """The home of all rows that a mutation touches. Refusal `mixed_home` when there are two.

    A row whose home cannot be told yet counts for none: the mutation is held for it anyway.
    """
    made = made_by(mutation)
    told = {_told_home(change, rows, made, centre, gateways) for change in mutation.changes}
    homes = sorted(home for home in told if home)
    if len(homes) > 1:
        raise Refusal(Code.MIXED_HOME, " ".join(homes))
    return homes[0] if homes else centre


def _told_home(
    change: Change, rows: Rows, made: Made, centre: str, gateways: Gateways
) -> str | None:
    """The home of a row, or None while the row or its parent is unknown."""
    key = change.entity, change.id
    if key in rows:
        return rows[key].row.home or centre
    if change.op != "create" and key not in made:
        return None
    change = made.get(key, change)
    parent = _parent_of(change)
    if parent is None:
        return centre
    if parent[0] == "unit" and (parent in rows or parent in made):
        fields = rows[parent].row.fields if parent in rows else made[parent].fields
        if served := gateways.get(str(fields.get("gateway"))):
            return served
    return _told_home(Change("set", *parent), rows, made, centre, gateways)


def _parent_of(change: Change) -> Key | None:
    """The row that a new row belongs under, if it follows one."""
    entity = ENTITIES.get(change.entity)
    if entity is None or not entity.parent or entity.name in ISSUED:
        return None
    id = change.fields.get(entity.parent)
    above = refers_to(entity.fields.get(entity.parent), entity.parent)
    if entity.name == "conflict":
        above = str(change.fields.get("row_entity"))
    # Only a hostile row is under one of its own kind; following it might never end.
    return (above, id) if above not in ("", entity.name) and isinstance(id, str) else None


def is_final_anywhere(entity: str) -> bool:
    """True for facts: one writer, never edited, so that every server may take them for good."""
    return entity in ENTITIES and ENTITIES[entity].fact


def provisional(row: Row, here: str) -> Row:
    """A row as server `here` made it: marked unless it is judged here or final anywhere."""
    mark = row.home not in ("", here) and not is_final_anywhere(row.entity)
    return row if row.provisional is mark else replace(row, provisional=mark)


def confirmed(row: Row) -> Row:
    """The row as its home hands it out."""
    return replace(row, provisional=False) if row.provisional else row


def replaces(came: Row, held: Row | None, held_seq: int) -> bool:
    """True when a row from another server takes the place of the one held here.

    The home's always replaces a provisional one, and one of its own that is not newer; `held_seq`
    is the home's seq of the held row. What is itself provisional replaces nothing of the home's.
    """
    if held is None or held.provisional:
        return True
    return not came.provisional and came.seq >= held_seq


class Forwarded(Struct, frozen=True):
    """A mutation whose signed bytes travel on to `home`; a `final` one stands here already."""

    arrival: Arrival
    home: str
    final: bool


class Split(Struct, frozen=True):
    """A batch in order: what this server judges for good, and what it passes on."""

    judged: list[Arrival]
    forwarded: list[Forwarded]


class Server(Struct, frozen=True):
    """Which server splits a batch, and which centre enrolled each foreign replica."""

    centre: str
    gateways: Gateways
    enrolled: Mapping[str, str] = {}


def split_by_home(arrivals: Iterable[Arrival], rows: Rows, server: Server) -> Split:
    """Each arrival to its home; one of two homes gets the fault `mixed_home`, judged here.

    What an arrival creates counts for those after it. Of a forwarded one this server may show its
    own result: for good when it is `final`, else provisional until the home has judged it.
    """
    split, seen = Split([], []), dict(rows)
    for arrival in arrivals:
        mutation = arrival.mutation
        centre = server.enrolled.get(mutation.replica, server.centre)
        if arrival.fault is not None:
            split.judged.append(arrival)
            continue
        try:
            home = one_home(mutation, seen, centre, server.gateways)
        except Refusal as refusal:
            split.judged.append(replace(arrival, fault=refusal.code))
            continue
        if home == server.centre:
            split.judged.append(arrival)
        else:
            split.forwarded.append(Forwarded(arrival, home, _is_final(mutation)))
        _remember(seen, arrival, home)
    return split


def _is_final(mutation: Mutation) -> bool:
    """A guard is judged only at home, so nothing that has one is final elsewhere."""
    return not mutation.guard and all(is_final_anywhere(one.entity) for one in mutation.changes)


def _remember(seen: dict[Key, Stored], arrival: Arrival, home: str) -> None:
    author = Author(arrival.mutation.actor, 0)
    for key, change in made_by(arrival.mutation).items():
        made = created(change, author, Moment(arrival.dot, arrival.mutation.stamp, 0))
        seen.setdefault(key, at_home(made, home))


def arrived(times: Arrivals, server: str, at_ms: int) -> Arrivals:
    """The times once `server` had it: its first receipt stays."""
    return earliest(times, {server: at_ms})


def earliest(times: Arrivals, others: Arrivals) -> Arrivals:
    """Both maps as one; in any order and repetition the same."""
    return {
        server: min(table[server] for table in (times, others) if server in table)
        for server in sorted({*times, *others})
    }


def seen_from(row: Row, times: Arrivals, server: str) -> Row:
    """The row as `server` hands it out: `arrived` is when its last write came to that server."""
    return replace(row, arrived=times.get(server, row.arrived))

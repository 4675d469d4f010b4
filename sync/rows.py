"""Rows at their home: how a write becomes part of a row, and what readers of the row are given."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.entities import ENTITIES
from schema.wire import Change, Row
from sync.merge import FieldState, Write, is_disputed, resolve, trimmed

Key = tuple[str, str]
"""`(entity, id)`."""

CLAIMS_MAX = 16

History = dict[str, list[Write]]
"""Every write of each field that was written after the row's creation, the first one included."""


class Stored(Struct, frozen=True):
    """A row with what its home alone keeps: the history of its edited fields and its author."""

    row: Row
    history: History = {}
    authority: int = 0

    @property
    def key(self) -> Key:
        return self.row.entity, self.row.id

    @property
    def parent(self) -> str | None:
        """The id of the row that this one belongs under, if its entity has a parent."""
        name = ENTITIES[self.row.entity].parent
        return self.row.fields.get(name) if name else None


class Author(Struct, frozen=True):
    """Who writes, with the authority that the `authority` policy weighs."""

    actor: str
    authority: int


class Wrote(Struct, frozen=True):
    """What a `set` did: the row after it and each field's state before and after."""

    stored: Stored
    before: dict[str, FieldState]
    after: dict[str, FieldState]


class Moment(Struct, frozen=True):
    """The dot and kept stamp of a mutation, when it came, and where."""

    dot: str
    stamp: str
    now_ms: int
    home: str = ""
    """The centre that judges it; "" where another one does."""


def created(change: Change, author: Author, at: Moment) -> Stored:
    """The row that a `create` makes. Its seq is set when the batch commits."""
    named = (change.entity, change.id, 0, at.dot, at.stamp, author.actor)
    row = Row(*named, at.now_ms, dict(change.fields), home=at.home)
    return Stored(row, {}, author.authority)


def set_fields(
    stored: Stored,
    change: Change,
    write: Write,
    base: dict[str, tuple[str, ...]],
    node: str = "",
) -> Wrote:
    """Fold each changed field again with the new write among its writes; other fields stay.

    A base counts only as far as it names writes that are here; what else it names is kept as a
    claim where the log was restored, since when the centre writes by `node`, and may get them yet,
    and is nothing anywhere else.
    """
    policies = ENTITIES[change.entity].fields
    history, before, after = dict(stored.history), {}, {}
    for name, value in change.fields.items():
        first = history.get(name) or [_first_write(stored, name)]
        here = {one.dot for one in first}
        named = base.get(name, ())
        seen = tuple(dot for dot in named if dot in here)
        unmet = (dot for dot in named if dot not in here and not dot.startswith(f"{node}/"))
        claims = tuple(unmet)[:CLAIMS_MAX] if node else ()
        mine = replace(write, value=value, base=seen, claims=claims)
        writes = [*first, mine]
        if name in policies:
            field = policies[name]
            before[name] = resolve(field.policy, first, field.choices)
            after[name] = resolve(field.policy, writes, field.choices)
            history[name] = trimmed(field.policy, writes)
        else:
            after[name] = FieldState(mine, (), (mine,))
            history[name] = [mine]
    row = _shown(stored.row, after)
    return Wrote(Stored(row, history, stored.authority), before, after)


def removed(stored: Stored, actor: str, at: Moment) -> Stored:
    """The tombstone: the id is kept for ever, with who removed it and the dot that did."""
    writes = {"removed": (at.stamp, at.dot)}
    row = replace(stored.row, removed=True, actor=actor, arrived=at.now_ms, writes=writes, open={})
    return replace(stored, row=row)


def at_home(stored: Stored, centre: str) -> Stored:
    """The row with its home, which is fixed where and when it is first made."""
    if stored.row.home:
        return stored
    return replace(stored, row=replace(stored.row, home=centre))


def _first_write(stored: Stored, name: str) -> Write:
    row = stored.row
    return Write(row.dot, (), row.stamp, row.actor, stored.authority, row.fields.get(name))


def _shown(row: Row, states: dict[str, FieldState]) -> Row:
    fields, writes, disputed = dict(row.fields), dict(row.writes), dict(row.open)
    for name, state in states.items():
        fields[name] = state.live.value
        others = sorted(head.dot for head in state.heads if head.dot != state.live.dot)
        writes[name] = (state.live.stamp, state.live.dot, *others)
        disputed.pop(name, None)
        if state.open:
            disputed[name] = [side(head) for head in state.open]
    return replace(row, fields=fields, writes=writes, open=disputed)


def side(write: Write) -> dict[str, Any]:
    """One rival value, as screens and Conflict records show it."""
    return {
        "dot": write.dot,
        "value": write.value,
        "actor": write.actor,
        "stamp": write.stamp,
    }


def base_of(row: Row, field: str) -> tuple[str, ...]:
    """The dots that an author who sees `row` names as the base of a write of `field`."""
    known = row.writes.get(field)
    return tuple(known[1:]) if known else (row.dot,)


def disputes(wrote: Wrote) -> dict[str, FieldState]:
    """The fields whose rivals differ after this write."""
    return {name: state for name, state in wrote.after.items() if is_disputed(state)}

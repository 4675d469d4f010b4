"""What a screen shows: the confirmed row, with what this device wrote since on top."""

from collections.abc import Iterable

from schema.scopes import lane_of
from schema.wire import Change, Mutation, Row
from sync.outbox import Saved
from sync.rows import Key, base_of


def view_of(row: Row | None, key: Key, unconfirmed: Iterable[Saved]) -> Row | None:
    """The row with every unconfirmed change on top, oldest first; None when it is not there."""
    for saved in unconfirmed:
        for change in saved.mutation.changes:
            if (change.entity, change.id) == key:
                row = overlaid(row, change, saved)
    return None if row is None or row.removed else row


def lanes_of(mutation: Mutation) -> set[int]:
    """The lanes in which the rows of this mutation come back."""
    return {lane_of(change.entity) for change in mutation.changes}


def overlaid(row: Row | None, change: Change, saved: Saved) -> Row | None:
    """A row with one unconfirmed change on top, `arrived` 0 while it is only on this device.

    A field written here names what it was based on too: whoever edits it next has seen both, also
    where the centre does not take the first. What was removed stays so, and the words wait.
    """
    m = saved.mutation
    if row is not None and row.removed:
        return row
    if change.op == "remove":
        return None
    if row is None:
        if change.op == "set":
            return None
        return Row(change.entity, change.id, 0, saved.dot, m.stamp, m.actor, 0, dict(change.fields))
    if change.op == "create":
        return row
    seen = {name: (m.stamp, saved.dot, *base_of(row, name)) for name in change.fields}
    writes = row.writes | seen
    open = {name: sides for name, sides in row.open.items() if name not in change.fields}
    return Row(
        row.entity,
        row.id,
        row.seq,
        row.dot,
        row.stamp,
        row.actor,
        row.arrived,
        row.fields | change.fields,
        writes,
        open,
    )

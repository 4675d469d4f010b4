"""What was not applied, and what devices lost: whose it is, what it says, and why."""

from typing import Any

from msgspec import Struct

from schema.versions import DAY_MS
from schema.wire import Row, Verdict
from server.store.protocol import Doc, Read
from server.waiting import LOST, QUARANTINE, done_lately, lost_part, waiting_part
from server.web.contents import Content, contents_of, plain
from server.web.lookup import Lookup
from server.web.paging import Listed
from sync.rows import Stored
from sync.stamp import decode_stamp

VOIDS_SHOWN_MS = 90 * DAY_MS


class Who(Struct, frozen=True):
    """The person and the device. `unproven` when only the words themselves say who it was."""

    person: str
    unit: str
    unit_id: str
    device: str
    """A key of the dictionary."""
    unproven: bool = False


class Unapplied(Struct, frozen=True):
    """A numbered mutation that was not applied; once dealt with, by whom, and what it got."""

    row: Row
    who: Who
    written: int | None
    contents: list[Content]
    unread: str
    """The words as they came, where nothing in them can be read."""
    decided_by: str
    decided_at: int | None
    got: Verdict | None


class Lost(Struct, frozen=True):
    """A number whose words a device lost."""

    row: Row
    who: Who


class Kept(Struct, frozen=True):
    """A page of what the log keeps for a person, and what was dealt with of late."""

    open: Listed[Unapplied]
    done: list[Unapplied]


def kept(txn: Read, page: int) -> Kept:
    """Calls for help first, then what has waited longest."""
    look, part = Lookup(txn), waiting_part(txn, QUARANTINE, page)
    return Kept(
        Listed([unapplied(look, one) for one in _stored(txn, part.of)], part),
        [unapplied(look, one) for one in _stored(txn, done_lately(txn, QUARANTINE))],
    )


def _stored(txn: Read, ids: list[str]) -> list[Stored]:
    keys = [(QUARANTINE, id) for id in ids]
    found = txn.rows(keys)
    return [found[key] for key in keys]


def is_open(row: Row) -> bool:
    """True until somebody has dealt with it."""
    return bool(row.fields["state"] == "open")


def one_unapplied(txn: Read, id: str) -> Unapplied | None:
    """None when there is no such row."""
    stored = txn.rows([("quarantine", id)]).get(("quarantine", id))
    return unapplied(Lookup(txn), stored) if stored else None


def unapplied(look: Lookup, stored: Stored) -> Unapplied:
    row, fields = stored.row, stored.row.fields
    by, at = _decided(stored)
    dot, contents = fields["dot"], contents_of(look, fields.get("changes") or [])
    past = look.txn.logged([dot]) if fields["state"] == "released" else {}
    raw = b"" if contents else look.txn.words([dot]).get(dot, b"")
    return Unapplied(
        row,
        who(look, fields["replica"], fields.get("author"), fields.get("unit")),
        written(fields.get("stamp")),
        contents,
        plain(raw.decode(errors="replace")),
        look.person(by),
        at,
        past[dot].verdict if past else None,
    )


def _decided(stored: Stored) -> tuple[str, int | None]:
    """Who dealt with it, and when; nothing while it is open."""
    dot = stored.row.writes.get("state", ("", ""))[1]
    write = next((one for one in stored.history.get("state", ()) if one.dot == dot), None)
    return (write.actor, written(write.stamp)) if write else ("", None)


def written(stamp: Any) -> int | None:
    """The writer's time in a stamp; None where it tells none."""
    try:
        return decode_stamp(str(stamp)).wall_ms
    except ValueError:
        return None


def who(look: Lookup, replica: str, actor: str | None = None, unit: str | None = None) -> Who:
    """The author, else the holder of the device; with the unit that is told, else theirs."""
    device = look.txn.get("replica", replica)
    actor = actor or (device["actor"] if device else None)
    person = look.row("person", actor)
    unit = unit or (person.fields.get("unit") if person else None)
    return Who(look.person(actor), look.unit(unit), unit or "", _kind(look, replica, device))


def _kind(look: Lookup, replica: str, device: Doc | None) -> str:
    if device:
        return f"kind.{device['kind']}"
    at_desk = look.txn.get("node_key", replica) is not None
    return "desk.kept.desk" if at_desk else "desk.kept.unknown_device"


def lost(txn: Read, now_ms: int, page: int) -> Listed[Lost]:
    """A page of the words that devices lost of late, the newest first."""
    look, part = Lookup(txn), lost_part(txn, now_ms - VOIDS_SHOWN_MS, page)
    rows = [row for id in part.of if (row := look.row(LOST, id))]
    return Listed([Lost(row, who(look, row.fields["replica"], row.actor)) for row in rows], part)

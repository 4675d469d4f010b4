"""What stands: each row beside its digest, and each pair beside the sum of its rows."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.wire import Row
from server.audit.finding import At, Finding, Flaw
from server.blobs import named_in
from server.store.inspect import MemberLine, PairLines, RowLine
from sync.digest import as_signed, digest_of
from sync.merge import Write
from sync.rows import History, Key, Stored

_rows = msgspec.json.Decoder(Row)
_history: msgspec.json.Decoder[History] = msgspec.json.Decoder(dict[str, list[Write]])


class Seen(Struct, frozen=True):
    """A row that was looked at: what is wrong with it, and what it says must be elsewhere.

    `photos` are those that it names, `scopes` those that it belongs in while it lives.
    """

    findings: list[Finding]
    photos: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


def at_row(key: Key) -> At:
    return {"entity": key[0], "id": key[1]}


def look_at_row(line: RowLine) -> Seen:
    """Compare a row's document with all that is kept beside it."""
    at = at_row(line.key)
    try:
        row = _rows.decode(line.doc)
        history = _history.decode(line.history) if line.history else {}
    except (ValueError, RecursionError) as error:
        return Seen([Finding(Flaw.ROW, at, str(error)[:200])])
    found = [] if line.is_sound else [Finding(Flaw.CHECKSUM, at)]
    if (row.entity, row.id) != line.key:
        found.append(Finding(Flaw.ROW, at, f"{row.entity}/{row.id}"))
    elif not row.removed and (why := _beside(row, line, history)):
        found.append(Finding(Flaw.ROW, at, why))
    if row.seq != line.seq:
        found.append(Finding(Flaw.ROW_SEQ, at, f"{row.seq} ≠ {line.seq}"))
    if as_signed(digest_of(row)) != line.digest or int(row.removed) != line.removed:
        found.append(Finding(Flaw.DIGEST, at))
    own = row.entity in ENTITIES and not row.removed
    scopes = scopes_of(ENTITIES[row.entity], row.fields, row.actor) if own else ()
    return Seen(found, frozenset(named_in(row)), frozenset(scopes))


def _beside(row: Row, line: RowLine, history: History) -> str:
    """What is kept beside a living row and does not belong to it; "" when all does."""
    if row.entity in ENTITIES and Stored(row).parent != line.parent:
        return f"parent {line.parent}"
    return "" if set(history) <= set(row.fields) else "history"


def look_at_pair(scope: str, lane: int, lines: PairLines) -> Iterator[Finding]:
    """Compare a pair's sum with its members, and each member with its row."""
    at: At = {"scope": scope, "lane": lane}
    sum = newest = 0
    for member in lines.members:
        if why := _astray(member, lines.upto):
            yield Finding(Flaw.MEMBER, {**at, **at_row(member.key)}, why)
        sum += member.digest if member.present else 0
        newest = max(newest, member.seq)
    if as_signed(sum) != lines.sum:
        yield Finding(Flaw.SUM, at, f"{as_signed(sum)} ≠ {lines.sum}")
    if not newest <= lines.newest <= lines.upto:
        yield Finding(Flaw.MEMBER, at, f"{newest} ≤ {lines.newest} ≤ {lines.upto}")


def _astray(member: MemberLine, upto: int) -> str:
    """Why a member cannot be where it says; "" when it can."""
    if member.row_seq is None:
        return "no row"
    lowest = member.row_seq if member.present else 0
    if not lowest <= member.seq <= upto:
        return f"{lowest} ≤ {member.seq} ≤ {upto}"
    return ""

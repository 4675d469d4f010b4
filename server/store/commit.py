"""What a batch of commits comes to, folded in memory: whatever moves often is written once.

A store reads the places of the rows concerned, folds, and writes the lines that come of it.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.wire import Row
from server.store.checksums import line_crc
from server.store.protocol import Commit, Committed, Head
from sync.canonical import canonical, sha256_hex
from sync.digest import as_signed, digest_of
from sync.mutation import dot_of
from sync.rows import Key, Stored

KEPT_OF_REMOVED = ("unit",)
"""What a tombstone still says, so that it is known whose row it was."""

_encode = msgspec.json.encode


class Spot(Struct):
    """A row's place in one scope: since which seq, and whether it is there or has left."""

    lane: int
    seq: int
    present: bool


class Place(Struct):
    """Where a row stands in this database: its number, its digest, and the scopes it is in.

    A number may be taken before the row comes: others may carry it into a scope already.
    """

    no: int
    digest: int = 0
    spots: dict[str, Spot] = {}
    row: Row | None = None
    """The row as this batch leaves it; None while only its scopes have changed."""

    stored: Stored | None = None
    moved: set[str] = set()
    """The scopes whose spot is to be written."""

    is_new: bool = False


class Line(Struct, frozen=True):
    """A line of the log; `tags` are joined by spaces, and `raw` is None where the bytes are not."""

    seq: int
    replica: str
    lane: int
    n: int
    hash: str
    raw: bytes | None
    verdict: str
    code: str | None
    detail: str | None
    received: int
    chain: str
    tags: str | None

    @property
    def crc(self) -> int:
        """Of all that is told of this line again, and of who said it."""
        told = (self.hash, self.verdict, self.code, self.detail, self.tags)
        return line_crc(self.seq, dot_of(self.replica, self.lane, self.n), told)


class Moved(Struct):
    """How a pair moved: to which seq, and by what its sum has changed."""

    seq: int
    delta: int = 0


class Batch(Struct):
    """The outcome of commits: new lines, and each (scope, lane) that moved."""

    lines: list[Line]
    pairs: dict[tuple[str, int], Moved]
    done: list[Committed]
    chain: str


def keys_of(commits: Sequence[Commit]) -> list[Key]:
    """The rows whose places these commits read or change."""
    keys = {stored.key: None for one in commits for stored in one.rows}
    for one in commits:
        keys |= {(member.entity, member.id): None for member in one.members}
    return list(keys)


def fold(head: Head, commits: Sequence[Commit], places: Mapping[Key, Place]) -> Batch:
    """Give each commit the next seq. `places` holds every key of theirs, and is changed."""
    before = {key: (one.digest, _present(one)) for key, one in places.items()}
    batch = Batch([], {}, [], head.chain)
    for seq, one in enumerate(commits, head.seq + 1):
        batch.lines.append(_line(one, seq, batch.chain))
        batch.chain = batch.lines[-1].chain
        moved = _move(one, seq, places)
        batch.pairs |= {pair: Moved(seq) for pair in moved}
        batch.done.append(Committed(seq, frozenset(moved)))
    for key, place in places.items():
        _settle(place)
        _add_up(batch.pairs, before[key], place)
    return batch


def _line(one: Commit, seq: int, chain: str) -> Line:
    arrival, verdict = one.entry.arrival, one.entry.verdict
    m = arrival.mutation
    told = [chain, seq, dot_of(m.replica, m.lane, m.n), arrival.hash, verdict.verdict, verdict.code]
    return Line(
        seq,
        m.replica,
        m.lane,
        m.n,
        arrival.hash,
        None if one.release else arrival.raw,
        verdict.verdict,
        verdict.code,
        verdict.detail,
        one.received,
        sha256_hex(canonical(told).encode()),
        " ".join(verdict.tags) or None,
    )


def _move(one: Commit, seq: int, places: Mapping[Key, Place]) -> set[tuple[str, int]]:
    """Each row moves to `seq` in every scope that it is in, enters or leaves. The pairs moved."""
    moved = set()
    for stored in one.rows:
        place = places[stored.key]
        place.row, place.stored = replace(stored.row, seq=seq), stored
        for scope, spot in place.spots.items():
            if spot.present:
                place.spots[scope] = Spot(spot.lane, seq, True)
                place.moved.add(scope)
                moved.add((scope, spot.lane))
    for member in one.members:
        place = places[member.entity, member.id]
        place.spots[member.scope] = Spot(member.lane, seq, member.present)
        place.moved.add(member.scope)
        moved.add((member.scope, member.lane))
    return moved


def _settle(place: Place) -> None:
    """The row as it is kept, and its digest."""
    row = place.row
    if row is None:
        return
    if row.removed:
        whose = {name: row.fields[name] for name in KEPT_OF_REMOVED if name in row.fields}
        row = place.row = replace(row, fields=whose, open={})
    place.digest = as_signed(digest_of(row))


def _present(place: Place) -> list[tuple[str, int]]:
    return [(scope, spot.lane) for scope, spot in place.spots.items() if spot.present]


def _add_up(
    pairs: dict[tuple[str, int], Moved], before: tuple[int, list[tuple[str, int]]], place: Place
) -> None:
    """What the row adds to the sums of its pairs now, for what it added; no other pair moved."""
    digest, was_in = before
    for pair in was_in:
        if pair in pairs:
            pairs[pair].delta -= digest
    for pair in _present(place):
        if pair in pairs:
            pairs[pair].delta += place.digest


def encoded(place: Place) -> tuple[bytes, bytes | None]:
    """The row's document and the history of its writes, as they are kept."""
    assert place.row is not None and place.stored is not None
    history = place.stored.history
    return _encode(place.row), _encode(history) if history else None

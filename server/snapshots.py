"""Snapshots: big pairs as small files, named by their hash, the same bytes for every device.

A part holds the rows between two keys and nothing that says when it was made: it stays the file
that it is for as long as none of them changes. A part of which a row was removed or left the pair
is given to nobody, and it alone is made anew with the next offer. What else changed follows in
pages, until that is more than a part of what the files weigh; then the parts that changed are made
anew. All of a pair is made only once by each process, and after a change of epoch.
"""

import gzip
import hashlib
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from schema.wire import Page, Pair, Snapshot, SnapshotFile, SnapshotPart
from server.proofs import Proofs
from server.store.protocol import Read, Touched
from sync.rows import Key

SNAPSHOT_FROM_BYTES = 128 * 1024
"""A pair of at least this much is told by snapshot to whoever starts it."""

PART_BYTES = 256 * 1024
"""Rows of about this much JSON go into one part: small enough for a bad line to carry whole."""

TAIL_BYTES = 64 * 1024
TAIL_SHARE = 4
"""What changed is made anew when it is more than this, and more than this share of the files."""

FIRST: Key = ("", "")
"""Before every key."""

log = structlog.get_logger()
_encode = msgspec.json.encode


class Shelf(Protocol):
    """Where the files of snapshots lie. A file that is not there any more is simply made again."""

    def put(self, sha256: str, data: bytes) -> None:
        """Afterwards it is there. OSError when there is no room."""

    def has(self, sha256: str) -> bool: ...

    def get(self, sha256: str) -> bytes | None: ...

    def drop(self, sha256: str) -> None: ...


class FolderShelf(Shelf):
    """Files in a folder. The first one put there clears it: nobody knows what older ones were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleared = False
        self._clearing = threading.Lock()

    def put(self, sha256: str, data: bytes) -> None:
        with self._clearing:  # Nothing that another thread puts there meanwhile goes with it.
            if not self._cleared:
                self._clear()
        part = self._folder / f"{sha256}.part"
        try:
            part.write_bytes(data)
            part.replace(self._folder / sha256)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _clear(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            old.unlink()
        self._cleared = True

    def has(self, sha256: str) -> bool:
        return (self._folder / sha256).exists()

    def get(self, sha256: str) -> bytes | None:
        """The bytes with this name. What the disk has altered goes, and is made again."""
        try:
            data = (self._folder / sha256).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        self.drop(sha256)
        return None

    def drop(self, sha256: str) -> None:
        (self._folder / sha256).unlink(missing_ok=True)


class MemoryShelf(Shelf):
    """Files in memory, for tests and simulation."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, sha256: str, data: bytes) -> None:
        self._files[sha256] = data

    def has(self, sha256: str) -> bool:
        return sha256 in self._files

    def get(self, sha256: str) -> bytes | None:
        return self._files.get(sha256)

    def drop(self, sha256: str) -> None:
        self._files.pop(sha256, None)


Line = tuple[Key, bytes]
"""A row's key, and the row as it is sent."""


class _Part(Struct):
    """The file of all rows from the key `low` to where the next part begins, as of `upto`.

    While nothing in it changes, `upto` moves on. It is `stale` once something has, and `gone` once
    a row of it is in the pair no more. `names` are its keys, as sorted numbers.
    """

    low: Key
    sha256: str = ""
    size: int = 0
    names: "array[int]" = array("Q")
    made: int = 0
    upto: int = 0
    stale: bool = False
    gone: bool = False

    def note(self, name: int, one: Touched) -> None:
        """What has moved between its keys. A row that came and went meanwhile is nothing to it."""
        if one.seq <= self.upto:
            return
        if not one.gone:
            self.stale = True
        elif self._has(name):
            self.gone = True

    def _has(self, name: int) -> bool:
        at = bisect_left(self.names, name)
        return at < len(self.names) and self.names[at] == name


class _Files:
    """The parts of one pair, in the order of their keys, and those that they replaced last.

    Whoever uses it holds its lock.
    """

    def __init__(self, pair: Pair, shelf: Shelf) -> None:
        self.pair = pair
        self.lock = threading.Lock()
        self._shelf = shelf
        self._epoch = ""
        self._known = 0
        self._parts: list[_Part] = []
        self._older: list[_Part] = []
        self.lying: set[str] = set()
        """What it has on the shelf."""

    def gives(self, txn: Read, sha256: str) -> bool:
        """True while every row of this part is in the pair."""
        self._look(txn)
        return any(one.sha256 == sha256 and not one.gone for one in self._parts + self._older)

    def offer(self, txn: Read, proofs: Proofs) -> Snapshot:
        """The parts as they may be given now, made anew where they must be."""
        self._look(txn)
        for part in self._parts:
            part.gone |= not self._shelf.has(part.sha256)
        self._renew(txn, proofs, lambda part: part.gone)
        if not self._is_recent(txn):
            self._renew(txn, proofs, lambda part: part.gone or part.stale)
        self._clear()
        lasting = sorted(self._parts, key=lambda part: part.made)  # What is often made anew: last.
        parts = [SnapshotPart(part.sha256, part.size) for part in lasting]
        return Snapshot(*self.pair, self._seq(), parts)

    def _clear(self) -> None:
        used = {part.sha256 for part in self._parts + self._older}
        for sha256 in self.lying - used:
            self._shelf.drop(sha256)
        self.lying = used

    def _seq(self) -> int:
        """The seq from which pages tell what no part does."""
        return min(part.upto for part in self._parts)

    def _is_recent(self, txn: Read) -> bool:
        room = max(TAIL_BYTES, sum(part.size for part in self._parts) // TAIL_SHARE)
        return txn.page(*self.pair, self._seq(), room).complete

    def _look(self, txn: Read) -> None:
        """Note what has moved since the last look. Nothing stands of what another log told."""
        head = txn.head()
        if self._epoch != head.epoch or self._known < head.floor:
            self._epoch, self._known = head.epoch, head.seq
            self._parts, self._older = [_Part(FIRST, gone=True)], []
        if self._known >= head.seq:
            return
        lows = [part.low for part in self._parts]
        for one in txn.touched(*self.pair, self._known):
            name = _name(one.key)
            for part in (self._parts[bisect_right(lows, one.key) - 1], *self._older):
                part.note(name, one)
        for part in self._parts:
            if not part.stale:
                part.upto = max(part.upto, head.seq)
        for part in self._parts + self._older:
            part.gone |= part.upto < head.floor
        self._known = head.seq

    def _renew(self, txn: Read, proofs: Proofs, is_worn: Callable[[_Part], bool]) -> None:
        """Make anew what is worn. A part that has become small takes the next one along."""
        upto, at, replaced = txn.head().seq, 0, []
        while at < len(self._parts):
            first = self._parts[at]
            if not is_worn(first):
                at += 1
                continue
            ends = [part.low for part in self._parts[at + 1 :]]
            made: list[_Part] = []
            for piece in _cut(txn.walk_pair(*self.pair, first.low), ends):
                made.append(self._made(txn, proofs, piece))
                made[-1].made = made[-1].upto = upto
            made[0].low = first.low
            behind = len(self._parts) - len(ends)
            replaced += [part for part in self._parts[at:behind] if not part.gone]
            self._parts[at:behind] = made
            at += len(made)
            self._known = min(self._known, upto)  # Another view of the log may have been later.
        if replaced:
            self._older = replaced

    def _made(self, txn: Read, proofs: Proofs, piece: list[Line]) -> _Part:
        rows = [msgspec.Raw(doc) for _, doc in piece]
        page = proofs.added(txn, Page(*self.pair, 0, rows))  # type: ignore[arg-type]
        data = gzip.compress(_encode(SnapshotFile(*self.pair, page.rows, page.proofs)), mtime=0)
        sha256 = hashlib.sha256(data).hexdigest()
        self._shelf.put(sha256, data)
        self.lying.add(sha256)
        names = array("Q", sorted(_name(key) for key, _ in piece))
        return _Part(piece[0][0] if piece else FIRST, sha256, len(data), names)


def _name(key: Key) -> int:
    """A number of 64 bits that stands for a key."""
    return int.from_bytes(hashlib.sha256("/".join(key).encode()).digest()[:8], "big")


def _cut(lines: Iterable[Line], ends: list[Key]) -> Iterator[list[Line]]:
    """The lines in pieces, at least one, up to the first of `ends` that leaves no small piece.

    Where they are cut hangs on the row there alone, and what is changed elsewhere moves no cut;
    only a piece that no row ends for so long is halved. Ends that were gone past leave the list.
    """
    piece: list[Line] = []
    size = 0
    for key, doc in lines:
        is_small = size < PART_BYTES // 4
        while ends and key >= ends[0]:
            if not is_small:
                yield piece
                return
            del ends[0]
        if not is_small and _name(key) % PART_BYTES < len(doc):
            yield piece
            piece, size = [], 0
        elif size >= 4 * PART_BYTES:
            half, piece = _halves(piece)
            yield half
            size = sum(len(doc) for _, doc in piece)
        piece.append((key, doc))
        size += len(doc)
    if size < PART_BYTES // 4:
        ends.clear()
    yield piece


def _halves(piece: list[Line]) -> tuple[list[Line], list[Line]]:
    sums = list(accumulate(len(doc) for _, doc in piece))
    at = bisect_left(sums, sums[-1] / 2) + 1
    return piece[:at], piece[at:]


class Snapshots:
    """The snapshots of one process.

    No part that holds a row which has been removed or has left its scope since is given to anybody.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._files: dict[Pair, _Files] = {}
        self._whose: dict[str, _Files] = {}

    def of(self, txn: Read, scope: str, lane: int, proofs: Proofs) -> Snapshot | None:
        """A snapshot of the pair that little has changed since. None: the disk takes no file."""
        files = self._files.setdefault((scope, lane), _Files((scope, lane), self._shelf))
        with files.lock:  # Several readers may want the same one at once.
            before = frozenset(files.lying)
            try:
                snapshot = files.offer(txn, proofs)
            except OSError as error:
                log.error("snapshot", why=repr(error))
                snapshot = None
            for sha256 in before - files.lying:
                self._whose.pop(sha256, None)
            self._whose.update(dict.fromkeys(files.lying, files))
        return snapshot

    def get(self, txn: Read, sha256: str, scopes: tuple[str, ...]) -> bytes | None:
        """The bytes of a part, for who holds its scope; None is all that others learn."""
        files = self._whose.get(sha256)
        if files is None or files.pair[0] not in scopes:
            return None
        with files.lock:
            return self._shelf.get(sha256) if files.gives(txn, sha256) else None

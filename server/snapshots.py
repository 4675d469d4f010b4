"""Snapshots: big pairs as small files, named by their hash, the same bytes for every device."""

import gzip
import hashlib
import threading
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from schema.wire import Pair, Snapshot, SnapshotFile, SnapshotPart
from server.proofs import Proofs
from server.store.protocol import Read

SNAPSHOT_FROM_BYTES = 128 * 1024
"""A pair of at least this much is told by snapshot to whoever starts it."""

PART_BYTES = 256 * 1024
"""Rows of about this much JSON go into one part: small enough for a bad line to carry whole."""

TAIL_BYTES_MAX = 64 * 1024
"""A snapshot is made anew when more than this has changed since."""

_encode = msgspec.json.encode


class Shelf(Protocol):
    """Where the files of snapshots lie. A file that is not there any more is simply made again."""

    def put(self, sha256: str, data: bytes) -> None: ...

    def has(self, sha256: str) -> bool: ...

    def get(self, sha256: str) -> bytes | None: ...

    def drop(self, sha256: str) -> None: ...


class FolderShelf(Shelf):
    """Files in a folder. The first one put there clears it: nobody knows what older ones were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleared = False

    def put(self, sha256: str, data: bytes) -> None:
        if not self._cleared:
            self._clear()
        part = self._folder / f"{sha256}.part"
        part.write_bytes(data)
        part.replace(self._folder / sha256)

    def _clear(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.iterdir():
            old.unlink()
        self._cleared = True

    def has(self, sha256: str) -> bool:
        return (self._folder / sha256).exists()

    def get(self, sha256: str) -> bytes | None:
        path = self._folder / sha256
        return path.read_bytes() if path.exists() else None

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


class _Made(Struct):
    """A snapshot, and up to which seq it is known whether a row of it has left the pair since."""

    snapshot: Snapshot
    epoch: str
    known: int
    left: bool = False


class Snapshots:
    """The snapshots of one process: the newest of each pair, and the one before it.

    One that holds a row which has been removed or has left its scope since is given to nobody.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._newest: dict[Pair, _Made] = {}
        self._older: dict[Pair, _Made] = {}
        self._parts: dict[str, _Made] = {}
        self._lock = threading.Lock()
        self._knowing = threading.Lock()

    def of(self, txn: Read, scope: str, lane: int, proofs: Proofs) -> Snapshot:
        """A snapshot of the pair that little has changed since, made now if there is none."""
        with self._lock:  # Several readers may want the same one at once.
            return self._of(txn, scope, lane, proofs)

    def _of(self, txn: Read, scope: str, lane: int, proofs: Proofs) -> Snapshot:
        made = self._newest.get((scope, lane))
        if made is None or not self._stands(txn, made):
            return self._make(txn, scope, lane, proofs)
        if not all(self._shelf.has(part.sha256) for part in made.snapshot.parts):
            return self._make(txn, scope, lane, proofs)
        recent = txn.page(scope, lane, made.snapshot.seq, TAIL_BYTES_MAX).complete
        return made.snapshot if recent else self._make(txn, scope, lane, proofs)

    def _stands(self, txn: Read, made: _Made) -> bool:
        """True while this log is the one it was made of, and every row of it is in the pair."""
        head, one = txn.head(), made.snapshot
        if made.epoch != head.epoch or one.seq < head.floor:
            return False
        with self._knowing:
            if not made.left and made.known < head.seq:
                made.left = txn.has_left(one.scope, one.lane, made.known)
                made.known = head.seq
            return not made.left

    def _make(self, txn: Read, scope: str, lane: int, proofs: Proofs) -> Snapshot:
        head, parts, after, done = txn.head(), [], 0, False
        while not done:
            piece = txn.page(scope, lane, after, PART_BYTES)
            page = proofs.added(txn, piece.page)
            file = SnapshotFile(scope, lane, head.seq, page.rows, page.proofs)
            data = gzip.compress(_encode(file), mtime=0)
            sha256 = hashlib.sha256(data).hexdigest()
            self._shelf.put(sha256, data)
            parts.append(SnapshotPart(sha256, len(data)))
            after, done = page.next, piece.complete
        snapshot = Snapshot(scope, lane, head.seq, parts)
        self._keep((scope, lane), _Made(snapshot, head.epoch, head.seq))
        return snapshot

    def _keep(self, pair: Pair, made: _Made) -> None:
        """Devices may still be fetching the one before, if it stands; what is older goes."""
        before, oldest = self._newest.get(pair), self._older.pop(pair, None)
        self._newest[pair] = made
        if before and not before.left:
            self._older[pair] = before
        stay = [one for one in (made, self._older.get(pair)) if one]
        in_use = {part.sha256 for one in stay for part in one.snapshot.parts}
        for one in (oldest, before):
            for part in one.snapshot.parts if one else ():
                if part.sha256 not in in_use:
                    self._parts.pop(part.sha256, None)
                    self._shelf.drop(part.sha256)
        self._parts |= {part.sha256: made for part in made.snapshot.parts}

    def get(self, txn: Read, sha256: str, scopes: tuple[str, ...]) -> bytes | None:
        """The bytes of a part, for who holds its scope; None is all that others learn."""
        made = self._parts.get(sha256)
        if made is None or made.snapshot.scope not in scopes or not self._stands(txn, made):
            return None
        return self._shelf.get(sha256)

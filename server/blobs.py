"""Photos on disk: partial uploads, whole blobs by their hash, and who may read one."""

import asyncio
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from msgspec import Struct, convert, to_builtins

from schema.codes import Code
from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.versions import BLOB_BYTES_MAX, DAY_MS, MINUTE_MS
from schema.wire import Row
from server.data_folder import make_folder, sync_folder
from server.errors import Fault
from server.store.protocol import Doc, Read, Store, Txn, walk_kind
from sync.mutation import split_dot

SHA256 = re.compile(r"[0-9a-f]{64}")
UPLOAD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNFINISHED_MAX = 200
UNFINISHED_BYTES_MAX = 2 * 1024**3
"""What one device may have begun and not finished: more than any shift takes in photos."""

BEGUN_PER_DAY_MAX = 2_000
BEGUN_BYTES_PER_DAY_MAX = 4 * 1024**3
"""What one device may begin in a day, finished or not: no disk is full before somebody sees it."""

NAMED_MAX = 100
"""Photos of one row that are looked after; only words that nobody checked name more."""

UNFINISHED_MS_MAX = 14 * 24 * 60 * MINUTE_MS
NAMES = "photo_rows"
"""The rows by which one device names one photo, under `<sha256> <replica>`."""

TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})


class Upload(Struct, frozen=True):
    """A blob on its way: whose it is, what it will be, and how much of it is here."""

    id: str
    replica: str
    sha256: str
    size: int
    type: str
    offset: int


def begun_ms(id: str) -> int:
    """When an upload began: its id, a UUIDv7, says so."""
    return int(id.replace("-", "")[:12], 16)


class Holding(StrEnum):
    """How a blob lies here: as its name says, with other bytes than it once had, or not at all."""

    SOUND = "sound"
    DAMAGED = "damaged"
    ABSENT = "absent"


class Blobs:
    """The folder of blobs. What `append` and `finish` returned from is on disk."""

    def __init__(self, folder: Path) -> None:
        self._parts = folder / "parts"
        self._whole = folder / "whole"
        self._damaged = folder / "damaged"
        make_folder(folder)
        self._parts.mkdir(parents=True, exist_ok=True)
        self._whole.mkdir(parents=True, exist_ok=True)
        self._placing = threading.Lock()
        self._sure: dict[str, int] = {}
        """By upload, how many bytes this process itself has seen synced."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        sync_folder(folder)
        sync_folder(folder.parent)

    def lock_of(self, id: str) -> asyncio.Lock:
        """One lock per upload: two tabs write no chunk twice, and no part goes meanwhile."""
        lock = self._locks.get(id)
        if lock is None:
            lock = self._locks[id] = asyncio.Lock()
        return lock

    def path(self, sha256: str) -> Path:
        """Where a whole blob lies."""
        return self._whole / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def look(self, sha256: str) -> Holding:
        """Read the blob and compare it with its name. A damaged one is set aside.

        Whoever uploaded it is then asked for all of it as soon as they begin it again.
        """
        path, aside = self.path(sha256), self._damaged / sha256
        try:
            if digest_of_file(path) == sha256:
                return Holding.SOUND
            with self._placing:  # Meanwhile it may have been uploaded again.
                if digest_of_file(path) == sha256:
                    return Holding.SOUND
                self._damaged.mkdir(exist_ok=True)
                path.replace(aside)
                sync_folder(self._damaged)
                sync_folder(path.parent)
        except FileNotFoundError:
            return Holding.DAMAGED if aside.exists() else Holding.ABSENT
        return Holding.DAMAGED

    def lacks(self, upload: Upload) -> bool:
        """True when it was whole and nothing of it is here any more: the backup came without it."""
        gone = upload.offset == upload.size and not self.has(upload.sha256)
        return gone and not self.size_of_part(upload.id)

    def size_of_part(self, id: str) -> int:
        """The bytes of an upload that are here."""
        part = self._parts / id
        return part.stat().st_size if part.exists() else 0

    def parts(self) -> list[str]:
        """The ids of all uploads of which bytes lie here."""
        return [part.name for part in self._parts.iterdir() if UPLOAD_ID.fullmatch(part.name)]

    def drop_part(self, id: str) -> None:
        """Afterwards nothing of the upload is here. Dropping it twice is harmless."""
        self._sure.pop(id, None)
        self._copy(id).unlink(missing_ok=True)
        (self._parts / id).unlink(missing_ok=True)

    def append(self, upload: Upload, offset: int, chunk: bytes) -> int:
        """The upload's new offset, its bytes on disk. Fault `upload_offset`: nothing changed.

        Bytes that a disk did not take are taken back: no later sync would bring them there.
        """
        part = self._parts / upload.id
        self._sure.pop(upload.id, None)
        if offset != self.size_of_part(upload.id) or offset + len(chunk) > upload.size:
            raise Fault(Code.UPLOAD_OFFSET, str(self.size_of_part(upload.id)))
        with part.open("ab", buffering=0) as file:
            try:
                _write_all(file, chunk)
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), offset)
                raise
        if offset == 0:
            sync_folder(self._parts)
        self._sure[upload.id] = offset + len(chunk)
        return self._sure[upload.id]

    def stands(self, id: str) -> int:
        """The bytes of an upload that may be told of: they are on disk now.

        A process that was killed may have left some there that are not.
        """
        size = self.size_of_part(id)
        if size and self._sure.get(id) != size:
            with (self._parts / id).open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(self._parts)
            self._sure[id] = size
        return size

    def finish(self, upload: Upload) -> None:
        """Make a complete upload a whole blob. Fault `upload_checksum`: the part is dropped.

        The part stays until `drop_part`: a record that is never written can be made up for.
        """
        part, copy = self._parts / upload.id, self._copy(upload.id)
        found = digest_of_file(part)
        if found != upload.sha256:
            part.unlink()
            raise Fault(Code.UPLOAD_CHECKSUM, found)
        shutil.copyfile(part, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        whole = self.path(upload.sha256)
        whole.parent.mkdir(exist_ok=True)
        with self._placing:
            copy.replace(whole)
        sync_folder(whole.parent)
        sync_folder(self._whole)
        (self._damaged / upload.sha256).unlink(missing_ok=True)

    def _copy(self, id: str) -> Path:
        return self._parts / f"{id}.whole"


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as blobs are named. FileNotFoundError when it is not there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def check_upload(sha256: str, size: int, type: str) -> None:
    """Fault when this can be no photo of ours."""
    if not SHA256.fullmatch(sha256):
        raise Fault(Code.BAD_REQUEST, "sha256")
    if size == 0:
        raise Fault(Code.BAD_REQUEST, "upload-length")
    if size > BLOB_BYTES_MAX:
        raise Fault(Code.TOO_LARGE, str(BLOB_BYTES_MAX))
    if type not in TYPES:
        raise Fault(Code.UNSUPPORTED, type)


def begin(txn: Txn, upload: Upload, lacks: Callable[[Upload], bool]) -> Upload:
    """Note the upload; the earlier one of the same photo where there is one.

    One that is lacking is begun anew, under an id that says when. Fault `rate_limited` when this
    device has begun too many that it never finished, or too many since yesterday.
    """
    known = txn.get("upload_of", f"{upload.replica}/{upload.sha256}")
    if known and (doc := txn.get("upload", known["id"])):
        earlier = Upload(**doc)
        if not lacks(earlier):
            return earlier
        txn.delete("upload", earlier.id)
    day, mine = begun_ms(upload.id) // DAY_MS, _uploads(txn, upload.replica)
    if mine.day != day:
        mine.day, mine.begun, mine.bytes = day, 0, 0
    mine.begun += 1
    mine.bytes += upload.size
    mine.pending[upload.id] = upload.size
    counts = {
        UNFINISHED_MAX: len(mine.pending),
        UNFINISHED_BYTES_MAX: sum(mine.pending.values()),
        BEGUN_PER_DAY_MAX: mine.begun,
        BEGUN_BYTES_PER_DAY_MAX: mine.bytes,
    }
    for most, count in counts.items():
        if count > most:
            raise Fault(Code.RATE_LIMITED, str(most))
    txn.put("upload", upload.id, to_builtins(upload))
    txn.put("upload_of", f"{upload.replica}/{upload.sha256}", {"id": upload.id})
    txn.put("uploads", upload.replica, to_builtins(mine))
    return upload


def note_whole(txn: Txn, upload: Upload) -> None:
    """The blob is whole on disk: from now on a record names it."""
    blob = txn.get("blob", upload.sha256) or {"uploaders": []}
    uploaders = sorted({*blob["uploaders"], upload.replica})
    whole = {"size": upload.size, "type": upload.type, "uploaders": uploaders}
    txn.put("blob", upload.sha256, whole)
    txn.put("upload", upload.id, {**to_builtins(upload), "offset": upload.size})
    _no_longer_pending(txn, upload)


class Uploads(Struct):
    """What one device has begun: bytes by id of what is not finished, and all of one day."""

    pending: dict[str, int] = {}
    day: int = 0
    begun: int = 0
    bytes: int = 0


def _uploads(txn: Read, replica: str) -> Uploads:
    return convert(txn.get("uploads", replica) or {}, Uploads)


def _no_longer_pending(txn: Txn, upload: Upload) -> None:
    mine = _uploads(txn, upload.replica)
    mine.pending.pop(upload.id, None)
    txn.put("uploads", upload.replica, to_builtins(mine))


async def drop_stale(store: Store, blobs: Blobs, now_ms: int) -> int:
    """Forget uploads that were begun long ago and never finished. How many there were.

    A device that still wants to go on is told that there is no such upload, and begins again.
    """
    before_ms = now_ms - UNFINISHED_MS_MAX

    def unfinished(txn: Read) -> list[Upload]:
        begun = [id for doc in txn.find("uploads").values() for id in doc["pending"]]
        docs = (txn.get("upload", id) for id in begun if begun_ms(id) < before_ms)
        return [Upload(**doc) for doc in docs if doc]

    def forget(txn: Txn) -> None:
        for upload in stale:
            txn.delete("upload", upload.id)
            txn.delete("upload_of", f"{upload.replica}/{upload.sha256}")
            _no_longer_pending(txn, upload)

    stale = await store.read(unfinished)
    if stale:
        await store.write(forget)
    await _drop_parts(blobs, before_ms)
    return len(stale)


async def _drop_parts(blobs: Blobs, before_ms: int) -> None:
    """Also those that no record names any more, because the power went in between."""
    for id in await asyncio.to_thread(blobs.parts):
        if begun_ms(id) < before_ms:
            async with blobs.lock_of(id):
                await asyncio.to_thread(blobs.drop_part, id)


ROWS_PER_PHOTO_MAX = 50
"""Rows by which one device names one photo: a real one is named by one or two."""


def note_photos(txn: Txn, row: Row) -> None:
    """Remember which rows name a photo, so that whoever may read the row may read the photo.

    Each device has a list of its own for each photo: what one names crowds out nobody else's.
    """
    for sha256 in sorted(named_in(row))[:NAMED_MAX]:
        whose = f"{sha256} {split_dot(row.dot)[0]}"
        named = txn.get(NAMES, whose) or {"rows": []}
        key = [row.entity, row.id]
        if key not in named["rows"] and len(named["rows"]) < ROWS_PER_PHOTO_MAX:
            txn.put(NAMES, whose, {"rows": [*named["rows"], key]})


def index_photos(txn: Txn) -> None:
    """The rows that name a photo are listed by it: an earlier version kept them in one record."""
    for _, named in walk_kind(txn, "photo"):
        keys = [(entity, id) for entity, id in named["rows"]]
        for stored in txn.rows(keys).values():
            note_photos(txn, stored.row)


def named_in(row: Row) -> set[str]:
    """The hashes that a row names, in words that were not applied too: nobody checked those."""
    if "photos" not in row.fields and "changes" not in row.fields:
        return set()
    photos = list(_listed(row.fields.get("photos")))
    for change in _listed(row.fields.get("changes")):
        fields = change.get("fields")
        photos += _listed(fields.get("photos") if isinstance(fields, dict) else None)
    hashes = (photo.get("sha256") for photo in photos)
    return {one for one in hashes if isinstance(one, str) and SHA256.fullmatch(one)}


def _listed(value: Any) -> Iterator[dict[str, Any]]:
    every: Iterable[Any] = value if isinstance(value, list) else ()
    return (one for one in every if isinstance(one, dict))


class Reader(Struct, frozen=True):
    """Who asks for a photo: their scopes (every one for None), and their device if it is one."""

    scopes: tuple[str, ...] | None
    replica: str | None = None


def readable(txn: Read, sha256: str, reader: Reader) -> Doc | None:
    """The blob's record, if a row that names it lies in one of the reader's scopes.

    A row gives access only to a blob that its own author's device uploaded: knowing a hash is
    not enough. Whoever uploaded a blob reads it whatever became of the words around it.
    """
    blob = txn.get("blob", sha256)
    if blob is None or reader.replica in blob["uploaders"]:
        return blob
    for row in _naming_rows(txn, sha256, blob["uploaders"]):
        of_row = scopes_of(ENTITIES[row.entity], row.fields, row.actor)
        if reader.scopes is None or set(of_row) & set(reader.scopes):
            return blob
    return None


def _naming_rows(txn: Read, sha256: str, replicas: Iterable[str]) -> Iterator[Row]:
    """The rows by which these replicas name a photo."""
    for replica in replicas:
        named = txn.get(NAMES, f"{sha256} {replica}") or {"rows": []}
        for entity, id in named["rows"]:
            for stored in txn.rows([(entity, id)]).values():
                if sha256 in named_in(stored.row):
                    yield stored.row

"""Photos on disk: partial uploads, whole blobs by their hash, and who may read one."""

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from schema.codes import Code
from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.versions import BLOB_BYTES_MAX, MINUTE_MS
from schema.wire import Row
from server.errors import Fault
from server.store.protocol import Doc, Read, Store, Txn
from sync.mutation import split_dot

SHA256 = re.compile(r"[0-9a-f]{64}")
UPLOAD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNFINISHED_MAX = 200
UNFINISHED_BYTES_MAX = 2 * 1024**3
"""What one device may have begun and not finished: more than any shift takes in photos."""

NAMED_MAX = 100
"""Photos of one row that are looked after; only words that nobody checked name more."""

UNFINISHED_MS_MAX = 14 * 24 * 60 * MINUTE_MS
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


class Blobs:
    """The folder of blobs. What `append` and `finish` returned from is on disk."""

    def __init__(self, folder: Path) -> None:
        self._parts = folder / "parts"
        self._whole = folder / "whole"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._whole.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder)
        _sync_folder(folder.parent)

    def path(self, sha256: str) -> Path:
        """Where a whole blob lies."""
        return self._whole / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def size_of_part(self, id: str) -> int:
        """The bytes of an upload that are on disk."""
        part = self._parts / id
        return part.stat().st_size if part.exists() else 0

    def parts(self) -> list[str]:
        """The ids of all uploads of which bytes lie here."""
        return [part.name for part in self._parts.iterdir() if UPLOAD_ID.fullmatch(part.name)]

    def drop_part(self, id: str) -> None:
        """Afterwards nothing of the upload is here. Dropping it twice is harmless."""
        self._copy(id).unlink(missing_ok=True)
        (self._parts / id).unlink(missing_ok=True)

    def append(self, upload: Upload, offset: int, chunk: bytes) -> int:
        """The upload's new offset, its bytes on disk. Fault `upload_offset`: nothing changed."""
        part = self._parts / upload.id
        if offset != self.size_of_part(upload.id) or offset + len(chunk) > upload.size:
            raise Fault(Code.UPLOAD_OFFSET, str(self.size_of_part(upload.id)))
        with part.open("ab") as file:
            file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if offset == 0:
            _sync_folder(self._parts)
        return offset + len(chunk)

    def finish(self, upload: Upload) -> None:
        """Make a complete upload a whole blob. Fault `upload_checksum`: the part is dropped.

        The part stays until `drop_part`: a record that is never written can be made up for.
        """
        part, copy = self._parts / upload.id, self._copy(upload.id)
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != upload.sha256:
            part.unlink()
            raise Fault(Code.UPLOAD_CHECKSUM, found)
        shutil.copyfile(part, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        whole = self.path(upload.sha256)
        whole.parent.mkdir(exist_ok=True)
        copy.replace(whole)
        _sync_folder(whole.parent)
        _sync_folder(self._whole)

    def _copy(self, id: str) -> Path:
        return self._parts / f"{id}.whole"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


def begin(txn: Txn, upload: Upload) -> Upload:
    """Note the upload; the one under way of the same photo where there is one.

    Fault `rate_limited` when this device has begun too many that it never finished.
    """
    known = txn.get("upload_of", f"{upload.replica}/{upload.sha256}")
    if known and (doc := txn.get("upload", known["id"])):
        return Upload(**doc)
    pending = _pending(txn, upload.replica)
    if len(pending) >= UNFINISHED_MAX:
        raise Fault(Code.RATE_LIMITED, str(UNFINISHED_MAX))
    if sum(pending.values()) + upload.size > UNFINISHED_BYTES_MAX:
        raise Fault(Code.RATE_LIMITED, str(UNFINISHED_BYTES_MAX))
    txn.put("upload", upload.id, to_builtins(upload))
    txn.put("upload_of", f"{upload.replica}/{upload.sha256}", {"id": upload.id})
    _put_pending(txn, upload.replica, pending | {upload.id: upload.size})
    return upload


def note_whole(txn: Txn, upload: Upload) -> None:
    """The blob is whole on disk: from now on a record names it."""
    blob = txn.get("blob", upload.sha256) or {"uploaders": []}
    uploaders = sorted({*blob["uploaders"], upload.replica})
    whole = {"size": upload.size, "type": upload.type, "uploaders": uploaders}
    txn.put("blob", upload.sha256, whole)
    txn.put("upload", upload.id, {**to_builtins(upload), "offset": upload.size})
    _no_longer_pending(txn, upload)


def _pending(txn: Read, replica: str) -> dict[str, int]:
    """Announced bytes by id of what a device has begun and not finished."""
    pending: dict[str, int] = (txn.get("uploads", replica) or {"pending": {}})["pending"]
    return pending


def _put_pending(txn: Txn, replica: str, pending: dict[str, int]) -> None:
    txn.put("uploads", replica, {"pending": pending})


def _no_longer_pending(txn: Txn, upload: Upload) -> None:
    pending = _pending(txn, upload.replica)
    pending.pop(upload.id, None)
    _put_pending(txn, upload.replica, pending)


async def drop_stale(store: Store, blobs: Blobs, now_ms: int) -> int:
    """Forget uploads that were begun long ago and never finished. How many there were.

    A device that still wants to go on is told that there is no such upload, and begins again.
    """
    before_ms = now_ms - UNFINISHED_MS_MAX

    def unfinished(txn: Read) -> list[Upload]:
        uploads = [Upload(**doc) for doc in txn.find("upload").values()]
        return [one for one in uploads if one.offset < one.size and begun_ms(one.id) < before_ms]

    def forget(txn: Txn) -> None:
        for upload in stale:
            txn.delete("upload", upload.id)
            txn.delete("upload_of", f"{upload.replica}/{upload.sha256}")
            _no_longer_pending(txn, upload)

    stale = await store.read(unfinished)
    if stale:
        await store.write(forget)
    await asyncio.to_thread(_drop_parts, blobs, before_ms)
    return len(stale)


def _drop_parts(blobs: Blobs, before_ms: int) -> None:
    """Also those that no record names any more, because the power went in between."""
    for id in blobs.parts():
        if begun_ms(id) < before_ms:
            blobs.drop_part(id)


ROWS_PER_PHOTO_MAX = 200
"""A real photo is named by one row or two."""


def note_photos(txn: Txn, row: Row) -> None:
    """Remember which rows name a photo, so that whoever may read the row may read the photo."""
    for sha256 in sorted(_named_in(row))[:NAMED_MAX]:
        named = txn.get("photo", sha256) or {"rows": []}
        key = [row.entity, row.id]
        if key not in named["rows"] and len(named["rows"]) < ROWS_PER_PHOTO_MAX:
            txn.put("photo", sha256, {"rows": [*named["rows"], key]})


def _named_in(row: Row) -> set[str]:
    """The hashes that a row names, in words that were not applied too: nobody checked those."""
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
    named = txn.get("photo", sha256) or {"rows": []}
    for stored in txn.rows([(entity, id) for entity, id in named["rows"]]).values():
        row = stored.row
        if sha256 not in _named_in(row) or split_dot(row.dot)[0] not in blob["uploaders"]:
            continue
        of_row = scopes_of(ENTITIES[row.entity], row.fields, row.actor)
        if reader.scopes is None or set(of_row) & set(reader.scopes):
            return blob
    return None

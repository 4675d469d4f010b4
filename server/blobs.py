"""Photos on disk: partial uploads, whole blobs by their hash, and who may read one."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

from schema.codes import Code
from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.versions import BLOB_BYTES_MAX
from schema.wire import Row
from server.errors import Fault
from server.store.protocol import Doc, Read, Txn
from sync.mutation import split_dot

HASH_LENGTH = 64
TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})


class Upload(Struct, frozen=True):
    """A blob on its way: whose it is, what it will be, and how much of it is here."""

    id: str
    replica: str
    sha256: str
    size: int
    type: str
    offset: int


class Blobs:
    """The folder of blobs. What `finish` returned is whole, checked, and on disk."""

    def __init__(self, folder: Path) -> None:
        self._parts = folder / "parts"
        self._whole = folder / "whole"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._whole.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where a whole blob lies."""
        return self._whole / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).exists()

    def size_of_part(self, id: str) -> int:
        """The bytes of an upload that are on disk."""
        part = self._parts / id
        return part.stat().st_size if part.exists() else 0

    def append(self, upload: Upload, offset: int, chunk: bytes) -> int:
        """The upload's new offset, its bytes on disk. Fault `upload_offset`: nothing changed."""
        part = self._parts / upload.id
        if offset != self.size_of_part(upload.id) or offset + len(chunk) > upload.size:
            raise Fault(Code.UPLOAD_OFFSET, str(self.size_of_part(upload.id)))
        with part.open("ab") as file:
            file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return offset + len(chunk)

    def finish(self, upload: Upload) -> None:
        """Make a complete upload a whole blob. Fault `upload_checksum`: the part is dropped."""
        part = self._parts / upload.id
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != upload.sha256:
            part.unlink()
            raise Fault(Code.UPLOAD_CHECKSUM, found)
        whole = self.path(upload.sha256)
        whole.parent.mkdir(exist_ok=True)
        part.replace(whole)
        _sync_folder(whole.parent)
        _sync_folder(self._whole)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_upload(sha256: str, size: int, type: str) -> None:
    """Fault when this can be no photo of ours."""
    if len(sha256) != HASH_LENGTH or not all(c in "0123456789abcdef" for c in sha256):
        raise Fault(Code.BAD_REQUEST, "sha256")
    if not 0 < size <= BLOB_BYTES_MAX:
        raise Fault(Code.TOO_LARGE, str(BLOB_BYTES_MAX))
    if type not in TYPES:
        raise Fault(Code.UNSUPPORTED, type)


def note_photos(txn: Txn, row: Row) -> None:
    """Remember which rows name a photo, so that whoever may read the row may read the photo."""
    for photo in row.fields.get("photos") or ():
        named = txn.get("photo", photo["sha256"]) or {"rows": []}
        key = [row.entity, row.id]
        if key not in named["rows"]:
            txn.put("photo", photo["sha256"], {"rows": [*named["rows"], key]})


def readable(txn: Read, sha256: str, scopes: tuple[str, ...] | None) -> Doc | None:
    """The blob's record, if a row that names it lies in one of these scopes (all for None).

    A row gives access only to a blob that its own author's device uploaded: knowing a hash is
    not enough.
    """
    blob, named = txn.get("blob", sha256), txn.get("photo", sha256)
    if blob is None or named is None:
        return None
    for stored in txn.rows([(entity, id) for entity, id in named["rows"]]).values():
        row = stored.row
        if split_dot(row.dot)[0] not in blob["uploaders"]:
            continue
        of_row = scopes_of(ENTITIES[row.entity], row.fields, row.actor)
        if scopes is None or set(of_row) & set(scopes):
            return blob
    return None

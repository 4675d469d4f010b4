"""What an audit finds: a stable code, the entry that it is about, and how grave it is."""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class Flaw(StrEnum):
    """What is not as it was written. The sentence is in `i18n`, under `verify.flaw.*`."""

    DATABASE = "database"
    WAL = "wal"
    UNREADABLE = "unreadable"
    HEAD = "head"
    OTHER_CENTRE = "other_centre"
    GAP = "gap"
    CHAIN = "chain"
    BYTES = "bytes"
    MUTATION = "mutation"
    KEY = "key"
    SIGNATURE = "signature"
    PREV = "prev"
    UNPROVEN = "unproven"
    ROW = "row"
    ROW_SEQ = "row_seq"
    DIGEST = "digest"
    MEMBER = "member"
    SUM = "sum"
    CHECKSUM = "checksum"
    RECORD = "record"
    BLOB = "blob"
    BLOB_SIZE = "blob_size"
    BLOB_LOST = "blob_lost"
    BLOB_ASIDE = "blob_aside"
    BLOB_STRANGE = "blob_strange"
    SNAPSHOT = "snapshot"
    PHOTO = "photo"
    ABSENT = "absent"
    PURGED = "purged"


class Gravity(StrEnum):
    """Not as it was written; written for all we know, but nothing proves it; no trouble at all."""

    BROKEN = "broken"
    UNPROVEN = "unproven"
    NOTE = "note"


GRAVITY = {Flaw.UNPROVEN: Gravity.UNPROVEN, Flaw.PHOTO: Gravity.NOTE}
At = dict[str, str | int]


class Finding(Struct, frozen=True):
    """One flaw. `at` names the entry: seq and dot, entity and id, scope and lane, or a file."""

    flaw: Flaw
    at: At
    detail: str = ""

    @property
    def gravity(self) -> Gravity:
        return GRAVITY.get(self.flaw, Gravity.BROKEN)

    @property
    def entry(self) -> str:
        """The entry in one line."""
        return " ".join(f"{name}={value}" for name, value in self.at.items())


Sink = Callable[[Finding], None]

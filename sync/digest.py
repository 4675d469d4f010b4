"""Digests of what a replica holds: sums in which order is nothing, so that copies compare."""

import hashlib
from collections.abc import Iterable

from schema.wire import Row
from sync.canonical import canonical

WRAP = 1 << 64
BYTES = 8


def row_digest(row: Row) -> int:
    """The first 8 bytes of SHA-256 over the row's canonical JSON, big-endian.

    Seq, arrival and provisional mark are left out: they differ between copies of the same row.
    """
    doc = {
        "actor": row.actor,
        "dot": row.dot,
        "fields": row.fields,
        "home": row.home,
        "open": row.open,
        "stamp": row.stamp,
        "writes": row.writes,
    }
    text = canonical([row.entity, row.id, doc]).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:BYTES], "big")


def counts(row: Row) -> bool:
    """Removed and provisional rows are in no sum."""
    return not row.removed and not row.provisional


def digest_of(row: Row) -> int:
    """What the row adds to the sum of each pair that it is in."""
    return row_digest(row) if counts(row) else 0


def total(digests: Iterable[int]) -> int:
    """The sum of a pair, mod 2^64."""
    return sum(digests) % WRAP


def as_text(sum: int) -> str:
    """Lower-case hex without leading zeros, as the wire has it."""
    return f"{sum % WRAP:x}"


def as_signed(sum: int) -> int:
    """The same sum as a signed 64-bit number, as databases keep it."""
    return (sum + WRAP // 2) % WRAP - WRAP // 2

"""CRC-32 of every record as it is kept, with all by which it is found and read.

A disk or memory that alters a bit shows in it; whoever means to deceive is stopped by hashes and
signatures, which this is not.
"""

from collections.abc import Sequence
from zlib import crc32

from server.store.protocol import Head


def line_crc(seq: int, dot: str, told: Sequence[str | None]) -> int:
    """Of what a line of the log says, beside its bytes, which have a hash."""
    hash, verdict, code, detail, tags = told
    return crc32(f"{seq} {dot} {hash} {verdict} {code} {detail} {tags}".encode())


def row_crc(doc: bytes, history: bytes | None, authority: int, removed: bool | int) -> int:
    """Of a row, its history, and what the tables say beside its document."""
    beside = (authority << 1 | bool(removed)) & 0xFFFFFFFF
    return crc32(history, crc32(doc, beside)) if history else crc32(doc, beside)


def side_crc(kind: str, key: str, doc: bytes) -> int:
    """Of a record of the server's own, under its name."""
    return crc32(doc, crc32(f"{kind}/{key}".encode()))


def head_crc(head: Head) -> int:
    """Of the end of a log."""
    told = (head.centre, head.realm, head.epoch, head.seq, head.chain, head.floor, head.durable)
    return crc32(repr(told).encode())

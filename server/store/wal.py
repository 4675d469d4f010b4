"""Whether SQLite's write-ahead log still holds every transaction that it once did.

After a crash SQLite takes the log up to the first frame whose checksum is wrong, and forgets what
comes behind it: to it a flipped bit in the middle is a torn end. But behind a torn end no whole
transaction follows. The format is that of "The Write-Ahead Log" in SQLite's file format page.
"""

import struct
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

LITTLE, BIG = 0x377F0682, 0x377F0683
HEADER_BYTES, FRAME_BYTES = 32, 24
PAGE_SIZES = tuple(1 << bits for bits in range(9, 17))
MAGIC_BEGINS = LITTLE.to_bytes(4)[:3]
BITS_MAX = 1
"""A header with one flipped bit is still that of its frames; salts are random otherwise."""

Sums = tuple[int, int]
WORD = 0xFFFFFFFF


class DamagedLog(Exception):
    """Transactions that were on disk stand behind a damaged place, where nobody would read them."""

    def __init__(self, path: Path, lost: int) -> None:
        super().__init__(path, lost)
        self.path = path
        self.lost = lost


class _Frame(Struct, frozen=True):
    """`ends` when it is the last of a transaction; `sums` are its own, `data` what they cover."""

    ends: bool
    salts: bytes
    sums: Sums
    data: bytes


class _Header(Struct, frozen=True):
    order: str
    page_bytes: int
    salts: bytes
    sums: Sums
    is_sound: bool


def check_log(database: Path) -> None:
    """DamagedLog when opening this database would lose transactions that its log still holds.

    A damaged place within the very last transaction looks like a torn end, and is taken for one.
    """
    path = database.with_name(database.name + "-wal")
    if lost := lost_transactions(path):
        raise DamagedLog(path, lost)


def lost_transactions(path: Path) -> int:
    """How many whole transactions stand behind a damaged place; 0 when there is no log."""
    try:
        with path.open("rb") as file:
            lost, before = _lost(file), _first_bytes(file)
        with path.open("rb") as file:
            begun_anew = _first_bytes(file) != before
    except FileNotFoundError:
        return 0
    return 0 if begun_anew else lost


def _first_bytes(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEADER_BYTES)


def _lost(file: BinaryIO) -> int:
    header = _header(file)
    if header is None:
        return 0
    is_broken, before = not header.is_sound, header.sums
    ended = lost = 0
    for frame in _frames(file, header):
        is_ours = frame.salts == header.salts
        is_sound = is_ours and _sums(frame.data, before, header.order) == frame.sums
        is_broken |= not is_sound
        if is_broken and is_ours and frame.ends:
            ended += 1
        if is_broken and is_sound and frame.ends:
            lost = ended
        before = frame.sums
    torn_at_most = 1 if header.is_sound else 0
    return max(0, lost - torn_at_most)


def _header(file: BinaryIO) -> _Header | None:
    """What the log says of itself, or what its frames say of it where it is damaged."""
    raw = file.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        return None
    magic, _, page_bytes, _, _, _, *sums = struct.unpack(">8I", raw)
    order = ">" if magic == BIG else "<"
    is_sound = magic in (LITTLE, BIG) and _sums(raw[:24], (0, 0), order) == tuple(sums)
    salts = raw[16:24]
    if is_sound:
        return _Header(order, page_bytes, salts, (sums[0], sums[1]), True)
    first = file.read(FRAME_BYTES)
    is_one = _bits_between(raw[:3], MAGIC_BEGINS) <= BITS_MAX
    if len(first) < FRAME_BYTES or _bits_between(first[8:16], salts) > BITS_MAX or not is_one:
        return None
    page_bytes = _page_bytes(file, first[8:16])
    return _Header("<", page_bytes, first[8:16], (sums[0], sums[1]), False)


def _page_bytes(file: BinaryIO, salts: bytes) -> int:
    """The size of page behind which the second frame stands; that of a lone frame's page."""
    for size in PAGE_SIZES:
        file.seek(HEADER_BYTES + FRAME_BYTES + size + 8)
        if file.read(len(salts)) == salts:
            break
    else:
        size = file.seek(0, SEEK_END) - HEADER_BYTES - FRAME_BYTES
    file.seek(HEADER_BYTES)
    return size


def _bits_between(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def _frames(file: BinaryIO, header: _Header) -> Iterator[_Frame]:
    while len(raw := file.read(FRAME_BYTES + header.page_bytes)) == FRAME_BYTES + header.page_bytes:
        _, pages_after = struct.unpack(">2I", raw[:8])
        first, second = struct.unpack(">2I", raw[16:24])
        yield _Frame(pages_after != 0, raw[8:16], (first, second), raw[:8] + raw[24:])


def _sums(data: bytes, before: Sums, order: str) -> Sums:
    """SQLite's checksum of the data, going on from the one before."""
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    first, second = before
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & WORD
        second = (second + odd + first) & WORD
    return first, second

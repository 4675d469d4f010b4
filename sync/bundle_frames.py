"""How the contents of a bundle lie in its sections: frames, each after its length."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from sync.bundle_parts import (
    BundleError,
    BundleFault,
    Chunk,
    Contents,
    HomeRows,
    HomeVerdict,
    SignedRun,
    check,
)

KINDS = ("mutations", "verdicts", "rows", "blobs", "inside")
"""The sections in the order in which they lie."""

FRAMES_MAX = 1_000_000
_LENGTH_BYTES = 4

T = TypeVar("T")


class _RunHead(Struct, frozen=True):
    replica: str
    lane: int
    first: int
    key: str
    sig: str
    count: int
    arrived: tuple[dict[str, int], ...]


class _ChunkHead(Struct, frozen=True):
    sha256: str
    offset: int
    total: int


def size_of(part: SignedRun | HomeVerdict | HomeRows | Chunk) -> int:
    """The bytes that this part takes in its section."""
    return sum(_LENGTH_BYTES + len(frame) for frame in _frames_of(part))


def written(contents: Contents) -> dict[str, bytes]:
    """Each section by its kind, the same bytes for the same contents in whatever order."""
    runs = sorted(contents.runs, key=lambda run: (run.lane, run.replica, run.first, run.sig))
    chunks = sorted(contents.chunks, key=lambda chunk: (chunk.sha256, chunk.offset))
    return {
        "mutations": _framed(frame for run in runs for frame in _frames_of(run)),
        "verdicts": _framed(sorted(_json(verdict) for verdict in contents.verdicts)),
        "rows": _framed(sorted(_json(page) for page in contents.rows)),
        "blobs": _framed(frame for chunk in chunks for frame in _frames_of(chunk)),
        "inside": contents.inside.encode(),
    }


def read(sections: dict[str, bytes]) -> Contents:
    """The contents of the sections. BundleError `bad_content` when they are not well made."""
    try:
        contents = Contents(
            tuple(_runs(_unframed(sections["mutations"]))),
            tuple(_each(sections["verdicts"], HomeVerdict)),
            tuple(_each(sections["rows"], HomeRows)),
            tuple(_chunks(_unframed(sections["blobs"]))),
            sections["inside"].decode(),
        )
    except (ValueError, RecursionError) as error:
        raise BundleError(BundleFault.CONTENT, str(error)[:200]) from None
    check(contents)
    return contents


def _frames_of(part: SignedRun | HomeVerdict | HomeRows | Chunk) -> list[bytes]:
    """What it is, as JSON; then the exact bytes that it brings, if it brings any."""
    if isinstance(part, SignedRun):
        head = _RunHead(
            part.replica,
            part.lane,
            part.first,
            part.key,
            part.sig,
            len(part.mutations),
            part.arrived,
        )
        return [_json(head), *part.mutations]
    if isinstance(part, Chunk):
        return [_json(_ChunkHead(part.sha256, part.offset, part.total)), part.data]
    return [_json(part)]


def _json(value: Struct) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _framed(frames: Iterable[bytes]) -> bytes:
    return b"".join(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame for frame in frames)


def _unframed(section: bytes) -> Iterator[bytes]:
    """The frames of a section. ValueError when they do not fill it exactly."""
    at, number = 0, 0
    while at < len(section):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(section[at:start], "big")
        number += 1
        if at > len(section) or number > FRAMES_MAX:
            raise ValueError(f"frame {number}")
        yield section[start:at]


def _each(section: bytes, kind: type[T]) -> Iterator[T]:
    return map(msgspec.json.Decoder(kind).decode, _unframed(section))


def _runs(frames: Iterator[bytes]) -> Iterator[SignedRun]:
    decoder = msgspec.json.Decoder(_RunHead)
    for frame in frames:
        head = decoder.decode(frame)
        mutations = tuple(_next(frames) for _ in range(head.count))
        yield SignedRun(
            head.replica, head.lane, head.first, head.key, head.sig, mutations, head.arrived
        )


def _chunks(frames: Iterator[bytes]) -> Iterator[Chunk]:
    decoder = msgspec.json.Decoder(_ChunkHead)
    for frame in frames:
        head = decoder.decode(frame)
        yield Chunk(head.sha256, head.offset, head.total, _next(frames))


def _next(frames: Iterator[bytes]) -> bytes:
    frame = next(frames, None)
    if frame is None:
        raise ValueError("frame missing")
    return frame

"""What the phones are going to say, made and signed before the clock starts."""

import base64
import hashlib
from itertools import cycle
from random import Random

from msgspec import Struct

from tests.bench.centre import Made
from tests.bench.facts import write_feedback, write_step
from tests.bench.line import request
from tests.bench.writer import Writer
from tests.load.amounts import Amount, arrivals

FIRST_CHUNK_BYTES, CHUNK_BYTES_MAX = 64_000, 2**20
"""As the app cuts a photo: a careful first chunk, then, on a quick line, as much as is allowed."""

THUMB_BYTES = 4_000
TYPE = "image/jpeg"


class Words(Struct):
    """One mutation: when it is due, the request that brings it, and its bytes alone."""

    due_s: float
    writer: Writer
    request: bytes
    dot: str
    raw: bytes


class Chunk(Struct, frozen=True):
    """Part of a photo, with the headers that need no address."""

    headers: dict[str, str]
    body: bytes


class Photo(Struct):
    """A photo, the feedback that names it, the request that announces it, and its chunks."""

    words: Words
    sha256: str
    announced: bytes
    chunks: list[Chunk]


class Script(Struct):
    """All that will be said, each list in the order of its instants."""

    signs: list[Words]
    photos: list[Photo]

    @property
    def words(self) -> list[Words]:
        return self.signs + [photo.words for photo in self.photos]


def script(made: Made, amount: Amount, seed: int) -> Script:
    """What is said in this load: the next receipt, or photo, is another phone's each time.

    Photos begin half-way through the phones, so that nobody signs and photographs at once.
    """
    random, count = Random(seed), amount.seconds
    phones, half = made.writers, len(made.writers) // 2
    signers, photographers = cycle(phones), cycle(phones[half:] + phones[:half])
    due = [(at, False) for at in arrivals(random, amount.signs_per_s, count)]
    due += [(at, True) for at in arrivals(random, amount.photos_per_s, count)]
    found, signed = Script([], []), dict.fromkeys((one.reply.replica for one in phones), 0)
    for at, is_photo in sorted(due):
        if is_photo:
            data = random.randbytes(amount.photo_bytes)
            found.photos.append(_photo(made, next(photographers), at, data))
            continue
        writer = next(signers)
        number = signed[writer.reply.replica]
        signed[writer.reply.replica] += 1
        found.signs.append(_sign(made, writer, at, number))
    return found


def _sign(made: Made, writer: Writer, due_s: float, number: int) -> Words:
    targets = made.targets[writer.reply.unit]
    dot = writer.next_dot(0)
    raw = write_step(writer, targets[number % len(targets)], "signed")
    return Words(due_s, writer, writer.push(writer.run(0, [raw])), dot, raw)


def _photo(made: Made, writer: Writer, due_s: float, data: bytes) -> Photo:
    sha256 = hashlib.sha256(data).hexdigest()
    named = {"sha256": sha256, "size": len(data), "type": TYPE, "thumb": _thumb(data)}
    dot = writer.next_dot(1)
    raw = write_feedback(writer, made.targets[writer.reply.unit][0], [named])
    words = Words(due_s, writer, writer.push(writer.run(1, [raw])), dot, raw)
    metadata = f"sha256 {_base64(sha256.encode())},type {_base64(TYPE.encode())}"
    headers = _headers(writer) | {"Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    announced = request("POST", "/v1/blob", headers)
    return Photo(words, sha256, announced, _chunks(writer, data))


def _thumb(data: bytes) -> str:
    """The small picture that goes along with the words."""
    return f"data:{TYPE};base64,{_base64(data[:THUMB_BYTES])}"


def _chunks(writer: Writer, data: bytes) -> list[Chunk]:
    chunks, offset = [], 0
    while offset < len(data):
        size = CHUNK_BYTES_MAX if offset else FIRST_CHUNK_BYTES
        body = data[offset : offset + size]
        headers = _headers(writer) | {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {_base64(hashlib.sha256(body).digest())}",
        }
        chunks.append(Chunk(headers, body))
        offset += len(body)
    return chunks


def _headers(writer: Writer) -> dict[str, str]:
    return writer.headers | {"Tus-Resumable": "1.0.0"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

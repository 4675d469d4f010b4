"""A cheap HTTP/1.1 client that keeps its connection: it shares the cores with what it measures."""

import asyncio

from msgspec import Struct

ANSWER_S = 600
"""Longer than any answer of any peer takes; whatever hangs ends the run with an error."""

END = b"\r\n\r\n"


class LineCut(ConnectionError):
    """The other side closed the connection, or said something that is not HTTP."""


class Answer(Struct, frozen=True):
    """What came back, its body whole and as it was sent."""

    status: int
    head: bytes
    body: bytes


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request, made before the clock starts."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + END + body


class Line(asyncio.Protocol):
    """One connection, one request at a time, for as long as the other side keeps it open."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, port: int, host: str = "127.0.0.1") -> "Line":
        """A new connection to a port of this machine."""
        _, line = await asyncio.get_running_loop().create_connection(cls, host, port)
        return line

    async def ask(self, request: bytes) -> Answer:
        """Send a request as it is; its answer. LineCut when there is none."""
        self._got.clear()
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            raise LineCut("closed")
        self._transport.write(request)
        async with asyncio.timeout(ANSWER_S):
            return await self._waiting

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._waiting and not self._waiting.done():
            try:
                answer = parsed(self._got)
            except LineCut as error:
                self._waiting.set_exception(error)
                return
            if answer:
                self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(LineCut("closed before it answered"))


def parsed(got: bytes | bytearray) -> Answer | None:
    """The answer in these bytes; None while it is not whole. LineCut when it is none."""
    end = got.find(END)
    if end < 0:
        return None
    if not got.startswith(b"HTTP/1."):
        raise LineCut("not HTTP")
    head, at = bytes(got[:end]), end + len(END)
    status = int(head[9:12])
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        body = unchunked(got, at) if got.endswith(b"0\r\n\r\n") else None
        return None if body is None else Answer(status, head, body)
    size = _length(head)
    if len(got) < at + size:
        return None
    return Answer(status, head, bytes(memoryview(got)[at : at + size]))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def unchunked(got: bytes | bytearray, at: int) -> bytes | None:
    """The body of a chunked answer that begins at `at`; None while its last chunk is not there."""
    parts = []
    while (end := got.find(b"\r\n", at)) >= 0:
        size = int(bytes(got[at:end]).partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        at = end + 2 + size
        parts.append(bytes(got[end + 2 : at]))
        at += 2
    return None

"""`python -m tests.bench.crowd`: a process that holds many sockets and notes when each hears.

It speaks JSON lines on its standard input and output: first what to open, then `heard`, `forget`,
`alive` or `quit`, or `reached` and the seq that each scope's lane 0 is to reach.
"""

import asyncio
import json
import math
import os
import ssl
import sys
import time
from functools import partial
from typing import Any

from tests.bench.limits import raise_limits

OPENED_AT_ONCE = 50
OPENED_S = 120
HEARTBEAT_S = 15
"""The app asks so often whether the line lives."""

PING, TEXT, CLOSE, PONG = 9, 1, 8, 10


def masked(opcode: int, payload: bytes) -> bytes:
    """A short frame as clients send it."""
    mask = os.urandom(4)
    covered = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    size = len(payload)
    head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else _long(opcode, size)
    return head + mask + covered


def _long(opcode: int, size: int) -> bytes:
    return bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")


class Ear(asyncio.Protocol):
    """One socket: it proves who it is, answers pings, and notes when it heard which text."""

    def __init__(self, hello: bytes) -> None:
        self._hello = hello
        self._got = bytearray()
        self._upgraded = False
        self.alive = True
        self.heard: list[tuple[float, bytes]] = []
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(
            b"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade"
            b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._got += data
        if not self._upgraded:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._got.startswith(b"HTTP/1.1 101"):
                self._end(bytes(self._got[:200]))
                return
            self._upgraded = True
            del self._got[: end + 4]
            self.send(TEXT, self._hello)
        while (frame := self._frame()) is not None:
            self._take(*frame, now)

    def send(self, opcode: int, payload: bytes) -> None:
        self._transport.write(masked(opcode, payload))

    def _frame(self) -> tuple[int, bytes] | None:
        """The next whole frame, which is short and not masked."""
        got = self._got
        if len(got) < 2:
            return None
        size, at = got[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(got[2:4], "big"), 4
        if len(got) < at + size:
            return None
        payload = bytes(got[at : at + size])
        opcode = got[0] & 0x0F
        del got[: at + size]
        return opcode, payload

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == PING:
            self.send(PONG, payload)
        elif opcode == CLOSE:
            self._end(payload)
        elif not self.ready.done():
            self.ready.set_result(None)
        elif payload != b"pong":
            self.heard.append((now, payload))

    @property
    def first_heard(self) -> float:
        """When it heard anything; 0 while it has not."""
        return self.heard[0][0] if self.heard else 0.0

    def reached(self, seqs: dict[str, int]) -> float:
        """When it was told that lane 0 of one of these scopes stands at its seq; 0 for never."""
        for at, text in self.heard:
            poke = json.loads(text)
            if poke["lane"] == 0 and poke["seq"] >= seqs.get(poke["scope"], math.inf):
                return at
        return 0.0

    def _end(self, why: bytes) -> None:
        self.alive = False
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why.decode(errors="replace")))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(b"lost")


async def opened(port: int, source: str, hellos: list[str], tls: bool) -> list[Ear]:
    """One socket for each hello, from this address of the machine itself."""
    loop, ears, secure = asyncio.get_running_loop(), [], unchecked() if tls else None
    for at in range(0, len(hellos), OPENED_AT_ONCE):
        some = hellos[at : at + OPENED_AT_ONCE]
        async with asyncio.timeout(OPENED_S):
            made = await asyncio.gather(
                *(
                    loop.create_connection(
                        partial(Ear, hello.encode()),
                        "127.0.0.1",
                        port,
                        local_addr=(source, 0),
                        ssl=secure,
                    )
                    for hello in some
                )
            )
            await asyncio.gather(*(ear.ready for _, ear in made))
        ears += [ear for _, ear in made]
    return ears


async def beat(ears: list[Ear]) -> None:
    """Each asks in its turn whether its line lives, as the app does, for ever."""
    while True:
        for ear in ears:
            if ear.alive:
                ear.send(TEXT, b"ping")
            await asyncio.sleep(HEARTBEAT_S / len(ears))


def unchecked() -> ssl.SSLContext:
    """TLS with whoever answers: this is our own server, and only its memory counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def main() -> None:
    loop = asyncio.get_running_loop()
    wanted = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    ears = await opened(wanted["port"], wanted["source"], wanted["hellos"], wanted["tls"])
    beating = asyncio.create_task(beat(ears)) if wanted["beats"] else None
    say({"opened": len(ears)})
    while (asked := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) != "quit":
        if asked == "heard":
            say({"heard": [ear.first_heard for ear in ears]})
        elif asked == "forget":
            for ear in ears:
                ear.heard.clear()
            say({"forgotten": len(ears)})
        elif asked.startswith("reached "):
            seqs = json.loads(asked.removeprefix("reached "))
            say({"heard": [ear.reached(seqs) for ear in ears]})
        else:
            say({"alive": sum(ear.alive for ear in ears)})
    if beating:
        beating.cancel()


def say(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise_limits()
    import uvloop

    uvloop.run(main())

"""`/v1/live`: a device's WebSocket. The first frame proves who it is; then pokes, and no data."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import msgspec
import structlog
from msgspec import Struct
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from schema.wire import Cursors
from server.accounts import check_origin, device_of
from server.crier import Say, begin
from server.device import Device
from server.errors import Fault
from server.guests import Guest, Guests
from server.live import Listener, frame_of
from server.wire import encode

log = structlog.get_logger()

HELLO_BYTES_MAX = 1_024
HELLO_S = 10.0

CLOSE_NO_TEXT = 1003
CLOSE_POLICY = 1008
CLOSE_ERROR = 1011
GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""How it shows that the peer went while we spoke."""


class Unwelcome(Exception):
    """The connection must end, with this close code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Hello(Struct):
    """The first frame of a device."""

    token: str
    replica: str


class Standing(Struct):
    """The first frame of the server: where each (scope, lane) stands that this process saw."""

    scopes: Cursors


class Live:
    """An application of its own: what thousands are told passes through no wrapper of a route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept, prove, greet, then poke until either side goes. Answers `ping` with `pong`."""
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        try:
            await _serve(socket, send)
        except (Unwelcome, TimeoutError) as end:
            with suppress(*GONE):
                await socket.close(end.code if isinstance(end, Unwelcome) else CLOSE_POLICY)
        except WebSocketDisconnect:
            pass  # It went before it said who it is.


async def _serve(socket: WebSocket, send: Send) -> None:
    engine, guests = socket.app.state.engine, socket.app.state.guests
    device, token = await _device(socket)
    engine.joined(device, 1)
    try:
        with guests.staying(device, token) as guest:
            speaker = Speaker(send, guests, guest)
            with engine.hub.told(device.scopes, speaker.news) as listener:
                standing = Standing({scope: engine.hub.stands(scope) for scope in device.scopes})
                with suppress(*GONE):
                    await socket.send_text(encode({"hello": standing}).decode())
                with speaker.telling(listener):
                    await until_either(_receive(socket, guest), _turned_away(guest))
    finally:
        engine.joined(device, -1)


async def _device(socket: WebSocket) -> tuple[Device, str]:
    """Who connects, as the first frame proves, by its token. Unwelcome for anything else."""
    engine = socket.app.state.engine
    try:
        if socket.headers.get("origin"):
            check_origin(socket)
        text = await asyncio.wait_for(_text(socket), HELLO_S)
        if len(text.encode()) > HELLO_BYTES_MAX:
            raise Unwelcome(CLOSE_POLICY)
        hello = msgspec.json.decode(text, type=Hello)
        device = await device_of(engine, hello.token)
    except (Fault, msgspec.DecodeError):
        raise Unwelcome(CLOSE_POLICY) from None
    if device.revoked or device.replica != hello.replica:
        raise Unwelcome(CLOSE_POLICY)
    return device, hello.token


async def _text(socket: WebSocket) -> str:
    """The next frame, which must be text. Unwelcome for a binary one."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text: str | None = message.get("text")
    if text is None:
        raise Unwelcome(CLOSE_NO_TEXT)
    return text


class Speaker:
    """Says what moved to one device. A slow line holds up nobody else."""

    def __init__(self, send: Send, guests: Guests, guest: Guest) -> None:
        self._send = send
        self._guests = guests
        self._guest = guest
        self._listener: Listener | None = None
        self._slow: asyncio.Task[None] | None = None

    @contextmanager
    def telling(self, listener: Listener) -> Iterator[None]:
        """Say all that is pending, and what comes until the block ends."""
        self._listener = listener
        if say := self.news():
            say()
        try:
            yield
        finally:
            self._listener = None
            if self._slow:
                self._slow.cancel()

    def news(self) -> Say | None:
        """Something is pending: what says it now; None while the line takes no more."""
        if self._listener is None or (self._slow and not self._slow.done()):
            return None
        return partial(self._say, self._listener, _frames(self._listener))

    def _say(self, listener: Listener, frames: list[str]) -> None:
        self._slow = begin(self._speak(listener, frames))

    async def _speak(self, listener: Listener, frames: list[str]) -> None:
        """Say these, and what has become pending meanwhile."""
        try:
            while frames and await self._guests.may_stay(self._guest, lately=True):
                for frame in frames:
                    await self._send({"type": "websocket.send", "text": frame})
                frames = _frames(listener)
        except GONE:
            pass  # Who receives sees it.
        except Exception as error:
            log.error("live", why=repr(error))
            self._guest.failed = True
            self._guest.unwelcome.set()


def _frames(listener: Listener) -> list[str]:
    return [frame_of(poke) for poke in listener.taken()]


async def _receive(socket: WebSocket, guest: Guest) -> None:
    while True:
        if await _text(socket) == "ping":
            if not await socket.app.state.guests.may_stay(guest):
                raise Unwelcome(CLOSE_POLICY)
            await socket.send_text("pong")


async def _turned_away(guest: Guest) -> None:
    await guest.unwelcome.wait()
    raise Unwelcome(CLOSE_ERROR if guest.failed else CLOSE_POLICY)


async def until_either(*works: Coroutine[None, None, None]) -> None:
    """Run all until one ends, then end the others; a peer that went is no fault."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception) and not isinstance(one, GONE):
            raise one


routes = [WebSocketRoute("/v1/live", Live())]

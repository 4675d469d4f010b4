"""`/v1/live`: a device's WebSocket. The first frame proves who it is; then pokes, and no data."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import msgspec
from msgspec import Struct
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from schema.codes import Code
from schema.wire import Cursors
from server.accounts import check_origin, device_of
from server.device import Device
from server.errors import Fault
from server.live import Listener
from server.wire import encode

HELLO_BYTES_MAX = 1_024
HELLO_S = 10.0
CLOSE_POLICY = 1008


class Hello(Struct):
    """The first frame of a device."""

    token: str
    replica: str


class Standing(Struct):
    """The first frame of the server: where each (scope, lane) stands that this process saw."""

    scopes: Cursors


async def live(socket: WebSocket) -> None:
    """Accept, prove, greet, then poke until either side goes. Answers `ping` with `pong`."""
    engine = socket.app.state.engine
    await socket.accept()
    try:
        device = await _device(socket)
    except (Fault, msgspec.DecodeError, TimeoutError, WebSocketDisconnect):
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(CLOSE_POLICY)
        return
    engine.joined(device, 1)
    try:
        with engine.hub.listen(device.scopes) as listener:
            standing = Standing({scope: engine.hub.stands(scope) for scope in device.scopes})
            await socket.send_text(encode({"hello": standing}).decode())
            await until_either(_send(socket, listener), _receive(socket))
    finally:
        engine.joined(device, -1)


async def _device(socket: WebSocket) -> Device:
    if socket.headers.get("origin"):
        check_origin(socket)
    text = await asyncio.wait_for(socket.receive_text(), HELLO_S)
    hello = msgspec.json.decode(text[:HELLO_BYTES_MAX], type=Hello)
    device = await device_of(socket.app.state.engine, hello.token)
    if device.revoked or device.replica != hello.replica:
        raise Fault(Code.REVOKED)
    return device


async def _send(socket: WebSocket, listener: Listener) -> None:
    while True:
        for poke in await listener.take():
            await socket.send_text(encode(poke).decode())


async def _receive(socket: WebSocket) -> None:
    while True:
        if await socket.receive_text() == "ping":
            await socket.send_text("pong")


async def until_either(*works: Coroutine[None, None, None]) -> None:
    """Run both until one ends, then end the other; a peer that went is no fault."""
    tasks = [asyncio.create_task(work) for work in works]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task


routes = [WebSocketRoute("/v1/live", live)]

"""All listeners answer in one process, and a signal ends them within three seconds."""

import asyncio
import os
import signal
import ssl
import time
from datetime import UTC, datetime

import pytest
import websockets
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from server.data_folder import Trouble
from server.serving import (
    LOOPBACK,
    Listener,
    Ports,
    bind,
    local_addresses,
    port_of,
    serve,
)
from server.tls import ensure, names_of

STOP_S = 3.0


async def deaf(socket):
    """A WebSocket that would never end by itself."""
    await socket.accept()
    await socket.send_text("open")
    await asyncio.Event().wait()


async def slow(request):
    """A long poll that would never answer."""
    await asyncio.Event().wait()


async def fine(request):
    return PlainTextResponse("fine")


def app() -> Starlette:
    return Starlette(routes=[Route("/", fine), Route("/slow", slow), WebSocketRoute("/live", deaf)])


async def fetch(port: int, path: str = "/", tls: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_http_and_tls_answer_from_one_application(tmp_path):
    tls = ensure(tmp_path / "tls", names_of([LOOPBACK]), datetime.now(UTC))
    sockets = bind(Ports(LOOPBACK, 0, 0, 0))
    one, ready = app(), asyncio.Event()
    every = [Listener(one, sockets.http), Listener(one, sockets.tls, tls)]
    serving = asyncio.create_task(serve(every, ready.set))
    await ready.wait()
    trusting = ssl.create_default_context(cafile=str(tls.root))
    assert (await fetch(port_of(sockets.http))).endswith(b"fine")
    assert (await fetch(port_of(sockets.tls), tls=trusting)).endswith(b"fine")
    os.kill(os.getpid(), signal.SIGINT)
    await serving
    sockets.close()


async def test_open_sockets_and_requests_do_not_hold_up_a_stop():
    sockets, ready = bind(Ports(LOOPBACK, 0)), asyncio.Event()
    serving = asyncio.create_task(serve([Listener(app(), sockets.http)], ready.set))
    await ready.wait()
    port = port_of(sockets.http)
    async with websockets.connect(f"ws://{LOOPBACK}:{port}/live") as socket:
        assert await socket.recv() == "open"
        waiting = asyncio.create_task(fetch(port, "/slow"))
        await fetch(port)  # Answered after the long poll was sent, so that one is under way.
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
        assert time.monotonic() - began < STOP_S
    await waiting


async def test_deflate_is_off():
    sockets, ready = bind(Ports(LOOPBACK, 0)), asyncio.Event()
    serving = asyncio.create_task(serve([Listener(app(), sockets.http)], ready.set))
    await ready.wait()
    async with websockets.connect(f"ws://{LOOPBACK}:{port_of(sockets.http)}/live") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


def test_a_taken_port_leaves_no_other_one_bound():
    held = bind(Ports(LOOPBACK, 0))
    free = bind(Ports(LOOPBACK, 0))
    port = port_of(free.http)
    free.close()
    with pytest.raises(Trouble) as refused:
        bind(Ports(LOOPBACK, port, port_of(held.http)))
    assert refused.value.facts == {"port": port_of(held.http)}
    bind(Ports(LOOPBACK, port)).close()
    held.close()


@pytest.mark.parametrize(("host", "port"), [("203.0.113.77", 0), (LOOPBACK, 70_000), ("x y", 0)])
def test_an_address_that_is_not_ours_is_told(host, port):
    with pytest.raises(Trouble) as refused:
        bind(Ports(host, port))
    assert refused.value.name == "host_unknown"


def test_the_machine_s_own_addresses_end_with_loopback():
    assert local_addresses()[-1] == LOOPBACK

"""One socket per browser: a poke tells the pages to fetch their live parts again."""

import asyncio
import contextlib

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from schema.roles import CENTRE_ROLES
from schema.wire import Poke
from server.accounts import COMMAND, check_origin, current_user
from server.engine import FLEET, Engine
from server.errors import Fault
from server.live import Waiter
from server.web.session import desk
from server.wire import encode, json_response

EVERYONE = ("directory", FLEET)
COMMANDING = ("centre", *EVERYONE)
COALESCE_S = 0.2
HEARTBEAT_S = 20.0
"""A silent socket still says that it lives, and a session that ended closes it by then."""

CHECK_AFTER_MS = 60_000
"""Where pokes come without a pause, the session is looked up again this often."""

POLL_S = 25.0
SIGNED_OUT, FOREIGN, CHANGED = 4401, 4403, 1000
"""Close codes; after `CHANGED` the browser connects again, with what its person may hear now."""


async def live(socket: WebSocket) -> None:
    """`{seq}` first and as heartbeat, `{scope, lane, seq}` for what moved."""
    engine: Engine = socket.app.state.engine
    try:
        check_origin(socket)
    except Fault:
        await socket.close(FOREIGN)
        return
    scopes = await _scopes(engine, socket)
    if not scopes:
        await socket.close(SIGNED_OUT)
        return
    await socket.accept()
    with engine.hub.listen(scopes) as listener:
        gone = asyncio.create_task(_until_gone(socket))
        try:
            await _send(engine, socket, listener, gone)
        except (WebSocketDisconnect, RuntimeError):
            pass  # The browser went away while we spoke.
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _scopes(engine: Engine, connection: HTTPConnection) -> tuple[str, ...]:
    """What this person may hear of; nothing without a session or a role at the centre."""
    user = await current_user(engine, connection)
    if user is None or not user.roles & CENTRE_ROLES:
        return ()
    return COMMANDING if user.roles & COMMAND else EVERYONE


async def _until_gone(socket: WebSocket) -> None:
    """Ends when the browser closes; what it says is not listened to."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass


async def _send(
    engine: Engine, socket: WebSocket, listener: Waiter, gone: "asyncio.Task[None]"
) -> None:
    """Pokes and heartbeats, for as long as the session and the role behind them last."""
    checked_ms = engine.clock()
    await _say_head(engine, socket)
    while not gone.done():
        pokes = await _wait(listener, gone, HEARTBEAT_S)
        if gone.done():
            return
        if not pokes or abs(engine.clock() - checked_ms) >= CHECK_AFTER_MS:
            scopes = await _scopes(engine, socket)
            if listener.scopes != frozenset(scopes):
                await socket.close(CHANGED if scopes else SIGNED_OUT)
                return
            checked_ms = engine.clock()
        for poke in pokes:
            await _say(socket, {"scope": poke.scope, "lane": poke.lane, "seq": poke.seq})
        if pokes:
            await asyncio.sleep(COALESCE_S)
        else:
            await _say_head(engine, socket)


async def _wait(listener: Waiter, gone: "asyncio.Task[None]", timeout_s: float) -> list[Poke]:
    """The next pokes; none when the time is over or the browser has gone."""
    taking = asyncio.create_task(listener.take())
    await asyncio.wait({taking, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    if taking.done():
        return taking.result()
    taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking
    return []


async def _say_head(engine: Engine, socket: WebSocket) -> None:
    await _say(socket, {"seq": (await engine.head()).seq})


async def _say(socket: WebSocket, message: dict[str, object]) -> None:
    await socket.send_text(encode(message).decode())


@desk(CENTRE_ROLES)
async def poll(request: Request) -> Response:
    """Where sockets do not get through: answers when the log has moved, or after a while."""
    engine: Engine = request.app.state.engine
    try:
        known = int(request.query_params.get("seq", "0"))
    except ValueError:
        known = 0
    with engine.hub.listen(await _scopes(engine, request)) as listener:
        head = await engine.head()
        if head.seq == known:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listener.take(), POLL_S)
            head = await engine.head()
    return json_response({"seq": head.seq})

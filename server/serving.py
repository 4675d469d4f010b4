"""Several listeners, one process, one event loop: plain http on loopback, TLS, the trust page."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from ipaddress import ip_address

import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from server.data_folder import Trouble
from server.tls import Tls

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
GRACE_S = 2
"""How long a stop waits for open requests; with closing, it stays under three seconds."""

WS_BYTES_MAX = 64 * 1024
"""No frame that anybody sends us is nearly as long."""

LOCAL_PROBES = ("10.255.255.255", "172.31.255.255", "192.168.255.255")


class Listener(Struct, frozen=True):
    """One address to listen at, with its bound socket. `proxied` believes X-Forwarded-* there."""

    app: ASGIApp
    sock: socket.socket
    tls: Tls | None = None
    proxied: bool = False


class Ports(Struct, frozen=True):
    """Where to listen. Port 0 takes any free one; None leaves that listener out."""

    host: str
    http: int
    tls: int | None = None
    trust: int | None = None


class Sockets(Struct, frozen=True):
    """The bound sockets. Nothing is answered before `serve`."""

    http: socket.socket
    tls: socket.socket | None = None
    trust: socket.socket | None = None

    def close(self) -> None:
        for one in (self.http, self.tls, self.trust):
            if one is not None:
                one.close()


def bind(ports: Ports) -> Sockets:
    """Take every port at once. Trouble names the first one that cannot be had."""
    taken: list[socket.socket] = []

    def take(host: str, port: int | None) -> socket.socket | None:
        if port is not None:
            taken.append(_bound(host, port))
            return taken[-1]
        return None

    try:
        http = _bound(ports.host, ports.http)
        taken.append(http)
        return Sockets(http, take(EVERYWHERE, ports.tls), take(EVERYWHERE, ports.trust))
    except Trouble:
        for one in taken:
            one.close()
        raise


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen()  # Only now is the port ours; who connects waits until we answer.
    except (OSError, OverflowError) as error:
        sock.close()
        number = getattr(error, "errno", None)
        if number == errno.EADDRINUSE:
            raise Trouble("port_taken", port=port) from None
        if number == errno.EACCES:
            raise Trouble("port_denied", port=port) from None
        raise Trouble("host_unknown", host=host, port=port) from None
    return sock


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def local_addresses() -> list[str]:
    """This machine's own addresses in private networks, as routes to them would use. Sends nothing.

    The loopback address stands last and is always there.
    """
    found = []
    for probe in LOCAL_PROBES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((probe, 9))
                found.append(sock.getsockname()[0])
            except OSError:
                continue  # No route to that network: no address of ours in it either.
    private = [one for one in found if ip_address(one).is_private and one != LOOPBACK]
    return [*dict.fromkeys(private), LOOPBACK]


class _Server(uvicorn.Server):
    """A server that leaves the signals to `serve`, which stops all of them together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(listeners: Sequence[Listener], ready: Callable[[], None]) -> None:
    """Answer at every listener until SIGINT or SIGTERM, then end within three seconds.

    `ready` is called once all of them answer.
    """
    servers = [_Server(_config(one)) for one in listeners]
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(_on_signal(stop.set))
        tasks = [
            asyncio.create_task(server.serve(sockets=[one.sock]))
            for server, one in zip(servers, listeners, strict=True)
        ]
        stack.push_async_callback(_end, servers, tasks)
        await _started(servers, tasks, stop)
        if not stop.is_set():
            ready()
        asking = asyncio.create_task(stop.wait())
        await asyncio.wait([asking, *tasks], return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()


async def _started(
    servers: Sequence[_Server], tasks: Sequence["asyncio.Task[None]"], stop: asyncio.Event
) -> None:
    while not all(server.started for server in servers):
        if stop.is_set() or any(task.done() for task in tasks):
            return
        await asyncio.sleep(0.005)


async def _end(servers: Sequence[_Server], tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Stop them together. What one of them failed with is raised once all have ended."""
    for server in servers:
        server.should_exit = True
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one


@contextmanager
def _on_signal(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for one in signals:
        loop.add_signal_handler(one, stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)


def _config(one: Listener) -> uvicorn.Config:
    quiet_stop()
    return uvicorn.Config(
        one.app,
        ws="websockets-sansio",
        ws_max_size=WS_BYTES_MAX,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=one.proxied,
        timeout_graceful_shutdown=GRACE_S,
        ssl_keyfile=one.tls.leaf_key if one.tls else None,
        ssl_certfile=one.tls.leaf if one.tls else None,
    )


def quiet_stop() -> None:
    """uvicorn calls it an error that a stop ends open requests; here it is what a stop is for."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(one, _NotCancelled) for one in logger.filters):
        logger.addFilter(_NotCancelled())


class _NotCancelled(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "graceful shutdown exceeded" not in str(record.msg)

"""What `demo` and `serve` share: open a centre, listen at its three addresses, say where it is."""

import asyncio
import gc
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import segno
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette

from server.app import build_app
from server.cli.spoken import spoken
from server.clock import Clock
from server.config import Config
from server.engine import Engine
from server.routes.trust import Trust, build_trust_app
from server.serving import Listener, Ports, Sockets, bind, local_addresses, port_of, serve
from server.store.postgres import open_postgres
from server.store.protocol import Store
from server.store.sqlite import open_store
from server.tls import Names, Tls, ensure, fingerprint, may_sign, names_of, now_utc

HTTPS_DEFAULT, HTTP_DEFAULT = 443, 80
OBJECTS_BETWEEN_COLLECTIONS = (50_000, 20, 20)
GROUPS_A_LINE = 4
"""As the trust page shows them, so that comparing by eye is easy."""


class Centre(Struct, frozen=True):
    """An open centre: its engine, its sockets, and its certificate unless a proxy holds it."""

    engine: Engine
    sockets: Sockets
    tls: Tls | None

    @property
    def config(self) -> Config:
        return self.engine.config

    @property
    def loopback(self) -> str:
        return address("http", self.config.host, self.config.port)

    @property
    def https(self) -> str:
        return address("https", self.config.public_host, self.config.tls_port)

    @property
    def trust(self) -> str:
        return address("http", self.config.public_host, self.config.trust_port) + "/"


def address(scheme: str, host: str, port: int) -> str:
    """An origin as browsers write it."""
    host = f"[{host}]" if ":" in host else host
    usual = HTTPS_DEFAULT if scheme == "https" else HTTP_DEFAULT
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"


def config_of(config: Config, sockets: Sockets) -> Config:
    """The config with the ports that were really taken, and a host for phones to use."""
    return Config(
        data=config.data,
        centre=config.centre,
        centre_name=config.centre_name,
        host=config.host,
        port=port_of(sockets.http),
        public_host=config.public_host or local_addresses()[0],
        tls_port=port_of(sockets.tls) if sockets.tls else 0,
        trust_port=port_of(sockets.trust) if sockets.trust else 0,
        store=config.store,
        shared_blobs=config.shared_blobs,
        static=config.static,
    )


def every_name(tls: Tls, public_host: str) -> Names:
    """The names that the certificate must be good for, and those that it may as well be."""
    found = may_sign(tls, names_of(local_addresses()))
    return names_of([public_host, *found.dns, *map(str, found.ips)])


async def open_for(config: Config) -> Store:
    """The store that the configuration names, brought up to date."""
    if config.store:
        return await open_postgres(config.store, config.centre)
    return await open_store(config.database, config.centre)


@asynccontextmanager
async def opened(
    config: Config, ports: Ports, clock: Clock, steady: Clock | None = None
) -> AsyncIterator[Centre]:
    """The centre with its ports taken, closed in order at the end."""
    sockets = bind(ports)
    try:
        config = config_of(config, sockets)
        tls = None
        if sockets.tls:
            folder = config.data / "tls"
            tls = ensure(folder, every_name(Tls(folder), config.public_host), now_utc())
        store = await open_for(config)
        try:
            engine = await Engine.open(store, clock, config, steady)
        except BaseException:
            await store.close()
            raise
        try:
            yield Centre(engine, sockets, tls)
        finally:
            await engine.close()
    finally:
        sockets.close()


async def answer(centre: Centre, console: Console) -> None:
    """Serve until a signal. One line says when every address answers."""

    def ready() -> None:
        console.print(spoken("cli.ready", "\n"), style="bold")

    app = build_app(centre.engine)
    await app.state.upload_sweep.now_and_then()
    rest_from_collecting()
    await serve(listeners(centre, app), ready)
    console.print(spoken("cli.stopped"))


def listeners(centre: Centre, app: Starlette) -> list[Listener]:
    """One application behind http and TLS; the trust page knows nothing of it."""
    sockets = centre.sockets
    found = [Listener(app, sockets.http, proxied=centre.tls is None)]
    if centre.tls and sockets.tls and sockets.trust:
        config = centre.config
        page = Trust(centre.tls, centre.https, centre.trust, config.centre_name, config.static)
        found.append(Listener(app, sockets.tls, centre.tls))
        found.append(Listener(build_trust_app(page), sockets.trust))
    return found


def rest_from_collecting() -> None:
    """Look for cycles of garbage less often, and never among what was there at the start.

    A push makes some forty objects a mutation, none of them in a cycle: with Python's own
    thresholds a tenth of its time went into looking for some.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OBJECTS_BETWEEN_COLLECTIONS)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None  # Not there on Windows; asyncio's own loop serves as well.
    return uvloop.new_event_loop


def grid() -> Table:
    """Two columns: what it is called, and what it is."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def heading(key: str) -> Text:
    return Text(spoken(key), style="bold reverse")


def print_here(centre: Centre, console: Console) -> None:
    """Where this machine's own browser finds it."""
    table = grid()
    table.add_row(spoken("cli.desk"), f"{centre.loopback}/desk")
    table.add_row(spoken("cli.app"), f"{centre.loopback}/app/")
    console.print(heading("cli.here"), table, sep="\n")


def print_phones(centre: Centre, console: Console) -> None:
    """Where real phones find it, with a QR code for their cameras."""
    if centre.tls is None:
        return
    table = grid()
    table.add_row(spoken("cli.trust"), centre.trust)
    table.add_row(spoken("cli.https"), f"{centre.https}/app/")
    shown = fingerprint(centre.tls).split()
    lines = [" ".join(shown[at : at + GROUPS_A_LINE]) for at in range(0, len(shown), GROUPS_A_LINE)]
    table.add_row(spoken("cli.fingerprint"), "\n".join(lines))
    console.print("", heading("cli.phones"), table, sep="\n")
    if console.is_terminal:
        out = io.StringIO()
        segno.make(centre.trust, micro=False).terminal(out, border=2, compact=True)
        console.file.write(out.getvalue())

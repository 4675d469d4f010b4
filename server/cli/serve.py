"""`serve`: a centre in earnest. The first start fixes its id and makes one administrator."""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from rich.console import Console

from schema.wire import Change
from schema.words import say
from server.accounts import new_login
from server.accounts.tokens import new_code_text
from server.cli.centre import Centre, answer, grid, heading, opened, print_here, print_phones, run
from server.cli.setup_words import COMMANDS, both
from server.cli.spoken import (
    blobs_option,
    check_address,
    data_option,
    spoken,
    store_option,
    telling,
)
from server.clock import steady_clock, system_clock
from server.config import Config
from server.data_folder import (
    DEMO,
    SETTINGS,
    Settings,
    Trouble,
    locked,
    read_settings,
    write_private,
)
from server.demo.scenario import registered_units
from server.demo.seed import keep_actors, load_new
from server.log import set_up
from server.serving import LOOPBACK, Ports
from server.store.postgres import connect, turn_at

ADMIN = "admin"
CENTRE_ID = re.compile(r"[a-z0-9-]{1,40}")


class Wanted(Struct, frozen=True):
    """What the command line asks for; "" leaves a setting as it is."""

    centre: str = ""
    centre_name: str = ""
    host: str = ""
    register: bool = False
    store: str = ""


@click.command(help=both(COMMANDS["serve"][1:]))
@data_option
@click.option("--port", type=int, default=8080, show_default=True, help=spoken("cli.option.port"))
@click.option("--listen", default=LOOPBACK, show_default=True, help=spoken("cli.option.listen"))
@click.option("--host", default="", help=spoken("cli.option.host"))
@click.option("--tls-port", type=int, help=spoken("cli.option.tls_port"))
@click.option("--trust-port", type=int, help=spoken("cli.option.trust_port"))
@click.option("--no-tls", is_flag=True, help=spoken("cli.option.no_tls"))
@click.option("--centre", default="", help=spoken("cli.option.centre"))
@click.option("--centre-name", default="", help=spoken("cli.option.centre_name"))
@click.option("--register", is_flag=True, help=spoken("cli.option.register"))
@store_option
@blobs_option
def command(
    data: Path,
    port: int,
    listen: str,
    tls_port: int | None,
    trust_port: int | None,
    no_tls: bool,
    blobs: Path | None,
    **wanted: str | bool,
) -> None:
    set_up()
    ports = Ports(listen, port)
    if not no_tls:
        ports = Ports(listen, port, tls_port or port + 1, trust_port or port + 2)
    with telling(data), locked(data):
        asked = Wanted(**wanted)  # type: ignore[arg-type]
        if asked.store:
            check_store(asked.store)
        settings = settle(data, asked)
        config = Config(
            data=data,
            centre=settings.centre,
            centre_name=settings.centre_name,
            host=listen,
            public_host=settings.public_host,
            store=asked.store,
            shared_blobs=blobs,
        )
        run(keep_serving(config, ports, asked.register))


def check_store(url: str) -> None:
    """Trouble, which repeats nothing of it, for an address that is none or cannot be reached."""
    check_address(url)
    connect(url).close()


def settle(folder: Path, wanted: Wanted) -> Settings:
    """The settings after this start. Trouble when the folder is a demo's or another centre's."""
    if (folder / DEMO).exists():
        raise Trouble("is_demo", path=folder)
    known = read_settings(folder)
    if known and wanted.centre not in ("", known.centre):
        raise Trouble("other_centre", path=folder, found=known.centre)
    if not CENTRE_ID.fullmatch(wanted.centre or "centre"):
        raise Trouble("centre_id", name=wanted.centre)
    if known and known.on_postgres and not wanted.store:
        raise Trouble("needs_store", path=folder)
    if wanted.store and (folder / "lingda.db").exists():
        raise Trouble("has_database", path=folder)
    old = known or Settings("centre", say("zh-CN", "cli.default_centre_name"))
    settings = Settings(
        known.centre if known else wanted.centre or old.centre,
        wanted.centre_name or old.centre_name,
        wanted.host or old.public_host,
        bool(wanted.store),
    )
    if settings != known:
        write_private(folder / SETTINGS, msgspec.json.encode(settings))
    return settings


async def keep_serving(config: Config, ports: Ports, register: bool) -> None:
    """Serve until a signal, after what only the first start does."""
    console = Console(highlight=False)
    async with opened(config, ports, system_clock, steady_clock) as centre:
        async with alone(config):
            if register:
                await load_new(centre.engine, registered_units())
                await centre.engine.store.write(keep_actors)
            password = await first_admin(centre)
        console.rule(centre.config.centre_name)
        print_here(centre, console)
        if password:
            table = grid()
            table.add_row(ADMIN, f"[bold]{password}[/]  {spoken('cli.password_once')}")
            console.print("", heading("cli.sign_in"), table, sep="\n")
        print_phones(centre, console)
        console.rule()
        await answer(centre, console)


def alone(config: Config) -> AbstractAsyncContextManager[object]:
    """Of several processes that start at once on one database, one makes what a new centre has."""
    return turn_at(config.store, config.centre) if config.store else nullcontext()


async def first_admin(centre: Centre) -> str | None:
    """A password for the first login of a new centre, told only now; None when there are logins."""
    engine = centre.engine
    if await engine.store.read(lambda read: read.find("login")):
        return None
    fields = {"name": say("zh-CN", "cli.first_admin"), "unit": None, "roles": [ADMIN]}
    changes: Sequence[Change] = [Change("create", "person", ADMIN, fields)]
    await load_new(engine, changes)
    password = f"{new_code_text()}-{new_code_text()}".lower()
    await new_login(engine, ADMIN, password, ADMIN)
    return password

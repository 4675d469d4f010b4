"""`demo`: the main job on invented people, with the real register or an invented city."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from server.accounts.tokens import new_code_text
from server.cli.centre import Centre, answer, grid, heading, opened, print_here, print_phones, run
from server.cli.setup import ROOT
from server.cli.setup_words import COMMANDS, both
from server.cli.spoken import spoken, telling
from server.clock import system_clock
from server.config import Config
from server.data_folder import (
    DemoMark,
    Trouble,
    is_empty,
    locked,
    read_mark,
    wipe_demo,
    write_mark,
)
from server.demo.scenario import DEFAULT, Scenario, names, read_scenario
from server.demo.seed import PastClock, SeedFailed, fresh_codes, people_of, seed
from server.log import set_up
from server.serving import LOOPBACK, Ports


@click.command(help=both(COMMANDS["demo"][1:]))
@click.option("--reset", is_flag=True, help=spoken("demo.option.reset"))
@click.option("--port", type=int, default=8080, show_default=True, help=spoken("cli.option.port"))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=ROOT / "var/demo",
    show_default=True,
    help=spoken("demo.option.data"),
)
@click.option(
    "--scenario",
    default=DEFAULT,
    show_default=True,
    help=spoken("demo.option.scenario", names=", ".join(names())),
)
@click.option("--no-tls", is_flag=True, help=spoken("demo.option.no_tls"))
@click.option("--host", default="", help=spoken("cli.option.host"))
def command(reset: bool, port: int, data: Path, scenario: str, no_tls: bool, host: str) -> None:
    set_up("WARNING", pretty=True)
    ports = Ports(LOOPBACK, port) if no_tls else Ports(LOOPBACK, port, port + 1, port + 2)
    with telling(data):
        if scenario not in names():
            raise Trouble("scenario", name=scenario, names=", ".join(names()))
        with locked(data):
            mark = prepare(data, scenario, reset)
            told = read_scenario(scenario)
            config = Config(
                data=data,
                centre=told.centre,
                centre_name=told.centre_name,
                host=LOOPBACK,
                public_host=host,
            )
            run(demonstrate(config, ports, told, mark))


def prepare(folder: Path, scenario: str, reset: bool) -> DemoMark:
    """Afterwards the folder is a demo's of this scenario. Trouble when it holds anything else."""
    if reset:
        wipe_demo(folder)
    mark = read_mark(folder)
    if mark is None:
        if not is_empty(folder):
            raise Trouble("not_demo", path=folder)
        mark = DemoMark(scenario, new_code_text().lower())
        write_mark(folder, mark)
    if mark.scenario != scenario:
        raise Trouble("other_scenario", path=folder, found=mark.scenario)
    return mark


async def demonstrate(config: Config, ports: Ports, scenario: Scenario, mark: DemoMark) -> None:
    """Seed what is missing, show where everything is, serve until a signal."""
    console, clock = Console(highlight=False), PastClock(system_clock)
    async with opened(config, ports, clock) as centre:
        try:
            with console.status(spoken("demo.seeding")):
                await seed(centre.engine, clock, scenario, mark.password)
        except SeedFailed as error:
            raise Trouble("seed", reason=error) from error
        await show(centre, scenario, mark, console)
        await answer(centre, console)


async def show(centre: Centre, scenario: Scenario, mark: DemoMark, console: Console) -> None:
    """Print the panel: addresses, logins, codes, and the way in for real phones."""
    console.rule(f"{spoken('demo.title')} · {centre.config.centre_name}")
    print_here(centre, console)
    logins = grid()
    for person in await people_of(centre.engine, scenario, scenario.logins):
        logins.add_row(person.key, f"{person.name} {person.post}")
    logins.add_row(spoken("cli.password"), mark.password)
    console.print("", heading("cli.sign_in"), logins, sep="\n")
    console.print("", heading("cli.codes"), await codes(centre, scenario), sep="\n")
    print_phones(centre, console)
    console.print("", spoken("demo.invented", "\n"), sep="\n")
    console.rule()


async def codes(centre: Centre, scenario: Scenario) -> Table:
    """A fresh code for each kind of device."""
    fresh, table = await fresh_codes(centre.engine, scenario), grid()
    for person in await people_of(centre.engine, scenario, scenario.codes):
        whose = f"{person.name} {person.unit}"
        table.add_row(spoken(f"device.{person.key}"), f"[bold]{fresh[person.key]}[/]  {whose}")
    return table

"""`sim`: the simulation in `tests/sim`, which no part of the server may import."""

import subprocess
import sys

import click

from server.cli.setup import ROOT
from server.cli.setup_words import COMMANDS, both


@click.command(help=both(COMMANDS["sim"][1:]))
@click.option("--seeds", type=int, metavar="N", help="How many seeds (200).")
@click.option("--seed", type=int, metavar="S", help="Begin with this one (0).")
@click.option("--steps", type=int, metavar="K", help="Actions in each seed (300).")
@click.option("--json", type=click.Path(), metavar="FILE", help="Write a report for scripts.")
@click.option("--trace", type=click.Path(exists=True), metavar="FILE", help="Run a trace again.")
@click.option(
    "--node",
    type=click.Choice(["always", "never", "auto"]),
    help="When devices have the app's own core, in Node (auto: in 1 of 20 seeds).",
)
@click.option(
    "--store", type=click.Choice(["sqlite", "postgres"]), help="The centre's database (sqlite)."
)
@click.option("--mutants", is_flag=True, help="Plant bugs and see whether each is found.")
def command(mutants: bool, **options: int | str | None) -> None:
    arguments = ["--mutants"] if mutants else []
    for name, value in options.items():
        if value is not None:
            arguments += [f"--{name}", str(value)]
    told = subprocess.run([sys.executable, "-m", "tests.sim", *arguments], cwd=ROOT)
    raise SystemExit(told.returncode)

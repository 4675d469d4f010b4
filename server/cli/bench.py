"""`bench`: the measurements in `tests/bench`, which no part of the server may import."""

import subprocess
import sys

import click

from server.cli.setup import ROOT
from server.cli.setup_words import COMMANDS, both


@click.command(help=both(COMMANDS["bench"][1:]))
@click.option("--quick", is_flag=True, help="Less of everything, within 3 minutes.")
@click.option("--peers", is_flag=True, help="Against Kinto and pouchdb-server, too.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this figure (may be repeated).")
@click.option("--rounds", type=int, metavar="N", help="Rounds of each side (5; quick: 3).")
@click.option("--large", type=int, metavar="N", help="Mutations in the large log (2,000,000).")
@click.option("--report", type=click.Path(), metavar="FOLDER", help="Write the page here.")
@click.option("--json", type=click.Path(), metavar="FILE", help="Write the figures for scripts.")
def command(quick: bool, peers: bool, only: tuple[str, ...], **options: int | str | None) -> None:
    arguments = ["--quick"] * quick + ["--peers"] * peers
    for name in only:
        arguments += ["--only", name]
    for name, value in options.items():
        if value is not None:
            arguments += [f"--{name}", str(value)]
    told = subprocess.run([sys.executable, "-m", "tests.bench", *arguments], cwd=ROOT)
    raise SystemExit(told.returncode)

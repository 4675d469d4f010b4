"""`shots`: the README's pictures, taken of the real thing in a browser."""

import click

from server.cli import system_packages
from server.cli.setup_words import COMMANDS, both
from server.cli.test import Selection, run_server_tests


@click.command(help=both(COMMANDS["shots"][1:]))
def command() -> None:
    system_packages.ensure()
    [outcome] = run_server_tests(Selection("shots", None, ()), browser=True)
    raise SystemExit(outcome.exit_code)

"""`cert`: what the certificate says, and a new leaf without touching a phone."""

from pathlib import Path

import click
from rich.console import Console

from server.cli.centre import every_name, grid
from server.cli.setup import ROOT
from server.cli.spoken import spoken, telling
from server.data_folder import Trouble, read_settings
from server.serving import local_addresses
from server.tls import Tls, fingerprint, leaf_names, load, names_of, now_utc, renew

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=ROOT / "var/data",
    show_default=True,
    help=spoken("cli.option.data"),
)


@click.group(help=spoken("cli.cert.about", "\n\n"))
def command() -> None:
    """Shown text comes from the dictionaries."""


@command.command("show", help=spoken("cli.cert.show", "\n\n"))
@DATA
def show_command(data: Path) -> None:
    with telling(data):
        print_certificate(_tls(data))


@command.command("renew", help=spoken("cli.cert.renew", "\n\n"))
@DATA
@click.option("--host", default="", help=spoken("cli.option.host"))
def renew_command(data: Path, host: str) -> None:
    with telling(data):
        tls, settings = _tls(data), read_settings(data)
        kept = settings.public_host if settings else ""
        called = every_name(tls, host or kept or local_addresses()[0])
        names = names_of([*called.dns, *leaf_names(load(tls.leaf)).dns, *map(str, called.ips)])
        renew(tls, names, now_utc())
        print_certificate(tls)
        click.echo(spoken("cli.cert.renewed", "\n"))


def _tls(data: Path) -> Tls:
    """The certificate of a data folder. Trouble when there is none yet."""
    tls = Tls(data / "tls")
    if not (tls.root.exists() and tls.leaf.exists()):
        raise Trouble("no_cert", path=data)
    return tls


def print_certificate(tls: Tls) -> None:
    """Print the fingerprint, the names and both ends."""
    leaf, root, table = load(tls.leaf), load(tls.root), grid()
    names = leaf_names(leaf)
    table.add_row(spoken("cli.fingerprint"), fingerprint(tls))
    table.add_row(spoken("cli.cert.names"), " ".join(map(str, (*names.dns, *names.ips))))
    table.add_row(spoken("cli.cert.until"), f"{leaf.not_valid_after_utc:%Y-%m-%d}")
    table.add_row(spoken("cli.cert.root_until"), f"{root.not_valid_after_utc:%Y-%m-%d}")
    Console(highlight=False).print(table)

"""What commands say: Chinese first, then English, from the dictionaries; troubles end with 2."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg
from msgspec import MsgspecError
from psycopg.conninfo import conninfo_to_dict

from schema.words import LANGUAGES, say
from server.audit.opened import is_on_postgres
from server.cli.setup import ROOT
from server.config import Config
from server.data_folder import Trouble, explained
from server.routes.problems import is_disk_trouble
from server.store.protocol import Damaged, NewerDatabase, UnsafeSettings
from server.store.wal import DamagedLog
from server.tls import TlsError

EXIT_TROUBLE = 2


def spoken(key: str, separator: str = " · ", **facts: object) -> str:
    """The sentence in every language, Chinese first."""
    return separator.join(say(language, key, **facts) for language in LANGUAGES)


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=ROOT / "var/data",
    show_default=True,
    help=spoken("cli.option.data"),
)
"""Where a centre's data lies, for every command that takes it."""

store_option = click.option(
    "--store", default="", envvar="LINGDA_STORE", help=spoken("cli.option.store")
)
blobs_option = click.option(
    "--blobs", type=click.Path(path_type=Path), help=spoken("cli.option.blobs")
)
"""Where log and rows, and photos, lie when they are not in the folder of the centre's data."""


def check_address(url: str) -> None:
    """Trouble, which repeats nothing of it, where this is not the address of a PostgreSQL."""
    try:
        named = conninfo_to_dict(url)
    except psycopg.Error:
        raise Trouble("store_url") from None
    if "@" in str(named.get("host", "")):
        raise Trouble("store_url")


def looked_at(data: Path, store: str, blobs: Path | None) -> Config:
    """What is to be looked at of a centre. Trouble when the folder says it is kept elsewhere."""
    if store:
        check_address(store)
    elif is_on_postgres(data):
        raise Trouble("needs_store", path=data)
    config = Config(data, store=store, shared_blobs=blobs)
    if store and config.database.exists():
        raise Trouble("has_database", path=data)
    return config


class Told(click.ClickException):
    """A trouble in one sentence per language, without a traceback."""

    exit_code = EXIT_TROUBLE

    def show(self, file: object = None) -> None:
        """Print the sentences and nothing else."""
        click.echo(self.format_message(), err=True)


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """Troubles of starting become one sentence per language and exit code 2."""
    try:
        with explained(folder):
            yield
    except Trouble as trouble:
        raise Told(spoken(f"cli.trouble.{trouble.name}", "\n", **trouble.facts)) from trouble
    except TlsError as error:
        raise Told(spoken(f"cli.trouble.{error.key}", "\n", detail=error.detail)) from error
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise Told(spoken("cli.trouble.store_down", "\n", reason=reason)) from error
    except NewerDatabase as error:
        raise Told(spoken("cli.trouble.newer", "\n", path=folder)) from error
    except DamagedLog as error:
        facts = {"path": error.path, "lost": error.lost}
        raise Told(spoken("cli.trouble.wal", "\n", **facts)) from error
    except (sqlite3.DatabaseError, UnsafeSettings, Damaged, MsgspecError) as error:
        facts = {"path": folder, "reason": error}
        raise Told(spoken(f"cli.trouble.{_named(error)}", "\n", **facts)) from error


def _named(error: Exception) -> str:
    """A disk that fails spoils no database: nobody is sent for a backup then."""
    if "full" in str(error):
        return "disk_full"
    return "disk_broken" if is_disk_trouble(error) else "database"

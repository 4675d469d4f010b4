"""The database that a folder's centre keeps its log and rows in, opened for a look."""

from pathlib import Path

from server.config import Config
from server.data_folder import Settings, Trouble, read_settings
from server.store.inspect import Inspector
from server.store.postgres.inspect import PostgresInspector
from server.store.sqlite.inspect import SqliteInspector


def opened(config: Config) -> Inspector:
    """The centre's database. CannotRead where a file is none.

    For a PostgreSQL: Trouble `no_tables` or `which_centre`, and psycopg.OperationalError where it
    cannot be reached.
    """
    centre = centre_of(config.data)
    if not config.store:
        return SqliteInspector(config.database, centre)
    inspector = PostgresInspector(config.store, centre)
    trouble = "" if inspector.schema() else "no_tables"
    trouble = trouble or ("" if inspector.centre else "which_centre")
    if trouble:
        inspector.close()
        raise Trouble(trouble, path=config.data)
    return inspector


def centre_of(data: Path) -> str:
    """The centre that the first start fixed for this folder; "" where nobody can tell."""
    settings = _settings(data)
    return settings.centre if settings else ""


def is_on_postgres(data: Path) -> bool:
    """True when the folder says that its log and rows lie in a PostgreSQL."""
    settings = _settings(data)
    return settings is not None and settings.on_postgres


def _settings(data: Path) -> Settings | None:
    try:
        return read_settings(data)
    except (OSError, Trouble):
        return None

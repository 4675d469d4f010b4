"""A look at an SQLite file that changes nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from server.store.inspect import TABLES, CannotRead, Inspector, Tick, text_of

BUSY_TIMEOUT_S = 10.0
TICK_STEPS = 200_000
"""So many steps of the database engine lie between two ticks of a long query."""


class Settings(Struct, frozen=True):
    """What the database file and this connection answer."""

    journal_mode: str
    synchronous: int
    schema: int


class SqliteInspector(Inspector):
    """The database of one centre in this file. CannotRead where it cannot be opened."""

    def __init__(self, path: Path, centre: str = "") -> None:
        self.name = {"file": path.name}
        try:
            self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            raise CannotRead(str(error)) from error
        self._all("PRAGMA query_only=1")
        self._db.text_factory = text_of
        super().__init__(centre)

    def _all(self, query: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise CannotRead(str(error)) from error

    def _each(self, query: str, *values: Any) -> Iterator[Any]:
        try:
            yield from self._db.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise CannotRead(str(error)) from error

    @contextmanager
    def _moment(self) -> Iterator[None]:
        self._all("BEGIN")
        try:
            yield
        finally:
            self._all("ROLLBACK")

    def _bytes(self, column: str) -> str:
        return f"CAST({column} AS BLOB)"

    def close(self) -> None:
        self._db.close()

    def schema(self) -> int:
        return int(self._one("PRAGMA user_version")[0])

    def settings(self) -> Settings:
        """The settings that every connection of the server sets, on this one."""
        self._all("PRAGMA synchronous=FULL")
        names = ("journal_mode", "synchronous", "user_version")
        return Settings(*(self._one(f"PRAGMA {name}")[0] for name in names))

    def integrity(self, tick: Tick) -> list[str]:
        self._db.set_progress_handler(tick, TICK_STEPS)
        try:
            found = [str(line[0]) for line in self._all("PRAGMA integrity_check")]
        except CannotRead as error:
            return [str(error)]
        finally:
            self._db.set_progress_handler(None, 0)
        return [] if found == ["ok"] else found

    def strangers(self) -> list[str]:
        """Tables with records of another centre: in a file there is one alone."""
        query = "SELECT 1 FROM {} WHERE centre<>? LIMIT 1"
        found = (table for table in TABLES if self._one(query.format(table), self.centre))
        return [table.strip('"') for table in found]


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that reads only; in a folder where nothing may be written, too."""
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        return _probed(uri)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _probed(f"{uri}&immutable=1")


def _probed(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db

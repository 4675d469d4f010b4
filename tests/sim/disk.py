"""The disk of a simulated centre: a database of either kind, its images, and when it is full."""

import itertools
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.errors import DiskFull

from server.store.postgres import PostgresDatabase, connect, found_centre
from server.store.postgres.schema import migrate
from server.store.protocol import Read, T, Txn
from server.store.sqlite import SqliteDatabase

CENTRE = "centre"
STORES = ("sqlite", "postgres")
WRITES = ("INSERT", "UPDATE", "DELETE")
FULL = (sqlite3.OperationalError, psycopg.OperationalError)
"""What a store raises on a disk that has no more room, or to which the line is cut."""

SERVER = "LINGDA_SIM_POSTGRES"
"""Names the server for the databases of this process and of those that it starts."""

RAM = Path("/dev/shm")
"""Where there is such a disk, PostgreSQL's data lies on it: as it were on disk at once."""

UNHEARD_EVERY = 41
"""Of so many commits on PostgreSQL the answer to one is lost, and the connection with it."""

CUT_EVERY = 3
"""Of so many times that its disk would be full, the line breaks once before a commit instead."""

Image = Any


class Database(Protocol):
    """One centre's database as its process has it open."""

    def write(self, work: Callable[[Txn], T]) -> T: ...

    def read(self, work: Callable[[Read], T]) -> T: ...


class Disk(Protocol):
    """What outlives the process."""

    told: Counter[str]
    """What befell it: `disk_full`, and on PostgreSQL `answer_lost` and `line_cut`."""

    def trouble(self, room: int | None) -> None:
        """It is full after so many more writing statements; None when it has room."""

    def database(self, random: Callable[[int], bytes]) -> Database:
        """The centre's database as its process finds it, or makes it, at its start."""

    def image(self) -> Image:
        """All that is on it; equal to another image when the same is."""

    def put_back(self, image: Image) -> None:
        """All that is on it is what was when this image was taken; None for a new disk."""

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Lines read past the store; each `?` stands for a value."""

    def close(self) -> None: ...


def new_disk(store: str) -> Disk:
    """An empty disk for a database of this kind."""
    return {"sqlite": SqliteDisk, "postgres": PostgresDisk}[store]()


class _Room:
    """Counts the statements that write, and has room for so many."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.told: Counter[str] = Counter()

    def trouble(self, room: int | None) -> None:
        self.room = room

    def is_full_at(self, sql: str) -> bool:
        if self.room is None or not sql.startswith(WRITES):
            return False
        self.room -= 1
        self.told["disk_full"] += self.room < 0
        return self.room < 0


class _Connection(sqlite3.Connection):
    """A connection whose disk may be full."""

    disk: _Room

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if self.disk.is_full_at(sql):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *values)


class SqliteDisk(_Room):
    """A SQLite database in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._db = self._connected()

    def _connected(self) -> _Connection:
        db = sqlite3.connect(":memory:", isolation_level=None, factory=_Connection)
        db.disk = self
        return db

    def database(self, random: Callable[[int], bytes]) -> Database:
        return SqliteDatabase(self._db, CENTRE, random)

    def image(self) -> Image:
        return self._db.serialize()

    def put_back(self, image: Image) -> None:
        self._db.close()
        self._db = self._connected()
        if image:
            self._db.deserialize(image)

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        self._db.close()


class _Line:
    """A connection to PostgreSQL whose disk may be full, and which breaks at some commits."""

    def __init__(self, db: psycopg.Connection, disk: "PostgresDisk") -> None:
        self.own = db
        self._disk = disk

    def execute(self, query: Any, *values: Any) -> Any:
        if self._disk.is_full_at(query):
            raise DiskFull("no space left on device")
        if query == "COMMIT" and self._disk.is_cut():
            self.own.close()
            raise psycopg.OperationalError("the connection is lost")
        done = self.own.execute(query, *values)
        if query == "COMMIT" and self._disk.is_unheard():
            self.own.close()
            raise psycopg.OperationalError("the connection is lost")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


class _Opened(PostgresDatabase):
    """The centre's database through the one connection of its disk."""

    def __init__(self, disk: "PostgresDisk") -> None:
        super().__init__(disk.url, CENTRE)
        self._disk = disk

    @property
    def db(self) -> Any:
        return self._disk.line

    def close(self) -> None:
        self._disk.line.close()


_NUMBERS = itertools.count()
_IDLE: list[tuple[str, psycopg.Connection]] = []
"""Databases with their tables that no disk needs any more, and the connections to them."""


class PostgresDisk(_Room):
    """A database of our own on the server of this run, and one connection to it."""

    TABLES = ("head", "log", "scope", '"row"', "member", "pair", "side")

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.cuts = False
        self.url, db = _IDLE.pop() if _IDLE else self._made()
        self._line = _Line(db, self)
        self.put_back(None)

    @staticmethod
    def _made() -> tuple[str, psycopg.Connection]:
        """A database with its tables, and a connection to it."""
        server, name = os.environ[SERVER], f"lingda_sim_{os.getpid()}_{next(_NUMBERS)}"
        with psycopg.connect(server, autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        opened = connect(url)
        migrate(opened)
        return url, opened

    @property
    def line(self) -> _Line:
        """The connection; a new one where the last has ended."""
        if self._line.closed:
            self._line = _Line(connect(self.url), self)
        return self._line

    def trouble(self, room: int | None) -> None:
        self.cuts = room is not None and room % CUT_EVERY == 0
        self.room = None if self.cuts else room

    def is_cut(self) -> bool:
        """True before a commit that never reaches the server."""
        self.told["line_cut"] += self.cuts
        return self.cuts

    def is_unheard(self) -> bool:
        """True after a commit that the process does not hear of."""
        self.commits += 1
        lost = self.commits % UNHEARD_EVERY == 0
        self.told["answer_lost"] += lost
        return lost

    def database(self, random: Callable[[int], bytes]) -> Database:
        opened = _Opened(self)
        found_centre(opened, random)
        return opened

    def image(self) -> Image:
        return {table: self._copied(table) for table in self.TABLES}

    def _copied(self, table: str) -> bytes:
        query = f"COPY (SELECT * FROM {table} ORDER BY 1, 2, 3) TO STDOUT (FORMAT binary)"
        with self.line.cursor() as cursor, cursor.copy(query) as copy:
            return b"".join(map(bytes, copy))

    def put_back(self, image: Image) -> None:
        with self.line.transaction(), self.line.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(self.TABLES)}")
            for table, lines in (image or {}).items():
                with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                    copy.write(lines)

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.line.cursor() as cursor:
            return list(cursor.execute(query.replace("?", "%s"), values).fetchall())

    def close(self) -> None:
        """The database is free for another disk."""
        _IDLE.append((self.url, self.line.own))


@contextmanager
def serving(store: str) -> Iterator[None]:
    """Disks of this kind can be had in the block: for PostgreSQL, a server of our own runs.

    NoPostgres where there is none. One that `LINGDA_SIM_POSTGRES` names is used instead.
    """
    from tests.postgres import postgres  # Only here: other runs need none of it.

    if store != "postgres" or SERVER in os.environ:
        yield
        return
    with postgres(RAM if os.access(RAM, os.W_OK) else None) as url, at_server(url):
        yield


@contextmanager
def at_server(url: str) -> Iterator[None]:
    """Databases of disks lie at this server in the block."""
    os.environ[SERVER] = url
    try:
        yield
    finally:
        del os.environ[SERVER]
        with psycopg.connect(url, autocommit=True) as server:
            while _IDLE:
                made, db = _IDLE.pop()
                db.close()
                server.execute(f"DROP DATABASE {urlsplit(made).path[1:]}")  # type: ignore[call-overload]

"""Connections to one PostgreSQL: one writes, some read; one that ended is opened again."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import LiteralString

import psycopg
from psycopg.conninfo import make_conninfo

from server.store.checksums import head_crc
from server.store.postgres.schema import LOCK, migrate
from server.store.postgres.txn import CHANNEL, PostgresTxn
from server.store.protocol import Damaged, Head, Read, Store, T, Txn, UnsafeSettings

READERS = 4
UNSAFE = {"fsync": ("off",), "synchronous_commit": ("off",), "full_page_writes": ("off",)}
"""What no connection may answer, or the server does not serve: a commit would not be on disk."""

ENCODING = "UTF8"

SESSION = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "10s"}
"""A process that hangs gives the lock back; the others go on."""

LINE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A line that is cut without a word is noticed within seconds (libpq's parameters, s and ms)."""

TURN = "120s"
"""So long does one process wait while another makes a new centre."""

ASKED_AGAIN_S = 0.5
LOST_S = 30.0
"""So long is a database asked again that has gone while it committed."""


def connect(url: str) -> psycopg.Connection:
    """A connection whose commits are on disk when they return. UnsafeSettings when it is not so."""
    db = psycopg.connect(patient(url), autocommit=True)
    try:
        for name, bad in UNSAFE.items():
            if (found := setting(db, name)) in bad:
                raise UnsafeSettings(f"{name}={found}")
        if (found := setting(db, "server_encoding")) != ENCODING:
            raise UnsafeSettings(f"server_encoding={found}, wanted {ENCODING}")
        for name, value in SESSION.items():
            db.execute("SELECT set_config(%s, %s, false)", (name, value))
    except BaseException:
        db.close()
        raise
    return db


def patient(url: str) -> str:
    """The address with what notices a cut line."""
    return make_conninfo(url, **LINE)


def setting(db: psycopg.Connection, name: str) -> str:
    """What the server says of this setting of the connection."""
    line = db.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert line is not None
    return str(line[0])


async def open_postgres(url: str, centre: str) -> "PostgresStore":
    """Open or make the tables of one centre in the database at `url`, brought up to date."""
    return await asyncio.to_thread(PostgresStore, url, centre)


def make_centre(
    url: str, centre: str, random: Callable[[int], bytes] = token_bytes
) -> "PostgresDatabase":
    """The centre's tables brought up to date, and its head, made where it is new.

    `random` gives a new centre's realm and epoch. Damaged where its log has lost its head.
    """
    database = PostgresDatabase(url, centre)
    found_centre(database, random)
    return database


def found_centre(database: "PostgresDatabase", random: Callable[[int], bytes]) -> None:
    """As `make_centre`, through the connection of this one."""
    migrate(database.db)
    centre = database.centre
    head = Head(centre, random(16).hex(), f"1-{random(8).hex()}", 0, "")
    with database.db.transaction():
        database.db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        query = "SELECT 1 FROM {} WHERE centre=%s LIMIT 1"
        if database.db.execute(query.format("head"), (centre,)).fetchone():
            return
        if database.db.execute(query.format("log"), (centre,)).fetchone():
            raise Damaged("head")
        database.db.execute(
            "INSERT INTO head (centre, realm, epoch, seq, chain, crc)"
            " VALUES (%s, %s, %s, 0, '', %s)",
            (centre, head.realm, head.epoch, head_crc(head)),
        )


@asynccontextmanager
async def turn_at(url: str, centre: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Of all processes that share a centre one at a time is in the block; who dies has left it.

    It is in it as long as this connection lives. psycopg.OperationalError where another one does
    not come out of it.
    """
    async with await psycopg.AsyncConnection.connect(patient(url), autocommit=True) as db:
        await db.execute("SELECT set_config('lock_timeout', %s, false)", (TURN,))
        await db.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (LOCK, centre))
        yield db


class PostgresDatabase:
    """One centre's log and rows through one connection, without threads of its own."""

    def __init__(self, url: str, centre: str) -> None:
        self.url = url
        self.centre = centre
        self._db: psycopg.Connection | None = None

    @property
    def db(self) -> psycopg.Connection:
        """The connection; a new one where the last has ended."""
        if self._db is None or self._db.closed:
            self._db = connect(self.url)
        return self._db

    def write(self, work: Callable[[Txn], T]) -> T:
        """Run `work` in a transaction of its own: committed on return, undone when it raises.

        It begins with the lock on the centre's head, so that it runs alone, in whatever process.
        Where the connection ends while it commits, the database is asked what became of it.
        """
        db = self._begun("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            xact = self._locked(db, "pg_current_xact_id()::text")
            result = work(PostgresTxn(db, self.centre))
        except BaseException:
            self._undo(db)
            raise
        try:
            db.execute("COMMIT")
        except psycopg.OperationalError:
            self._undo(db)
            if not self._stands(xact):
                raise
        return result

    def read(self, work: Callable[[Read], T]) -> T:
        """Run `work` on one consistent view of the database."""
        db = self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return work(PostgresTxn(db, self.centre))
        finally:
            self._undo(db)

    def _begun(self, begin: LiteralString) -> psycopg.Connection:
        """A transaction on the connection, or on a new one: it may have ended since the last."""
        try:
            self.db.execute(begin)
        except psycopg.OperationalError:
            self.close()
            self.db.execute(begin)
        return self.db

    def _locked(self, db: psycopg.Connection, what: LiteralString) -> str:
        """Wait for the centre's head, then answer this of the moment."""
        query = f"SELECT {what} FROM head WHERE centre=%s FOR UPDATE"
        line = db.execute(query, (self.centre,)).fetchone()
        if line is None:
            raise Damaged("head")
        return str(line[0])

    def _undo(self, db: psycopg.Connection) -> None:
        try:
            db.execute("ROLLBACK")
        except psycopg.Error:
            db.close()  # The server undoes what was not committed.

    def _stands(self, xact: str) -> bool:
        """Whether the transaction was committed. It is over once somebody else has its lock."""
        until = time.monotonic() + LOST_S
        while True:
            try:
                db = self._begun("BEGIN ISOLATION LEVEL READ COMMITTED")
                try:
                    self._locked(db, "seq::text")
                    line = db.execute("SELECT pg_xact_status(%s::xid8)", (xact,)).fetchone()
                finally:
                    self._undo(db)
                return line is not None and line[0] == "committed"
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(ASKED_AGAIN_S)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()


class PostgresStore(Store):
    """One centre's tables in one PostgreSQL: a thread that writes, and readers beside it."""

    shared = True

    def __init__(self, url: str, centre: str) -> None:
        self.url = url
        self.centre = centre
        self._database = make_centre(url, centre)
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._local = threading.local()
        self._reading: list[PostgresDatabase] = []

    async def write(self, work: Callable[[Txn], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._database.write, work)

    async def read(self, work: Callable[[Read], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Read], T]) -> T:
        if not hasattr(self._local, "database"):
            self._local.database = PostgresDatabase(self.url, self.centre)
            self._reading.append(self._local.database)
        database: PostgresDatabase = self._local.database
        return database.read(work)

    async def hints(self) -> AsyncIterator[None]:
        async with await psycopg.AsyncConnection.connect(patient(self.url), autocommit=True) as db:
            await db.execute(f"LISTEN {CHANNEL}")
            async for told in db.notifies():
                if told.payload == self.centre:
                    yield

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for database in (*self._reading, self._database):
            database.close()

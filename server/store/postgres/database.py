"""Connections to one PostgreSQL: one writes, some read; one that ended is opened again."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes

import psycopg

from server.store.checksums import head_crc
from server.store.postgres.schema import migrate
from server.store.postgres.txn import CHANNEL, PostgresTxn
from server.store.protocol import Head, Read, Store, T, Txn, UnsafeSettings

READERS = 4
UNSAFE = {"fsync": ("off",), "synchronous_commit": ("off",), "full_page_writes": ("off",)}
"""What no connection may answer, or the server does not serve: a commit would not be on disk."""

SESSION = {
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
}
"""A node that hangs gives the lock back; the others go on."""


def connect(url: str) -> psycopg.Connection:
    """A connection whose commits are on disk when they return. UnsafeSettings when it is not so."""
    db = psycopg.connect(url, autocommit=True)
    try:
        for name, bad in UNSAFE.items():
            found = db.execute("SELECT current_setting(%s)", (name,)).fetchone()
            assert found is not None
            if found[0] in bad:
                raise UnsafeSettings(f"{name}={found[0]}")
        for name, value in SESSION.items():
            db.execute("SELECT set_config(%s, %s, false)", (name, value))
    except BaseException:
        db.close()
        raise
    return db


async def open_postgres(url: str, centre: str) -> "PostgresStore":
    """Open or make the tables of one centre in the database at `url`, brought up to date."""
    return await asyncio.to_thread(PostgresStore, url, centre)


class PostgresDatabase:
    """One centre's log and rows through one connection, without threads of its own.

    `random` gives the realm and epoch of a centre that is made new.
    """

    def __init__(self, url: str, centre: str, random: Callable[[int], bytes] = token_bytes) -> None:
        self.url = url
        self.centre = centre
        self._db: psycopg.Connection | None = None
        migrate(self.db)
        head = Head(centre, random(16).hex(), f"1-{random(8).hex()}", 0, "")
        self.db.execute(
            "INSERT INTO head (centre, realm, epoch, seq, chain, crc)"
            " VALUES (%s, %s, %s, 0, '', %s) ON CONFLICT DO NOTHING",
            (centre, head.realm, head.epoch, head_crc(head)),
        )

    @property
    def db(self) -> psycopg.Connection:
        """The connection; a new one where the last has ended."""
        if self._db is None or self._db.closed:
            self._db = connect(self.url)
        return self._db

    def write(self, work: Callable[[Txn], T]) -> T:
        """Run `work` in a transaction of its own: committed on return, undone when it raises.

        It begins with the lock on the centre's head, so that it runs alone, on whatever node. Where
        the connection ends while it commits, the database is asked what became of it.
        """
        db = self.db
        db.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        try:
            line = db.execute(
                "SELECT pg_current_xact_id()::text FROM head WHERE centre=%s FOR UPDATE",
                (self.centre,),
            ).fetchone()
            assert line is not None
            result = work(PostgresTxn(db, self.centre))
        except BaseException:
            self._undo(db)
            raise
        try:
            db.execute("COMMIT")
        except psycopg.OperationalError:
            self._undo(db)
            if not self._stands(line[0]):
                raise
        return result

    def read(self, work: Callable[[Read], T]) -> T:
        """Run `work` on one consistent view of the database."""
        db = self.db
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return work(PostgresTxn(db, self.centre))
        finally:
            self._undo(db)

    def _undo(self, db: psycopg.Connection) -> None:
        try:
            db.execute("ROLLBACK")
        except psycopg.Error:
            db.close()  # The server undoes what was not committed.

    def _stands(self, xact: str) -> bool:
        """Whether the transaction has been committed, asked on a new connection."""
        line = self.db.execute("SELECT pg_xact_status(%s::xid8)", (xact,)).fetchone()
        return line is not None and line[0] == "committed"

    def close(self) -> None:
        if self._db is not None:
            self._db.close()


class PostgresStore(Store):
    """One centre's tables in one PostgreSQL: a thread that writes, and readers beside it."""

    shared = True

    def __init__(self, url: str, centre: str) -> None:
        self.url = url
        self.centre = centre
        self._database = PostgresDatabase(url, centre)
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
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
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

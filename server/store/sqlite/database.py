"""The file and its connections: one writer thread, reader threads, WAL, full synchronisation."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes

from server.store.protocol import Read, Store, T, Txn, UnsafeSettings
from server.store.sqlite.schema import migrate
from server.store.sqlite.txn import SqliteTxn

READERS = 2
BUSY_TIMEOUT_S = 10.0
WANTED = {"journal_mode": "wal", "synchronous": 2}
"""What every connection must answer, or the server does not serve: a commit is on disk."""


def connect(path: Path, query_only: bool) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return. UnsafeSettings when it is not so."""
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    if query_only:
        db.execute("PRAGMA query_only=1")
        db.execute("PRAGMA wal_autocheckpoint=0")
    for name, wanted in WANTED.items():
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise UnsafeSettings(f"{name}={found}, wanted {wanted}")
    return db


async def open_store(path: Path, centre: str) -> "SqliteStore":
    """Open or make the database of one centre, its schema brought up to date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return await asyncio.to_thread(SqliteStore, path, centre)


class SqliteDatabase:
    """One centre's log and rows on one connection that writes, without threads of its own.

    `random` gives the realm and epoch of a database that is made new.
    """

    def __init__(
        self, db: sqlite3.Connection, centre: str, random: Callable[[int], bytes] = token_bytes
    ) -> None:
        self.db = db
        self.centre = centre
        migrate(db)
        names = (centre, random(16).hex(), f"1-{random(8).hex()}")
        db.execute(
            "INSERT OR IGNORE INTO head (centre, realm, epoch, seq, chain) VALUES (?, ?, ?, 0, '')",
            names,
        )

    def write(self, work: Callable[[Txn], T]) -> T:
        """Run `work` in a transaction of its own: committed on return, undone when it raises."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            result = work(SqliteTxn(self.db, self.centre))
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        return result

    def read(self, work: Callable[[Read], T]) -> T:
        """Run `work` on this connection's view of one moment."""
        return read_on(self.db, self.centre, work)


def read_on(db: sqlite3.Connection, centre: str, work: Callable[[Read], T]) -> T:
    """Run `work` on one consistent view of the database that `db` is connected to."""
    db.execute("BEGIN")
    try:
        return work(SqliteTxn(db, centre))
    finally:
        db.execute("ROLLBACK")


class SqliteStore(Store):
    """One centre's database in one file: a writer thread, and readers beside it."""

    shared = False

    def __init__(self, path: Path, centre: str) -> None:
        self.path = path
        self.centre = centre
        self._database = SqliteDatabase(connect(path, query_only=False), centre)
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._local = threading.local()
        self._reader_dbs: list[sqlite3.Connection] = []

    async def write(self, work: Callable[[Txn], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._database.write, work)

    async def read(self, work: Callable[[Read], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Read], T]) -> T:
        if not hasattr(self._local, "db"):
            self._local.db = connect(self.path, query_only=True)
            self._reader_dbs.append(self._local.db)
        return read_on(self._local.db, self.centre, work)

    async def hints(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for db in self._reader_dbs:
            db.close()
        self._database.db.close()

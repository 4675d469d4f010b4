"""The file and its connections: one writer thread, reader threads, WAL, full synchronisation."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from secrets import token_bytes

from server.store.checksums import head_crc
from server.store.protocol import Damaged, Head, Read, Store, T, Txn, UnsafeSettings
from server.store.sqlite.schema import migrate
from server.store.sqlite.txn import SqliteTxn
from server.store.wal import check_log

READERS = 2
BUSY_TIMEOUT_S = 10.0
CACHE_KIB = 16 * 1024
"""What a connection remembers of the file: the rows of a unit, the roots of every index."""

WANTED = {"journal_mode": "wal", "synchronous": 2}
"""What every connection must answer, or the server does not serve: a commit is on disk."""


def connect(path: Path, query_only: bool) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return. UnsafeSettings when it is not so."""
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    if query_only:
        db.execute("PRAGMA query_only=1")
        db.execute("PRAGMA wal_autocheckpoint=0")
    for name, wanted in WANTED.items():
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise UnsafeSettings(f"{name}={found}, wanted {wanted}")
    return db


async def open_store(path: Path, centre: str) -> "SqliteStore":
    """Open or make the database of one centre, its schema brought up to date.

    DamagedLog, and nothing changed, where opening it would lose what was committed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(check_log, path)
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
        head = Head(centre, random(16).hex(), f"1-{random(8).hex()}", 0, "")
        query = "SELECT 1 FROM {} WHERE centre=? LIMIT 1"
        if db.execute(query.format("head"), (centre,)).fetchone():
            return
        if db.execute(query.format("log"), (centre,)).fetchone():
            raise Damaged("head")
        db.execute(
            "INSERT INTO head (centre, realm, epoch, seq, chain, crc) VALUES (?, ?, ?, 0, '', ?)",
            (centre, head.realm, head.epoch, head_crc(head)),
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
        self._looking = connect(path, query_only=True)
        self._reading = [connect(path, query_only=True) for _ in range(READERS)]
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for db in self._reading:
            self._idle.put(db)

    async def write(self, work: Callable[[Txn], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._database.write, work)

    async def read(self, work: Callable[[Read], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def look(self, work: Callable[[Read], T]) -> T:
        """On the thread that asks: to hand a few microseconds' work over takes longer."""
        return read_on(self._looking, self.centre, work)

    def _read(self, work: Callable[[Read], T]) -> T:
        db = self._idle.get()
        try:
            return read_on(db, self.centre, work)
        finally:
            self._idle.put(db)

    async def hints(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for db in (*self._reading, self._looking):
            db.close()
        self._database.db.close()

"""SQLite store: one writer thread, reader threads, WAL with full synchronisation."""

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from schema.wire import Page, Row, Verdict
from server.store.protocol import Commit, Committed, Doc, Head, Read, Slice, Store, T, Txn
from server.store.sqlite_schema import migrate
from sync.canonical import canonical, sha256_hex
from sync.known import Logged
from sync.merge import Write
from sync.mutation import dot_of, split_dot
from sync.rows import Key, Stored

READERS = 2
BUSY_TIMEOUT_S = 10.0
WANTED = {"journal_mode": "wal", "synchronous": 2}
"""What every connection must answer, or the server does not serve: a commit is on disk."""

_rows = msgspec.json.Decoder(Row)
_history = msgspec.json.Decoder(dict[str, list[Write]])
_encode = msgspec.json.encode


class UnsafeSettings(Exception):
    """The database does not keep its promises with these settings."""


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


class SqliteStore(Store):
    """One centre's log and rows in one file."""

    def __init__(self, path: Path, centre: str) -> None:
        self.path = path
        self.centre = centre
        migrate(path)
        self._db = connect(path, query_only=False)
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._local = threading.local()
        self._reader_dbs: list[sqlite3.Connection] = []
        self._found()

    def _found(self) -> None:
        """Make the centre's head row when this is its first start."""
        names = (self.centre, secrets.token_hex(16), f"1-{secrets.token_hex(8)}")
        self._db.execute("INSERT OR IGNORE INTO head VALUES (?, ?, ?, 0, '')", names)

    async def write(self, work: Callable[[Txn], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)

    def _write(self, work: Callable[[Txn], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work(SqliteTxn(self._db, self.centre))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    async def read(self, work: Callable[[Read], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Read], T]) -> T:
        db = self._reader_db()
        db.execute("BEGIN")
        try:
            return work(SqliteTxn(db, self.centre))
        finally:
            db.execute("ROLLBACK")

    def _reader_db(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            self._local.db = connect(self.path, query_only=True)
            self._reader_dbs.append(self._local.db)
        db: sqlite3.Connection = self._local.db
        return db

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for db in self._reader_dbs:
            db.close()
        self._db.close()


class SqliteTxn(Txn):
    """One transaction on one connection."""

    def __init__(self, db: sqlite3.Connection, centre: str) -> None:
        self._db = db
        self._centre = centre

    def head(self) -> Head:
        query = "SELECT centre, realm, epoch, seq, chain FROM head WHERE centre=?"
        return Head(*self._db.execute(query, (self._centre,)).fetchone())

    def logged(self, dots: Iterable[str]) -> dict[str, Logged]:
        found = {}
        query = (
            "SELECT seq, hash, verdict, code, detail FROM log"
            " WHERE centre=? AND replica=? AND lane=? AND n=? ORDER BY seq"
        )
        for dot in dots:
            for seq, hash, verdict, code, detail in self._db.execute(
                query, (self._centre, *split_dot(dot))
            ):
                found[dot] = Logged(hash, Verdict(dot, hash, verdict, seq, code, detail))
        return found

    def rows(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        query = "SELECT doc, history, authority FROM row WHERE centre=? AND entity=? AND id=?"
        found = {}
        for key in keys:
            line = self._db.execute(query, (self._centre, *key)).fetchone()
            if line:
                found[key] = _stored(*line)
        return found

    def children(self, entity: str, parent: str | None) -> list[Stored]:
        query = "SELECT doc, history, authority FROM row WHERE centre=? AND entity=?"
        values = [self._centre, entity]
        if parent is not None:
            query += " AND parent=?"
            values.append(parent)
        return [_stored(*line) for line in self._db.execute(query + " ORDER BY id", values)]

    def page(self, scope: str, lane: int, after: int, room: int) -> Slice:
        lines = self._db.execute(
            "SELECT m.seq, m.present, m.entity, m.id, r.doc FROM member m"
            " LEFT JOIN row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
            " WHERE m.centre=? AND m.scope=? AND m.lane=? AND m.seq>?"
            " AND (r.id IS NOT NULL OR NOT m.present) ORDER BY m.seq",
            (self._centre, scope, lane, after),
        )
        rows: list[Row] = []
        out: list[tuple[str, str]] = []
        last, size = after, 0
        for seq, present, entity, id, doc in lines:
            if size >= room and seq != last:
                return Slice(Page(scope, lane, last, rows, out), size, False)
            last = seq
            if present:
                rows.append(Raw(doc.encode()))  # type: ignore[arg-type]
                size += len(doc)
            else:
                out.append((entity, id))
                size += len(entity) + len(id)
        return Slice(Page(scope, lane, last, rows, out), size, True)

    def get(self, kind: str, key: str) -> Doc | None:
        query = "SELECT doc FROM side WHERE centre=? AND kind=? AND key=?"
        line = self._db.execute(query, (self._centre, kind, key)).fetchone()
        return msgspec.json.decode(line[0]) if line else None

    def find(self, kind: str) -> dict[str, Doc]:
        query = "SELECT key, doc FROM side WHERE centre=? AND kind=? ORDER BY key"
        lines = self._db.execute(query, (self._centre, kind))
        return {key: msgspec.json.decode(doc) for key, doc in lines}

    def put(self, kind: str, key: str, doc: Doc) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO side VALUES (?, ?, ?, ?)",
            (self._centre, kind, key, _encode(doc).decode()),
        )

    def delete(self, kind: str, key: str) -> None:
        self._db.execute(
            "DELETE FROM side WHERE centre=? AND kind=? AND key=?", (self._centre, kind, key)
        )

    def commit(self, commits: Sequence[Commit]) -> list[Committed]:
        head = self.head()
        seq, chain, done = head.seq, head.chain, []
        for one in commits:
            seq += 1
            chain = self._log(one, seq, chain)
            moved = {(member.scope, member.lane) for member in one.members}
            for stored in one.rows:
                moved |= self._put_row(stored, seq)
            for member in one.members:
                self._db.execute(
                    "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        self._centre,
                        member.scope,
                        member.lane,
                        member.entity,
                        member.id,
                        seq,
                        member.present,
                    ),
                )
            done.append(Committed(seq, frozenset(moved)))
        self._db.execute(
            "UPDATE head SET seq=?, chain=? WHERE centre=?", (seq, chain, self._centre)
        )
        return done

    def _log(self, one: Commit, seq: int, chain: str) -> str:
        arrival, verdict = one.entry.arrival, one.entry.verdict
        m = arrival.mutation
        dot = dot_of(m.replica, m.lane, m.n)
        told = [chain, seq, dot, arrival.hash, verdict.verdict, verdict.code]
        chain = sha256_hex(canonical(told).encode())
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._centre,
                seq,
                m.replica,
                m.lane,
                m.n,
                arrival.hash,
                None if one.release else arrival.raw,
                verdict.verdict,
                verdict.code,
                verdict.detail,
                one.received,
                chain,
            ),
        )
        return chain

    def _put_row(self, stored: Stored, seq: int) -> set[tuple[str, int]]:
        """Store the row and move it to `seq` in every scope that it is in already."""
        row = replace(stored.row, seq=seq)
        if row.removed:
            whose = {name: row.fields[name] for name in ("unit",) if name in row.fields}
            row = replace(row, fields=whose, open={})
        self._db.execute(
            "INSERT OR REPLACE INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._centre,
                row.entity,
                row.id,
                seq,
                stored.parent,
                _encode(row).decode(),
                _encode(stored.history).decode() if stored.history else None,
                stored.authority,
            ),
        )
        lines = self._db.execute(
            "UPDATE member SET seq=? WHERE centre=? AND entity=? AND id=? AND present=1"
            " RETURNING scope, lane",
            (seq, self._centre, row.entity, row.id),
        )
        return {(scope, lane) for scope, lane in lines}


def _stored(doc: str, history: str | None, authority: int) -> Stored:
    return Stored(_rows.decode(doc), _history.decode(history) if history else {}, authority)

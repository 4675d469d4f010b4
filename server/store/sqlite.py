"""SQLite store: one writer thread, reader threads, WAL with full synchronisation."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from schema.wire import Page, Row, Verdict
from server.store.protocol import (
    Commit,
    Committed,
    Doc,
    Head,
    Read,
    Slice,
    Span,
    Store,
    T,
    Touched,
    Txn,
)
from server.store.sqlite_schema import migrate
from sync.canonical import canonical, sha256_hex
from sync.digest import WRAP, as_signed, digest_of
from sync.known import Logged
from sync.merge import Write
from sync.mutation import dot_of, split_dot
from sync.rows import Key, Stored
from sync.scope import Member

READERS = 2
BUSY_TIMEOUT_S = 10.0
WANTED = {"journal_mode": "wal", "synchronous": 2}
"""What every connection must answer, or the server does not serve: a commit is on disk."""

LAST = "\U0010ffff"
WALKED = 200
"""Rows read at once on a walk over all of them."""

_BEGINS = "centre=? AND kind=? AND key>=? AND key<?"

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

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        for db in self._reader_dbs:
            db.close()
        self._database.db.close()


class SqliteTxn(Txn):
    """One transaction on one connection."""

    def __init__(self, db: sqlite3.Connection, centre: str) -> None:
        self._db = db
        self._centre = centre

    def head(self) -> Head:
        query = "SELECT centre, realm, epoch, seq, chain, floor, durable FROM head WHERE centre=?"
        return Head(*self._db.execute(query, (self._centre,)).fetchone())

    def set_head(self, head: Head) -> None:
        self._db.execute(
            "UPDATE head SET epoch=?, floor=?, durable=? WHERE centre=?",
            (head.epoch, head.floor, head.durable, self._centre),
        )

    def forget(self, after: int, upto: int, limit: int) -> int:
        span = (self._centre, after, upto)
        line = self._db.execute(
            "SELECT seq FROM ("
            "SELECT seq FROM member WHERE centre=?1 AND present=0 AND seq>?2 AND seq<=?3"
            " UNION ALL SELECT seq FROM row WHERE centre=?1 AND removed=1 AND seq>?2 AND seq<=?3"
            ") ORDER BY seq LIMIT 1 OFFSET ?4",
            (*span, limit),
        ).fetchone()
        span = (self._centre, after, line[0] if line else upto)
        self._db.execute(
            "DELETE FROM member WHERE centre=? AND present=0 AND seq>? AND seq<=?", span
        )
        self._db.execute(
            "DELETE FROM member WHERE (centre, entity, id) IN (SELECT centre, entity, id FROM row"
            " WHERE centre=? AND removed=1 AND seq>? AND seq<=?)",
            span,
        )
        return span[2]

    def digests(self, scope: str) -> dict[int, int]:
        query = "SELECT lane, sum FROM digest WHERE centre=? AND scope=?"
        return {lane: sum % WRAP for lane, sum in self._db.execute(query, (self._centre, scope))}

    def seq_before(self, ms: int) -> int:
        query = "SELECT received FROM log WHERE centre=? AND seq=?"
        before, after = 0, self.head().seq + 1
        while after - before > 1:
            middle = (before + after) // 2
            line = self._db.execute(query, (self._centre, middle)).fetchone()
            if line[0] <= ms:
                before = middle
            else:
                after = middle
        return before

    def words(self, dots: Iterable[str]) -> dict[str, bytes]:
        query = (
            "SELECT raw FROM log WHERE centre=? AND replica=? AND lane=? AND n=?"
            " AND raw IS NOT NULL ORDER BY seq LIMIT 1"
        )
        found = {}
        for dot in dots:
            if line := self._db.execute(query, (self._centre, *split_dot(dot))).fetchone():
                found[dot] = line[0]
        return found

    def logged(self, dots: Iterable[str]) -> dict[str, Logged]:
        found = {}
        query = (
            "SELECT seq, hash, verdict, code, detail, tags FROM log"
            " WHERE centre=? AND replica=? AND lane=? AND n=? ORDER BY seq"
        )
        for dot in dots:
            for seq, hash, kind, code, detail, tags in self._db.execute(
                query, (self._centre, *split_dot(dot))
            ):
                marks = tuple(tags.split()) if tags else ()
                verdict = Verdict(dot, hash, kind, seq, code, detail, tags=marks)
                found[dot] = Logged(hash, verdict)
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

    def walk(self, entity: str) -> Iterator[Stored]:
        query = (
            "SELECT doc, history, authority FROM row WHERE centre=? AND entity=? AND id>?"
            " ORDER BY id LIMIT ?"
        )
        last = ""
        while lines := self._db.execute(query, (self._centre, entity, last, WALKED)).fetchall():
            for line in lines:
                stored = _stored(*line)
                yield stored
            last = stored.row.id

    def page(self, scope: str, lane: int, after: int, room: int) -> Slice:
        lines = self._db.execute(
            "SELECT m.seq, m.present, m.entity, m.id, r.doc FROM member m"
            " LEFT JOIN row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
            " WHERE m.centre=? AND m.scope=? AND m.lane=? AND m.seq>?"
            " AND (CASE WHEN m.present THEN r.removed <= ? ELSE ? END) ORDER BY m.seq",
            (self._centre, scope, lane, after, after > 0, after > 0),
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

    def touched(self, scope: str, lane: int, after: int) -> Iterator[Touched]:
        query = (
            "SELECT m.entity, m.id, m.seq, m.present=0 OR r.removed FROM member m"
            " LEFT JOIN row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
            " WHERE m.centre=? AND m.scope=? AND m.lane=? AND m.seq>?"
        )
        for entity, id, seq, gone in self._db.execute(query, (self._centre, scope, lane, after)):
            yield Touched((entity, id), seq, bool(gone))

    def walk_pair(self, scope: str, lane: int, low: Key) -> Iterator[tuple[Key, bytes]]:
        query = (
            "SELECT m.entity, m.id, r.doc FROM member m"
            " JOIN row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
            " WHERE m.centre=? AND m.scope=? AND m.lane=? AND (m.entity, m.id)>=(?, ?)"
            " AND m.present=1 AND r.removed=0 ORDER BY m.entity, m.id"
        )
        for entity, id, doc in self._db.execute(query, (self._centre, scope, lane, *low)):
            yield (entity, id), doc.encode()

    def get(self, kind: str, key: str) -> Doc | None:
        query = "SELECT doc FROM side WHERE centre=? AND kind=? AND key=?"
        line = self._db.execute(query, (self._centre, kind, key)).fetchone()
        return msgspec.json.decode(line[0]) if line else None

    def find(self, kind: str, prefix: str = "") -> dict[str, Doc]:
        query = f"SELECT key, doc FROM side WHERE {_BEGINS} ORDER BY key"
        lines = self._db.execute(query, (self._centre, kind, prefix, prefix + LAST))
        return {key: msgspec.json.decode(doc) for key, doc in lines}

    def count(self, kind: str, prefix: str) -> int:
        return self.count_in(Span(kind, prefix))

    def some(self, span: Span, skip: int, limit: int) -> dict[str, Doc]:
        order = "DESC" if span.newest else "ASC"
        query = f"SELECT key, doc FROM side WHERE {_BEGINS} ORDER BY key {order} LIMIT ? OFFSET ?"
        lines = self._db.execute(query, (*self._bounds(span), limit, skip))
        return {key: msgspec.json.decode(doc) for key, doc in lines}

    def count_in(self, span: Span) -> int:
        query = f"SELECT count(*) FROM side WHERE {_BEGINS}"
        found: int = self._db.execute(query, self._bounds(span)).fetchone()[0]
        return found

    def _bounds(self, span: Span) -> tuple[str, str, str, str]:
        return self._centre, span.kind, max(span.prefix, span.low), span.prefix + LAST

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
        sums: Sums = {}
        for one in commits:
            seq += 1
            chain = self._log(one, seq, chain)
            moved: set[tuple[str, int]] = set()
            made: set[Key] = set()
            for stored in one.rows:
                moved |= self._put_row(stored, seq, sums, made)
            for member in one.members:
                moved.add((member.scope, member.lane))
                self._put_member(member, seq, sums, (member.entity, member.id) in made)
            done.append(Committed(seq, frozenset(moved)))
        self._add_digests(sums)
        self._db.execute(
            "UPDATE head SET seq=?, chain=? WHERE centre=?", (seq, chain, self._centre)
        )
        return done

    def _put_member(self, member: Member, seq: int, sums: "Sums", is_new: bool) -> None:
        """Let a row enter or leave a scope, in the scope's sum too."""
        key = (self._centre, member.scope, member.lane, member.entity, member.id)
        was = None
        if not is_new:
            query = (
                "SELECT present FROM member WHERE centre=? AND scope=? AND lane=? AND entity=?"
                " AND id=?"
            )
            was = self._db.execute(query, key).fetchone()
        if member.present != bool(was and was[0]):
            query = "SELECT digest FROM row WHERE centre=? AND entity=? AND id=?"
            line = self._db.execute(query, (self._centre, member.entity, member.id)).fetchone()
            digest = line[0] if line else 0
            _add(sums, member.scope, member.lane, digest if member.present else -digest)
        self._db.execute(
            "INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, seq, member.present),
        )

    def _add_digests(self, sums: "Sums") -> None:
        for (scope, lane), delta in sums.items():
            query = "SELECT sum FROM digest WHERE centre=? AND scope=? AND lane=?"
            line = self._db.execute(query, (self._centre, scope, lane)).fetchone()
            sum = as_signed((line[0] if line else 0) + delta)
            self._db.execute(
                "INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?)",
                (self._centre, scope, lane, sum),
            )

    def _log(self, one: Commit, seq: int, chain: str) -> str:
        arrival, verdict = one.entry.arrival, one.entry.verdict
        m = arrival.mutation
        dot = dot_of(m.replica, m.lane, m.n)
        told = [chain, seq, dot, arrival.hash, verdict.verdict, verdict.code]
        chain = sha256_hex(canonical(told).encode())
        self._db.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                " ".join(verdict.tags) or None,
            ),
        )
        return chain

    def _put_row(
        self, stored: Stored, seq: int, sums: "Sums", made: set[Key]
    ) -> set[tuple[str, int]]:
        """Store the row and move it to `seq` in every scope that it is in already."""
        row = replace(stored.row, seq=seq)
        if row.removed:
            whose = {name: row.fields[name] for name in ("unit",) if name in row.fields}
            row = replace(row, fields=whose, open={})
        key = (self._centre, row.entity, row.id)
        query = "SELECT digest FROM row WHERE centre=? AND entity=? AND id=?"
        was = self._db.execute(query, key).fetchone()
        digest = as_signed(digest_of(row))
        self._db.execute(
            "INSERT OR REPLACE INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                seq,
                stored.parent,
                _encode(row).decode(),
                _encode(stored.history).decode() if stored.history else None,
                stored.authority,
                digest,
                row.removed,
            ),
        )
        lines = self._db.execute(
            "UPDATE member SET seq=? WHERE centre=? AND entity=? AND id=? AND present=1"
            " RETURNING scope, lane",
            (seq, *key),
        )
        moved = set(lines)
        for scope, lane in moved:
            _add(sums, scope, lane, digest - (was[0] if was else 0))
        if was is None and not moved:
            made.add((row.entity, row.id))
        return moved


Sums = dict[tuple[str, int], int]
"""What a commit adds to the sum of each (scope, lane)."""


def _add(sums: Sums, scope: str, lane: int, delta: int) -> None:
    sums[scope, lane] = sums.get((scope, lane), 0) + delta


def _stored(doc: str, history: str | None, authority: int) -> Stored:
    return Stored(_rows.decode(doc), _history.decode(history) if history else {}, authority)

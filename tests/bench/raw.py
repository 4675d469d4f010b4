"""SQLite by hand: the least that a durable log can cost on this disk."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_bytes

import msgspec
from msgspec import Struct

from tests.bench.harness import BenchFailed
from tests.bench.peers import Row

BATCH = 100
ROW_BYTES = 200
SCOPES = 64


class RawLog:
    """A log table with a unique id of 16 bytes and one index, WAL and synchronous=FULL."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE log (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, scope INTEGER, body BLOB)"
        )
        self._db.execute("CREATE INDEX log_scope ON log (scope, seq)")
        self._seq = 0

    async def push(self, rows: int) -> float:
        """Rows a second, in transactions of 100."""
        body = token_bytes(ROW_BYTES)
        ids = [token_bytes(16) for _ in range(rows)]
        numbered = [(self._seq + n, id, n % SCOPES, body) for n, id in enumerate(ids, start=1)]
        self._seq += rows
        began = time.perf_counter()
        for at in range(0, rows, BATCH):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", numbered[at : at + BATCH])
            self._db.execute("COMMIT")
        return rows / (time.perf_counter() - began)

    def close(self) -> None:
        self._db.close()


class _Step(Struct):
    seq: int
    id: str
    target: str
    directive: str
    unit: str
    round: int
    at: int
    step: str
    version: int
    route: str


FIELDS = _Step.__struct_fields__
PULLS = 3


class RawRows:
    """Facts in a plain table, read by one index and encoded."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        columns = ", ".join(["seq INTEGER PRIMARY KEY", *FIELDS[1:]])
        self._db.execute(f"CREATE TABLE step ({columns})")
        self._db.execute("CREATE INDEX step_unit ON step (unit, seq)")

    def fill(self, rows: Sequence[Row]) -> None:
        self._unit = rows[0]["unit"]
        marks = ", ".join("?" * len(FIELDS))
        lines = ((n, *(row[name] for name in FIELDS[1:])) for n, row in enumerate(rows, start=1))
        self._db.execute("BEGIN")
        self._db.executemany(f"INSERT INTO step VALUES ({marks})", lines)
        self._db.execute("COMMIT")

    async def pull(self, count: int) -> float:
        """Rows a second."""
        query = f"SELECT {', '.join(FIELDS)} FROM step WHERE unit=? AND seq>0 ORDER BY seq"
        began = time.perf_counter()
        for _ in range(PULLS):
            found = [_Step(*line) for line in self._db.execute(query, (self._unit,))]
            msgspec.json.encode(found)
        took = time.perf_counter() - began
        if len(found) != count:
            raise BenchFailed(f"raw: {len(found)} rows instead of {count}")
        return count * PULLS / took

    def close(self) -> None:
        self._db.close()

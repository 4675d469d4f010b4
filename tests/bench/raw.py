"""SQLite by hand: the least that a durable log can cost on this disk."""

import sqlite3
import time
from pathlib import Path
from secrets import token_bytes

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

    def push(self, rows: int) -> float:
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

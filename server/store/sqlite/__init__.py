"""SQLite store: one file, one connection that writes and checkpoints, readers beside it."""

from server.store.sqlite.database import SqliteDatabase, SqliteStore, connect, open_store
from server.store.sqlite.txn import SqliteTxn

__all__ = [
    "SqliteDatabase",
    "SqliteStore",
    "SqliteTxn",
    "connect",
    "open_store",
]

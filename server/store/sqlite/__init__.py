"""SQLite store: one file, one connection that writes and checkpoints, readers beside it."""

from server.store.sqlite.database import (
    SqliteDatabase,
    SqliteStore,
    UnsafeSettings,
    connect,
    open_store,
)
from server.store.sqlite.schema import NewerDatabase
from server.store.sqlite.txn import SqliteTxn

__all__ = [
    "NewerDatabase",
    "SqliteDatabase",
    "SqliteStore",
    "SqliteTxn",
    "UnsafeSettings",
    "connect",
    "open_store",
]

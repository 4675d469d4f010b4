"""PostgreSQL store: for when one machine is outgrown; any number of nodes on one database."""

from server.store.postgres.database import (
    PostgresDatabase,
    PostgresStore,
    connect,
    found_centre,
    make_centre,
    open_postgres,
    turn_at,
)
from server.store.postgres.txn import PostgresTxn

__all__ = [
    "PostgresDatabase",
    "PostgresStore",
    "PostgresTxn",
    "connect",
    "found_centre",
    "make_centre",
    "open_postgres",
    "turn_at",
]

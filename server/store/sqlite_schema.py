"""The tables, made and brought up to date by sqlite-utils, one function per step."""

import sqlite3
from collections.abc import Callable

import msgspec
from sqlite_utils import Database

from schema.wire import Row
from sync.digest import as_signed, digest_of

MIGRATED_AT_ONCE = 500
"""Rows that a step has in memory at once: a database may be larger than that."""


def _first(db: Database) -> None:
    """Every key starts with the centre, so that a province's tables can be split by it."""
    db.table("head").create(
        {"centre": str, "realm": str, "epoch": str, "seq": int, "chain": str}, pk="centre"
    )
    db.table("log").create(
        {
            "centre": str,
            "seq": int,
            "replica": str,
            "lane": int,
            "n": int,
            "hash": str,
            "raw": bytes,
            "verdict": str,
            "code": str,
            "detail": str,
            "received": int,
            "chain": str,
        },
        pk=("centre", "seq"),
    )
    db.table("log").create_index(["centre", "replica", "lane", "n"])
    db.table("row").create(
        {
            "centre": str,
            "entity": str,
            "id": str,
            "seq": int,
            "parent": str,
            "doc": str,
            "history": str,
            "authority": int,
        },
        pk=("centre", "entity", "id"),
    )
    db.table("row").create_index(["centre", "entity", "parent", "id"])
    db.table("member").create(
        {
            "centre": str,
            "scope": str,
            "lane": int,
            "entity": str,
            "id": str,
            "seq": int,
            "present": int,
        },
        pk=("centre", "scope", "lane", "entity", "id"),
    )
    db.table("member").create_index(["centre", "scope", "lane", "seq"])
    db.table("member").create_index(["centre", "entity", "id"])
    db.table("side").create(
        {"centre": str, "kind": str, "key": str, "doc": str}, pk=("centre", "kind", "key")
    )


def _second(db: Database) -> None:
    """Protocol 2: digests, the horizon, what is durable, tags of verdicts."""
    db.table("head").add_column("floor", int, not_null_default=0)
    db.table("head").add_column("durable", int, not_null_default=0)
    db.table("log").add_column("tags", str)
    db.table("row").add_column("digest", int, not_null_default=0)
    db.table("row").add_column("removed", int, not_null_default=0)
    db.table("digest").create(
        {"centre": str, "scope": str, "lane": int, "sum": int}, pk=("centre", "scope", "lane")
    )
    _fill_digests(db)


def _fill_digests(db: Database) -> None:
    """The digest of every row, and the sum of every (scope, lane), a slice of rows at a time."""
    sums: dict[tuple[str, str, int], int] = {}
    last = 0
    query = "SELECT rowid, centre, entity, id, doc FROM row WHERE rowid>? ORDER BY rowid LIMIT ?"
    while lines := db.execute(query, (last, MIGRATED_AT_ONCE)).fetchall():
        for last, centre, entity, id, doc in lines:
            row = msgspec.json.decode(doc, type=Row)
            digest = as_signed(digest_of(row))
            db.execute(
                "UPDATE row SET digest=?, removed=? WHERE rowid=?", (digest, row.removed, last)
            )
            for scope, lane in db.execute(
                "SELECT scope, lane FROM member WHERE centre=? AND entity=? AND id=? AND present=1",
                (centre, entity, id),
            ):
                sums[centre, scope, lane] = sums.get((centre, scope, lane), 0) + digest
    for (centre, scope, lane), sum in sums.items():
        db.execute("INSERT INTO digest VALUES (?, ?, ?, ?)", (centre, scope, lane, as_signed(sum)))


def _third(db: Database) -> None:
    """What is forgotten one day is found without a look at all the rest."""
    db.execute("CREATE INDEX member_left ON member (centre, seq) WHERE present=0")
    db.execute("CREATE INDEX row_removed ON row (centre, seq) WHERE removed=1")


MIGRATIONS: tuple[Callable[[Database], None], ...] = (_first, _second, _third)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema; each step and its number in one transaction."""
    db = Database(connection)
    done = db.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(MIGRATIONS[done:], done + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            connection.execute(f"PRAGMA user_version={number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

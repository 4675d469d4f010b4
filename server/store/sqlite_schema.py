"""The tables, made and brought up to date by sqlite-utils, one function per step."""

from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database


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


MIGRATIONS: tuple[Callable[[Database], None], ...] = (_first,)


def migrate(path: Path) -> None:
    """Bring the file to the newest schema; each step and its number in one transaction."""
    db = Database(path)
    db.execute("PRAGMA journal_mode=WAL")
    done = db.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(MIGRATIONS[done:], done + 1):
        with db.conn:
            step(db)
            db.execute(f"PRAGMA user_version={number}")
    db.conn.close()

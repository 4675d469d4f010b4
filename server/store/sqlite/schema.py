"""The tables, made and brought up to date by sqlite-utils, one function per step."""

import sqlite3
from collections.abc import Callable

import msgspec
from sqlite_utils import Database

from schema.wire import Row
from server.store.checksums import head_crc, line_crc, row_crc, side_crc
from server.store.protocol import Head, NewerDatabase
from sync.digest import as_signed, digest_of
from sync.mutation import dot_of

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


def _fourth(db: Database) -> None:
    """Rows and scopes have numbers, pairs their newest seq, and what is told again a checksum.

    Whatever names a row names its number; one that was carried somewhere before it came has a
    number, and no document yet. Two views say it in names, for whoever reads with SQL.
    """
    db.execute("DROP INDEX member_left")
    db.execute("DROP INDEX row_removed")
    for table in ("row", "member", "digest", "side"):
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    db.execute("CREATE TABLE scope (no INTEGER PRIMARY KEY, centre TEXT, name TEXT)")
    db.execute("CREATE UNIQUE INDEX scope_name ON scope (centre, name)")
    db.execute(
        "CREATE TABLE row (no INTEGER PRIMARY KEY, centre TEXT, entity TEXT, id TEXT, seq INTEGER,"
        " parent TEXT, doc TEXT, history TEXT, authority INTEGER, digest INTEGER,"
        " removed INTEGER, crc INTEGER)"
    )
    db.execute(
        "CREATE TABLE member (centre TEXT, row INTEGER, scope INTEGER, lane INTEGER, seq INTEGER,"
        " present INTEGER, PRIMARY KEY (row, scope)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE pair (centre TEXT, scope INTEGER, lane INTEGER, seq INTEGER, sum INTEGER,"
        " PRIMARY KEY (scope, lane)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE side (centre TEXT, kind TEXT, key TEXT, doc TEXT, crc INTEGER,"
        " PRIMARY KEY (centre, kind, key))"
    )
    db.table("log").add_column("crc", int)
    db.table("head").add_column("crc", int)
    _carry_over(db)
    for table in ("member", "row", "digest", "side"):
        db.execute(f"DROP TABLE old_{table}")
    db.execute("CREATE UNIQUE INDEX row_id ON row (centre, entity, id)")
    db.execute(
        "CREATE INDEX row_parent ON row (centre, entity, parent, id) WHERE parent IS NOT NULL"
    )
    db.execute("CREATE INDEX row_removed ON row (centre, seq) WHERE removed=1")
    db.execute("CREATE INDEX member_seq ON member (scope, lane, seq, present)")
    db.execute("CREATE INDEX member_left ON member (centre, seq) WHERE present=0")
    db.create_view(
        "membership",
        "SELECT m.centre, s.name AS scope, m.lane, r.entity, r.id, m.seq, m.present"
        " FROM member m JOIN scope s ON s.no=m.scope JOIN row r ON r.no=m.row",
    )
    db.execute("CREATE INDEX pair_seq ON pair (centre, seq)")
    db.create_view(
        "digest",
        "SELECT p.centre, s.name AS scope, p.lane, p.sum FROM pair p JOIN scope s ON s.no=p.scope",
    )


def _carry_over(db: Database) -> None:
    """The lines of the old tables in the new ones; SQLite goes through them, one at a time."""
    db.conn.create_function("row_crc", 4, _crc_of_row)
    db.conn.create_function("line_crc", 9, _crc_of_line)
    db.conn.create_function("side_crc", 3, lambda kind, key, doc: side_crc(kind, key, doc.encode()))
    db.conn.create_function("head_crc", 7, lambda *told: head_crc(Head(*told)))
    db.execute(
        "INSERT INTO scope (centre, name) SELECT centre, scope FROM old_member"
        " UNION SELECT centre, scope FROM old_digest"
    )
    db.execute(
        "INSERT INTO row (centre, entity, id, seq, parent, doc, history, authority, digest,"
        " removed, crc) SELECT centre, entity, id, seq, parent, doc, history, authority, digest,"
        " removed, row_crc(doc, history, authority, removed) FROM old_row"
        " ORDER BY centre, entity, id"
    )
    db.execute(
        "INSERT INTO row (centre, entity, id, seq, authority, digest, removed, crc)"
        " SELECT DISTINCT m.centre, m.entity, m.id, 0, 0, 0, 0, 0 FROM old_member m"
        " LEFT JOIN old_row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
        " WHERE r.id IS NULL"
    )
    db.execute("CREATE INDEX carried_over ON row (centre, entity, id, no)")
    db.execute(
        "INSERT INTO member SELECT m.centre, r.no, s.no, m.lane, m.seq, m.present FROM old_member m"
        " JOIN row r ON r.centre=m.centre AND r.entity=m.entity AND r.id=m.id"
        " JOIN scope s ON s.centre=m.centre AND s.name=m.scope"
    )
    db.execute("DROP INDEX carried_over")
    db.execute(
        "INSERT INTO pair SELECT m.centre, m.scope, m.lane, max(m.seq), 0 FROM member m"
        " GROUP BY m.scope, m.lane"
    )
    db.execute(
        "UPDATE pair SET sum=d.sum FROM old_digest d JOIN scope s"
        " ON s.centre=d.centre AND s.name=d.scope WHERE pair.scope=s.no AND pair.lane=d.lane"
    )
    db.execute(
        "INSERT INTO side SELECT centre, kind, key, doc, side_crc(kind, key, doc) FROM old_side"
    )
    db.execute("UPDATE head SET crc=head_crc(centre, realm, epoch, seq, chain, floor, durable)")
    db.execute(
        "UPDATE log SET crc=line_crc(seq, replica, lane, n, hash, verdict, code, detail, tags)"
    )


def _crc_of_row(doc: str, history: str | None, authority: int, removed: int) -> int:
    return row_crc(doc.encode(), history.encode() if history else None, authority, removed)


def _crc_of_line(seq: int, replica: str, lane: int, n: int, *told: str | None) -> int:
    return line_crc(seq, dot_of(replica, lane, n), told)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (_first, _second, _third, _fourth)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema; each step and its number in one transaction.

    NewerDatabase, and nothing is changed, where it is of a schema that is not known here.
    """
    db = Database(connection)
    done = db.execute("PRAGMA user_version").fetchone()[0]
    if done > len(MIGRATIONS):
        raise NewerDatabase(f"{done} > {len(MIGRATIONS)}")
    for number, step in enumerate(MIGRATIONS[done:], done + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            connection.execute(f"PRAGMA user_version={number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # A disk that is full may have undone it already.
                connection.execute("ROLLBACK")
            raise

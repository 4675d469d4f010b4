"""The tables on PostgreSQL. Every key begins with the centre, so that they can be split by it."""

import psycopg

from server.store.protocol import NewerDatabase

TABLES = """
CREATE TABLE head (
    centre text COLLATE "C" PRIMARY KEY, realm text NOT NULL, epoch text NOT NULL,
    seq bigint NOT NULL, chain text NOT NULL, floor bigint NOT NULL DEFAULT 0,
    durable bigint NOT NULL DEFAULT 0, crc bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE log (
    centre text COLLATE "C", seq bigint, replica text COLLATE "C" NOT NULL, lane int NOT NULL,
    n bigint NOT NULL, hash text NOT NULL, raw bytea, verdict text NOT NULL, code text, detail text,
    received bigint NOT NULL, chain text NOT NULL, tags text, crc bigint NOT NULL,
    PRIMARY KEY (centre, seq)
);
CREATE INDEX log_dot ON log (centre, replica, lane, n);
CREATE TABLE scope (
    centre text COLLATE "C", no int, name text COLLATE "C" NOT NULL,
    PRIMARY KEY (centre, no), UNIQUE (centre, name)
);
CREATE TABLE "row" (
    centre text COLLATE "C", no bigint, entity text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL, seq bigint NOT NULL, parent text COLLATE "C", doc text,
    history text, authority int NOT NULL, digest bigint NOT NULL, removed boolean NOT NULL,
    crc bigint NOT NULL, PRIMARY KEY (centre, no), UNIQUE (centre, entity, id)
);
CREATE INDEX row_parent ON "row" (centre, entity, parent, id) WHERE parent IS NOT NULL;
CREATE INDEX row_removed ON "row" (centre, seq) WHERE removed;
CREATE TABLE member (
    centre text COLLATE "C", "row" bigint, scope int, lane int NOT NULL, seq bigint NOT NULL,
    present boolean NOT NULL, PRIMARY KEY (centre, "row", scope)
);
CREATE INDEX member_seq ON member (centre, scope, lane, seq, "row", present);
CREATE INDEX member_left ON member (centre, seq) WHERE NOT present;
CREATE TABLE pair (
    centre text COLLATE "C", scope int, lane int, seq bigint NOT NULL, sum bigint NOT NULL,
    PRIMARY KEY (centre, scope, lane)
);
CREATE INDEX pair_seq ON pair (centre, seq);
CREATE TABLE side (
    centre text COLLATE "C", kind text COLLATE "C", key text COLLATE "C", doc text NOT NULL,
    crc bigint NOT NULL, PRIMARY KEY (centre, kind, key)
);
CREATE VIEW membership AS
    SELECT m.centre, s.name AS scope, m.lane, r.entity, r.id, m.seq, m.present FROM member m
    JOIN scope s ON s.centre=m.centre AND s.no=m.scope
    JOIN "row" r ON r.centre=m.centre AND r.no=m."row";
CREATE VIEW digest AS
    SELECT p.centre, s.name AS scope, p.lane, p.sum FROM pair p
    JOIN scope s ON s.centre=p.centre AND s.no=p.scope;
"""

MIGRATIONS = (TABLES,)
"""What brings a database from each version to the next."""

LOCK = 0x11_4DA
"""Of several nodes that start at once, one brings the schema up to date."""


def migrate(db: psycopg.Connection) -> None:
    """Bring the database to the newest schema, in one transaction.

    NewerDatabase, and nothing is changed, where it is of a schema that is not known here.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        db.execute("CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)")
        line = db.execute("SELECT version FROM schema_version").fetchone()
        done = line[0] if line else 0
        if done > len(MIGRATIONS):
            raise NewerDatabase(f"{done} > {len(MIGRATIONS)}")
        for step in MIGRATIONS[done:]:
            db.execute(step)
        if done < len(MIGRATIONS):
            db.execute("DELETE FROM schema_version")
            db.execute("INSERT INTO schema_version VALUES (%s)", (len(MIGRATIONS),))

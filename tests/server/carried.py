"""A centre's SQLite database carried over to a PostgreSQL, line by line, and changed behind it."""

import sqlite3
from contextlib import closing

import msgspec
import psycopg

from server.config import Config
from server.data_folder import Settings, write_private
from server.store.postgres import make_centre

COLUMNS = {
    "head": "centre, realm, epoch, seq, chain, floor, durable, crc",
    "log": "centre, seq, replica, lane, n, hash, raw, verdict, code, detail, received, chain,"
    " tags, crc",
    "scope": "centre, no, name",
    '"row"': "centre, no, entity, id, seq, parent, doc, history, authority, digest, removed, crc",
    "member": 'centre, "row", scope, lane, seq, present',
    "pair": "centre, scope, lane, seq, sum",
    "side": "centre, kind, key, doc, crc",
}
FLAGS = {"removed", "present"}


def carried(folder, url):
    """Put what the folder's SQLite file holds into the PostgreSQL, and leave the file there."""
    make_centre(url, "centre").close()
    with closing(sqlite3.connect(Config(folder).database)) as old, psycopg.connect(url) as new:
        new.execute(f"TRUNCATE {', '.join(COLUMNS)}")
        for table, columns in COLUMNS.items():
            names = columns.split(", ")
            flags = [place for place, name in enumerate(names) if name in FLAGS]
            lines = [list(line) for line in old.execute(f"SELECT {columns} FROM {table}")]
            for line in lines:
                for place in flags:
                    line[place] = bool(line[place])
            marks = ", ".join(["%s"] * len(names))
            with new.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", lines)


def moved(folder, url):
    """As `carried`; the folder is that of a centre on PostgreSQL then, and has no file."""
    carried(folder, url)
    Config(folder).database.unlink()
    settings = Settings("centre", "示例", on_postgres=True)
    write_private(folder / "settings.json", msgspec.json.encode(settings))


def alter_both(folder, url, query, *values):
    """The same change, with `?` for values, in the file and in the PostgreSQL."""
    with closing(sqlite3.connect(Config(folder).database, isolation_level=None)) as db:
        here = db.execute(query, values).rowcount
    with psycopg.connect(url, autocommit=True) as db:
        there = db.execute(query.replace("?", "%s"), values).rowcount
    assert here == there > 0

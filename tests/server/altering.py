"""Changes of a centre's database behind the server's back."""

import sqlite3
from contextlib import closing

from server.config import Config
from server.store.checksums import head_crc
from server.store.protocol import Head


def alter(folder, query, *values, fitting=True):
    """The first value of the changed row. A changed head's checksum is made to fit, or left."""
    with closing(sqlite3.connect(Config(folder).database, isolation_level=None)) as db:
        if query.startswith("PRAGMA"):
            return db.execute(query).fetchone()
        [line] = db.execute(f"{query} RETURNING *", values).fetchall()[:1]
        if fitting and " head " in query:
            db.create_function("head_crc", 7, lambda *told: head_crc(Head(*told)))
            told = "centre, realm, epoch, seq, chain, floor, durable"
            db.execute(f"UPDATE head SET crc=head_crc({told})")
    return line

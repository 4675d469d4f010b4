"""A database is brought up to date a slice at a time; one that dies on the way is as it was."""

import sqlite3
from pathlib import Path

import pytest

from server.store.sqlite import schema as sqlite_schema
from server.store.sqlite.schema import MIGRATIONS, migrate

V1 = Path(__file__).parent / "v1/database.sql"
SLICE = 20


class Died(Exception):
    pass


class Counting(sqlite3.Cursor):
    def fetchall(self):
        found = super().fetchall()
        self.connection.most = max(self.connection.most, len(found))
        return found


class Watched(sqlite3.Connection):
    """Knows the most rows that were in memory at once, and dies after `left` statements."""

    most, said, left = 0, 0, None

    def cursor(self, *_):
        return super().cursor(Counting)

    def execute(self, statement, *values):
        self.said += 1
        if self.said == self.left and statement != "ROLLBACK":
            raise Died
        return super().execute(statement, *values)


@pytest.fixture
def v1(tmp_path, monkeypatch):
    """Opens a database of the first version by its name, where the last connection left it."""
    monkeypatch.setattr(sqlite_schema, "MIGRATED_AT_ONCE", SLICE)
    opened = []

    def connect(name="old"):
        path = tmp_path / f"{name}.db"
        is_new = not path.exists()
        db = sqlite3.connect(path, isolation_level=None, factory=Watched)
        opened.append(db)
        if is_new:
            db.executescript(V1.read_text(encoding="utf-8"))
        return db

    yield connect
    for db in opened:
        db.close()


def told(db):
    """What a migration computes."""
    query = "SELECT scope, lane, sum FROM digest ORDER BY scope, lane"
    sums = db.execute(query).fetchall()
    return sums, db.execute("SELECT entity, id, digest FROM row ORDER BY entity, id").fetchall()


def test_no_more_than_a_slice_of_rows_is_in_memory(v1):
    db = v1()
    [(rows,)] = db.execute("SELECT count(*) FROM row")
    migrate(db)
    assert db.most <= SLICE < rows
    assert all(sum for _, _, sum in told(db)[0])


def test_a_machine_that_dies_on_the_way_leaves_whole_steps_and_the_next_start_goes_on(v1):
    whole = sqlite3.connect(":memory:", isolation_level=None, factory=Watched)
    whole.executescript(V1.read_text(encoding="utf-8"))
    migrate(whole)
    for left in range(2, whole.said, 7):
        db = v1(left)
        db.left = left
        with pytest.raises(Died):
            migrate(db)
        db.close()
        after = v1(left)
        [(version,)] = after.execute("PRAGMA user_version")
        columns = {line[1] for line in after.execute("PRAGMA table_info('row')")}
        assert ("digest" in columns, "crc" in columns) == (version >= 2, version >= 4)
        migrate(after)
        assert told(after) == told(whole)
        assert after.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        after.close()

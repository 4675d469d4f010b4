"""What is SQLite's own: the file, damage to it, and how its tables are read."""

import re
import sqlite3
from contextlib import closing

import msgspec
import pytest

from schema.wire import Row
from server.store.protocol import Damaged, NewerDatabase, Span, UnsafeSettings
from server.store.sqlite import connect, open_store
from tests.store.test_contract import commit, signed


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path / "centre.db", "centre")
    await opened.write(lambda txn: txn.commit([commit(1, signed(1)), commit(2, signed(2))]))
    await opened.write(lambda txn: txn.put("code", "k", {"a": "s"}))
    yield opened
    await opened.close()


def damaged(store, query):
    """One letter of a record is another one, as a disk may have it."""
    with closing(sqlite3.connect(store.path)) as db, db:
        db.create_function("other", 1, lambda text: text.replace("signed", "sighed"))
        assert db.execute(query).rowcount == 1


async def test_a_damaged_row_is_given_to_nobody_who_asks_for_it(store):
    damaged(store, "UPDATE row SET doc=other(doc) WHERE id='s1'")
    for look in (
        lambda txn: txn.rows([("step", "s1")]),
        lambda txn: txn.children("step", "t1"),
        lambda txn: txn.families("step", ["t1"]),
        lambda txn: list(txn.walk("step")),
    ):
        with pytest.raises(Damaged, match="step/s1"):
            await store.read(look)
    assert ("step", "s2") in await store.read(lambda txn: txn.rows([("step", "s2")]))


async def test_a_damaged_row_keeps_nobody_from_the_rest_of_its_scope(store):
    damaged(store, "UPDATE row SET doc=other(doc) WHERE id='s1'")
    part = await store.read(lambda txn: txn.page("unit/u1", 0, 0, 10**6))
    assert [msgspec.json.decode(one, type=Row).id for one in part.page.rows] == ["s2"]
    assert part.complete
    walked = await store.read(lambda txn: list(txn.walk_pair("unit/u1", 0, ("", ""))))
    assert [key for key, _ in walked] == [("step", "s2")]


async def test_a_damaged_line_of_the_log_tells_no_verdict_and_gives_no_words(store):
    damaged(store, "UPDATE log SET verdict='refused' WHERE seq=1")
    with pytest.raises(Damaged, match="log/1"):
        await store.read(lambda txn: txn.logged(["phone/0/1"]))
    damaged(store, "UPDATE log SET raw=CAST(other(CAST(raw AS TEXT)) AS BLOB) WHERE seq=2")
    with pytest.raises(Damaged, match="log/2"):
        await store.read(lambda txn: txn.words(["phone/0/2"]))


async def test_a_damaged_record_of_the_server_is_not_read_and_hides_no_other(store):
    await store.write(lambda txn: txn.put("code", "l", {"a": "s"}))
    damaged(store, "UPDATE side SET doc='{\"a\": \"S\"}' WHERE key='k'")
    with pytest.raises(Damaged, match="code/k"):
        await store.read(lambda txn: txn.get("code", "k"))
    for look in (
        lambda txn: txn.find("code"),
        lambda txn: txn.find_each("code", ["k", "l"]),
        lambda txn: txn.some(Span("code", ""), 0, 2),
    ):
        assert await store.read(look) == {"l": {"a": "s"}}


@pytest.mark.parametrize("column", ["epoch", "chain", "realm"])
async def test_a_damaged_head_is_not_read(store, column):
    damaged(store, f"UPDATE head SET {column}={column}||'x'")
    with pytest.raises(Damaged, match="head"):
        await store.read(lambda txn: txn.head())


async def test_a_log_whose_head_is_under_another_name_is_not_begun_anew(store):
    damaged(store, "UPDATE head SET centre='centrf'")
    with pytest.raises(Damaged, match="head"):
        await open_store(store.path, "centre")


async def test_what_the_tables_say_beside_a_row_is_checked_too(store):
    damaged(store, "UPDATE row SET authority=7 WHERE id='s1'")
    damaged(store, "UPDATE row SET removed=1 WHERE id='s2'")
    for id in ("s1", "s2"):
        with pytest.raises(Damaged, match=f"step/{id}"):
            await store.read(lambda txn, id=id: txn.rows([("step", id)]))


async def test_a_record_under_another_name_is_not_read(store):
    damaged(store, "UPDATE side SET key='l' WHERE key='k'")
    with pytest.raises(Damaged, match="code/l"):
        await store.read(lambda txn: txn.get("code", "l"))


async def test_a_database_of_a_newer_program_is_not_touched(tmp_path):
    path = tmp_path / "centre.db"
    await (await open_store(path, "centre")).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(NewerDatabase):
        await open_store(path, "centre")
    assert path.read_bytes() == before


@pytest.mark.parametrize("setting", ["journal_mode=DELETE", "synchronous=NORMAL"])
def test_sqlite_refuses_to_serve_with_settings_that_lose_commits(setting, tmp_path, monkeypatch):
    real = sqlite3.connect

    class Stubborn:
        def __init__(self, db):
            self._db = db

        def execute(self, query, *values):
            if query.startswith(f"PRAGMA {setting.split('=')[0]}="):
                query = f"PRAGMA {setting}"
            return self._db.execute(query, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: Stubborn(real(*a, **k)))
    with pytest.raises(UnsafeSettings, match=setting.split("=")[0]):
        connect(tmp_path / "a.db", query_only=False)


async def test_other_tools_can_open_the_file(store):
    from sqlite_utils import Database

    await store.write(lambda txn: txn.commit([commit(1, signed(1))]))
    tables = Database(store.path).table_names()
    assert {"head", "log", "row", "member", "side"} <= set(tables)


async def test_nothing_is_looked_for_by_reading_a_whole_table(store):
    """However long the log is, each look is as quick as the first."""
    said = set()

    def watched(txn):
        txn._db.set_trace_callback(said.add)
        try:
            txn.commit([commit(3, signed(3))])
            txn.logged(["phone/0/1", "phone/0/9"])
            txn.words(["phone/0/1"])
            txn.rows([("step", "s1")])
            txn.children("step", "t1")
            txn.families("step", ["t1"])
            txn.page("unit/u1", 0, 1, 100)
            list(txn.touched("unit/u1", 0, 1))
            txn.stands(["unit/u1", "centre"])
            txn.put("code", "k", {})
            txn.get("code", "other")
            txn.get_each("code", ["some", "more"])
            txn.find("code", "k")
            txn.find_each("code", ["k"])
            txn.any_of("code")
            txn.count("code", "k")
            txn.delete("code", "k")
            txn.forget(0, 3, 10)
        finally:
            txn._db.set_trace_callback(None)

    await store.write(watched)
    with closing(sqlite3.connect(store.path)) as db:
        for statement in filter(re.compile("SELECT|UPDATE|DELETE|INSERT").match, said):
            for *_, step in db.execute(f"EXPLAIN QUERY PLAN {statement}"):
                assert is_quick(step), (step, statement)


def is_quick(step):
    """True for a look by everything that is known; the centre alone is not enough."""
    if step.startswith("SCAN"):
        return bool(re.match(r"SCAN (w|CONSTANT ROW|\(subquery-\d+\)|\d+-ROW)\b", step))
    return step.startswith("SEARCH head ") or not step.endswith("(centre=?)")

"""`doctor` on PostgreSQL: reachable, new enough, safe, and what the centre's log says of itself."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from schema.versions import MINUTE_MS
from server.cli.doctor import command
from server.config import Config
from server.doctor import State, examine, safety_answers, version_answer
from server.store.checksums import head_crc
from server.store.postgres.inspect import PostgresInspector
from server.store.protocol import Head
from tests.crash.kept import kept
from tests.crash.rot import copied
from tests.server.carried import moved
from tests.server.test_doctor import HEALTHY, LATER

SOUND = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "server_encoding": "UTF8",
    "data_checksums": "on",
}


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def folder(centre, tmp_path, database):
    """The folder of a centre whose log and rows lie at `database`."""
    copy = copied(centre.closed, tmp_path / "copy")
    copy.chmod(0o700)
    moved(copy, database)
    return copy


def answers(folder, store, **more):
    return {one.code: one for one in examine(Config(folder, store=store, **more), HEALTHY)}


def troubles(folder, store):
    """What is not fine of the centre. How this PostgreSQL was made is not its affair."""
    found = answers(folder, store).values()
    machine = {"app_missing", "store_unchecked"}
    return {one.code for one in found if one.state is not State.FINE} - machine


def altered(store, query):
    with psycopg.connect(store, autocommit=True) as db:
        db.execute(query)
        [line] = db.execute("SELECT centre, realm, epoch, seq, chain, floor, durable FROM head")
        db.execute("UPDATE head SET crc=%s", (head_crc(Head(*line)),))


def test_a_centre_on_postgresql_is_examined_as_one_in_a_file_is(folder, database):
    found = answers(folder, database)
    assert troubles(folder, database) == {"no_backup"}
    assert {"store", "store_safe", "schema", "log", "key", "size_beside"} <= set(found)
    assert found["log"].facts["centre"] == "centre" and found["log"].facts["seq"] > 150
    assert int(str(found["store"].facts["version"]).split(".")[0]) >= 13
    altered(database, "UPDATE head SET durable=seq")
    assert troubles(folder, database) == set()


def test_a_head_and_a_time_that_do_not_fit_the_log_are_said(folder, database):
    late = LATER + 60 * MINUTE_MS
    altered(database, f"UPDATE log SET received={late} WHERE seq=(SELECT seq FROM head)")
    assert answers(folder, database)["clock_behind"].facts == {"minutes": 60}
    altered(database, "UPDATE head SET seq=seq-1")
    assert "log_astray" in troubles(folder, database)


def test_a_database_that_cannot_be_reached_is_broken(folder):
    found = answers(folder, "postgresql://lingda:secret@127.0.0.1:1/x")
    assert found["store_down"].state is State.BROKEN
    assert "secret" not in str(found["store_down"].facts)


def test_a_setting_by_which_commits_are_lost_is_broken(folder, database):
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {name} SET synchronous_commit=off")
    told = answers(folder, database)["store_unsafe"]
    assert (told.state, told.facts) == (State.BROKEN, {"settings": "synchronous_commit=off"})


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, {"store_safe"}),
        ({"fsync": "off", "full_page_writes": "off"}, {"store_unsafe"}),
        ({"synchronous_commit": "local"}, {"store_safe"}),
        ({"server_encoding": "LATIN1"}, {"store_safe", "store_encoding"}),
        ({"data_checksums": "off"}, {"store_safe", "store_unchecked"}),
    ],
)
def test_each_setting_that_does_harm_is_named(change, codes):
    assert {one.code for one in safety_answers(SOUND | change)} == codes


def test_a_database_of_another_encoding_is_examined_to_the_end(folder, database):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            found = answers(folder, make_conninfo(database, dbname="latin"))
        finally:
            db.execute("DROP DATABASE latin")
    assert {"store_encoding", "schema_older"} <= set(found)


def test_a_postgresql_that_is_too_old_is_broken(database, monkeypatch):
    inspector = PostgresInspector(database, "centre")
    assert version_answer(inspector).code == "store"
    monkeypatch.setattr(inspector, "version", lambda: 12_0022)
    told = version_answer(inspector)
    assert (told.code, told.state, told.facts["version"]) == ("store_old", State.BROKEN, "12.22")
    inspector.close()


def test_a_schema_that_is_newer_or_cannot_be_read_is_broken(folder, database):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("UPDATE schema_version SET version=99")
        assert "schema_newer" in troubles(folder, database)
        db.execute("UPDATE schema_version SET version=1")
        db.execute("ALTER TABLE log RENAME TO gone")
    assert "store_broken" in troubles(folder, database)


def test_a_file_beside_the_address_is_named(folder, database):
    Config(folder).database.write_bytes(b"x")
    assert "two_databases" in troubles(folder, database)


def test_the_command_takes_the_address_and_says_both_sentences(folder, database):
    arguments = ["--data", str(folder), "--json"]
    told = CliRunner().invoke(command, arguments, env={"LINGDA_STORE": database})
    report = json.loads(told.stdout)
    assert told.exit_code == 0 and "store" in {one["code"] for one in report["checks"]}
    assert all(one["zh"] and one["en"] for one in report["checks"])
    bad = CliRunner().invoke(command, [*arguments, "--store", "postgresql://a:p@ss@h/x"])
    assert bad.exit_code == 2 and "%XX" in bad.output and "p@ss" not in bad.output

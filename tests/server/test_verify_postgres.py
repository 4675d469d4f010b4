"""`verify` on PostgreSQL: it names what it names on SQLite, and proves what it proves there."""

import json

import psycopg
import pytest
from click.testing import CliRunner

from server.audit.finding import Flaw, Gravity
from server.audit.walk import audit
from server.blobs import Blobs
from server.cli.verify import command
from server.config import Config
from server.data_folder import Settings, write_private
from server.store.inspect import CannotRead
from server.store.postgres.inspect import PostgresInspector
from server.store.sqlite.inspect import SqliteInspector
from tests.crash.kept import kept, photos
from tests.crash.rot import copied, named
from tests.server.carried import alter_both, carried, moved
from tests.server.test_verify import PHOTO


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def folder(centre, tmp_path):
    return copied(centre.closed, tmp_path / "copy")


@pytest.fixture
def both(folder, database):
    """A folder with its SQLite file, and the same in a PostgreSQL."""
    carried(folder, database)
    return folder, database


@pytest.fixture
def beside(folder, database):
    """The folder of a centre on PostgreSQL, and the address."""
    moved(folder, database)
    return folder, database


def said(folder, *options):
    return CliRunner().invoke(command, ["--data", str(folder), *options], env={"LINGDA_STORE": ""})


def told(folder, *options):
    result = said(folder, "--json", *options)
    return result.exit_code, json.loads(result.stdout)


def test_a_sound_centre_is_called_so_and_as_much_is_looked_at(both, centre, tmp_path):
    here = told(copied(centre.closed, tmp_path / "here"))
    moved(*both)
    there = told(both[0], "--store", both[1])
    assert there == here and here[1]["ok"] and here[1]["looked"]["words"] > 150


def row(id):
    return f"entity='contact' AND id='{id}'"


def member(id):
    return f'"row"=(SELECT no FROM "row" WHERE {row(id)})'


def pair(scope, lane):
    return f"lane={lane} AND scope=(SELECT no FROM scope WHERE name='{scope}')"


ALTERED = {
    "log": {
        "UPDATE log SET verdict='refused' WHERE seq=20": Flaw.CHAIN,
        "UPDATE log SET detail='x' WHERE seq=25": Flaw.CHECKSUM,
        "UPDATE log SET n=n+900 WHERE seq=30": Flaw.MUTATION,
        "UPDATE log SET centre='other' WHERE seq=40": Flaw.OTHER_CENTRE,
        "DELETE FROM log WHERE seq=50": Flaw.GAP,
    },
    "head": {"UPDATE head SET epoch='9-x'": Flaw.HEAD},
    "no head": {"DELETE FROM head": Flaw.HEAD},
    "rows": {
        f"UPDATE \"row\" SET doc='{{' WHERE {row('c-1')}": Flaw.ROW,
        f"UPDATE \"row\" SET doc=replace(doc, 'head', 'hand') WHERE {row('c-2')}": Flaw.CHECKSUM,
        "UPDATE \"row\" SET history=replace(history, '示例', '篡改') WHERE id='c1'": Flaw.CHECKSUM,
        f"UPDATE \"row\" SET parent='x' WHERE {row('c-4')}": Flaw.ROW,
        f'UPDATE "row" SET removed=NOT removed WHERE {row("c-5")}': Flaw.DIGEST,
        f'UPDATE "row" SET seq=seq-1 WHERE {row("c-6")}': Flaw.ROW_SEQ,
        f'UPDATE "row" SET digest=digest+1 WHERE {row("c-7")}': Flaw.SUM,
    },
    "members": {
        f'DELETE FROM "row" WHERE {row("c-1")}': Flaw.MEMBER,
        f"DELETE FROM member WHERE {member('c-2')}": Flaw.SUM,
        f"UPDATE member SET present=NOT present WHERE {member('c-4')}": Flaw.SUM,
        f"UPDATE member SET seq=seq+100000 WHERE {member('c-5')}": Flaw.MEMBER,
    },
    "scope": {"UPDATE scope SET name='unit/u3' WHERE name='unit/u2'": Flaw.MEMBER},
    "pairs": {
        f"UPDATE pair SET sum=sum+1 WHERE {pair('unit/u1', 1)}": Flaw.SUM,
        f"UPDATE pair SET seq=seq-1 WHERE {pair('unit/u2', 1)}": Flaw.MEMBER,
    },
    "records": {
        "UPDATE side SET doc='x' WHERE kind='node' AND key='self'": Flaw.CHECKSUM,
        "DELETE FROM side WHERE kind='run'": Flaw.UNPROVEN,
    },
    "keys": {"DELETE FROM side WHERE kind IN ('replica', 'node_key')": Flaw.KEY},
}


@pytest.mark.parametrize("part", ALTERED)
def test_what_was_altered_is_named_as_on_sqlite(both, part):
    folder, url = both
    for query in ALTERED[part]:
        alter_both(folder, url, query)
    here = named(folder)
    assert set(ALTERED[part].values()) <= {one.flaw for one in here}
    assert key(named(folder, url)) == key(here)


def key(findings):
    """The findings in an order of their own: databases tell rows of a pair in any."""
    return sorted((one.flaw, one.entry, one.detail) for one in findings)


def test_altered_bytes_are_named_as_on_sqlite(both):
    folder, url = both
    for seq, raw in ((20, b""), (30, b"{"), (40, b"\xff\x00")):
        alter_both(folder, url, "UPDATE log SET raw=? WHERE seq=?", raw, seq)
    here = named(folder)
    assert Flaw.BYTES in {one.flaw for one in here}
    assert key(named(folder, url)) == key(here)


def test_every_tenth_mutation_is_proven_alike(both):
    folder, url = both
    here = SqliteInspector(Config(folder).database)
    dots = sorted({line.dot for line in here.lines(0, here.head()[1])})[::10]
    here.close()
    proofs = {dot: told(folder, "--dot", dot) for dot in dots}
    moved(folder, url)
    assert {dot: told(folder, "--store", url, "--dot", dot) for dot in dots} == proofs
    assert {code for code, _ in proofs.values()} == {0}


def test_photos_are_looked_for_where_all_processes_have_them(beside, tmp_path):
    folder, url = beside
    shared = (folder / "blobs").rename(tmp_path / "shared")
    assert said(folder, "--store", url, "--blobs", str(shared)).exit_code == 0
    path = Blobs(shared).path(PHOTO)
    path.write_bytes(b"x")
    report = told(folder, "--store", url, "--blobs", str(shared))[1]
    assert [one["at"] for one in report["findings"]] == [
        {"file": f"shared/{path.relative_to(shared).as_posix()}"}
    ]
    assert len(photos()) == report["looked"]["photos"]


def test_lines_that_no_key_leads_to_are_named(beside):
    """The keys of a table are damaged: a line was written while they were not kept up."""
    folder, url = beside
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE pg_index SET indisready=false WHERE indexrelid='side_pkey'::regclass")
        db.execute("INSERT INTO side VALUES ('centre', 'code', 'hidden', '{}', 0)")
        db.execute("UPDATE pg_index SET indisready=true WHERE indexrelid='side_pkey'::regclass")
    [found] = [one for one in named(folder, url) if one.flaw is Flaw.DATABASE]
    assert found.at["database"] in url and found.detail.startswith("side: ")


def test_other_centres_of_the_same_postgresql_are_no_strangers(beside):
    folder, url = beside
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("INSERT INTO head VALUES ('north', 'r', '1-e', 0, '', 0, 0, 0)")
        db.execute("INSERT INTO side VALUES ('north', 'code', 'k', '{}', 0)")
    assert named(folder, url) == []
    (folder / "settings.json").unlink()
    result = said(folder, "--store", url)
    assert result.exit_code == 2 and result.stderr.count("\n") == 2


def test_a_server_at_work_is_not_waited_for_and_nothing_is_changed(beside):
    folder, url = beside
    with psycopg.connect(url) as db:
        db.execute("UPDATE head SET floor=1")
        assert said(folder, "--store", url).exit_code == 0
    inspector = PostgresInspector(url, "centre")
    with pytest.raises(CannotRead, match="read-only"):
        inspector._all("DELETE FROM log")
    inspector.close()


def test_a_database_that_goes_away_meanwhile_is_told_and_not_taken_for_damage(beside):
    folder, url = beside
    found = []

    def kill(part, done, total):
        if part == "row":
            with psycopg.connect(url, autocommit=True) as db:
                others = "datname=current_database() AND pid<>pg_backend_pid()"
                db.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")

    with pytest.raises(psycopg.OperationalError):
        audit(Config(folder, store=url), found.append, kill)
    assert [one for one in found if one.gravity is not Gravity.NOTE] == []


def trouble(folder, *options):
    """What a person is told who asks for what cannot be looked at."""
    result = said(folder, *options)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert result.stderr.count("\n") == 2
    return result.stderr


def test_what_cannot_be_looked_at_is_said_with_what_to_do(both, tmp_path):
    folder, url = both
    assert "SQLite" in trouble(folder, "--store", url), "the file and a PostgreSQL"
    moved(folder, url)
    assert "LINGDA_STORE" in trouble(folder), "without the address"
    assert "%XX" in trouble(folder, "--store", "postgresql://a:p@ss@h/x")
    assert "PostgreSQL" in trouble(folder, "--store", "postgresql://127.0.0.1:1/x")
    assert "/9" in trouble(folder, "--store", url, "--dot", "a/9/1")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP TABLE schema_version")
    assert "--store" in trouble(folder, "--store", url), "no tables"


def test_the_folder_s_settings_say_which_centre_of_the_postgresql_is_meant(beside):
    folder, url = beside
    settings = Settings("north", "示例", on_postgres=True)
    write_private(folder / "settings.json", json.dumps(settings.__struct_fields__).encode())
    assert said(folder, "--store", url).exit_code == 0, "unreadable: the only one is meant"

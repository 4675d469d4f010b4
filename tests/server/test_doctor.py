"""`doctor`: what is wrong is said with what to do, in both languages, and nothing is changed."""

import json
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from schema.versions import DAY_MS, MINUTE_MS
from schema.wire import Change
from schema.words import LANGUAGES, words
from server.cli.doctor import command
from server.config import Config
from server.data_folder import Settings, Trouble, locked
from server.doctor import (
    FREE_BYTES_GOOD,
    FREE_BYTES_MIN,
    GIB,
    MIB,
    Machine,
    State,
    examine,
    size_text,
)
from server.engine import Engine
from server.node import load_node
from server.store.sqlite import open_store
from server.tls import ensure, names_of, now_utc
from tests.crash.kept import kept
from tests.crash.rot import copied, flipped, named
from tests.server.altering import alter
from tests.server.world import Time, small_centre
from tests.sync.builders import NOW

LATER = NOW + DAY_MS
HEALTHY = Machine(lambda: LATER, lambda: 0, (3, 12, 1), (3, 51, 3), lambda path: 100 * GIB)


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def folder(centre, tmp_path):
    copy = copied(centre.closed, tmp_path / "copy")
    copy.chmod(0o700)
    return copy


def answers(folder, machine=HEALTHY, **settings):
    found = list(examine(Config(folder, **settings), machine))
    return {one.code: one for one in found}


def troubles(folder, machine=HEALTHY):
    """What is not fine. Whether the app is built is the machine's affair."""
    found = answers(folder, machine).values()
    wrong = [one for one in found if one.state is not State.FINE and one.code != "app_missing"]
    return {one.code: one.state for one in wrong}


def test_a_centre_without_a_backup_has_one_warning(folder):
    assert troubles(folder) == {"no_backup": State.WARNING}


def test_a_covered_log_is_fine(folder):
    alter(folder, "UPDATE head SET durable=seq")
    assert troubles(folder) == {}
    told = answers(folder)["backup"].facts
    assert told["durable"] == told["seq"] > 0


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ((3, 40, 1), "sqlite_old"),
        ((3, 51, 2), "sqlite_old"),
        ((3, 51, 3), "sqlite"),
        ((3, 52, 0), "sqlite"),
    ],
)
def test_an_sqlite_with_the_bug_of_its_log_is_said(tmp_path, version, code):
    told = answers(tmp_path, replace(HEALTHY, sqlite=version))[code]
    assert told.state is (State.FINE if code == "sqlite" else State.WARNING)
    assert told.facts["version"] == ".".join(map(str, version))


def test_without_data_the_machine_is_examined_all_the_same(tmp_path):
    assert {"python", "clock", "no_data"} <= set(answers(tmp_path / "none"))
    assert troubles(tmp_path / "none") == {"no_data": State.WARNING}


@pytest.mark.parametrize(
    ("free", "code"),
    [
        (FREE_BYTES_MIN - 1, "disk_full"),
        (FREE_BYTES_MIN, "disk_low"),
        (FREE_BYTES_GOOD - 1, "disk_low"),
        (FREE_BYTES_GOOD, "disk"),
    ],
)
def test_little_room_warns_and_hardly_any_is_broken(folder, free, code):
    state = {"disk_full": State.BROKEN, "disk_low": State.WARNING, "disk": State.FINE}[code]
    assert answers(folder, replace(HEALTHY, free_bytes=lambda path: free))[code].state is state


@pytest.mark.parametrize("now", [0, 3_000_000_000_000, 4_200_000_000_000])
def test_a_clock_that_tells_an_impossible_year_is_broken(tmp_path, now):
    told = troubles(tmp_path, replace(HEALTHY, clock=lambda: now))
    assert ("clock_year" in told) == (now != 3_000_000_000_000)


def test_a_clock_behind_the_log_was_set_back(folder):
    alter(
        folder, f"UPDATE log SET received={LATER + 60 * MINUTE_MS} WHERE seq=(SELECT seq FROM head)"
    )
    told = answers(folder)["clock_behind"]
    assert (told.state, told.facts) == (State.WARNING, {"minutes": 60})


def test_a_clock_that_is_stepped_meanwhile_is_said(tmp_path):
    times = iter([NOW, NOW, NOW - 90_000])
    told = answers(tmp_path / "none", replace(HEALTHY, clock=lambda: next(times)))["clock_jumps"]
    assert told.facts == {"seconds": -90}


def test_a_folder_in_use_is_said_and_stays_in_use(folder):
    assert "not_served" in answers(folder)
    with locked(folder):
        assert "served" in answers(folder)
        with pytest.raises(Trouble), locked(folder):
            pass
    assert "not_served" in answers(folder)
    with locked(folder):
        pass


@pytest.mark.parametrize(
    "name", ["node.key", "settings.json", "lingda-demo.json", "tls/server.key"]
)
def test_what_others_may_read_of_what_is_secret_is_named(folder, name):
    (folder / "tls").mkdir()
    path = folder / name
    path.touch()
    path.chmod(0o640)
    told = answers(folder)["private_open"]
    assert (told.state, told.facts["names"]) == (State.BROKEN, name)
    path.chmod(0o600)
    assert "private" in answers(folder)


def test_a_folder_that_others_may_enter_is_a_warning(folder):
    folder.chmod(0o755)
    assert troubles(folder)["folder_open"] is State.WARNING


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, {"leaf": State.FINE, "root": State.FINE}),
        (790, {"leaf_soon": State.WARNING, "root": State.FINE}),
        (900, {"leaf_expired": State.BROKEN, "root": State.FINE}),
        (3_500, {"leaf_expired": State.BROKEN, "root_soon": State.WARNING}),
        (3_700, {"leaf_expired": State.BROKEN, "root_expired": State.BROKEN}),
    ],
)
def test_a_certificate_is_told_by_what_is_left_of_it(folder, days, expected):
    ensure(folder / "tls", names_of(["localhost"]), now_utc())
    at_ms = int((now_utc() + timedelta(days=days)).timestamp() * 1000)
    found = answers(folder, replace(HEALTHY, clock=lambda: at_ms))
    assert {code: found[code].state for code in expected} == expected


def test_a_certificate_that_is_none_is_broken(folder):
    tls = ensure(folder / "tls", names_of(["localhost"]), now_utc())
    tls.leaf.write_text("x")
    assert troubles(folder)["cert_unreadable"] is State.BROKEN


@pytest.mark.parametrize(
    ("version", "code", "state"),
    [(2, "schema_older", State.WARNING), (99, "schema_newer", State.BROKEN)],
)
def test_tables_of_another_version_are_told(folder, version, code, state):
    alter(folder, f"PRAGMA user_version={version}")
    assert troubles(folder)[code] is state


def test_settings_that_the_server_would_have_to_put_right_are_told(folder):
    alter(folder, "PRAGMA journal_mode=DELETE")
    assert troubles(folder)["settings_unsafe"] is State.WARNING


def test_a_database_that_cannot_be_read_is_broken(folder):
    Config(folder).database.write_bytes(b"not a database" * 400)
    assert troubles(folder) == {"database_broken": State.BROKEN}


def test_without_the_address_of_its_postgresql_a_centre_is_not_called_fine(folder):
    settings = folder / "settings.json"
    settings.touch(0o600)
    settings.write_bytes(msgspec.json.encode(Settings("centre", "示例", on_postgres=True)))
    assert troubles(folder) == {"on_postgres": State.WARNING}


def test_a_head_that_does_not_match_the_log_is_broken(folder):
    alter(folder, "UPDATE head SET seq=seq-1")
    assert troubles(folder) == {"log_astray": State.BROKEN}


def test_a_write_ahead_log_that_is_damaged_in_its_middle_is_broken(centre, tmp_path):
    copy = copied(centre.cut_off, tmp_path / "cut_off")
    copy.chmod(0o700)
    flipped(copy, copy / "lingda.db-wal", 100, 0)
    assert troubles(copy) == {"wal_damaged": State.BROKEN}


def test_a_write_ahead_log_that_is_not_folded_in_any_more_is_said(folder):
    with (folder / "lingda.db-wal").open("r+b") as file:
        file.truncate(300 * MIB)
    assert troubles(folder)["wal_big"] is State.WARNING


@pytest.mark.parametrize(
    ("content", "code"), [(None, "key_missing"), (b"x", "key_damaged"), (b"", "key_damaged")]
)
def test_a_signing_key_that_is_gone_or_damaged_is_broken(folder, content, code):
    key = Config(folder).node_key
    key.unlink()
    if content is not None:
        key.touch(0o600)
        key.write_bytes(content)
    assert troubles(folder)[code] is State.BROKEN


def test_another_signing_key_than_the_log_knows_is_broken(folder):
    key = Config(folder).node_key
    key.unlink()
    load_node(key, "")
    assert troubles(folder)["key_other"] is State.BROKEN


def test_an_app_that_is_not_built_is_a_warning(tmp_path):
    (tmp_path / "app").mkdir()
    assert answers(tmp_path, static=tmp_path)["app_missing"].state is State.WARNING
    (tmp_path / "app/index.html").touch()
    assert "app" in answers(tmp_path, static=tmp_path)


def test_nothing_is_changed_by_examining(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    answers(folder)
    for path, data in before.items():
        assert path.read_bytes() == data or path.name.endswith("-shm")


def test_sizes_are_told_as_people_read_them():
    told = [size_text(size) for size in (0, 1023, 1024, 1536 * 1024, 5 * GIB)]
    assert told == ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 GiB"]


# --- The command --------------------------------------------------------------------------------


def said(folder, *options):
    return CliRunner().invoke(command, ["--data", str(folder), *options])


def test_warnings_alone_end_with_0_and_what_is_broken_with_1(folder):
    result = said(folder)
    assert result.exit_code == 0 and "! " in result.stdout
    Config(folder).database.write_bytes(b"not a database" * 400)
    result = said(folder)
    assert result.exit_code == 1 and "✗ " in result.stdout


def test_a_script_reads_each_answer_with_both_sentences(folder):
    report = json.loads(said(folder, "--json").stdout)
    assert report["ok"] is True
    told = {one["code"]: one for one in report["checks"]}
    assert told["no_backup"]["state"] == "warning"
    assert told["no_backup"]["facts"]["seq"] == told["log"]["facts"]["seq"]
    assert all(one["zh"] and one["en"] for one in report["checks"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_answer_has_its_words(language):
    """Also none has words that is never given."""
    source = Path(examine.__code__.co_filename).read_text(encoding="utf-8")
    table = {name.removeprefix("doctor.") for name in words(language) if name.startswith("doctor.")}
    certificate = {f"{of}{end}" for of in ("leaf", "root") for end in ("", "_soon", "_expired")}
    known = table - {"about", "end"} - certificate
    assert [code for code in known if f'"{code}"' not in source] == []
    given = set(re.findall(r'Answer\(\s*"(\w+)"', source))
    assert given | certificate <= table and len(given) > 30


# --- The node's key -----------------------------------------------------------------------------


async def test_a_node_with_another_key_leaves_everything_proven(tmp_path):
    async with small_centre(tmp_path) as world:
        await world.order("u1")
        before = world.engine.node
    (tmp_path / "node.key").unlink()
    config = Config(tmp_path)
    engine = await Engine.open(await open_store(config.database, config.centre), Time(), config)
    assert engine.node.replica != before.replica
    verdict = await engine.load([Change("set", "contact", "c1", {"name": "示例乙"})])
    assert verdict.verdict == "applied"
    await engine.close()
    assert named(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN PRIVATE KEY-----"])
def test_a_signing_key_that_is_none_is_told_by_name(tmp_path, content):
    (tmp_path / "node.key").write_bytes(content)
    with pytest.raises(Trouble) as refused:
        load_node(tmp_path / "node.key", "")
    assert refused.value.name == "key"

"""The demo's data is the register and invented people, and it wipes nothing but itself."""

import errno
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schema.codes import Code
from schema.register import actors, units
from schema.wire import EnrolRequest, Row
from server.accounts import enrol, sign_in
from server.cli import demo as demo_command
from server.cli import serve as serve_command
from server.cli.serve import Wanted, settle
from server.config import Config
from server.data_folder import DemoMark, Trouble, explained, locked, read_mark, write_mark
from server.demo.scenario import Scenario, id_of, names, read_scenario, register_changes
from server.demo.seed import PastClock, fresh_codes, load_new, seed
from server.engine import Engine
from server.errors import Fault
from server.store.sqlite import open_store
from sync.fold import Facts, Progress, progress_of
from tests.server.test_accounts import new_key

NOW = 1_800_000_000_000
PHONE = re.compile(r"100 0000 00\d\d")
DIGITS = re.compile(r"\d[\d -]{6,}\d")


@asynccontextmanager
async def centre(folder: Path, scenario: Scenario) -> AsyncIterator[tuple[Engine, PastClock]]:
    clock = PastClock(lambda: NOW)
    config = Config(data=folder, centre=scenario.centre, centre_name=scenario.centre_name)
    engine = await Engine.open(await open_store(config.database, config.centre), clock, config)
    try:
        yield engine, clock
    finally:
        await engine.close()


@asynccontextmanager
async def seeded(folder: Path, name: str) -> AsyncIterator[Engine]:
    async with centre(folder, read_scenario(name)) as (engine, clock):
        assert await seed(engine, clock, read_scenario(name), "password")
        yield engine


async def rows_of(engine: Engine, entity: str) -> list[Row]:
    return await engine.store.read(lambda read: [one.row for one in read.children(entity, None)])


# --- What is in it ------------------------------------------------------------------------------


async def test_the_default_scenario_is_the_register_itself(tmp_path):
    async with seeded(tmp_path, "default") as engine:
        held = {row.id: row.fields for row in await rows_of(engine, "unit")}
        kept = await engine.store.read(lambda read: read.find("actor"))
    assert len(held) == 103
    for unit in units():
        said = held[unit.code]
        assert (said["code"], said["name"], said["tier"]) == (unit.code, unit.name, unit.tier)
        assert re.fullmatch(r"[a-z0-9]{2,60}", said["initials"])
    assert [doc["name"] for doc in kept.values()] == [actor.name for actor in actors()]
    assert held["1.1-05"]["gateway"] in kept


@pytest.mark.parametrize("name", names())
async def test_nobody_real_is_in_it(tmp_path, name):
    async with seeded(tmp_path, name) as engine:
        people = [row.fields["name"] for row in await rows_of(engine, "person")]
        contacts = [row.fields["name"] for row in await rows_of(engine, "contact")]
        phones = [row.fields["number"] for row in await rows_of(engine, "contact_phone")]
        for row in await rows_of(engine, "equipment"):
            people += [row.fields["manager"], row.fields["operator"]]
            phones += [row.fields["manager_phone"], row.fields["operator_phone"]]
    assert [one for one in people + contacts if not one.startswith("示例")] == []
    assert [one for one in phones if not PHONE.fullmatch(one)] == []


@pytest.mark.parametrize("name", names())
def test_no_other_number_looks_like_a_phone(name):
    said = str([line for line in read_scenario(name).rows] + read_scenario(name).events)
    assert [one for one in DIGITS.findall(said) if not PHONE.fullmatch(one)] == []


def test_the_invented_city_has_no_unit_of_the_real_one():
    real = {unit.name for unit in units()}
    named = [
        c.fields["name"] for c in register_changes(read_scenario("storm")) if c.entity == "unit"
    ]
    assert named and all(name.startswith("示例市") and name not in real for name in named)


async def test_the_default_scenario_s_incident_is_neutral_and_open(tmp_path):
    async with seeded(tmp_path, "default") as engine:
        (summary,) = await rows_of(engine, "incident_summary")
        (incident,) = await rows_of(engine, "incident")
    assert summary.id == incident.id and incident.fields["state"] == "open"
    assert summary.fields["level"] is None and summary.fields["category"] is None


async def test_every_machine_has_an_operator_who_holds_its_row(tmp_path):
    async with seeded(tmp_path, "default") as engine:
        machines = await rows_of(engine, "equipment")
        people = {row.id: row.fields for row in await rows_of(engine, "person")}
    assert {"crane", "excavator", "bulldozer"} <= {row.fields["kind"] for row in machines}
    for row in machines:
        operator = people[row.fields["operator_person"]]
        assert operator["name"] == row.fields["operator"] and "operator" in operator["roles"]


async def test_in_the_storm_some_have_signed_and_one_has_not(tmp_path):
    async with seeded(tmp_path, "storm") as engine:
        ranks = {unit: one.step for unit, one in (await progress(engine)).items()}
    assert ranks == {"S-03": "acting", "S-01": "signed", "S-06": "signed", "S-07": "pending"}


async def progress(engine: Engine) -> dict[str, Progress]:
    (order,) = await rows_of(engine, "directive")
    steps, said = await rows_of(engine, "step"), await rows_of(engine, "feedback")

    def facts(target: str) -> Facts:
        own: dict[str, Any] = {
            "steps": [row for row in steps if row.fields["target"] == target],
            "feedback": [row for row in said if row.fields["target"] == target],
        }
        return Facts(**own)

    targets = await rows_of(engine, "target")
    return {row.fields["unit"]: progress_of(order, facts(row.id)) for row in targets}


async def test_the_past_arrived_when_it_happened(tmp_path):
    async with seeded(tmp_path, "storm") as engine:
        steps = await rows_of(engine, "step")
    assert {row.fields["at"] for row in steps} == {row.arrived for row in steps}
    assert max(row.arrived for row in steps) < NOW


# --- Seeding again ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
async def test_a_second_seeding_changes_nothing(tmp_path, name):
    async with seeded(tmp_path, name) as engine:
        before = await engine.head()
    async with centre(tmp_path, read_scenario(name)) as (engine, clock):
        assert not await seed(engine, clock, read_scenario(name), "another")
        assert await engine.head() == before
        assert await sign_in(engine, "demo", "password", "127.0.0.1")


async def test_a_seeding_cut_short_goes_on_where_it_stopped(tmp_path):
    scenario = read_scenario("default")
    async with centre(tmp_path, scenario) as (engine, clock):
        await load_new(engine, register_changes(scenario)[:50])
        assert await seed(engine, clock, scenario, "password")
        assert len(await rows_of(engine, "unit")) == 103


async def test_each_start_gives_codes_that_enrol(tmp_path):
    async with seeded(tmp_path, "default") as engine:
        scenario = read_scenario("default")
        for kind, code in (await fresh_codes(engine, scenario)).items():
            reply = await enrol(engine, EnrolRequest(code, new_key()))
            assert (reply.kind, reply.actor) == (kind, id_of(scenario, scenario.codes[kind]))
            with pytest.raises(Fault) as spent:
                await enrol(engine, EnrolRequest(code, new_key()))
            assert spent.value.code == Code.CODE_USED


# --- Folders ------------------------------------------------------------------------------------


def test_a_reset_refuses_a_folder_that_is_not_a_demo_s(tmp_path):
    precious = tmp_path / "lingda.db"
    precious.write_text("precious")
    for reset in (True, False):
        with pytest.raises(Trouble) as refused:
            demo_command.prepare(tmp_path, "default", reset)
        assert refused.value.name == "not_demo"
    assert precious.read_text() == "precious"


def test_a_reset_wipes_a_demo_but_not_the_root_that_phones_trust(tmp_path):
    first = demo_command.prepare(tmp_path, "default", False)
    (tmp_path / "lingda.db").write_text("old")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/root.crt").write_text("root")
    second = demo_command.prepare(tmp_path, "storm", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lingda-demo.json", "tls"]
    assert (tmp_path / "tls/root.crt").read_text() == "root"
    assert second.scenario == "storm" and second.password != first.password


def test_a_reset_follows_no_link_out_of_the_folder(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "demo"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    folder.mkdir()
    demo_command.prepare(folder, "default", False)
    (folder / "blobs").symlink_to(outside)
    demo_command.prepare(folder, "default", True)
    assert (outside / "precious").read_text() == "precious"


def test_a_second_start_keeps_the_password_in_a_file_of_its_owner(tmp_path):
    first = demo_command.prepare(tmp_path, "default", False)
    assert demo_command.prepare(tmp_path, "default", False) == first == read_mark(tmp_path)
    assert (tmp_path / "lingda-demo.json").stat().st_mode & 0o777 == 0o600


def test_another_scenario_needs_a_reset(tmp_path):
    demo_command.prepare(tmp_path, "default", False)
    with pytest.raises(Trouble) as refused:
        demo_command.prepare(tmp_path, "storm", False)
    assert refused.value.facts["found"] == "default"


def test_one_folder_has_one_server(tmp_path):
    with locked(tmp_path):
        with pytest.raises(Trouble) as refused, locked(tmp_path):
            pass
        assert refused.value.name == "in_use"
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EACCES, "no_write"),
        (errno.EROFS, "no_write"),
        (errno.ENOTDIR, "no_folder"),
    ],
)
def test_what_the_disk_refuses_is_told_by_name(tmp_path, number, name):
    with pytest.raises(Trouble) as refused, explained(tmp_path):
        raise OSError(number, "refused")
    assert refused.value.name == name


# --- Commands -----------------------------------------------------------------------------------


def refusal(command: Any, *arguments: str) -> str:
    """What a command that refuses to start says: two lines, exit code 2, no traceback."""
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stderr.count("\n") == 2 and "：" in result.stderr
    return result.stderr


def test_an_unknown_scenario_names_those_that_there_are(tmp_path):
    said = refusal(demo_command.command, "--scenario", "flood", "--data", str(tmp_path))
    assert "flood" in said and "default, storm" in said


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_taken_port_is_named(tmp_path, offset):
    held = three_ports()
    asked = held[0].getsockname()[1]
    with held.pop(offset):
        for other in held:
            other.close()
        said = refusal(demo_command.command, "--port", str(asked), "--data", str(tmp_path / "demo"))
    assert str(asked + offset) in said


def three_ports() -> list[socket.socket]:
    """Three ports in a row, free for whoever we close them for."""
    for _ in range(100):
        held = [socket.create_server(("0.0.0.0", 0))]
        try:
            for more in (1, 2):
                held.append(socket.create_server(("0.0.0.0", held[0].getsockname()[1] + more)))
            return held
        except (OSError, OverflowError):
            for one in held:
                one.close()
    raise AssertionError("no three ports in a row are free")


def test_a_data_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert "--data" in refusal(demo_command.command, "--data", str(tmp_path / "file"))


def test_a_demo_s_folder_is_not_for_real_use(tmp_path):
    write_mark(tmp_path, DemoMark("default", "password"))
    refusal(serve_command.command, "--data", str(tmp_path))


def test_a_damaged_database_is_told(tmp_path):
    demo_command.prepare(tmp_path, "default", False)
    (tmp_path / "lingda.db").write_bytes(b"not a database" * 400)
    said = refusal(demo_command.command, "--port", "0", "--no-tls", "--data", str(tmp_path))
    assert "lingda" in said or str(tmp_path) in said


def test_the_first_start_fixes_the_centre_and_later_ones_keep_it(tmp_path):
    first = settle(tmp_path, Wanted("north", "North"))
    assert settle(tmp_path, Wanted()) == first
    assert settle(tmp_path, Wanted(centre_name="Renamed")).centre == "north"
    with pytest.raises(Trouble) as refused:
        settle(tmp_path, Wanted("south"))
    assert refused.value.name == "other_centre"


def test_a_centre_s_id_is_plain(tmp_path):
    with pytest.raises(Trouble) as refused:
        settle(tmp_path, Wanted("North/1"))
    assert refused.value.name == "centre_id"


async def test_a_new_centre_gets_one_administrator_once(tmp_path):
    from server.cli.centre import Centre
    from server.cli.serve import first_admin
    from server.serving import Ports, bind

    async with centre(tmp_path, read_scenario("storm")) as (engine, _):
        sockets = bind(Ports("127.0.0.1", 0))
        opened = Centre(engine, sockets, None)
        password = await first_admin(opened)
        assert await first_admin(opened) is None
        sockets.close()
        assert await sign_in(engine, "admin", str(password), "127.0.0.1")


def test_a_centre_on_postgres_is_not_started_without_it(tmp_path):
    url = "postgresql://127.0.0.1/lingda"
    assert settle(tmp_path, Wanted("north", store=url)).on_postgres
    with pytest.raises(Trouble) as refused:
        settle(tmp_path, Wanted())
    assert refused.value.name == "needs_store"
    assert settle(tmp_path, Wanted(store=url)).centre == "north"


def test_a_centre_with_a_database_of_its_own_does_not_go_to_postgres(tmp_path):
    settle(tmp_path, Wanted("north"))
    (tmp_path / "lingda.db").touch()
    with pytest.raises(Trouble) as refused:
        settle(tmp_path, Wanted(store="postgresql://127.0.0.1/lingda"))
    assert refused.value.name == "has_database"
    assert not settle(tmp_path, Wanted()).on_postgres


def test_a_postgres_that_cannot_be_reached_is_said_in_a_sentence(tmp_path):
    store = "postgresql://lingda:verborgen@127.0.0.1:1/lingda"
    arguments = ["--data", str(tmp_path), "--port", "0", "--no-tls", "--store", store]
    result = CliRunner().invoke(serve_command.command, arguments)
    assert result.exit_code == 2
    assert "PostgreSQL" in result.output and "verborgen" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:p%wverborgen@127.0.0.1:1/db", "postgresql://u:p@verborgen@127.0.0.1:1/db"],
)
def test_an_address_that_is_none_is_said_and_not_repeated(tmp_path, url):
    arguments = ["--data", str(tmp_path), "--port", "0", "--no-tls", "--store", url]
    result = CliRunner().invoke(serve_command.command, arguments)
    assert result.exit_code == 2 and "postgresql://" in result.output
    assert "verborgen" not in result.output + str(result.exception)
    assert not (tmp_path / "settings.json").exists()

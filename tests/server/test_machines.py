"""What is read of a machine stays little, however much was filed, ruled or disputed of it."""

import pytest

from schema.wire import Change
from server.ids import uuid7
from server.machines import NEWEST, OPEN, newest
from server.web.views_register import machines
from sync.moves import EACH_MAX
from tests.server.world import person, small_centre

LISTED = ("equipment_move", "move_ruling", "conflict")
PEOPLE = {"driver": "operator", "duty": "tablet"}


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def devices(world):
    found = {who: await world.device(who, kind) for who, kind in PEOPLE.items()}
    for one in found.values():
        await one.settle()
    return found.values()


def file(world, device, place, **more):
    world.time.now += 1_000
    id = uuid7(world.time())
    fields = {"equipment": "e1", "unit": "u1", "kind": "move", "at": world.time(), "place": place}
    fields |= {"manager": "示例甲", "operator": "示例乙", "operator_phone": "1000000002", **more}
    device.write("move.file", 1, Change("create", "equipment_move", id, fields))
    return id


def rule(world, device, filing, *over):
    world.time.now += 1_000
    fields = {"equipment": "e1", "unit": "u1", "filing": filing, "over": list(over)}
    change = Change("create", "move_ruling", uuid7(world.time()), fields | {"at": world.time()})
    device.write("conflict.decide_own", 1, change)


async def busy(world):
    """A machine that two people filed, disputed and ruled on far more often than counts."""
    driver, duty = await devices(world)
    stands = file(world, duty, "桥西")
    await duty.settle()
    mine = [file(world, driver, f"桥{n}") for n in range(2 * EACH_MAX)]
    await driver.settle()
    for one in mine[: EACH_MAX + 5]:
        rule(world, duty, stands, one)
    await duty.settle()
    return driver, duty


async def reads(world):
    """The ids of each list of the machine, as they are read."""
    return await world.engine.store.read(
        lambda txn: {name: sorted(one.row.id for one in newest(txn, name, "e1")) for name in LISTED}
    )


async def test_a_batch_reads_the_newest_of_each_person_and_the_conflicts_that_are_open(world):
    await busy(world)
    found, store = await reads(world), world.engine.store
    every = await store.read(lambda txn: {name: len(txn.children(name, "e1")) for name in LISTED})
    assert [*every.values()] == [2 * EACH_MAX + 1, EACH_MAX + 5, 2 * EACH_MAX]
    assert [len(found[name]) for name in LISTED] == [EACH_MAX + 1, EACH_MAX, 1]


async def test_a_push_about_a_busy_machine_reads_no_more_than_that(world, monkeypatch):
    _, duty = await busy(world)
    read = []

    def counted(txn, entity, parent):
        found = newest(txn, entity, parent)
        read.extend(found)
        return found

    monkeypatch.setattr("server.loading.newest", counted)
    file(world, duty, "桥南")
    await duty.sync()
    assert len(read) == 2 * EACH_MAX + 2


async def test_a_machine_is_where_its_newest_move_says_and_names_its_people(world):
    driver, _ = await devices(world)
    newest_of = file(world, driver, "示例东", operator="示例丙")
    late = file(world, driver, "示例西", at=world.time() - 60_000)
    await driver.settle()
    machine = await world.engine.store.read(lambda txn: machines(txn)[0])
    assert machine.position["place"] == "示例东"
    assert machine.phone("operator") == ("示例丙", "1000000002")
    assert [move.id for move, _ in machine.moves] == [newest_of, late]


async def test_who_works_a_machine_is_named_by_the_newest_filing_that_nobody_ruled_against(world):
    driver, duty = await devices(world)
    stands = file(world, driver, "桥东", operator="示例丙")
    await driver.settle()
    over = file(world, duty, "桥西", operator="示例丁")
    await duty.settle()
    rule(world, duty, stands, over)
    await duty.settle()
    machine = await world.engine.store.read(lambda txn: machines(txn)[0])
    assert machine.position["place"] == "桥东"
    assert machine.phone("operator")[0] == "示例丙"


async def test_a_page_shows_the_newest_filings_of_each_person(world):
    await busy(world)
    shown = await world.engine.store.read(lambda txn: machines(txn)[0])
    assert len(shown.moves) == EACH_MAX + 1
    assert shown.position["to_check"]
    assert shown.moves[0][0].fields["place"] == f"桥{2 * EACH_MAX - 1}"


async def test_a_database_that_kept_no_lists_gets_them_when_it_is_opened(world):
    await busy(world)
    before, store = await reads(world), world.engine.store

    def forget(txn):
        for kind in (NEWEST, OPEN):
            for key in txn.find(kind):
                txn.delete(kind, key)

    await store.write(forget)
    assert [*(await reads(world)).values()] == [[], [], []]
    await world.reopened_without_indexes()
    assert await reads(world) == before


async def test_whoever_filed_what_a_ruling_names_learns_of_it_and_of_nobody_else_s_filing(world):
    await world.engine.load([person("second", "u1", "operator")])
    driver, duty = await devices(world)
    second = await world.device("second", "operator")
    await second.settle()
    east, west = file(world, second, "桥东"), file(world, duty, "桥西")
    await second.settle()
    await duty.settle()
    rule(world, duty, west, east)
    await duty.settle()
    for one in (driver, second):
        await one.settle()
    assert [bool(one.sees("move_ruling")) for one in (driver, second)] == [False, True]
    assert [one.sees("conflict") for one in (driver, second)] == [set(), set()]
    assert (driver.sees("equipment_move"), second.sees("equipment_move")) == (set(), {east})

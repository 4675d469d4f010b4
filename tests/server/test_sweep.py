"""What is told no more after 90 days goes in small steps, and nobody is told a half-truth."""

from itertools import pairwise
from sqlite3 import OperationalError

import pytest

from schema.versions import DAY_MS, GONE_MS
from schema.wire import Change
from server.engine import SWEPT_AGAIN_MS, Engine
from server.store.sqlite import SqliteTxn
from tests.server.world import small_centre

GONE, STEP = 40, 10


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr("server.engine.FORGOTTEN_AT_ONCE", STEP)
    async with small_centre(tmp_path) as made:
        yield made


async def removed_one_by_one(world, tablets=()):
    """Contacts are removed; each of the tablets is there until some of them are gone."""
    fields = {"unit": "u1", "duty": "head", "name": "示例"}
    await world.engine.load([Change("create", "contact", f"x{n}", fields) for n in range(GONE)])
    for n in range(GONE):
        await world.engine.load([Change("remove", "contact", f"x{n}")])
        if n % STEP == STEP // 2 and n // STEP < len(tablets):
            await tablets[n // STEP].settle()


def told_gone(world):
    """How many tombstones are still told, and the floor."""

    def work(txn):
        rows = txn.page("register/u1", 2, 1, 10**9).page.rows
        return sum(b'"removed":true' in bytes(row) for row in rows), txn.head().floor

    return world.engine.store.read(work)


async def test_each_call_forgets_a_bounded_part_and_the_floor_moves_with_it(world):
    phone = await world.device("phone", "phone")
    await removed_one_by_one(world)
    world.time.now += GONE_MS + DAY_MS
    seen = [await told_gone(world)]
    for _ in range(5):
        await phone.sync()
        seen.append(await told_gone(world))
    assert [told for told, _ in seen][0::5] == [GONE, 0]
    assert all(before - after <= STEP + 1 for (before, _), (after, _) in pairwise(seen))
    floors = [floor for _, floor in seen]
    assert floors == sorted(floors) and len(set(floors)) >= GONE // STEP


async def test_who_comes_back_in_the_middle_of_it_holds_nothing_that_was_removed(world):
    tablets = [await world.device("duty", "tablet") for _ in range(GONE // STEP)]
    await removed_one_by_one(world, tablets)
    held = [len(one.sees("contact")) for one in tablets]
    world.time.now += GONE_MS + DAY_MS
    phone = await world.device("phone", "phone")
    for tablet in reversed(tablets):
        await phone.sync()
        await tablet.settle()
        living = {id for id in tablet.sees("contact") if tablet.replica.view(("contact", id))}
        assert living == {"c1"}
    assert held == sorted(held, reverse=True) and held[-1] > 1


async def test_it_goes_on_where_it_was_after_the_server_died(world):
    await removed_one_by_one(world)
    world.time.now += GONE_MS + DAY_MS
    await world.engine._forget_part()
    left, floor = await told_gone(world)
    assert 0 < left < GONE
    again = await Engine.open(world.engine.store, world.time, world.engine.config)
    assert await again.forget_old() > floor
    assert (await told_gone(world))[0] == 0


async def test_a_sweep_that_fails_costs_nobody_their_sync_and_is_tried_again_soon(
    world, monkeypatch
):
    phone = await world.device("phone", "phone")
    await removed_one_by_one(world)
    world.time.now += GONE_MS + DAY_MS
    before = await told_gone(world)

    def fails(*args):
        raise OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteTxn, "forget", fails)
        await phone.sync()
    await phone.sync()
    assert await told_gone(world) == before
    world.time.now += SWEPT_AGAIN_MS
    await phone.sync()
    assert (await told_gone(world))[0] < before[0]


async def test_what_went_in_the_last_ninety_days_is_told_still(world):
    await removed_one_by_one(world)
    world.time.now += GONE_MS + DAY_MS
    await world.engine.load([Change("remove", "contact", "c1")])
    last = (await world.engine.head()).seq
    assert await world.engine.forget_old() == last - 1
    assert (await told_gone(world))[0] == 1

"""The centre's clock is set back: what was said before is not held against what is said after."""

import pytest

from server.clock import Told, Watch
from server.lanes import SPANS_MAX, note_clock, told_twice
from sync.stamp import surely_ms
from tests.server.world import small_centre
from tests.sync.builders import NOW

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as world:
        await world.order("u1")
        yield world


async def codes(phone):
    return [one.code for one in (await phone.sync()).verdicts]


async def test_a_request_from_before_that_comes_late_is_held_against_nobody(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    late = phone.body()
    world.time.now -= HOUR_MS
    await phone.settle()
    phone.step("read")
    world.time.now += 2 * HOUR_MS
    assert (await phone.post(late)).status_code == 200
    assert await codes(phone) == [None]


async def test_words_from_both_sides_of_it_come_in_one_push(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    noon = world.time()
    world.time.now -= HOUR_MS
    await world.order("u1", id="d2")
    phone.step_dated("received", noon)
    phone.step_dated("read", noon - HOUR_MS + 1)
    world.time.now += 2 * HOUR_MS
    assert await codes(phone) == [None, None]


async def test_what_is_of_an_earlier_time_than_either_waits_for_a_person(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += HOUR_MS
    phone.step("received")
    await phone.settle()
    world.time.now -= HOUR_MS // 2
    await world.order("u1", id="d2")
    world.time.now += 2 * HOUR_MS
    phone.step_dated("read", world.time() - 2 * HOUR_MS - 1)
    assert await codes(phone) == ["backdated"]


async def test_a_day_after_it_time_does_not_go_back_either(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now -= HOUR_MS
    await world.order("u1", id="d2")
    world.time.now += 2 * HOUR_MS + DAY_MS
    phone.step("received")
    await phone.settle()
    phone.step_dated("read", world.time() - HOUR_MS // 2)
    assert await codes(phone) == ["backdated"]


async def test_a_clock_that_was_years_ahead_for_an_hour_makes_nobody_blind(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    true = world.time()
    world.time.now += 10 * YEAR_MS
    await phone.settle()
    phone.step("received")
    await phone.settle()
    world.time.now = true + HOUR_MS
    phone.step_dated("read", world.time())
    assert await codes(phone) == [None]
    world.time.now += 5 * YEAR_MS
    phone.step_dated("signed", world.time() - HOUR_MS)
    assert await codes(phone) == [None]
    phone.step_dated("departed", world.time() - 2 * HOUR_MS)
    assert await codes(phone) == ["backdated"]


async def noted(world, *times):
    """What the log knows after commits at these times, each with what a new process has told."""

    def work(txn):
        for now_ms, *told in times:
            note_clock(txn, Told(*(told or (now_ms, now_ms))), now_ms)
        return told_twice(txn)

    return await world.engine.store.write(work)


async def test_hours_that_touch_are_one_and_the_newest_are_kept(world):
    now = world.time()
    await noted(world, (now, now - HOUR_MS, now))
    assert await noted(world, (now + 500,), (now,)) == []
    back, again, end = now - 5_000, now - 9_000, now + 500 + DAY_MS
    assert await noted(world, (back,)) == [[back, end, 5_500]]
    assert await noted(world, (now,), (again,), (now + 1,)) == [[again, end, 9_500]]
    later = [now + 2 * DAY_MS * n for n in range(1, SPANS_MAX + 3)]
    spans = await noted(world, *((at,) for one in later for at in (one, one - 2_000)))
    assert [low for low, *_ in spans] == later[-SPANS_MAX:]


async def test_a_process_that_was_just_started_knows_how_late_it_had_been(world):
    now = world.time()
    spans = await noted(world, (now + HOUR_MS,), (now,))
    assert spans == [[now, now + HOUR_MS + DAY_MS, HOUR_MS]]


def test_how_late_it_was_is_known_though_nobody_asked():
    hands = [NOW, 0]
    watch = Watch(lambda: hands[0], lambda: hands[1])
    watch()
    hands[:] = [NOW + HOUR_MS, 3 * HOUR_MS]  # Three hours went by, and it was set back by two.
    assert (watch(), watch.told) == (NOW + HOUR_MS, Told(NOW, NOW + 3 * HOUR_MS))
    hands[:] = [NOW + 5 * HOUR_MS, 4 * HOUR_MS]
    assert (watch(), watch.told.latest_ms) == (NOW + 5 * HOUR_MS, NOW + 5 * HOUR_MS)


async def test_only_the_hours_that_were_told_count_as_told_twice(world):
    now = world.time()
    ahead = now + YEAR_MS
    assert await noted(world, (now,), (ahead,), (ahead + HOUR_MS,), (now + 1,)) == [
        [ahead, ahead + HOUR_MS + DAY_MS, YEAR_MS + HOUR_MS - 1]
    ]


def test_a_time_that_was_told_twice_counts_as_much_earlier_as_the_clock_was_set_back():
    twice = [[5, 9, 3], [20, 30, 12]]
    assert [surely_ms(twice, one) for one in (4, 5, 9, 10, 25)] == [4, 2, 6, 10, 13]


async def test_a_small_step_back_lets_nobody_date_their_work_as_they_like(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    for _ in range(30):
        world.time.now += DAY_MS
        phone.step("received")
        await phone.settle()
        world.time.now -= 1_100
    phone.step("received")
    await phone.settle()
    phone.step_dated("read", world.time() - HOUR_MS)
    assert await codes(phone) == ["backdated"]


async def test_a_database_of_a_time_when_the_clock_was_ahead_heals(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    await phone.settle()

    def ahead(txn):
        doc = txn.get("replica", phone.reply.replica)
        lanes = {
            lane: {**one, "top_ms": world.time() + YEAR_MS} for lane, one in doc["lanes"].items()
        }
        txn.put("replica", phone.reply.replica, {**doc, "lanes": lanes})
        txn.delete("node", "clock")

    await world.engine.store.write(ahead)
    phone.step("read")
    await phone.settle()
    world.time.now += HOUR_MS
    phone.step_dated("signed", world.time() - HOUR_MS // 2)
    assert await codes(phone) == [None]

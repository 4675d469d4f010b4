"""A scope whose devices say much is told now and then; what the centre says, at once."""

import asyncio
from functools import partial

import pytest

from schema.wire import Change, Poke
from server import pace
from server.live import Hub
from server.pace import Pace
from tests.server.world import small_centre


@pytest.fixture
def rested(monkeypatch):
    """Ends the rest that began first."""
    timers = []

    class Loop:
        def call_later(self, seconds, work, *values):
            assert seconds == pace.REST_S
            timers.append(lambda: work(*values))

    monkeypatch.setattr(pace.asyncio, "get_running_loop", Loop)
    return lambda: timers.pop(0)() if timers else None


@pytest.fixture
def said():
    return []


@pytest.fixture
def tell(said):
    told = Pace(lambda pokes: said.append([(one.lane, one.prev, one.seq) for one in pokes]))
    return lambda lane, prev, seq, scope="unit/u1", at_once=False: told.tell(
        scope, [Poke(scope, lane, seq, prev)], at_once
    )


def test_the_first_is_said_at_once_and_the_rest_together_once_it_is_over(tell, said, rested):
    tell(0, 0, 1)
    assert said == [[(0, 0, 1)]]
    tell(0, 1, 2)
    tell(1, 0, 3)
    tell(0, 2, 4)
    assert len(said) == 1
    rested()
    assert said[1:] == [[(0, 1, 4), (1, 0, 3)]]
    tell(0, 4, 5)
    assert len(said) == 2, "a scope that was told rests again"
    rested()
    assert said[2:] == [[(0, 4, 5)]]


def test_what_the_centre_says_breaks_the_rest_with_all_that_waits(tell, said, rested):
    tell(0, 0, 1)
    tell(1, 0, 2)
    tell(0, 1, 3, at_once=True)
    assert said[1:] == [[(1, 0, 2), (0, 1, 3)]]
    rested()
    assert len(said) == 2


def test_a_scope_that_was_silent_waits_for_nothing_and_for_no_other_scope(tell, said, rested):
    tell(0, 0, 1)
    tell(0, 0, 2, scope="unit/u2")
    assert len(said) == 2
    rested()
    rested()
    tell(0, 1, 3)
    assert len(said) == 3


async def test_one_commit_is_told_as_one_whatever_it_moved():
    hub, told = Hub(lambda: 1), []
    with hub.told(["unit/u1"], lambda: partial(told.append, device.taken())) as device:
        hub.publish({("unit/u1", 3): 4, ("unit/u1", 0): 4, ("unit/u2", 0): 4})
        await asyncio.sleep(0)
    assert [[one.lane for one in pokes] for pokes in told] == [[0, 3]]


async def test_the_desk_hears_at_once_of_what_devices_are_told_later():
    hub, told = Hub(lambda: 1), []
    with (
        hub.listen(["unit/u1"]) as desk,
        hub.told(["unit/u1"], lambda: partial(told.extend, device.taken())) as device,
    ):
        for seq in (5, 6):
            hub.publish({("unit/u1", 0): seq})
            await asyncio.sleep(0)
            assert [one.seq for one in await desk.take()] == [seq]
        assert [one.seq for one in told] == [5]
        hub.publish({("unit/u1", 0): 7}, {("unit/u1", 0)})
        await asyncio.sleep(0)
        assert [(one.prev, one.seq) for one in told] == [(0, 5), (5, 7)]


async def test_an_order_and_a_call_for_help_are_urgent_and_a_step_is_not(tmp_path):
    async with small_centre(tmp_path) as world:
        phone, told = await world.device("phone", "phone"), []
        world.engine._batcher._moved = lambda moved, urgent: told.append((set(moved), set(urgent)))
        await world.order("u1")
        assert all(moved == urgent for moved, urgent in told)
        await phone.sync()
        told.clear()
        phone.step("signed")
        await phone.sync()
        assert [urgent for _, urgent in told] == [set()] and ("unit/u1", 0) in told[0][0]
        call = {"unit": "u1", "text": "示例", "at": world.time()}
        phone.write("help.call", 0, Change("create", "help_call", "h1", call))
        reply = await phone.sync()
        assert [one.verdict for one in reply.verdicts] == ["applied"]
        assert told[1][1] == told[1][0]

"""Whose own clock is wrong is told so beside what was sent by it; nothing else depends on it."""

import msgspec
import pytest
from msgspec.structs import replace

from schema.tags import Tag
from schema.versions import CLOCK_OFF_MS_MAX
from schema.wire import Change, SyncReply
from tests.server.world import small_centre

OFF = (Tag.CLOCK_OFF,)


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as found:
        await found.order("u1")
        yield found


async def push(phone, clock):
    """Send what waits, with this time on the device's own clock. The tags of each verdict."""
    request = replace(phone.replica.request(phone.signer.sign, phone.world.time()), clock=clock)
    response = await phone.post(msgspec.json.encode(request))
    reply = msgspec.json.decode(response.content, type=SyncReply)
    return [(one.verdict, one.tags) for one in reply.verdicts]


@pytest.mark.parametrize("by", [CLOCK_OFF_MS_MAX, -CLOCK_OFF_MS_MAX])
async def test_a_clock_two_minutes_off_is_right_enough_and_one_beyond_that_is_not(world, by):
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("read")
    assert await push(phone, world.time() + by) == [("applied", ())]
    phone.step("signed")
    beyond = by + (1 if by > 0 else -1)
    told = await push(phone, world.time() + beyond)
    assert told == [("applied", ()), ("applied", OFF)]


async def test_a_push_that_tells_no_clock_has_none_that_is_wrong(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("read")
    assert await push(phone, 0) == [("applied", ())]


async def test_what_was_judged_before_keeps_what_was_said_of_it(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("read")
    wrong, right = world.time() - 3_600_000, world.time()
    assert await push(phone, wrong) == await push(phone, right) == [("applied", OFF)]


async def test_what_had_to_wait_is_told_so_once_it_stands(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    fields = {"equipment": "e9", "unit": "u1", "kind": "move", "at": world.time(), "place": "桥东"}
    fields |= {"manager": "示例甲", "operator": "示例乙", "operator_phone": "1000000002"}
    dot = duty.write("move.file", 1, Change("create", "equipment_move", "m1", fields))
    assert await push(duty, world.time() + 3_600_000) == [("held", ())]
    card = {"unit": "u1", "kind": "crane", "name": "示例吊车", "status": "available"}
    await world.engine.load([Change("create", "equipment", "e9", card)])
    [past] = (await world.engine.store.read(lambda txn: txn.logged({dot}))).values()
    assert (past.verdict.verdict, past.verdict.tags) == ("applied", OFF)

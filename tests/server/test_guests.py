"""Devices on the line are looked up many at once, and whoever may not stay is sent away."""

import asyncio
from contextlib import ExitStack

import pytest

from server.accounts import device_of
from server.guests import CHECK_AFTER_MS, Guests
from tests.server.world import small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def guests(world):
    """Three devices on the line."""
    house, stack = Guests(world.engine), ExitStack()
    here = []
    for _ in range(3):
        phone = await world.device("phone", "phone")
        device = await device_of(world.engine, phone.reply.token)
        here.append(stack.enter_context(house.staying(device, phone.reply.token)))
    yield house, here
    stack.close()


@pytest.fixture
def reads(world, monkeypatch):
    """How often the store was read."""
    count, look = [], world.engine.store.look

    async def counted(work):
        count.append(work)
        return await look(work)

    monkeypatch.setattr(world.engine.store, "look", counted)
    return count


async def revoked(world, guest):
    def work(txn):
        doc = txn.get("replica", guest.device.replica)
        txn.put("replica", guest.device.replica, {**doc, "revoked_at": 1})

    await world.engine.store.write(work)


async def test_all_are_looked_up_together(world, guests, reads):
    house, here = guests
    await revoked(world, here[1])
    await house._look_up(here)
    assert len(reads) == 1
    assert [guest.unwelcome.is_set() for guest in here] == [False, True, False]


async def test_who_was_looked_up_lately_waits_for_nothing(world, guests, reads):
    house, here = guests
    assert await house.may_stay(here[0], lately=True)
    assert reads == []
    world.time.now += CHECK_AFTER_MS
    assert await house.may_stay(here[0], lately=True)
    assert await house.may_stay(here[0], lately=True)
    assert len(reads) == 1


async def test_who_was_revoked_may_not_stay_from_the_next_question_on(world, guests):
    house, here = guests
    await revoked(world, here[0])
    assert await house.may_stay(here[0], lately=True)
    assert not await house.may_stay(here[0])
    assert not await house.may_stay(here[0], lately=True)


async def test_a_look_up_that_fails_is_tried_again(world, monkeypatch):
    house, looks, again = Guests(world.engine), [], asyncio.Event()

    async def look_at_all():
        looks.append(1)
        if len(looks) == 1:
            raise OSError("the disk is gone for a moment")
        again.set()

    monkeypatch.setattr("server.guests.ASKED_S", 0)
    monkeypatch.setattr(house, "look_at_all", look_at_all)
    phone = await world.device("phone", "phone")
    device = await device_of(world.engine, phone.reply.token)
    with house.staying(device, phone.reply.token):
        await asyncio.wait_for(again.wait(), 30)

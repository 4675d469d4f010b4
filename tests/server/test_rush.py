"""Thousands of receipts at once, and nobody behind them waits for them."""

import asyncio
from contextlib import AsyncExitStack

import msgspec
import pytest
from msgspec import Raw

from schema.wire import OutboxReport, Run, SyncReply, SyncRequest
from server.rush import RECEIPTS_AT_ONCE, Rush
from sync.mutation import encode_mutation
from tests.server.world import small_centre
from tests.sync.builders import arrival, step


def request(*kinds):
    said = [
        Raw(encode_mutation(arrival("phone", 0, n, "target.step", step(kind)).mutation))
        for n, kind in enumerate(kinds, start=1)
    ]
    runs = [Run(0, "", said)] if said else []
    return SyncRequest("centre", "1-a", "phone", runs=runs, outbox=OutboxReport(len(said), None))


class Crowd:
    """Requests that stay where they are worked on until they are let go."""

    def __init__(self):
        self.rush, self.inside, self.go = Rush(), 0, asyncio.Event()

    async def come(self, *kinds):
        async with self.rush.turn(request(*kinds)):
            self.inside += 1
            await self.go.wait()

    async def inside_now(self, *crowd):
        """How many of these are worked on at once; all of them are, in the end."""
        tasks = [asyncio.create_task(self.come(*kinds)) for kinds in crowd]
        for _ in range(3):
            await asyncio.sleep(0)
        inside = self.inside
        self.go.set()
        await asyncio.gather(*tasks)
        assert self.inside == len(crowd)
        return inside


async def test_receipts_beyond_a_few_wait_for_each_other():
    many = [["received"]] * (RECEIPTS_AT_ONCE + 9)
    assert await Crowd().inside_now(*many) == RECEIPTS_AT_ONCE


@pytest.mark.parametrize("kinds", [["signed"], ["received", "signed"], []])
async def test_what_a_person_says_and_a_look_wait_for_no_receipts(kinds):
    many = [["received"]] * (RECEIPTS_AT_ONCE + 9)
    assert await Crowd().inside_now(*many, kinds) == RECEIPTS_AT_ONCE + 1


async def test_a_centre_in_a_rush_of_receipts_takes_what_people_say_first(tmp_path):
    async with small_centre(tmp_path) as world:
        phone, tablet = await world.device("phone", "phone"), await world.device("duty", "tablet")
        await world.order("u1")
        for one in (phone, tablet):
            await one.sync()
        async with AsyncExitStack() as others:
            await take_all_turns(world, others)
            phone.step("received")
            receipt = asyncio.create_task(phone.sync())
            tablet.step("signed")
            assert [one.verdict for one in (await tablet.sync()).verdicts] == ["applied"]
            assert not receipt.done()
        assert [one.verdict for one in (await receipt).verdicts] == ["applied"]


async def test_who_was_revoked_while_it_waited_for_its_turn_is_told_nothing_more(tmp_path):
    async with small_centre(tmp_path) as world:
        phone = await world.device("phone", "phone")
        await world.order("u1")
        await phone.sync()
        async with AsyncExitStack() as others:
            await take_all_turns(world, others)
            phone.step("received")
            receipt = asyncio.create_task(phone.post(phone.body()))
            await asyncio.sleep(0)
            await revoke(world, phone)
            await world.order("u1", id="d2")
            assert not receipt.done()
        told = msgspec.json.decode((await receipt).content, type=SyncReply)
        assert [one.verdict for one in told.verdicts] == ["quarantined"]
        assert told.pages == [] and set(told.revoked) == set(phone.reply.scopes)


async def take_all_turns(world, others):
    for _ in range(RECEIPTS_AT_ONCE):
        await others.enter_async_context(world.engine.rush.turn(request("received")))


async def revoke(world, phone):
    def work(txn):
        doc = txn.get("replica", phone.reply.replica)
        txn.put("replica", phone.reply.replica, {**doc, "revoked_at": world.time()})

    await world.engine.store.write(work)

"""Small writes side by side share a transaction, and none takes another along."""

import asyncio
import sqlite3
import threading

import pytest

from server.store.sqlite import open_store
from server.together import AT_ONCE, Together
from tests.server.test_blob import PHOTO, create, ready, send
from tests.server.world import small_centre


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path / "centre.db", "centre")
    yield opened
    await opened.close()


@pytest.fixture
def writes(store):
    """Every transaction of the store."""
    told, whole = [], store.write

    def counted(work):
        told.append(work)
        return whole(work)

    store.write = counted
    return told


def note(n):
    return lambda txn: txn.put("upload", f"{n}", {"n": n})


def full(txn):
    txn.put("upload", "half", {})
    raise sqlite3.OperationalError("database or disk is full")


async def kept(store):
    return list(await store.read(lambda txn: txn.find("upload")))


async def test_what_waits_while_a_transaction_runs_shares_the_next_one(store):
    together, begun, on = Together(store), threading.Event(), threading.Event()

    def slow(txn):
        begun.set()
        assert on.wait(30)

    first = asyncio.create_task(together.write(slow))
    assert await asyncio.to_thread(begun.wait, 30)
    others = [asyncio.create_task(together.write(lambda txn: txn)) for _ in range(5)]
    await asyncio.sleep(0)
    on.set()
    await first
    one, *more = await asyncio.gather(*others)
    assert all(txn is one for txn in more)


async def test_what_was_written_is_there_and_answered_in_its_turn(store):
    together = Together(store)
    turns = (together.write(lambda txn, n=n: (note(n)(txn), n)[1]) for n in range(5))
    assert await asyncio.gather(*turns) == [0, 1, 2, 3, 4]
    assert await kept(store) == ["0", "1", "2", "3", "4"]


async def test_one_that_fails_takes_no_other_along_and_leaves_nothing_of_itself(store):
    together = Together(store)
    turns = [together.write(one) for one in (note(1), full, note(2))]
    told = await asyncio.gather(*turns, return_exceptions=True)
    assert [type(one) for one in told] == [type(None), sqlite3.OperationalError, type(None)]
    assert await kept(store) == ["1", "2"]
    await together.write(note(3))
    assert await kept(store) == ["1", "2", "3"]


async def test_one_that_fails_costs_the_others_a_few_transactions_more_and_not_one_each(
    store, writes
):
    together = Together(store)
    turns = [note(n) for n in range(AT_ONCE)]
    turns[AT_ONCE // 3] = full
    await asyncio.gather(*(together.write(one) for one in turns), return_exceptions=True)
    assert len(await kept(store)) == AT_ONCE - 1
    assert len(writes) < AT_ONCE / 3


async def test_no_transaction_is_shared_by_more_than_some(store, writes):
    together = Together(store)
    await asyncio.gather(*(together.write(note(n)) for n in range(2 * AT_ONCE + 1)))
    assert len(writes) == 3 and len(await kept(store)) == 2 * AT_ONCE + 1


async def test_whoever_goes_away_keeps_nobody_waiting(store):
    together = Together(store)
    gone, stays = (asyncio.create_task(together.write(note(n))) for n in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(30):
        await stays
    assert "2" in await kept(store)


async def test_one_device_that_may_begin_no_more_photos_holds_up_no_other(tmp_path, monkeypatch):
    async with small_centre(tmp_path) as world:
        phone, other = await ready(world), await world.device("other", "phone")
        monkeypatch.setattr("server.blobs.UNFINISHED_MAX", 1)
        await create(phone)
        second, theirs = await asyncio.gather(create(phone, sha="0" * 64), create(other))
        assert second.status_code == 429 and theirs.status_code == 201
        assert (await send(other, theirs.headers["location"], 0, PHOTO)).status_code == 204

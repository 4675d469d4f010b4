"""Group commit: who waits together is judged in order; a failure hurts only its own author."""

import asyncio
import sqlite3

import pytest

from schema.wire import Change
from server.batch import Batcher, Job
from server.clock import Watch
from server.store.sqlite import open_store
from server.verify import Checked
from tests.server.world import Time
from tests.sync.builders import NOW, PEOPLE, arrival

WAITED_MS = 5_000


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path / "centre.db", "centre")
    yield opened
    await opened.close()


def unit(n):
    change = Change(
        "create", "unit", f"u{n}", {"code": f"u{n}", "name": "示例", "tier": "T1", "category": "1"}
    )
    return arrival("admin", 2, n, "register.load", change)


def job(n, note=None):
    one = unit(n)
    return Job(lambda txn: Checked([one], {("admin", "admin"): PEOPLE["admin"]}), note)


class Counting:
    """A store that counts its transactions."""

    def __init__(self, store):
        self.store = store
        self.writes = 0

    async def write(self, work):
        self.writes += 1
        return await self.store.write(work)


class Busy:
    """A store in which somebody else writes first: the time moves on before the lock is ours."""

    def __init__(self, store, time):
        self.store = store
        self.time = time

    async def write(self, work):
        self.time.now += WAITED_MS
        return await self.store.write(work)


async def test_who_waited_for_the_lock_judges_by_the_time_at_which_it_was_given(store):
    """Else a batch of another process, written meanwhile, would seem to be of a later time."""
    time = Time()
    batcher = Batcher(Busy(store, time), Watch(time), lambda moved, said: None)
    await batcher.run(job(1))
    [unit_row] = await store.read(lambda txn: txn.children("unit", None))
    assert unit_row.row.arrived == time.now == NOW + WAITED_MS
    assert batcher._clock.told.latest_ms == time.now


async def test_what_waits_together_shares_a_transaction_and_keeps_its_order(store):
    counting = Counting(store)
    batcher = Batcher(counting, Watch(lambda: NOW), lambda moved, said: None)
    verdicts = await asyncio.gather(*(batcher.run(job(n)) for n in range(1, 21)))
    assert [one[0].seq for one in verdicts] == list(range(1, 21))
    assert counting.writes <= 2


async def test_a_failed_commit_is_tried_one_by_one_and_only_the_culprit_is_told(store):
    def fails(txn, verdicts):
        raise sqlite3.OperationalError("disk full")

    batcher = Batcher(store, Watch(lambda: NOW), lambda moved, said: None)
    results = await asyncio.gather(
        batcher.run(job(1)), batcher.run(job(2, fails)), batcher.run(job(3)), return_exceptions=True
    )
    assert [type(one) for one in results] == [list, sqlite3.OperationalError, list]
    units = await store.read(lambda txn: txn.children("unit", None))
    assert [one.row.id for one in units] == ["u1", "u3"]
    assert (await store.read(lambda txn: txn.head())).seq == 2


async def test_pokes_follow_the_commit_and_name_what_moved(store):
    told = []
    batcher = Batcher(store, Watch(lambda: NOW), lambda *done: told.append(done))
    await batcher.run(job(1))
    assert told == [({("directory", 2): 1}, {("directory", 2)})], "it was the node's own word"


async def test_a_mutation_twice_in_one_batch_is_applied_once(store):
    batcher = Batcher(store, Watch(lambda: NOW), lambda moved, said: None)
    first, second = await asyncio.gather(batcher.run(job(1)), batcher.run(job(1)))
    assert (first[0].seq, first[0].repeat) == (1, False)
    assert (second[0].seq, second[0].repeat) == (1, True)


async def test_what_was_refused_is_in_the_log_with_its_words(store):
    batcher = Batcher(store, Watch(lambda: NOW), lambda moved, said: None)
    await batcher.run(job(1))
    again = arrival("admin", 2, 2, "register.load", unit(1).mutation.changes[0])
    people = {("admin", "admin"): PEOPLE["admin"]}
    verdicts = await batcher.run(Job(lambda txn: Checked([again], people)))
    assert verdicts[0].verdict == "refused"
    raw = (await store.read(lambda txn: txn.words(["admin/2/2"])))["admin/2/2"]
    assert raw == again.raw

"""What processes tell each other of devices never goes back in time."""

import msgspec
import pytest

from server.device import Device
from server.fleet import (
    GONE_AFTER_MS,
    HEARD,
    NEWS,
    NEWS_KEPT_MS,
    Fleet,
    Mark,
    heard_since,
    tell_heard,
)
from server.store.sqlite import open_store
from tests.sync.builders import NOW

PHONE = Device("r1", "phone", "u1", "phone", frozenset(), "s", "k", (), False)


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path / "centre.db", "centre")
    yield opened
    await opened.close()


class Process:
    """One process's fleet, and what it exchanges with the others."""

    def __init__(self, store, name):
        self.store, self.name, self.fleet = store, name, Fleet()
        self.mark = Mark()

    async def exchange(self, now):
        news = self.fleet.news(self.name)
        await self.store.write(lambda txn: tell_heard(txn, self.name, news, now))
        told, self.mark = await self.store.read(
            lambda txn: heard_since(txn, self.name, self.mark, now)
        )
        self.fleet.hear(told)
        return [one.seen.replica for one in told]

    def phone(self):
        [seen] = self.fleet.list(lambda *pair: 0, 0)
        return seen


@pytest.fixture
def processes(store):
    return [Process(store, name) for name in "abc"]


async def exchanged(processes, now):
    for process in (*processes, *processes):
        await process.exchange(now)


async def test_a_phone_that_moved_on_stays_live_when_its_old_line_is_missed(processes):
    a, b, _ = processes
    a.fleet.connected(PHONE, +1, NOW)
    await exchanged(processes, NOW)
    b.fleet.connected(PHONE, +1, NOW + 1_000)
    await exchanged(processes, NOW + 1_000)
    a.fleet.connected(PHONE, -1, NOW + 9_000)
    await exchanged(processes, NOW + 9_000)
    assert [one.phone().live for one in processes] == [True, True, True]
    b.fleet.connected(PHONE, -1, NOW + 12_000)
    await exchanged(processes, NOW + 12_000)
    assert [one.phone().live for one in processes] == [False, False, False]
    assert {one.phone().last_seen for one in processes} == {NOW + 1_000}


async def test_an_older_word_that_is_told_later_changes_nothing(processes):
    a, b, c = processes
    a.fleet.connected(PHONE, +1, NOW)
    b.fleet.connected(PHONE, +1, NOW + 5_000)
    await b.exchange(NOW + 5_000)
    await a.exchange(NOW + 6_000)
    await c.exchange(NOW + 6_000)
    assert c.phone().last_seen == NOW + 5_000


async def test_what_could_not_be_told_is_told_the_next_time(processes):
    a, b, _ = processes
    a.fleet.connected(PHONE, +1, NOW)
    a.fleet.not_told(a.fleet.news("a"))
    await a.exchange(NOW)
    await b.exchange(NOW)
    assert b.phone().live


async def test_a_revoked_device_does_not_come_back_by_what_others_heard(processes, store):
    a, b, _ = processes
    a.fleet.connected(PHONE, +1, NOW)
    await a.exchange(NOW)
    doc = {"revoked_at": NOW, "kind": "phone", "actor": "phone", "unit": "u1"}
    await store.write(lambda txn: txn.put("replica", "r1", doc))
    await store.read(b.fleet.load)
    await b.exchange(NOW)
    assert b.fleet.list(lambda *pair: 0, 0) == []


def phone(n):
    return msgspec.structs.replace(PHONE, replica=f"r{n}")


async def test_only_what_is_new_is_read_while_the_same_processes_are_there(processes):
    a, b, _ = processes
    for n in range(10, 30):
        a.fleet.connected(phone(n), +1, NOW)
    await exchanged([a, b], NOW)
    a.fleet.connected(phone(12), +1, NOW + 1)
    a.fleet.connected(phone(17), +1, NOW + 1)
    await a.exchange(NOW + 2_000)
    assert sorted(await b.exchange(NOW + 2_000)) == ["r12", "r17"]
    assert await b.exchange(NOW + 4_000) == []
    b.fleet.connected(phone(18), +1, NOW + 5_000)
    assert await b.exchange(NOW + 6_000) == [], "what it said itself"


async def test_who_has_missed_news_or_an_epoch_reads_all_of_it_again(processes, store):
    a, b, _ = processes
    for n in range(10, 20):
        a.fleet.connected(phone(n), +1, NOW)
    await exchanged([a, b], NOW)
    later = NOW + NEWS_KEPT_MS
    for n in range(3):
        a.fleet.connected(PHONE, +1, later + n * NEWS_KEPT_MS)
        await a.exchange(later + n * NEWS_KEPT_MS)
    await b.exchange(later + 2 * NEWS_KEPT_MS)
    a.fleet.connected(PHONE, +1, later + 3 * NEWS_KEPT_MS)
    await a.exchange(later + 3 * NEWS_KEPT_MS)
    kept = await store.read(lambda txn: txn.find(NEWS))
    assert len(kept) <= 2, "old news go"
    b.mark = msgspec.structs.replace(b.mark, upto=1)
    assert len(await b.exchange(later + 3 * NEWS_KEPT_MS)) == 11
    assert await b.exchange(later + 3 * NEWS_KEPT_MS) == []
    b.mark = msgspec.structs.replace(b.mark, epoch="0-x")
    assert len(await b.exchange(later + 3 * NEWS_KEPT_MS)) == 11


async def test_a_process_that_comes_or_goes_has_all_looked_at_anew(processes):
    a, b, c = processes
    a.fleet.connected(PHONE, +1, NOW)
    await exchanged([a, b], NOW)
    await c.exchange(NOW)
    assert await b.exchange(NOW) == ["r1"]
    gone = NOW + GONE_AFTER_MS
    await c.exchange(gone)
    assert await b.exchange(gone) == ["r1"] and not b.phone().live


async def test_what_another_version_told_otherwise_stops_nobody(processes, store):
    a, b, _ = processes
    a.fleet.connected(PHONE, +1, NOW)
    await a.exchange(NOW)
    old = {"process": "old", "seen": {"replica": "r2"}, "cursors": [["unit/u1", 0, 1]]}
    await store.write(lambda txn: txn.put(HEARD, "r2", old))
    assert await b.exchange(NOW) == ["r1"]


async def test_a_damaged_record_of_one_device_keeps_nobody_from_the_others(processes, store):
    a, b, _ = processes
    await exchanged([a, b], NOW)
    for n in (10, 11):
        a.fleet.connected(phone(n), +1, NOW)
    await a.exchange(NOW)
    db = store._database.db
    db.execute("UPDATE side SET crc=crc+1 WHERE kind='heard' AND key='r10'")
    assert await b.exchange(NOW) == ["r11"]

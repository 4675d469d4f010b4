"""What processes tell each other of devices never goes back in time."""

import pytest

from server.device import Device
from server.fleet import Fleet, heard_elsewhere, tell_heard
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

    async def exchange(self, now):
        news = self.fleet.news(self.name)
        await self.store.write(lambda txn: tell_heard(txn, self.name, news, now))
        told = await self.store.read(lambda txn: heard_elsewhere(txn, self.name, now))
        self.fleet.hear(told)

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

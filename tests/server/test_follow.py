"""Two processes serve one centre from one PostgreSQL: what one commits, the other's people hear."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from server import follow
from server.accounts import device_of
from server.app import build_app
from server.clock import SharedClock, system_clock
from server.config import Config
from server.data_folder import Trouble
from server.engine import Engine
from server.fleet import GONE_AFTER_MS, PROCESS
from server.node import load_node
from server.store.postgres import open_postgres
from server.store.postgres.database import PostgresStore
from tests.server.world import Phone, World, register

HEARD_S = 30.0
"""Long enough on any machine; how long it takes is measured elsewhere."""


@asynccontextmanager
async def serving(database, folder, clock):
    """One process, and a client of its application."""
    engine = await Engine.open(await open_postgres(database, "centre"), clock, Config(data=folder))
    transport = httpx.ASGITransport(build_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield World(engine, clock, client)
    await engine.close()


@pytest.fixture
async def nodes(database, tmp_path):
    """Two processes with one key; the clock of the second is a minute behind."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    load_node(first / "node.key", "")
    (second / "node.key").write_bytes((first / "node.key").read_bytes())
    async with (
        serving(database, first, system_clock) as here,
        serving(database, second, lambda: system_clock() - 60_000) as there,
    ):
        verdict = await here.engine.load(register())
        assert verdict.verdict == "applied"
        yield here, there


async def heard(listener, scope, lane):
    """The poke of this pair, whenever it comes."""
    while True:
        for poke in await asyncio.wait_for(listener.take(), HEARD_S):
            if (poke.scope, poke.lane) == (scope, lane):
                return poke


async def test_who_listens_at_one_process_hears_of_an_order_given_at_another(nodes):
    here, there = nodes
    with there.engine.hub.listen(["unit/u1"]) as listener:
        await here.order("u1")
        poke = await heard(listener, "unit/u1", 0)
    assert poke.seq == (await here.engine.head()).seq


async def test_a_lost_hint_costs_a_moment_and_no_poke(nodes, monkeypatch):
    here, there = nodes
    monkeypatch.setattr(PostgresStore, "hints", SilentStore.hints)
    await there.engine._follower.stop()
    started = follow.Follower.start
    store, hub = there.engine.store, there.engine.hub
    there.engine._follower = await started(store, SharedClock(system_clock), there.engine._looked)
    with hub.listen(["unit/u1"]) as listener:
        await here.order("u1")
        assert await heard(listener, "unit/u1", 0)


class SilentStore(PostgresStore):
    async def hints(self):
        await asyncio.Event().wait()
        yield


async def test_a_device_pushes_at_one_process_and_pulls_at_the_other(nodes):
    here, there = nodes
    await here.order("u1")
    phone = await here.device("phone", "phone")
    await phone.settle()
    phone.step("signed")
    await phone.sync()
    elsewhere = Phone(there, phone.reply, phone.signer)
    elsewhere.replica = phone.replica
    phone.step("departed")
    verdicts = (await elsewhere.sync()).verdicts
    assert [one.verdict for one in verdicts] == ["applied"]
    assert len((await elsewhere.settle()).verdicts) == 0
    assert phone.replica.outbox == []


async def test_both_processes_write_as_one_node(nodes):
    here, there = nodes
    await here.order("u1", id="d1")
    await there.order("u1", id="d2")
    await here.order("u1", id="d3")
    rows = [await here.row("directive", id) for id in ("d1", "d2", "d3")]
    assert len({row.dot.rsplit("/", 1)[0] for row in rows}) == 1
    assert len({row.dot for row in rows}) == 3


async def test_processes_whose_clocks_differ_go_by_the_one_of_the_database(nodes):
    here, there = nodes
    await here.order("u1", id="d1")
    await there.order("u1", id="d2")
    await here.order("u1", id="d3")
    assert abs(here.engine.clock() - there.engine.clock()) < 10_000
    clock = await here.engine.store.read(lambda txn: txn.get("node", "clock"))
    assert clock["twice"] == []


async def test_a_process_with_another_key_is_turned_away(nodes, database, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    store = await open_postgres(database, "centre")
    with pytest.raises(Trouble) as turned:
        await Engine.open(store, system_clock, Config(data=other))
    assert turned.value.name == "other_key"
    await store.close()


async def fleet_at(world, replica):
    """What a process knows of a device, once it has heard of others."""
    world.engine._exchanged_ms = 0
    await world.engine._follower.look()
    return next(one for one in world.engine.fleet() if one.replica == replica)


async def test_each_process_knows_what_a_device_told_the_other(nodes):
    here, there = nodes
    phone = await here.device("phone", "phone")
    await phone.sync()
    await fleet_at(here, phone.reply.replica)
    seen = await fleet_at(there, phone.reply.replica)
    assert seen.last_seen and seen.app == phone.replica.request(phone.signer.sign, 0).app
    first = seen.last_seen
    elsewhere = Phone(there, phone.reply, phone.signer)
    elsewhere.replica = phone.replica
    await elsewhere.sync()
    later = (await fleet_at(there, phone.reply.replica)).last_seen
    assert later > first
    assert (await fleet_at(here, phone.reply.replica)).last_seen == later


async def test_a_connection_to_a_process_that_is_gone_is_not_called_live(nodes):
    here, there = nodes
    phone = await here.device("phone", "phone")
    device = await device_of(here.engine, phone.reply.token)
    here.engine.joined(device, +1)
    await fleet_at(here, phone.reply.replica)
    assert (await fleet_at(there, phone.reply.replica)).live
    await here.engine._follower.stop()
    process = here.engine._process
    said = there.engine.clock() - GONE_AFTER_MS
    await there.engine.store.write(lambda txn: txn.put(PROCESS, process, {"at": said}))
    assert not (await fleet_at(there, phone.reply.replica)).live

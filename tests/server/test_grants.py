"""Devices follow the register: who moves takes their devices along, and nobody else's is read."""

import pytest

from schema.wire import Change
from server.store.sqlite import SqliteTxn
from tests.server.world import person, small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


@pytest.fixture
def read(monkeypatch):
    """Every replica's record that was read, and every search through all of them."""
    told = []
    get_each, find = SqliteTxn.get_each, SqliteTxn.find

    def gets(self, kind, keys):
        keys = list(keys)
        told.extend(("get", key) for key in keys if kind == "replica")
        return get_each(self, kind, keys)

    def finds(self, kind, prefix=""):
        told.extend(("find", prefix) for _ in range(kind == "replica"))
        return find(self, kind, prefix)

    monkeypatch.setattr(SqliteTxn, "get_each", gets)
    monkeypatch.setattr(SqliteTxn, "find", finds)
    return told


def unit_of(world, phone):
    def work(txn):
        return {
            one["scope"]
            for one in txn.get("replica", phone.reply.replica)["grants"]
            if one["to_seq"] is None and one["scope"].startswith("unit/")
        }

    return world.engine.store.read(work)


async def move(world, actors, unit):
    """One commit of the register's new state."""
    changes = [Change("set", "person", actor, {"unit": unit}) for actor in actors]
    verdict = await world.engine.load(changes)
    assert verdict.verdict == "applied"


async def test_an_import_of_many_people_reads_only_their_own_devices(world, read):
    crowd = [f"p{n}" for n in range(100)]
    await world.engine.load([person(one, "u1", "responder") for one in crowd])
    phone = await world.device("p7", "phone")
    others = [await world.device("other", "phone") for _ in range(3)]
    read.clear()
    await move(world, crowd, "u2")
    assert {key for _, key in read} == {phone.reply.replica, world.engine.node.replica}
    assert await unit_of(world, phone) == {"unit/u2"}
    assert [await unit_of(world, one) for one in others] == [{"unit/u2"}] * 3


async def test_a_person_takes_every_device_along_and_nobody_else_s(world):
    await world.engine.load([person("phone b", "u1", "responder")])
    own = [await world.device("phone", "phone") for _ in range(2)]
    namesake = await world.device("phone b", "phone")
    await move(world, ["phone"], "u2")
    assert [await unit_of(world, one) for one in own] == [{"unit/u2"}] * 2
    assert await unit_of(world, namesake) == {"unit/u1"}


async def test_devices_of_an_earlier_version_move_too(world):
    phone = await world.device("phone", "phone")

    def forget(txn):
        for key in txn.find("holder"):
            txn.delete("holder", key)

    await world.engine.store.write(forget)
    await world.reopened_without_indexes()
    await move(world, ["phone"], "u2")
    assert await unit_of(world, phone) == {"unit/u2"}

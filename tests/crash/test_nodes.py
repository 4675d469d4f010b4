"""Two server processes on one PostgreSQL, of which one or the other is killed under load."""

import asyncio
import shutil
from random import Random

import httpx
import pytest

from schema.words import words
from server.node import load_node
from server.store.postgres import open_postgres
from tests.crash import truth
from tests.crash.client import Line, Load
from tests.crash.process import STARTED_S, Server
from tests.crash.test_kill import PER_SECOND, SAID_BETWEEN, Remembering
from tests.crash.town import made

DEVICES = 16
READY, ONCE = (words("zh-CN")[f"cli.{name}"] for name in ("ready", "password_once"))


def nodes_of(folder, store):
    """Two processes with one key and one folder of photos, each with a folder of its own."""
    first, second = folder / "data", folder / "second"
    second.mkdir(mode=0o700)
    shutil.copy2(first / "node.key", second / "node.key")
    more = ["--store", store, "--blobs", str(folder / "blobs")]
    return [Server(one, more=more) for one in (first, second)]


class Roaming(Line):
    """A device's way to whichever process answers: where one is gone, the other is asked."""

    def __init__(self, servers, client):
        super().__init__(servers[0], client)
        self.servers = servers
        self.turns = 0

    async def ask(self, method, path, **more):
        self.turns += 1
        alive = [one for one in self.servers if one.up.is_set()]
        self.server = alive[self.turns % len(alive)]
        return await super().ask(method, path, **more)


async def survives(database, tmp_path, kills):
    """A load with so many kills in it; what it came to, in words."""
    random, told = Random(4), Remembering()
    town = await made(tmp_path / "data", DEVICES, 6, database)
    devices = told.devices(town)
    servers = nodes_of(tmp_path, database)
    for server in servers:
        await server.start()
    try:
        limits = httpx.Limits(max_connections=DEVICES)
        async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
            load = Load(Roaming(servers, client), devices, PER_SECOND, random)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                for kill in range(kills):
                    await load.reached(load.said + random.randint(*SAID_BETWEEN))
                    await servers[kill % 2].kill()
                    await load.reached(load.said + random.randint(*SAID_BETWEEN))
                    await servers[kill % 2].start()
                load.stopping.set()
    finally:
        for server in servers:
            await server.kill()
    assert [device.outbox for device in devices] == [[]] * DEVICES
    assert {one.verdict.verdict for one in told} <= {"applied", "merged"}
    said = [dot for device in devices for dot in device.said]
    length = await truth.check(tmp_path / "data", said, told, database)
    return f"{kills} kills, {load.said} mutations, {length} lines, {dict(load.line.answers)}"


async def words_until_ready(server):
    """All that a process says until it serves."""
    said = ""
    async with asyncio.timeout(STARTED_S):
        while READY not in said:
            line = await server.process.stdout.readline()
            assert line, server.log.read_text()[-4000:]
            said += line.decode()
    return said


@pytest.mark.timeout(300)
async def test_two_first_starts_at_once_both_serve_and_one_tells_the_password(database, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    load_node(folder / "node.key", "")
    servers = nodes_of(tmp_path, database)
    try:
        for server in servers:
            server.more = [*server.more, "--register"]
            await server.spawn()
        said = await asyncio.gather(*map(words_until_ready, servers))
    finally:
        for server in servers:
            await server.kill()
    assert sorted(ONCE in one for one in said) == [False, True]
    store = await open_postgres(database, "centre")
    logins = await store.read(lambda read: read.find("login"))
    lines = await store.read(lambda read: read.logged(truth.own_dots(read)))
    units = await store.read(lambda read: read.children("unit", None))
    await store.close()
    assert list(logins) == ["admin"] and len(units) > 100
    assert {one.verdict.verdict for one in lines.values()} == {"applied"}, "nothing came twice"


@pytest.mark.timeout(300)
async def test_a_node_that_is_killed_takes_nothing_along_and_the_other_goes_on(database, tmp_path):
    print(await survives(database, tmp_path, 3))


@pytest.mark.long("kill")
@pytest.mark.timeout(3_600)
async def test_two_nodes_of_which_one_is_killed_a_hundred_times_lose_nothing(database, tmp_path):
    print(await survives(database, tmp_path, 100))

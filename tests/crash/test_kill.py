"""A server that is killed again and again under load: what it answered is there, exactly once."""

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.crash import truth
from tests.crash.client import Device, Line, Load, Told
from tests.crash.filling import filled
from tests.crash.process import Server
from tests.crash.town import made

DEVICES, PER_SECOND = 50, 200
SAID_BETWEEN = (10, 250)
"""How many mutations are said between two kills: at this pace, up to about a second's."""

LATER_S = 0.02
BEFORE_IT_SERVES = 0.1
"""The share of kills that meet a server which has not begun to serve."""


class Remembering(list[Told]):
    """What all devices were told, in one list."""

    def devices(self, town) -> list[Device]:
        return [Device(one, self.append) for one in town]


@asynccontextmanager
async def driven(server: Server, devices: list[Device], random: Random):
    """The devices at work, until the block ends and every outbox is empty."""
    limits = httpx.Limits(max_connections=len(devices))
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
        load = Load(Line(server, client), devices, PER_SECOND, random)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            yield load
            load.stopping.set()


async def killed(server: Server, load: Load, random: Random) -> None:
    """Kill it at some instant: while it serves, or before it does. It serves again afterwards."""
    await load.reached(load.said + random.randint(*SAID_BETWEEN))
    dead = asyncio.create_task(server.process.wait())
    asyncio.get_running_loop().call_later(random.uniform(0, LATER_S), server.process.kill)
    await dead
    await server.kill()
    if random.random() < BEFORE_IT_SERVES:
        await server.spawn()
        asyncio.get_running_loop().call_later(random.uniform(0, 1), server.process.kill)
        await server.process.wait()
    await server.start()


async def survives(folder: Path, kills: int, seed: int, env=None) -> str:
    """A load with so many kills in it; what it came to, in words."""
    random = Random(seed)
    told = Remembering()
    devices = told.devices(await made(folder, DEVICES, 10 + kills // 3))
    server = Server(folder, env)
    await server.start()
    began = asyncio.get_running_loop().time()
    try:
        async with driven(server, devices, random) as load:
            for _ in range(kills):
                await killed(server, load, random)
        took_s = asyncio.get_running_loop().time() - began
    finally:
        await server.kill()
    assert [device.outbox for device in devices] == [[]] * DEVICES
    assert len(told) == load.said > kills * SAID_BETWEEN[0]
    assert {one.verdict.verdict for one in told} <= {"applied", "merged"}
    said = [dot for device in devices for dot in device.said]
    length = await truth.check(folder, said, told)
    answers = dict(load.line.answers)
    return f"{kills} kills, {load.said} mutations in {took_s:.1f} s, {length} lines, {answers}"


@pytest.mark.timeout(600)
async def test_a_server_killed_under_load_keeps_all_it_answered_exactly_once(tmp_path):
    print(await survives(tmp_path / "data", 20, seed=1))


@pytest.mark.long("kill")
@pytest.mark.timeout(3_600)
async def test_a_server_killed_two_hundred_times_under_load_keeps_all_it_answered(tmp_path):
    print(await survives(tmp_path / "data", 200, seed=2))


LINES = 1_000_000
READY_S = 3.0
RESTARTS = 5


@pytest.mark.long("kill")
@pytest.mark.timeout(3_600)
async def test_a_server_killed_with_a_million_mutations_in_its_log_is_soon_ready_again(tmp_path):
    random = Random(3)
    town = await made(tmp_path / "data", DEVICES, 1)
    await filled(tmp_path / "data", LINES)
    told = Remembering()
    devices = told.devices(town)
    server = Server(tmp_path / "data")
    took: list[float] = []
    await server.start()
    try:
        for _ in range(RESTARTS):
            async with driven(server, devices, random) as load:
                await load.reached(SAID_BETWEEN[1])
                await server.kill()
                began = time.monotonic()
                await server.start()
                devices[0].say_something(random)
                assert await load.line.push(devices[0]) == 200
                took.append(time.monotonic() - began)
    finally:
        await server.kill()
    print(f"from start to the first answer, {LINES} lines: {[round(one, 2) for one in took]} s")
    assert sorted(took)[RESTARTS // 2] < READY_S

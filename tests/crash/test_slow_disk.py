"""A disk that takes 15 ms more for every sync makes the server slower and nothing less true."""

import asyncio
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.crash import truth
from tests.crash.client import Device, Line, Told
from tests.crash.disk import Disk, needs_recorder
from tests.crash.process import Server
from tests.crash.test_kill import DEVICES, survives
from tests.crash.town import made

MORE_MS = 15
PUSHES, IN_A_PUSH = 10, 2

pytestmark = needs_recorder


def slow(folder: Path, more_ms: int) -> Disk:
    disk = Disk(folder / "disk", folder / "beside", recorded=False)
    disk.control.sync_ms = more_ms
    return disk


async def flat_out(folder: Path, more_ms: int) -> str:
    """How much is taken from devices that push again as soon as they are answered, in words."""
    disk, random, told = slow(folder, more_ms), Random(1), list[Told]()
    devices = [Device(one, told.append) for one in await made(disk.under / "data", DEVICES, PUSHES)]
    server = Server(disk.under / "data", disk.env)

    async def push(device: Device, line: Line) -> None:
        for _ in range(PUSHES):
            for _ in range(IN_A_PUSH):
                device.say_something(random)
            await line.empty(device)

    await server.start()
    try:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            line = Line(server, client)
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(push(device, line) for device in devices))
            took_s = asyncio.get_running_loop().time() - began
    finally:
        await server.kill()
    await truth.check(server.data, [dot for device in devices for dot in device.said], told)
    syncs = disk.control.syncs
    return f"+{more_ms} ms: {len(told) / took_s:.0f} mutations/s, {syncs} syncs for {len(told)}"


@pytest.mark.timeout(600)
async def test_with_slow_syncs_a_killed_server_keeps_all_it_answered_exactly_once(tmp_path):
    print(await flat_out(tmp_path / "as it is", 0))
    print(await flat_out(tmp_path / "slower", MORE_MS))
    disk = slow(tmp_path, MORE_MS)
    print(await survives(disk.under / "data", 3, seed=4, env=disk.env))
    assert disk.control.syncs > 0


@pytest.mark.long("kill")
@pytest.mark.timeout(3_600)
async def test_with_slow_syncs_fifty_kills_cost_nothing(tmp_path):
    disk = slow(tmp_path, MORE_MS)
    print(await survives(disk.under / "data", 50, seed=5, env=disk.env))

"""A disk that is full or fails at any write: no false verdict, and the server goes on."""

from collections.abc import Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
from msgspec import Struct

from server.snapshots import SNAPSHOT_FROM_BYTES
from tests.crash import truth
from tests.crash.client import Device, Line, Photo, Told
from tests.crash.disk import BROKEN, FULL, SYNCS, WRITES, Disk, needs_recorder
from tests.crash.process import Server
from tests.crash.town import feedback, made

DEVICES, ORDERS = 8, 30
N_MAX = 200
SPREAD = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 65, 80, 100, 125, 160, 200)
SYNCS_SPREAD = (1, 2, 3, 4, 5, 6, 8, 10, 13, 20)
ONCE, UNTIL_LIFTED = 1, 0
REQUESTS_MAX = 1_000
"""Far more than it takes until the fault is met."""

pytestmark = needs_recorder


class Bench(Struct):
    """A server on a disk that can fail, and devices that speak to it."""

    disk: Disk
    server: Server
    line: Line
    devices: list[Device]
    random: Random
    told: list[Told]
    met: int = 0
    photos: list[Photo] = []

    def photo(self) -> Photo:
        data = self.random.randbytes(self.random.randint(1_000, 30_000))
        self.photos.append(Photo(self.random.choice(self.devices), data, 10_000))
        return self.photos[-1]

    async def until_met(self) -> None:
        """Devices speak and a photo goes up until the fault is met; no answer is a false one."""
        photo = self.photo()
        for turn in range(REQUESTS_MAX):
            device = self.devices[turn % len(self.devices)]
            for _ in range(3):
                device.say_something(self.random)
            photo = self.photo() if photo.done else photo
            statuses = [await self.line.push(device), await photo.go_on(self.line)]
            assert set(statuses) <= {200, 201, 204, 507}, self.line.problems
            if self.disk.faults:
                self.met += 1
                return
        raise AssertionError("the fault was never met")

    async def refuses(self) -> None:
        """While the disk fails, words and photos are refused by name, and what is there is read."""
        for device in self.devices[:2]:
            device.say_something(self.random)
            before = list(device.outbox)
            assert await self.line.push(device) == 507
            assert device.outbox == before
            assert await self.line.pull(device)
        photo = self.photo()
        while (status := await photo.go_on(self.line)) != 507:
            assert status in (201, 204)
        self.photos.remove(photo)

    async def goes_on(self) -> None:
        """The same process takes what it refused."""
        for device in self.devices:
            await self.line.empty(device)
        for photo in self.photos:
            while not photo.done:
                assert await photo.go_on(self.line) in (201, 204, 507)


@asynccontextmanager
async def bench(folder: Path):
    disk = Disk(folder / "disk", folder / "beside", recorded=False)
    data, told = disk.under / "data", []
    devices = [Device(one, told.append) for one in await made(data, DEVICES, ORDERS)]
    server = Server(data, disk.env, log=folder / "server.log")
    await server.start()
    try:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            yield Bench(disk, server, Line(server, client), devices, Random(1), told)
    finally:
        await server.kill()


async def withstands(folder: Path, error: int, on: int, spread: Iterable[int], each: tuple) -> str:
    """Fail at every N of the spread; what it came to, in words."""
    async with bench(folder) as at:
        process = at.server.process.pid
        for n in spread:
            for times in each:
                at.disk.fail(error, at=n, on=on, times=times)
                await at.until_met()
                if times == UNTIL_LIFTED:
                    await at.refuses()
                at.disk.heal()
                await at.goes_on()
        assert at.server.process.pid == process and at.server.process.returncode is None
    assert set(at.line.problems) <= {"storage", "upload_offset"}
    assert at.disk.control.writes > N_MAX and at.line.answers["507"] >= at.met > 0
    said = [dot for device in at.devices for dot in device.said]
    length = await truth.check(at.server.data, said, at.told)
    for photo in at.photos:
        whole = at.server.data / "blobs" / "whole" / photo.sha256[:2] / photo.sha256
        assert photo.done and whole.read_bytes() == photo.data
    return f"{at.met} faults, {length} lines, {len(at.photos)} photos, {dict(at.line.answers)}"


KINDS = [(FULL, WRITES), (BROKEN, WRITES), (BROKEN, SYNCS)]
NAMES = ["full", "broken at a write", "broken at a sync"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("error", "on"), KINDS, ids=NAMES)
async def test_a_disk_that_fails_costs_no_word_and_no_restart(tmp_path, error, on):
    spread = SPREAD if on == WRITES else SYNCS_SPREAD
    odd = [n for n in spread if n % 2]
    even = [n for n in spread if n % 2 == 0]
    print(await withstands(tmp_path / "lifted", error, on, even, (UNTIL_LIFTED,)))
    print(await withstands(tmp_path / "once", error, on, odd, (ONCE,)))


@pytest.mark.parametrize("error", [FULL, BROKEN], ids=["full", "broken"])
async def test_a_first_sync_that_finds_no_room_for_its_snapshot_is_told_in_pages(tmp_path, error):
    async with bench(tmp_path) as at:
        device = at.devices[0]
        for _ in range(SNAPSHOT_FROM_BYTES // 1_000):
            text = "示例反馈" * 500
            device.write("feedback.add", 1, feedback(device.targets[0], device.me.unit, text))
        await at.line.empty(device)
        at.disk.fail(error, at=1)
        told = [await at.line.pull(device) for _ in range(2)]
        at.disk.heal()
        after = await at.line.pull(device)
    assert [one.snapshots for one in told] == [[], []] and at.disk.faults > 0
    assert any(page.lane == 1 for page in told[0].pages)
    assert [(one.scope, one.lane) for one in after.snapshots] == [(f"unit/{device.me.unit}", 1)]


@pytest.mark.long("disk")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("error", "on"), KINDS, ids=NAMES)
async def test_a_disk_that_fails_at_each_of_two_hundred_calls(tmp_path, error, on):
    every = range(1, N_MAX + 1)
    print(await withstands(tmp_path, error, on, every, (UNTIL_LIFTED, ONCE)))

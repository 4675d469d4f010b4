"""A PostgreSQL that goes away under load: what was answered is there, and serving goes on."""

import asyncio
from contextlib import asynccontextmanager
from random import Random

import httpx
import pytest

from server.store.postgres import open_postgres
from tests.crash import truth
from tests.crash.client import Line, Load
from tests.crash.process import Server
from tests.crash.test_kill import Remembering
from tests.crash.town import made
from tests.crash.wire import Wire
from tests.postgres import NoPostgres, restartable

DEVICES, PER_SECOND = 12, 150
SAID_BETWEEN = (10, 120)
ANSWERED_MIN = 20
DOWN = 503


@pytest.fixture
def server():
    """A PostgreSQL of this test's own, which it may stop.

    Its log is written late, unless somebody waits for it.
    """
    try:
        with restartable(wal_writer_delay="10s") as found:
            yield found
    except NoPostgres as missing:
        pytest.skip(str(missing))


class Town:
    """A centre on a PostgreSQL, the one process that serves it, and devices that never rest."""

    def __init__(self, folder, store, seed):
        self.folder, self.store = folder, store
        self.random, self.told = Random(seed), Remembering()

    async def check(self, at):
        """Nothing waits, nothing is told wrongly, and all that was told is there."""
        assert [device.outbox for device in self.devices] == [[]] * DEVICES
        assert {one.verdict.verdict for one in self.told} <= {"applied", "merged"}
        said = [dot for device in self.devices for dot in device.said]
        assert len(self.told) == len(said) == self.load.said
        return await truth.check(self.folder, said, self.told, at)

    async def goes_on(self, more=ANSWERED_MIN):
        """So many further requests are answered as usual."""
        answers, before = self.load.line.answers, self.load.line.answers["200"]
        async with asyncio.timeout(60):
            while answers["200"] < before + more:
                await self.load.reached(self.load.said + 1)

    async def some_said(self):
        await self.load.reached(self.load.said + self.random.randint(*SAID_BETWEEN))


@asynccontextmanager
async def at_work(folder, store, seed, at=None):
    """A town whose process serves by way of `at`, until the block ends and nothing waits."""
    town = Town(folder / "data", store, seed)
    town.devices = town.told.devices(await made(town.folder, DEVICES, 6, store))
    process = Server(town.folder, more=["--store", at or store])
    await process.start()
    town.pid = process.process.pid
    try:
        limits = httpx.Limits(max_connections=DEVICES)
        async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
            town.load = Load(Line(process, client), town.devices, PER_SECOND, town.random)
            async with asyncio.TaskGroup() as group:
                group.create_task(town.load.run())
                yield town
                town.load.stopping.set()
        assert process.process.returncode is None, "it serves on without a start of its own"
    finally:
        await process.kill()


async def survives(server, folder, crashes, seed):
    """A load with so many crashes of its PostgreSQL in it; what it came to, in words."""
    async with at_work(folder, server.url, seed) as town:
        for _ in range(crashes):
            await town.some_said()
            await asyncio.to_thread(server.crash)
            await town.some_said()
            await asyncio.to_thread(server.start)
            await town.goes_on()
    length = await town.check(server.url)
    answers = town.load.line.answers
    assert set(answers) == {"200", str(DOWN)}, "down is said as such, and nothing else is"
    return f"{crashes} crashes, {town.load.said} mutations, {length} lines, {dict(answers)}"


@pytest.mark.timeout(300)
async def test_a_database_that_crashes_under_load_costs_no_word_and_no_restart(server, tmp_path):
    print(await survives(server, tmp_path, 2, seed=6))


@pytest.mark.long("kill")
@pytest.mark.timeout(3_600)
async def test_a_database_that_crashes_fifty_times_costs_no_word_and_no_restart(server, tmp_path):
    print(await survives(server, tmp_path, 50, seed=7))


@pytest.mark.timeout(300)
async def test_a_wire_that_breaks_at_commits_and_within_transactions_costs_no_word(
    database, tmp_path
):
    async with Wire(database) as wire, at_work(tmp_path, database, 8, wire.url) as town:
        answers = town.load.line.answers
        wire.breaks_at = lambda commits: commits % 5 == 0
        for _ in range(3):
            await town.some_said()
        await town.goes_on()
        assert wire.broken > 2 and set(answers) == {"200"}, "what was unheard is asked for"
        before, first = wire.broken, wire.pieces
        wire.breaks_before = lambda pieces: (pieces - first) % 97 == 96
        for _ in range(2):
            await town.some_said()
        wire.breaks_at = wire.breaks_before = lambda count: False
        await town.goes_on()
    length = await town.check(database)
    assert wire.broken > before + 2 and set(answers) <= {"200", str(DOWN)}
    print(f"{wire.broken} breaks, {wire.commits} commits, {length} lines, {dict(answers)}")


async def test_a_crash_finds_out_who_does_not_wait_for_the_disk(server, tmp_path):
    folder, told = tmp_path / "data", Remembering()
    [device, *_] = told.devices(await made(folder, DEVICES, 1, server.url))
    careless = ("tests.crash.careless", "async")
    process = Server(folder, module=careless, more=["--store", server.url])
    await process.start()
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        for _ in range(3):
            device.say_something(Random(1))
            assert await Line(process, client).push(device) == 200
    server.crash()
    await process.kill()
    server.start()
    store = await open_postgres(server.url, "centre")
    assert await store.read(lambda read: truth.lost_words(read, told)) != []
    await store.close()

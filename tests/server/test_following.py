"""Who follows a log goes on looking, whatever one look comes to, and stops when told to."""

import asyncio
from collections.abc import Callable

import pytest

from server import follow
from server.clock import SharedClock
from server.follow import Follower
from server.store.protocol import Head
from tests.sync.builders import NOW

ENDS_S = 60.0
"""Long enough on any machine."""

HINTED_BEFORE = range(6)
"""By how many turns of the loop a hint comes before the stop."""


class Quiet:
    """A store in which nothing happens, of which nothing is heard."""

    def __init__(self) -> None:
        self.looks = 0

    async def read(self, work: Callable[["Quiet"], object]) -> object:
        self.looks += 1
        return work(self)

    async def hints(self):
        await asyncio.Event().wait()
        yield

    def now_ms(self) -> int:
        return NOW

    def head(self) -> Head:
        return Head("centre", "realm", "1-epoch", 0, "")

    def moved_since(self, seq: int) -> dict[tuple[str, int], int]:
        return {}


class Failing(Quiet):
    """The second look fails, as on a connection that was lost."""

    async def read(self, work):
        if self.looks == 1:
            self.looks += 1
            raise OSError("the line is cut")
        return await super().read(work)


class Hanging(Quiet):
    """The second look never ends."""

    async def read(self, work):
        if self.looks == 1:
            self.looks += 1
            await asyncio.Event().wait()
        return await super().read(work)


async def following(store: Quiet) -> Follower:
    async def looked(moved, is_anew):
        pass

    return await Follower.start(store, SharedClock(lambda: NOW), looked)


async def looked_at(store: Quiet, times: int) -> None:
    async with asyncio.timeout(ENDS_S):
        while store.looks < times:
            await asyncio.sleep(0)


async def stopped(follower: Follower) -> None:
    async with asyncio.timeout(ENDS_S):
        await follower.stop()
    assert all(task.done() for task in follower._tasks)


@pytest.mark.parametrize("turns", HINTED_BEFORE)
async def test_whoever_is_stopped_at_the_moment_of_a_hint_has_stopped(turns):
    """A cancel that comes as `asyncio.wait_for` ends is lost, and the stop waits for ever."""
    follower = await following(Quiet())
    for _ in range(3):
        await asyncio.sleep(0)  # Until it waits.
    follower._hinted.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    await stopped(follower)


@pytest.mark.parametrize("store", [Quiet, Failing])
async def test_without_any_hint_look_follows_upon_look_also_after_one_that_failed(
    store, monkeypatch
):
    monkeypatch.setattr(follow, "POLL_S", 0.001)
    quiet = store()
    follower = await following(quiet)
    await looked_at(quiet, 5)
    await stopped(follower)


async def test_a_look_that_hangs_holds_up_no_stop(monkeypatch):
    monkeypatch.setattr(follow, "POLL_S", 0.001)
    hanging = Hanging()
    follower = await following(hanging)
    await looked_at(hanging, 2)
    await stopped(follower)

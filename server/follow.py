"""What other processes commit to the same log: told to who listens here, soon and in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from server.clock import SharedClock
from server.store.protocol import Read, Store

log = structlog.get_logger()

POLL_S = 2.0
"""A commit of another process is known here after this long, were every hint of it lost."""

Moved = dict[tuple[str, int], int]
Looked = Callable[[Moved], Awaitable[None]]


class Follower:
    """Looks at the log whenever a hint comes, and every two seconds; keeps the clock by it, too."""

    def __init__(self, store: Store, clock: SharedClock, looked: Looked) -> None:
        self._store = store
        self._clock = clock
        self._looked = looked
        self._seq = 0
        self._hinted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, store: Store, clock: SharedClock, looked: Looked) -> "Follower":
        """One that follows from now on. The clock is right when it returns."""
        follower = cls(store, clock, looked)
        follower._seq = await store.read(lambda txn: txn.head().seq)
        await follower.look()
        follower._tasks = [
            asyncio.create_task(follower._listen()),
            asyncio.create_task(follower._follow()),
        ]
        return follower

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(self) -> None:
        """Set the clock by the database's, and tell what has moved since the last look."""

        def work(txn: Read) -> tuple[int, int, int, Moved]:
            before, shared = self._clock.own(), txn.now_ms()
            own = (before + self._clock.own()) // 2
            return shared, own, txn.head().seq, txn.moved_since(self._seq)

        shared, own, self._seq, moved = await self._store.read(work)
        self._clock.set(shared, own)
        await self._looked(moved)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hinted.wait(), POLL_S)
            self._hinted.clear()
            try:
                await self.look()
            except Exception as error:
                log.warning("follow", why=repr(error))
                await asyncio.sleep(POLL_S)

    async def _listen(self) -> None:
        """Hints are a help: where they cannot be had, every look still comes."""
        while True:
            try:
                async for _ in self._store.hints():
                    self._hinted.set()
            except Exception as error:
                log.warning("hints", why=repr(error))
            await asyncio.sleep(POLL_S)

"""What other processes commit to the same log: told to who listens here, soon and in the end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from server.clock import SharedClock
from server.live import Moved
from server.store.protocol import Head, Read, Store

log = structlog.get_logger()

POLL_S = 2.0
"""A commit of another process is known here after this long, were every hint of it lost."""

Looked = Callable[[Moved, bool], Awaitable[None]]
"""What is told after each look: what has moved, and whether the log is another one than before."""

Measured = tuple[int, int, int]
"""The own time before and after, and the shared one between."""

SLOW_MS = 500
"""An answer that took longer says too little of when it was given."""


class Follower:
    """Looks at the log whenever a hint comes, and every two seconds; keeps the clock by it, too."""

    def __init__(self, store: Store, clock: SharedClock, looked: Looked) -> None:
        self._store = store
        self._clock = clock
        self._looked = looked
        self._seq = 0
        self._epoch = ""
        self._hinted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, store: Store, clock: SharedClock, looked: Looked) -> "Follower":
        """One that follows from now on. The clock is right when it returns."""
        follower = cls(store, clock, looked)
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

        def work(txn: Read) -> tuple[Measured, Head, Moved]:
            before, shared = self._clock.own(), txn.now_ms()
            measured, head = (before, shared, self._clock.own()), txn.head()
            return measured, head, txn.moved_since(self._seq if head.epoch == self._epoch else 0)

        (before, shared, after), head, moved = await self._store.read(work)
        if 0 <= after - before <= SLOW_MS or not self._epoch:
            self._clock.set(shared, (before + after) // 2)
        is_anew = head.epoch != self._epoch
        self._seq, self._epoch = head.seq, head.epoch
        await self._looked(moved, is_anew)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):  # A cancel during `wait_for` may get lost.
                    await self._hinted.wait()
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

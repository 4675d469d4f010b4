"""Tells many one after the other, without a task for each: an order is soon in all hands."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

TOLD_AT_ONCE = 50
"""After so many, others have a turn: no push waits until everybody was told."""


Say = Callable[[], None]
Prepare = Callable[[], Say | None]
"""Makes ready what is to be said; None where there is nothing."""


class Crier:
    """Calls everyone who is due, in the order in which they became so."""

    def __init__(self) -> None:
        self._due: dict[Prepare, None] = {}
        self._crying: asyncio.Task[None] | None = None

    def call(self, prepare: Prepare) -> None:
        """Afterwards `prepare` is called soon; once, however often it is asked for until then.

        What it made ready is said once some others have made theirs ready: to write to many lines
        one right after the other takes less time for each.
        """
        self._due[prepare] = None
        if self._crying is None or self._crying.done():
            self._crying = asyncio.create_task(self._cry())

    async def _cry(self) -> None:
        while self._due:
            some = list(self._due)[:TOLD_AT_ONCE]
            for prepare in some:
                del self._due[prepare]
            for say in [made for prepare in some if (made := _safely(prepare))]:
                _safely(say)
            await asyncio.sleep(0)


def _safely(work: Callable[[], T]) -> T | None:
    """What it comes to; one that fails, or was cancelled on its line, keeps nobody waiting."""
    try:
        return work()
    except (Exception, asyncio.CancelledError) as error:
        log.error("crier", why=repr(error))
        return None


def begin(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
    """Run `work` at once as far as it goes without waiting; the task of the rest, if any is left.

    What it raises before it first waits is raised here, what it raises later in the task.
    """
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return asyncio.create_task(_finish(work, waits_for))


async def _finish(work: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _resumed(work, waits_for)


@coroutine
def _resumed(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of `work`, which has begun and waits for this."""
    try:
        while True:
            try:
                came = yield waits_for
            except BaseException as error:
                waits_for = work.throw(error)
            else:
                waits_for = work.send(came)
    except StopIteration:
        pass

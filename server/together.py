"""Small writes side by side: what waits while a transaction runs goes into the next one."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from server.store.protocol import Store, Txn

T = TypeVar("T")


AT_ONCE = 50
"""So many share a transaction: nothing else waits long for the lock."""


class _Waiting(Struct):
    work: Callable[[Txn], Any]
    done: "asyncio.Future[Any]"


class Together:
    """A store's writes of which many come at once, each of them small: one sync is for all.

    One that fails takes no other along; it may be run again, as a store's writes may.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, work: Callable[[Txn], T]) -> T:
        """Run `work` in a transaction that others share. Durable on return, as the store's own."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            await self._write(batch)

    async def _write(self, batch: list[_Waiting]) -> None:
        """Where one of them fails, those before and those after it are written without it."""
        if not await self._written(batch) and len(batch) > 1:
            half = len(batch) // 2
            await self._write(batch[:half])
            await self._write(batch[half:])

    async def _written(self, batch: list[_Waiting]) -> bool:
        """Write these. False where they failed; a single one is told why."""
        try:
            told = await self._store.write(lambda txn: [one.work(txn) for one in batch])
        except Exception as error:
            if len(batch) == 1 and not batch[0].done.done():
                batch[0].done.set_exception(error)
            return False
        for one, result in zip(batch, told, strict=True):
            if not one.done.done():
                one.done.set_result(result)
        return True

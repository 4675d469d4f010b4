"""Pokes: after a commit, whoever listens to a scope learns that it moved. A hint, never data."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

from msgspec.structs import replace

from schema.wire import Pair, Poke
from server.clock import Clock
from server.crier import Crier, Prepare
from server.pace import Pace
from server.wire import encode

Moved = dict[Pair, int]
"""The newest seq of each (scope, lane) that moved."""


@lru_cache(maxsize=1_024)
def frame_of(poke: Poke) -> str:
    """The poke as it goes over the line: the same text for all who hear of it."""
    return encode(poke).decode()


class Listener:
    """One connection's pending pokes: at most the newest per (scope, lane) is kept."""

    def __init__(self, scopes: frozenset[str] | None, news: Callable[[], None]) -> None:
        self.scopes = scopes
        self._news = news
        self._pending: dict[tuple[str, int], Poke] = {}

    def offer(self, poke: Poke) -> None:
        """Keep the poke; an older one gives way."""
        key = (poke.scope, poke.lane)
        older = self._pending.get(key)
        self._pending[key] = replace(poke, prev=older.prev) if older else poke
        self._news()

    def taken(self) -> list[Poke]:
        """All that are pending, urgent lanes first; afterwards none is."""
        pending, self._pending = self._pending, {}
        return sorted(pending.values(), key=lambda poke: (poke.lane, poke.scope))


class Waiter(Listener):
    """A listener that somebody waits at."""

    def __init__(self, scopes: frozenset[str] | None) -> None:
        self._ready = asyncio.Event()
        super().__init__(scopes, self._ready.set)

    async def take(self) -> list[Poke]:
        """Wait for at least one poke; all that are pending, urgent lanes first."""
        await self._ready.wait()
        self._ready.clear()
        return self.taken()


class Audience:
    """Who listens, by scope."""

    def __init__(self) -> None:
        self._to_all: set[Listener] = set()
        self._by_scope: dict[str, set[Listener]] = {}

    @contextmanager
    def with_one(self, listener: Listener) -> Iterator[None]:
        """It listens until the block ends."""
        groups = [self._to_all]
        if listener.scopes is not None:
            groups = [self._by_scope.setdefault(scope, set()) for scope in listener.scopes]
        for group in groups:
            group.add(listener)
        try:
            yield
        finally:
            for group in groups:
                group.discard(listener)
            for scope in listener.scopes or ():
                if not self._by_scope.get(scope):
                    self._by_scope.pop(scope, None)

    def hears_of(self, scope: str) -> bool:
        """Whether anybody listens to it."""
        return bool(self._to_all) or scope in self._by_scope

    def offer(self, pokes: Iterable[Poke]) -> None:
        """Everybody who listens to their scopes has them pending."""
        for poke in pokes:
            for group in (self._by_scope.get(poke.scope, ()), self._to_all):
                for listener in group:
                    listener.offer(poke)


class Hub:
    """The listeners of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._crier = Crier()
        self._waiters = Audience()
        self._devices = Audience()
        self._pace = Pace(self._devices.offer)
        self._moved: dict[tuple[str, int], int] = {}
        self._moved_at: dict[tuple[str, int], int] = {}

    @contextmanager
    def listen(self, scopes: Iterable[str] | None) -> Iterator[Waiter]:
        """Listen to these scopes, or to all for None, until the block ends."""
        waiter = Waiter(None if scopes is None else frozenset(scopes))
        with self._waiters.with_one(waiter):
            yield waiter

    @contextmanager
    def told(self, scopes: Iterable[str], news: Prepare) -> Iterator[Listener]:
        """One of many, for whom `news` is called when a poke is pending: see `Pace`."""
        listener = Listener(frozenset(scopes), partial(self._crier.call, news))
        with self._devices.with_one(listener):
            yield listener

    def publish(self, moved: Moved, urgent: Collection[Pair] = ()) -> None:
        """Tell everyone that each (scope, lane) now stands at this seq, if that is news.

        Devices hear of the `urgent` ones at once, of others as `Pace` has it.
        """
        news: dict[str, list[Poke]] = {}
        for pair, seq in moved.items():
            before = self._moved.get(pair, 0)
            if seq > before:
                self._moved[pair] = seq
                self._moved_at[pair] = self._clock()
                news.setdefault(pair[0], []).append(Poke(*pair, seq, before))
        at_once = {scope for scope, _ in urgent}
        for scope, pokes in news.items():
            self._waiters.offer(pokes)
            if self._devices.hears_of(scope):
                self._pace.tell(scope, pokes, scope in at_once)

    def forget(self) -> None:
        """The log is another one: nothing that moved in the old one counts in it."""
        self._moved.clear()
        self._moved_at.clear()

    def stands(self, scope: str) -> dict[str, int]:
        """The newest seq of each lane of a scope that this process saw commit."""
        return {str(lane): seq for (of, lane), seq in self._moved.items() if of == scope}

    def stood_at(self, scope: str, lane: int, before_ms: int) -> int:
        """The newest seq of a (scope, lane), 0 when it moved after `before_ms` or never here."""
        key = (scope, lane)
        return self._moved[key] if self._moved_at.get(key, before_ms + 1) <= before_ms else 0

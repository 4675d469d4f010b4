"""Pokes: after a commit, whoever listens to a scope learns that it moved. A hint, never data."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from schema.wire import Poke
from server.clock import Clock


class Listener:
    """One connection's pending pokes: at most the newest per (scope, lane) is kept."""

    def __init__(self, scopes: frozenset[str] | None) -> None:
        self.scopes = scopes
        self._pending: dict[tuple[str, int], Poke] = {}
        self._ready = asyncio.Event()

    def offer(self, poke: Poke) -> None:
        """Keep the poke if this listener may know of its scope; an older one gives way."""
        if self.scopes is not None and poke.scope not in self.scopes:
            return
        key = (poke.scope, poke.lane)
        older = self._pending.get(key)
        prev = older.prev if older else poke.prev
        self._pending[key] = Poke(poke.scope, poke.lane, poke.seq, prev)
        self._ready.set()

    async def take(self) -> list[Poke]:
        """Wait for at least one poke; all that are pending, urgent lanes first."""
        await self._ready.wait()
        self._ready.clear()
        pending, self._pending = self._pending, {}
        return sorted(pending.values(), key=lambda poke: (poke.lane, poke.scope))


class Hub:
    """The listeners of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._moved: dict[tuple[str, int], int] = {}
        self._moved_at: dict[tuple[str, int], int] = {}

    @contextmanager
    def listen(self, scopes: Iterable[str] | None) -> Iterator[Listener]:
        """Listen to these scopes, or to all for None, until the block ends."""
        listener = Listener(None if scopes is None else frozenset(scopes))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def publish(self, moved: dict[tuple[str, int], int]) -> None:
        """Tell everyone that each (scope, lane) now stands at this seq."""
        for (scope, lane), seq in moved.items():
            poke = Poke(scope, lane, seq, self._moved.get((scope, lane), 0))
            self._moved[scope, lane] = seq
            self._moved_at[scope, lane] = self._clock()
            for listener in self._listeners:
                listener.offer(poke)

    def follow(self, moved: dict[tuple[str, int], int]) -> None:
        """Tell everyone what another process has committed, as far as it is news here."""
        self.publish({pair: seq for pair, seq in moved.items() if seq > self._moved.get(pair, 0)})

    def stands(self, scope: str) -> dict[str, int]:
        """The newest seq of each lane of a scope that this process saw commit."""
        return {str(lane): seq for (of, lane), seq in self._moved.items() if of == scope}

    def stood_at(self, scope: str, lane: int, before_ms: int) -> int:
        """The newest seq of a (scope, lane), 0 when it moved after `before_ms` or never here."""
        key = (scope, lane)
        return self._moved[key] if self._moved_at.get(key, before_ms + 1) <= before_ms else 0

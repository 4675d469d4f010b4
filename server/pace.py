"""How often devices are told that a scope moved: at once, and then not again for a while."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from schema.wire import Poke

REST_S = 1.0
"""Of a unit's many answers to one order its devices hear once in so long, not one by one."""

Say = Callable[[Iterable[Poke]], None]


class Pace:
    """Says the first poke of a scope at once, and what follows it when a rest is over.

    What is urgent breaks the rest: an order, or a call for help, waits for nothing.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._resting: dict[str, dict[int, Poke]] = {}
        """Scopes that rest, each with what will be said of its lanes."""

    def tell(self, scope: str, pokes: Sequence[Poke], at_once: bool) -> None:
        """Afterwards these pokes of one commit are said, or will be within `REST_S` seconds."""
        waiting = self._resting.get(scope)
        if waiting is None:
            self._rest(scope)
            self._say(pokes)
            return
        for poke in pokes:
            older = waiting.get(poke.lane)
            waiting[poke.lane] = replace(poke, prev=older.prev) if older else poke
        if at_once:
            self._say(waiting.values())
            waiting.clear()

    def _rest(self, scope: str) -> None:
        self._resting[scope] = {}
        asyncio.get_running_loop().call_later(REST_S, self._rested, scope)

    def _rested(self, scope: str) -> None:
        if waiting := self._resting.pop(scope):
            self._rest(scope)
            self._say(waiting.values())

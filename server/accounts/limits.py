"""How often somebody may guess: counted in memory, bounded, forgotten at a restart."""

from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import anyio
from msgspec import Struct

from schema.codes import Code
from schema.versions import MINUTE_MS
from server.errors import Fault

if TYPE_CHECKING:
    from server.engine import Engine

KEYS_MAX = 10_000
FREE_TRIES = 5
FIRST_DELAY_MS = 15_000
DELAY_MS_MAX = 15 * MINUTE_MS
FORGOTTEN_MS = 60 * MINUTE_MS
HASHES_AT_ONCE = 2
"""A password hash takes 64 MiB: more at once would let a stranger fill the memory."""


class RateLimit:
    """At most `count` failures per key within `window_ms`; the least recent keys are forgotten."""

    def __init__(self, count: int, window_ms: int) -> None:
        self.count = count
        self.window_ms = window_ms
        self._tries: OrderedDict[str, list[int]] = OrderedDict()

    def take(self, key: str, now_ms: int) -> None:
        """Count one try before it is judged. Fault `rate_limited` when there were too many."""
        fresh = [at for at in self._tries.get(key, ()) if abs(now_ms - at) < self.window_ms]
        if len(fresh) >= self.count:
            wait_s = (self.window_ms - (now_ms - fresh[0]) + 999) // 1000
            raise Fault(Code.RATE_LIMITED, str(wait_s))
        self._tries[key] = [*fresh, now_ms]
        self._tries.move_to_end(key)
        while len(self._tries) > KEYS_MAX:
            self._tries.popitem(last=False)

    def give_back(self, key: str) -> None:
        """The last try was right: it does not count."""
        if tries := self._tries.get(key):
            tries.pop()

    def forget(self, key: str) -> None:
        """Start again at zero."""
        self._tries.pop(key, None)


class Failures(Struct):
    """How often in a row, and when last."""

    count: int
    last_ms: int


class Slowdown:
    """A few failures per key are free; each further one doubles the wait, up to a bound.

    Whoever knows the password is never shut out for long by somebody behind the same address.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, Failures] = OrderedDict()

    def take(self, key: str, now_ms: int) -> None:
        """Count one try before it is judged. Fault `rate_limited` with the seconds to wait.

        A try that comes too early is not counted.
        """
        past = self._failures.get(key)
        since_ms = abs(now_ms - past.last_ms) if past else 0
        if past is None or since_ms >= FORGOTTEN_MS:
            past = Failures(0, now_ms)
        wait_ms = delay_ms(past.count) - since_ms
        if wait_ms > 0:
            raise Fault(Code.RATE_LIMITED, str((wait_ms + 999) // 1000))
        self._failures[key] = Failures(past.count + 1, now_ms)
        self._failures.move_to_end(key)
        while len(self._failures) > KEYS_MAX:
            self._failures.popitem(last=False)

    def give_back(self, key: str) -> None:
        """The last try was not judged: it does not count."""
        if past := self._failures.get(key):
            self._failures[key] = Failures(max(0, past.count - 1), past.last_ms)

    def forget(self, key: str) -> None:
        """Start again at zero."""
        self._failures.pop(key, None)


def delay_ms(failures: int) -> int:
    """How long to wait after this many failures in a row."""
    if failures < FREE_TRIES:
        return 0
    doublings = min(failures - FREE_TRIES, 30)
    return min(FIRST_DELAY_MS << doublings, DELAY_MS_MAX)


class Limits:
    """The counters of one serving process."""

    def __init__(self) -> None:
        self.login = Slowdown()
        self.login_address = RateLimit(50, 5 * MINUTE_MS)
        self.enrol_address = RateLimit(10, 10 * MINUTE_MS)
        self.late_address = RateLimit(20, 10 * MINUTE_MS)
        self.hashing = anyio.CapacityLimiter(HASHES_AT_ONCE)


_limits: "WeakKeyDictionary[Engine, Limits]" = WeakKeyDictionary()


def limits_of(engine: "Engine") -> Limits:
    """The counters that belong to this engine."""
    return _limits.setdefault(engine, Limits())

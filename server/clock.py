"""The server's clock: the one place that asks the machine for the time."""

import threading
import time
from collections.abc import Callable

from msgspec import Struct

from schema.versions import DAY_MS

Clock = Callable[[], int]
"""Milliseconds since 1970 (UTC)."""


class SharedClock:
    """A clock by which several nodes go: this machine's, and what it is off the one they share."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0

    def __call__(self) -> int:
        """The time now."""
        return self._clock() + self._offset_ms

    def own(self) -> int:
        """This machine's time."""
        return self._clock()

    def set(self, shared_ms: int, own_ms: int) -> None:
        """It was `shared_ms` by the clock they share when this machine's told `own_ms`."""
        self._offset_ms = shared_ms - own_ms


class Told(Struct, frozen=True):
    """The latest time that a clock told since it was set back, and since when it tells.

    A clock that leaps by more than a day begins to tell anew.
    """

    since_ms: int
    latest_ms: int

    def then(self, later: "Told") -> "Told":
        """What was told in both, one after the other; of a clock that was set back, what before."""
        if later.since_ms > self.latest_ms + DAY_MS:
            return later
        if later.latest_ms < self.since_ms:
            return self
        since_ms = min(self.since_ms, later.since_ms)
        return Told(since_ms, max(self.latest_ms, later.latest_ms))

    def and_now(self, now_ms: int) -> "Told":
        """What was told once it has told this, too."""
        return self.then(Told(now_ms, now_ms))


class Watch:
    """A clock that remembers what it told, or would have: it may be set back while we serve.

    `steady` is never set; by it we know how late it must have been when it was.
    """

    def __init__(self, clock: Clock, steady: Clock | None = None) -> None:
        self._clock = clock
        self._steady = steady or (lambda: 0)
        self._last = (0, 0)
        self._asked = threading.Lock()
        self.told = Told(0, 0)

    def __call__(self) -> int:
        """The time now, on whatever thread."""
        with self._asked:
            now_ms, steady_ms = self._clock(), self._steady()
            last_ms, at_ms = self._last
            due_ms = last_ms + steady_ms - at_ms
            if now_ms == last_ms == due_ms:
                return now_ms  # Asked again within the millisecond.
            self._last = (now_ms, steady_ms)
            before = self.told.and_now(due_ms)
            self.told = before.and_now(now_ms) if last_ms else Told(now_ms, now_ms)
        return now_ms


def system_clock() -> int:
    """The wall clock of this machine, in whole milliseconds."""
    return time.time_ns() // 1_000_000


def steady_clock() -> int:
    """Whole milliseconds since some moment in the past; nobody can set it."""
    return time.monotonic_ns() // 1_000_000

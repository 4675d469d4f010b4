"""The server's clock: the one place that asks the machine for the time."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Milliseconds since 1970 (UTC)."""


class Watch:
    """A clock that remembers the latest time it ever told: it may be set back while we serve."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.latest_ms = 0

    def __call__(self) -> int:
        """The time now."""
        now_ms = self._clock()
        self.latest_ms = max(self.latest_ms, now_ms)
        return now_ms


def system_clock() -> int:
    """The wall clock of this machine, in whole milliseconds."""
    return time.time_ns() // 1_000_000

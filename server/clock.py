"""The server's clock: the one place that asks the machine for the time."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Milliseconds since 1970 (UTC)."""


def system_clock() -> int:
    """The wall clock of this machine, in whole milliseconds."""
    return time.time_ns() // 1_000_000

"""Hybrid logical clock. A stamp breaks ties between concurrent writes; it never decides order."""

from functools import lru_cache

from msgspec import Struct

from schema.versions import CLOCK_OFF_MS_MAX, DRIFT_MS_MAX

COUNTER_MAX = 0xFFFF


class Stamp(Struct, frozen=True, order=True):
    """When a write was made: corrected wall clock (ms, UTC), then counter, then replica."""

    wall_ms: int
    counter: int
    replica: str

    def encode(self) -> str:
        """Fixed-width ASCII, so that Python, JavaScript and SQL compare two stamps alike."""
        return f"{self.wall_ms:012x}-{self.counter:04x}-{self.replica}"


@lru_cache(maxsize=1_024)
def decode_stamp(text: str) -> Stamp:
    """The stamp that `encode` wrote. ValueError when it is not one."""
    wall, counter, replica = text.split("-", 2)
    stamp = Stamp(int(wall, 16), int(counter, 16), replica)
    if not replica or (len(wall), len(counter)) != (12, 4) or stamp.encode() != text:
        raise ValueError("not a stamp")
    return stamp


def next_stamp(last: Stamp, now_ms: int) -> Stamp:
    """Stamp a local write. Never fails: a phone whose clock jumped back must still save."""
    if now_ms > last.wall_ms:
        return Stamp(now_ms, 0, last.replica)
    if last.counter < COUNTER_MAX:
        return Stamp(last.wall_ms, last.counter + 1, last.replica)
    return Stamp(last.wall_ms + 1, 0, last.replica)


def observe(own: Stamp, seen: Stamp, now_ms: int) -> Stamp:
    """Advance our clock past a stamp we saw, unless it is too far ahead to be believed."""
    if seen.wall_ms > now_ms + DRIFT_MS_MAX or seen.wall_ms < own.wall_ms:
        return own
    if seen.wall_ms == own.wall_ms:
        return Stamp(own.wall_ms, max(own.counter, seen.counter), own.replica)
    return Stamp(seen.wall_ms, seen.counter, own.replica)


def restamp(claimed: Stamp, last: Stamp | None, now_ms: int) -> Stamp:
    """The stamp the server keeps: the claimed one, or one at receipt when it is far ahead.

    `last` is the stamp kept for the mutation before it in the same run, so the run keeps its order.
    """
    if claimed.wall_ms <= now_ms + DRIFT_MS_MAX:
        return claimed
    floor = Stamp(now_ms, 0, claimed.replica)
    return floor if last is None or last < floor else next_stamp(last, now_ms)


def is_off(clock_ms: int, now_ms: int) -> bool:
    """True for a device's own clock that is wrong; 0 is one that was not told."""
    return clock_ms != 0 and abs(clock_ms - now_ms) > CLOCK_OFF_MS_MAX


def believed_ms(claimed: Stamp, now_ms: int) -> int:
    """The time of a write as far as its stamp is believed, never after it came; else 0."""
    return 0 if claimed.wall_ms > now_ms + DRIFT_MS_MAX else min(claimed.wall_ms, now_ms)


def surely_ms(twice: list[list[int]], time_ms: int) -> int:
    """A time that a device stamped, taken back as far as the server's clock was set back then.

    A device that had not heard of it was ahead by so much: what it said is not held against what it
    says once it has. `twice` holds `[from, to, by how much]`.
    """
    for low, high, back in twice:
        if low <= time_ms <= high:
            return time_ms - back
    return time_ms

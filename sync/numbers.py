"""Which numbers of a lane never arrived, as ranges, however far the newest one jumped ahead."""

from collections.abc import Iterable

Ranges = list[list[int]]
"""`[[first, last], …]`, ascending, both ends missing."""

RANGES_MAX = 500
ASKED_MAX = 500


def missing_after(top: int, gaps: Ranges, came: Iterable[int]) -> tuple[int, Ranges]:
    """The newest number and the gaps once these numbers came. Only the oldest ranges are kept."""
    numbers = sorted(set(came))
    missing = [list(one) for one in gaps]
    for n in numbers:
        if n > top:
            if n > top + 1:
                missing.append([top + 1, n - 1])
            top = n
        else:
            missing = [part for one in missing for part in _without(one, n)]
    return top, missing[:RANGES_MAX]


def _without(one: list[int], n: int) -> Ranges:
    first, last = one
    if not first <= n <= last:
        return [one]
    return [part for part in ([first, n - 1], [n + 1, last]) if part[0] <= part[1]]


def asked_for(gaps: Ranges) -> list[int]:
    """The first missing numbers, for an answer to name."""
    found: list[int] = []
    for first, last in gaps:
        room = ASKED_MAX - len(found)
        found += range(first, min(last, first + room - 1) + 1)
        if len(found) >= ASKED_MAX:
            break
    return found

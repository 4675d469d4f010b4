"""How much everybody does at once: how many hold a line, and what comes how often for how long."""

from collections.abc import Iterator
from random import Random

from msgspec import Struct


class Amount(Struct, frozen=True):
    """One load. What comes, comes by itself, at random instants, whatever became of the rest."""

    sockets: int = 3_000
    units: int = 103
    """As many as the register of this city has. Whatever one phone says pokes all of its unit."""

    seconds: float = 30
    signs_per_s: float = 200
    photos_per_s: float = 20
    photo_bytes: int = 300_000
    ordered_s: float = 10
    """When one order goes to all."""

    def said(self) -> str:
        return (
            f"{self.sockets:,} phones of {self.units} units on the line; {self.signs_per_s:g}"
            f" receipts and {self.photos_per_s:g} photos of {self.photo_bytes // 1000} KB a second"
            f" for {self.seconds:g} s; one order to all after {self.ordered_s:g} s"
        )


FULL = Amount()
"""What the bars ask for."""


def arrivals(random: Random, per_second: float, seconds: float) -> Iterator[float]:
    """When each comes, in seconds from the beginning, none knowing of another."""
    at = random.expovariate(per_second)
    while at < seconds:
        yield at
        at += random.expovariate(per_second)

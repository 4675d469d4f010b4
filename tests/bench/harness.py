"""Rounds that take turns in one go, and what they come to: medians, ratios, spread."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from server.cli.setup import SetupError
from tests.bench.figures import FIGURES
from tests.postgres import NoPostgres


class Sizes(Struct, frozen=True):
    """How much each measurement does."""

    rounds: int = 5
    raw_rows: int = 30_000
    """Rows of a round of raw SQLite."""

    batches: int = 12
    """Requests of 100 mutations that each of 8 devices pushes in a round."""

    singles: int = 40
    """Requests of one mutation that each of 64 devices pushes in a round."""

    pulled: int = 10_000

    listeners: int = 5_000
    """Sockets that hear of an order."""

    silence_s: int = 61
    """How long nobody was told anything before an order, as is usual: after a minute the server
    looks up again whether a socket may still be there."""

    sockets: int = 10_000
    idle_s: int = 45
    """Sockets that idle, and for how long: the server pings them every 20 s."""

    herd: int = 100
    herd_rows: int = 10_000
    """First syncs at once, and the rows of each."""

    load_sockets: int = 3_000
    load_s: int = 30
    """Phones on the line while others push, photograph and order, and for how long."""

    machines: int = 1_000
    moves: int = 50
    """Machines that move while a device is away, and how often each does."""

    small_log: int = 100_000
    large_log: int = 2_000_000
    """As many as a run has time for; the bar asks for 10,000,000."""


QUICK = Sizes(
    rounds=3,
    raw_rows=20_000,
    batches=6,
    singles=10,
    listeners=1_000,
    silence_s=0,
    sockets=1_000,
    idle_s=5,
    herd=20,
    load_sockets=300,
    load_s=3,
    machines=200,
    moves=10,
    small_log=5_000,
    large_log=30_000,
)


Round = Callable[[], Awaitable[float]]
"""One round of a side: its rate, or what it cost."""


class BenchFailed(Exception):
    """What was to be measured did not do what it must; the text says what it said."""


TROUBLE = (BenchFailed, NoPostgres, SetupError, OSError)
"""Why a measurement ends without its figures; the others go on."""


class Samples(Struct, frozen=True):
    """What a side came to in each round."""

    side: str
    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


class Result(Struct, frozen=True):
    """A figure of this run. `spread` is the least and the most that single rounds gave."""

    name: str
    value: float
    spread: tuple[float, float]
    sides: list[Samples] = []
    note: str = ""
    small: str = ""
    """How much less was done than the bar asks; "" where it was all of it."""

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None where there is none, or less was done than it asks."""
        return None if self.small else FIGURES[self.name].met(self.value)


def ratio(name: str, ours: Samples, theirs: Samples, note: str = "", small: str = "") -> Result:
    """Our median to theirs; the spread is that of the rounds that followed each other."""
    pairs = [a / b for a, b in zip(ours.values, theirs.values, strict=True)]
    value = ours.median / theirs.median
    return Result(name, value, (min(pairs), max(pairs)), [ours, theirs], note, small)


def plain(name: str, samples: Samples, note: str = "", small: str = "") -> Result:
    """A figure that is not a ratio: the median."""
    return Result(name, samples.median, samples.spread, [samples], note, small)


class Bench(Struct):
    """One run: where it may write, how much it does, and who hears how far it is."""

    folder: Path
    sizes: Sizes
    peers: bool
    wanted: frozenset[str]
    told: Callable[[str, int, int], None]
    shown: Callable[[Result], None]
    results: list[Result] = []
    settings: dict[str, str] = {}
    """How each peer that took part was set up."""

    failed: dict[str, str] = {}
    """What could not be measured, or which peer did not start, and why."""

    def found(self, *results: Result) -> None:
        """Keep and show those of these figures that were asked for."""
        for one in results:
            if one.name in self.wanted:
                self.results.append(one)
                self.shown(one)

    def wants(self, *names: str) -> bool:
        """Whether any of these figures is to be measured."""
        return any(name in self.wanted for name in names)

    async def interleaved(self, what: str, sides: dict[str, Round]) -> dict[str, list[float]]:
        """All sides in turn, once around for each round, every other time backwards."""
        found: dict[str, list[float]] = {name: [] for name in sides}
        total = self.sizes.rounds * len(sides)
        for number in range(self.sizes.rounds):
            turn = list(sides) if number % 2 == 0 else list(sides)[::-1]
            for name in turn:
                self.told(f"{what}: {name}", sum(map(len, found.values())), total)
                found[name].append(await sides[name]())
        self.told(what, total, total)
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

"""Whether a push and a pull cost the same in a log that has become large."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from schema.steps import UNIT_STEPS
from schema.wire import Change, Mutation, Row, Verdict
from server.ids import uuid7
from server.store.protocol import Commit, Txn
from sync.known import Arrival, Entry
from sync.mutation import encode_mutation, hash_of
from sync.rows import Stored
from sync.scope import memberships
from sync.stamp import Stamp
from tests.bench.centre import Made, Served, Size, make, opened, served
from tests.bench.harness import Bench, Round, Samples, ratio
from tests.bench.pull import fill, rate_of_pulls, seq_now
from tests.bench.push import Pushing

GROWTH = ("pull_growth", "push_growth")
LARGE_ASKED = 10_000_000
COMMITTED_AT_ONCE = 10_000
FILLERS = 200
"""So many devices wrote what the log holds already."""

FACTS_OF_TARGET = 30
"""Old orders lie as they were done: no push is about one of them."""

DAY_AGO_MS = 86_400_000


async def growth(bench: Bench) -> None:
    """The cost in the large log to that in the small one, in turn."""
    small_n, large_n = bench.sizes.small_log, bench.sizes.large_log
    small = await _filled(bench, bench.folder / "small-log", small_n)
    large = await _filled(bench, bench.folder / "large-log", large_n)
    async with served(small.folder) as small_at, served(large.folder) as large_at:
        sides: dict[str, Round] = {}
        for name, made, at in (("small", small, small_at), ("large", large, large_at)):
            sides[f"push {name}"] = Pushing(made, at, bench.sizes).facts
            sides[f"pull {name}"] = await _pulling(bench, made, at)
        found = await bench.interleaved("growth", sides)
    note = f"{large_n:,} facts of {FILLERS} devices in the large log, {small_n:,} in the small one"
    little = "" if large_n >= LARGE_ASKED else f"{large_n:,} to {small_n:,} mutations"
    for name in ("pull", "push"):
        cost = {
            side: Samples(side, "µs/row", [1e6 / one for one in found[f"{name} {side}"]])
            for side in ("large", "small")
        }
        bench.found(ratio(f"{name}_growth", cost["large"], cost["small"], note, little))


async def _pulling(bench: Bench, made: Made, at: Served) -> Round:
    """Pulls of what the last device of a unit has not seen yet."""
    reader = made.writers[0]
    seq = await seq_now(at.port, reader)
    unit = [one for one in made.writers if one.reply.unit == reader.reply.unit]
    await fill(replaced(made, unit[1:]), at, bench.sizes.pulled)
    return partial(rate_of_pulls, at.port, reader, seq, bench.sizes.pulled)


def replaced(made: Made, writers: Sequence[object]) -> Made:
    """The same centre, with only these devices writing."""
    return Made(made.folder, made.size, list(writers), made.targets, made.machines, made.incident)


async def _filled(bench: Bench, folder: Path, count: int) -> Made:
    """A centre whose log holds so many facts, stored as the product stores them, not judged."""
    made = await make(folder, Size(machines=1))
    async with opened(folder) as engine:
        realm, centre = made.writers[0].reply.realm, made.writers[0].reply.centre
        old = _Old(made, realm, centre, engine.clock() - DAY_AGO_MS)
        for done in range(0, count, COMMITTED_AT_ONCE):
            bench.told(f"growth: fill {count:,}", done, count)
            some = list(islice(old.commits(), min(COMMITTED_AT_ONCE, count - done)))

            def work(txn: Txn, some: list[Commit] = some) -> None:
                txn.commit(some)

            await engine.store.write(work)
    return made


class _Old:
    """Facts of devices that are long gone."""

    def __init__(self, made: Made, realm: str, centre: str, now_ms: int) -> None:
        self._units = sorted(made.targets)
        self._realm, self._centre, self._now_ms = realm, centre, now_ms
        self._whose = cycle(range(FILLERS))
        self._done = 0

    def commits(self) -> Iterator[Commit]:
        while True:
            yield self._commit()

    def _commit(self) -> Commit:
        number, who = self._done, next(self._whose)
        self._done += 1
        order = number // FACTS_OF_TARGET
        unit = self._units[order % len(self._units)]
        replica, n = f"long-gone-{who:04}", number // FILLERS + 1
        fields = {
            "target": f"old-target-{order:010}",
            "directive": f"old-order-{order:010}",
            "unit": unit,
            "round": 1,
            "at": self._now_ms,
            "step": UNIT_STEPS[number % len(UNIT_STEPS)],
            "version": 1,
            "route": "device",
        }
        id = uuid7(self._now_ms)
        stamp = Stamp(self._now_ms, 0, replica).encode()
        change = Change("create", "step", id, fields)
        mutation = Mutation(
            replica=replica,
            lane=0,
            n=n,
            prev="",
            realm=self._realm,
            stamp=stamp,
            session="gone",
            actor="p00000",
            intent="target.step",
            changes=(change,),
        )
        raw = encode_mutation(mutation)
        arrival = Arrival(mutation, raw, hash_of(raw))
        verdict = Verdict(arrival.dot, arrival.hash, "applied", 0)
        row = Row(
            "step", id, 0, arrival.dot, stamp, "p00000", self._now_ms, fields, home=self._centre
        )
        entry = Entry(arrival, verdict, ((None, Stored(row)),))
        return Commit(entry, [Stored(row)], memberships(None, row), self._now_ms)

"""Durable pushes, in batches and one by one, to raw SQLite and to the peers."""

import asyncio
import time
from collections.abc import Sequence

from tests.bench.centre import BenchFailed, Made, Served, Size, make, served
from tests.bench.facts import Mix, fact_pushes, mixed_pushes
from tests.bench.harness import Bench, Result, Round, Samples, ratio
from tests.bench.line import Answer, Line
from tests.bench.raw import RawLog
from tests.bench.writer import Writer

AT_ONCE = 8
SHARING = 2
"""So many devices of each unit edit the same cards."""

PUSHED = ("push_vs_raw", "push_mixed_vs_raw")
NOTE = "8 devices, one request of 100 mutations and one signature each at a time"
MIXED_NOTE = f"{NOTE}; half of the requests edit shared cards, 1 in 10 unseen by its rival"


async def pushes(bench: Bench) -> list[Result]:
    """Figures of durable pushes in batches."""
    raw = RawLog(bench.folder / "raw-push.db")
    made = await make(bench.folder / "push", Size())
    mixed = made.copy_to(bench.folder / "push-mixed")
    async with served(made.folder) as facts_at, served(mixed.folder) as mixed_at:
        rounds = bench.sizes

        async def by_hand() -> float:
            return raw.push(rounds.raw_rows)

        sides: dict[str, Round] = {"raw": by_hand}
        sides["facts"] = Pushing(made, facts_at, rounds.batches).facts
        sides["mixed"] = Pushing(mixed, mixed_at, rounds.batches).mixed
        found = await bench.interleaved("push", sides)
    raw.close()
    said = {side: Samples(side, "rows/s", values) for side, values in found.items()}
    return [
        ratio("push_vs_raw", said["facts"], said["raw"], NOTE),
        ratio("push_mixed_vs_raw", said["mixed"], said["raw"], MIXED_NOTE),
    ]


class Pushing:
    """Eight devices of a served centre that push what they wrote."""

    def __init__(self, made: Made, at: Served, batches: int) -> None:
        self._mix = Mix(made, seed=1)
        self._at = at
        self._batches = batches
        units = made.size.units
        self._spread = made.writers[:AT_ONCE]
        self._shared = [
            (made.writers[unit + which * units], (which, SHARING))
            for unit in range(AT_ONCE // SHARING)
            for which in range(SHARING)
        ]

    async def facts(self) -> float:
        """Mutations a second, facts alone."""
        asked = [list(fact_pushes(self._mix, one, self._batches)) for one in self._spread]
        return await rate(self._at.port, asked, 100)

    async def mixed(self) -> float:
        """Mutations a second, half of them edits of rows that two devices share."""
        asked = [
            list(mixed_pushes(self._mix, one, share, self._batches)) for one, share in self._shared
        ]
        return await rate(self._at.port, asked, 100)


def single_pushes(mix: Mix, writers: Sequence[Writer], count: int) -> list[list[bytes]]:
    """So many requests of one urgent fact and one signature for each device."""
    return [[one.push(one.run(0, mix.facts(one, 0, 1))) for _ in range(count)] for one in writers]


async def rate(port: int, asked: Sequence[Sequence[bytes]], each: int) -> float:
    """Mutations a second, one connection for each list, every verdict looked at afterwards."""
    lines = [await Line.to(port) for _ in asked]
    began = time.perf_counter()
    answers = await asyncio.gather(
        *(_in_turn(line, requests) for line, requests in zip(lines, asked, strict=True))
    )
    took = time.perf_counter() - began
    for line in lines:
        line.close()
    for answer in (answer for told in answers for answer in told):
        check(answer, each)
    return sum(map(len, asked)) * each / took


async def _in_turn(line: Line, requests: Sequence[bytes]) -> list[Answer]:
    return [await line.ask(request) for request in requests]


def check(answer: Answer, each: int) -> None:
    """BenchFailed unless every one of so many mutations stands."""
    told = answer.body
    stand = told.count(b'"verdict":"applied"') + told.count(b'"verdict":"merged"')
    if answer.status != 200 or stand != each or told.count(b'"repeat":true'):
        raise BenchFailed(f"{answer.status} {told[:600].decode(errors='replace')}")

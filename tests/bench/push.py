"""Durable pushes, in batches and one by one, beside raw SQLite and the peers."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from tests.bench.centre import Made, Served, Size, make, served
from tests.bench.facts import PER_RUN, Mix, fact_pushes, mixed_pushes
from tests.bench.harness import Bench, BenchFailed, Result, Round, Samples, Sizes, ratio
from tests.bench.line import Answer
from tests.bench.peers import Peer, Row
from tests.bench.rate import rate
from tests.bench.raw import RawLog
from tests.bench.writer import Writer

AT_ONCE = 8
SINGLES_AT_ONCE = 64
PEER_SINGLES = 2
"""A peer does this many times fewer singles than batches, as it is slower at them by less."""

SHARING = 2
"""So many devices of each unit edit the same cards."""

PUSHED = ("push_vs_raw", "push_mixed_vs_raw", "push_vs_kinto", "push_vs_pouchdb")
SINGLE = ("single_vs_kinto", "single_vs_pouchdb")
NOTE = "8 devices, each with one request of 100 mutations under one signature at a time"
MIXED_NOTE = f"{NOTE}; half of the requests edit shared cards, 1 edit in 10 unseen by its rival"
SINGLE_NOTE = "64 devices, each with one request of one signed mutation at a time"


async def pushes(bench: Bench, peers: Sequence[Peer]) -> list[Result]:
    """Figures of durable pushes in batches."""
    made = await make(bench.folder / "push", Size())
    async with AsyncExitStack() as stack:
        facts_at = await stack.enter_async_context(served(made.folder))
        ours = Pushing(made, facts_at, bench.sizes)
        sides: dict[str, Round] = {"facts": ours.facts}
        if bench.wants("push_vs_raw", "push_mixed_vs_raw"):
            raw = RawLog(bench.folder / "raw-push.db")
            stack.callback(raw.close)
            sides = {"raw": partial(raw.push, bench.sizes.raw_rows)} | sides
        if bench.wants("push_mixed_vs_raw"):
            mixed = await make(bench.folder / "push-mixed", Size())
            mixed_at = await stack.enter_async_context(served(mixed.folder))
            sides["mixed"] = Pushing(mixed, mixed_at, bench.sizes).mixed
        for peer in peers:
            count = max(1, bench.sizes.batches * AT_ONCE // peer.slower)
            sides[peer.name] = partial(_peer_pushes, peer, made, count)
        found = await bench.interleaved("push", sides)
    said = {side: Samples(side, "rows/s", values) for side, values in found.items()}
    results = []
    for name in ("raw", "kinto", "pouchdb"):
        if name in said:
            results.append(ratio(f"push_vs_{name}", said["facts"], said[name], NOTE))
    if "mixed" in said:
        results.append(ratio("push_mixed_vs_raw", said["mixed"], said["raw"], MIXED_NOTE))
    return results


async def singles(bench: Bench, peers: Sequence[Peer]) -> list[Result]:
    """Figures of pushes of one mutation each."""
    made = await make(bench.folder / "single", Size())
    async with served(made.folder) as at:
        sides: dict[str, Round] = {"single": Pushing(made, at, bench.sizes).single}
        for peer in peers:
            each = max(1, bench.sizes.singles * PEER_SINGLES // peer.slower)
            sides[peer.name] = partial(_peer_singles, peer, made, each)
        found = await bench.interleaved("single", sides)
    said = {side: Samples(side, "rows/s", values) for side, values in found.items()}
    return [
        ratio(f"single_vs_{peer.name}", said["single"], said[peer.name], SINGLE_NOTE)
        for peer in peers
    ]


async def _peer_pushes(peer: Peer, made: Made, batches: int) -> float:
    return await peer.push(peer_rows(made, batches), AT_ONCE)


async def _peer_singles(peer: Peer, made: Made, each: int) -> float:
    rows = [
        row for batch in peer_rows(made, each * SINGLES_AT_ONCE // PER_RUN + 1) for row in batch
    ]
    return await peer.single(rows[: each * SINGLES_AT_ONCE], SINGLES_AT_ONCE)


def peer_rows(made: Made, batches: int) -> list[list[Row]]:
    """The rows of as many batches of facts, for peers."""
    mix, writers = Mix(made, seed=2), made.writers[:AT_ONCE]
    return [mix.rows(writers[number % len(writers)]) for number in range(batches)]


class Pushing:
    """The devices of a served centre, which push what they wrote."""

    def __init__(self, made: Made, at: Served, sizes: Sizes) -> None:
        self._mix = Mix(made, seed=1)
        self._port = at.port
        self._sizes = sizes
        self._writers = made.writers
        units = made.size.units
        self._shared = [
            (made.writers[unit + which * units], (which, SHARING))
            for unit in range(AT_ONCE // SHARING)
            for which in range(SHARING)
        ]

    async def facts(self) -> float:
        """Mutations a second, facts alone."""
        count = self._sizes.batches
        asked = [list(fact_pushes(self._mix, one, count)) for one in self._writers[:AT_ONCE]]
        return await rate(self._port, asked, PER_RUN, stands)

    async def mixed(self) -> float:
        """Mutations a second, half of them edits of rows that two devices share."""
        count = self._sizes.batches
        asked = [list(mixed_pushes(self._mix, *whose, count)) for whose in self._shared]
        return await rate(self._port, asked, PER_RUN, stands)

    async def single(self) -> float:
        """Mutations a second, each pushed alone."""
        writers = self._writers[:SINGLES_AT_ONCE]
        asked = [single_pushes(self._mix, one, self._sizes.singles) for one in writers]
        return await rate(self._port, asked, 1, stands)


def single_pushes(mix: Mix, writer: Writer, count: int) -> list[bytes]:
    """So many requests of one urgent fact and one signature each."""
    return [writer.push(writer.run(0, mix.facts(writer, 0, 1))) for _ in range(count)]


def stands(answer: Answer, each: int) -> None:
    """BenchFailed unless every one of so many mutations stands."""
    told = answer.body
    stand = told.count(b'"verdict":"applied"') + told.count(b'"verdict":"merged"')
    if answer.status != 200 or stand != each or told.count(b'"repeat":true'):
        raise BenchFailed(f"{answer.status} {told[:600].decode(errors='replace')}")

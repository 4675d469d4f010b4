"""How fast a device that knows the rest gets 10,000 rows that changed."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import msgspec
from msgspec import Raw, Struct

from schema.versions import PULL_BYTES_MAX
from schema.wire import Cursors
from tests.bench.centre import Made, Served, Size, make, served
from tests.bench.facts import PER_RUN, Mix, fact_pushes
from tests.bench.harness import Bench, BenchFailed, Result, Round, Samples, ratio
from tests.bench.line import Answer, Line
from tests.bench.peers import Peer
from tests.bench.push import peer_rows, stands
from tests.bench.rate import rate, timed
from tests.bench.raw import RawRows
from tests.bench.writer import Writer

PULLED = ("pull_vs_raw", "pull_vs_kinto", "pull_vs_pouchdb")
NOTE = (
    "one device asks for 4 MB pages until it is complete, uncompressed; raw: one SELECT by index"
    " of the same facts from a table with a column for each field, encoded as JSON, without HTTP"
)
WRITERS = 4


class Told(Struct):
    """What a puller reads of a page."""

    scope: str
    lane: int
    next: int
    rows: list[Raw]


class Pulled(Struct):
    """What came in an answer."""

    pages: list[Told]
    complete: dict[str, list[int]]
    upto: int


class Place(Struct):
    """Where a page ends."""

    scope: str
    lane: int
    next: int


class Progress(Struct):
    """What a puller must read of an answer to ask for the next, while the clock runs."""

    pages: list[Place]
    complete: dict[str, list[int]]
    upto: int


_answer = msgspec.json.Decoder(Pulled)
_progress = msgspec.json.Decoder(Progress)


async def pulls(bench: Bench, peers: Sequence[Peer]) -> list[Result]:
    """Figures of pulls of rows that changed."""
    count = bench.sizes.pulled
    made = await make(bench.folder / "pull", Size(units=1, devices=WRITERS + 1))
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(served(made.folder))
        reader = made.writers[-1]
        seq = await seq_now(at.port, reader)
        await fill(made, at, count)
        ours = partial(rate_of_pulls, at.port, reader, seq, count)
        sides: dict[str, Round] = {"pull": ours}
        if bench.wants("pull_vs_raw"):
            raw = RawRows(bench.folder / "raw-pull.db")
            stack.callback(raw.close)
            raw.fill([row for rows in peer_rows(made, count // PER_RUN) for row in rows])
            sides = {"raw": partial(raw.pull, count)} | sides
        for peer in peers:
            await peer.fill(peer_rows(made, count // PER_RUN))
            sides[peer.name] = partial(peer.pull, count)
        found = await bench.interleaved("pull", sides)
    said = {side: Samples(side, "rows/s", values) for side, values in found.items()}
    return [
        ratio(f"pull_vs_{name}", said["pull"], said[name], NOTE) for name in said if name != "pull"
    ]


async def fill(made: Made, at: Served, count: int) -> None:
    """Afterwards the devices of the first unit have pushed so many facts."""
    mix, each = Mix(made, seed=3), count // PER_RUN // WRITERS
    asked = [list(fact_pushes(mix, one, each)) for one in made.writers[:WRITERS]]
    await rate(at.port, asked, PER_RUN, stands)


async def seq_now(port: int, reader: Writer) -> int:
    """Where the log ends."""
    found: list[int] = []

    def look(answer: Answer, each: int) -> None:
        found.append(_answer.decode(answer.body).upto)

    await rate(port, [[reader.post(lanes=[])]], 1, look)
    return found[0]


async def rate_of_pulls(port: int, reader: Writer, seq: int, count: int) -> float:
    """Rows a second over several whole pulls from `seq` on."""
    line = await Line.to(port)
    times = 3

    async def all_of_them() -> list[bytes]:
        return [body for _ in range(times) for body in await pull(line, reader, seq)]

    took, bodies = await timed(all_of_them())
    line.close()
    rows = sum(len(page.rows) for body in bodies for page in _answer.decode(body).pages)
    if rows < count * times:
        raise BenchFailed(f"pulled {rows} rows instead of {count * times}")
    return rows / took


async def pull(line: Line, reader: Writer, seq: int) -> list[bytes]:
    """Ask until every pair is complete, from `seq` on in each; what came."""
    cursors: Cursors = {
        scope: {str(lane): seq for lane in range(5)} for scope in reader.reply.scopes
    }
    bodies, pairs = [], {(scope, int(lane)) for scope in cursors for lane in cursors[scope]}
    while pairs:
        answer = await line.ask(reader.post(cursors=cursors, max_bytes=PULL_BYTES_MAX))
        if answer.status != 200:
            raise BenchFailed(answer.body[:600].decode(errors="replace"))
        told = _progress.decode(answer.body)
        bodies.append(answer.body)
        for page in told.pages:
            cursors[page.scope][str(page.lane)] = page.next
        done = {(scope, lane) for scope, lanes in told.complete.items() for lane in lanes}
        for scope, lane in done:
            cursors[scope][str(lane)] = told.upto
        pairs -= done
    return bodies

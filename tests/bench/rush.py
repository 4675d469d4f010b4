"""When everybody comes at once: receipts of an order, first syncs of many devices."""

import asyncio
import gzip
import statistics
import time

import msgspec
from msgspec import Struct

from schema.versions import PULL_BYTES_MAX
from schema.wire import Cursors, SnapshotFile
from tests.bench.centre import Made, Size, make, served
from tests.bench.facts import write_step
from tests.bench.harness import Bench, BenchFailed, Samples, percentile, plain, ratio
from tests.bench.line import ANSWER_S, Line, LineCut, request
from tests.bench.live import crowded
from tests.bench.pull import Told, fill
from tests.bench.push import stands
from tests.bench.rate import rate, timed
from tests.bench.writer import Writer

RECEIPTS = ("receipts_5000_s", "receipts_lane_0_p99")
RECEIPTS_ASKED = 5_000
LINES = 250
QUIET = 100
"""Urgent pushes of a bystander before everybody comes, to compare with."""

RECEIPTS_NOTE = (
    f"each of the phones pushes its own signed receipt of an order, over {LINES} connections; a"
    " bystander pushes what a person says of it, one by one, all the while"
)

HERD = ("herd_median_s", "herd_failed")
HERD_ASKED, HERD_ROWS_ASKED = 100, 10_000
HERD_NOTE = "each device fetches the snapshot's parts and pulls until it is complete"


async def receipts(bench: Bench) -> None:
    """How long it takes until all receipts of an order are on disk, and who waits meanwhile."""
    count = bench.sizes.listeners
    made = await crowded(bench.folder / "receipts", count + 1, orders=bench.sizes.rounds)
    bystander = made.writers.pop()
    quiet, busy, took = [], [], []
    async with served(made.folder) as at:
        for number in range(bench.sizes.rounds):
            bench.told("receipts", number, bench.sizes.rounds)
            asked = [
                one.push(one.run(0, [_step(made, one, "received", number)])) for one in made.writers
            ]
            quiet.append(percentile(await _urgent(at.port, made, bystander, QUIET), 0.99))
            over = asyncio.Event()
            waits = asyncio.create_task(_urgent(at.port, made, bystander, 0, over))
            lists = [asked[first::LINES] for first in range(min(LINES, len(asked)))]
            took.append(count / await rate(at.port, lists, 1, stands))
            over.set()
            busy.append(percentile(await waits, 0.99))
    small = "" if count >= RECEIPTS_ASKED else f"{count} receipts"
    meanwhile = Samples("meanwhile", "ms", busy), Samples("quiet", "ms", quiet)
    bench.found(
        plain("receipts_5000_s", Samples("committed", "s", took), RECEIPTS_NOTE, small),
        ratio("receipts_lane_0_p99", *meanwhile, RECEIPTS_NOTE, small),
    )


def _step(made: Made, writer: Writer, step: str, order: int = 0) -> bytes:
    return write_step(writer, made.targets[writer.reply.unit][order], step)


async def _urgent(
    port: int, made: Made, writer: Writer, count: int, over: asyncio.Event | None = None
) -> list[float]:
    """Milliseconds of each urgent push, so many of them, or until it is over."""
    line, took = await Line.to(port), []
    while len(took) < count or (over is not None and not (over.is_set() and took)):
        asked = writer.push(writer.run(0, [_step(made, writer, "acting")]))
        seconds, answer = await timed(line.ask(asked))
        stands(answer, 1)
        took.append(seconds * 1000)
    line.close()
    return took


class Offered(Struct):
    """A snapshot as a newcomer reads it."""

    scope: str
    lane: int
    seq: int
    parts: list[dict[str, str | int]]


class First(Struct):
    """What a newcomer reads of an answer."""

    pages: list[Told]
    complete: dict[str, list[int]]
    upto: int
    snapshots: list[Offered]


_first = msgspec.json.Decoder(First)
_file = msgspec.json.Decoder(SnapshotFile)


async def herd(bench: Bench) -> None:
    """How long first syncs take that begin at one moment."""
    count, rows = bench.sizes.herd, bench.sizes.herd_rows
    size = Size(units=1, devices=count, targets=300, machines=0, kind="phone")
    made = await make(bench.folder / "herd", size)
    medians: list[float] = []
    failed = 0
    async with served(made.folder) as at:
        await fill(made, at, rows)
        await _look(at.port, made.writers[0], rows)
        for number in range(bench.sizes.rounds):
            bench.told("herd", number, bench.sizes.rounds)
            turns = (_first_sync(at.port, one) for one in made.writers)
            ended = await asyncio.gather(*turns, return_exceptions=True)
            took = [one for one in ended if isinstance(one, float)]
            failed += len(ended) - len(took)
            if not took:
                raise BenchFailed(f"every first sync failed: {ended[0]!r}")
            medians.append(statistics.median(took))
    full = count >= HERD_ASKED and rows >= HERD_ROWS_ASKED
    small = "" if full else f"{count} first syncs of {rows:,} rows"
    bench.found(
        plain("herd_median_s", Samples("first sync", "s", medians), HERD_NOTE, small),
        plain("herd_failed", Samples("failed", "", [float(failed)]), HERD_NOTE, small),
    )


async def _look(port: int, writer: Writer, rows: int) -> None:
    """BenchFailed unless a first sync really brings all rows. It also makes the snapshot."""
    parts: list[bytes] = []
    told = await _sync_from_nothing(port, writer, parts)
    told += sum(len(_file.decode(gzip.decompress(part)).rows) for part in parts)
    if told < rows:
        raise BenchFailed(f"a first sync brought {told} of {rows} rows")


async def _first_sync(port: int, writer: Writer) -> float:
    """The seconds until a newcomer is complete."""
    began = time.monotonic()
    async with asyncio.timeout(ANSWER_S):
        await _sync_from_nothing(port, writer, [])
    return time.monotonic() - began


async def _sync_from_nothing(port: int, writer: Writer, parts: list[bytes]) -> int:
    """Everything that the device may have; the rows that came in pages. Files go to `parts`."""
    line, rows = await Line.to(port), 0
    cursors: Cursors = {scope: {} for scope in writer.reply.scopes}
    pairs = {(scope, lane) for scope in cursors for lane in range(5)}
    while pairs:
        answer = await line.ask(writer.post(cursors=cursors, max_bytes=PULL_BYTES_MAX))
        if answer.status != 200:
            raise LineCut(answer.body[:300].decode(errors="replace"))
        told = _first.decode(answer.body)
        for page in told.pages:
            rows += len(page.rows)
            cursors[page.scope][str(page.lane)] = page.next
        for one in told.snapshots:
            parts += [await _part(line, writer, str(part["sha256"])) for part in one.parts]
            cursors[one.scope][str(one.lane)] = one.seq
        for scope, lanes in told.complete.items():
            for lane in lanes:
                cursors[scope][str(lane)] = told.upto
                pairs.discard((scope, lane))
    line.close()
    return rows


async def _part(line: Line, writer: Writer, sha256: str) -> bytes:
    answer = await line.ask(request("GET", f"/v1/snap/{sha256}", writer.headers))
    if answer.status != 200:
        raise LineCut(f"{answer.status}")
    return answer.body

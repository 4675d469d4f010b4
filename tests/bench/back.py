"""What a phone costs that comes back after hours, and what a server costs that does nothing."""

import asyncio
import gzip
from collections.abc import Iterator

import msgspec

from schema.versions import PULL_BYTES_MAX
from schema.wire import Change, Cursors
from tests.bench.centre import Made, Size, make, served
from tests.bench.facts import PER_RUN
from tests.bench.harness import Bench, BenchFailed, Samples, plain
from tests.bench.line import Line
from tests.bench.live import rss_kib
from tests.bench.pull import Pulled, seq_now
from tests.bench.push import stands
from tests.bench.rate import rate
from tests.bench.writer import Writer

CATCHUP = ("catchup_bytes_ratio", "catchup_round_trips")
MACHINES_ASKED, MOVES_ASKED = 1_000, 50
MOVERS = 4
IDLE = ("idle_rss_mib",)
IDLE_LOOKS = 5

_answer = msgspec.json.Decoder(Pulled)


async def catchup(bench: Bench) -> None:
    """The bytes and round trips for a tablet that was away while machines moved."""
    machines, moves = bench.sizes.machines, bench.sizes.moves
    size = Size(units=1, devices=MOVERS + 1, targets=1, machines=machines)
    made = await make(bench.folder / "catchup", size)
    reader = made.writers[-1]
    async with served(made.folder) as at:
        seq = await seq_now(at.port, reader)
        bench.told("catch-up: machines move", 0, 1)
        asked = [
            list(_moves(made, one, which, moves)) for which, one in enumerate(made.writers[:MOVERS])
        ]
        await rate(at.port, asked, PER_RUN, stands)
        told, trips, rows = await _comes_back(at.port, reader, seq)
    packed = len(gzip.compress(b"[" + b",".join(rows) + b"]"))
    if len(rows) != machines:
        raise BenchFailed(f"{len(rows)} rows came for {machines} machines")
    note = (
        f"{machines:,} cards moved {moves} times each by {MOVERS} tablets of the unit; one answer"
        f" of {told:,} bytes as gzip, {packed:,} bytes of gzip in the rows alone"
    )
    full = machines >= MACHINES_ASKED and moves >= MOVES_ASKED
    small = "" if full else f"{machines:,} machines moved {moves} times"
    bench.found(
        plain("catchup_bytes_ratio", Samples("bytes", "×", [told / packed]), note, small),
        plain("catchup_round_trips", Samples("trips", "", [float(trips)]), note, small),
    )


def _moves(made: Made, writer: Writer, which: int, moves: int) -> Iterator[bytes]:
    """The pushes of one mover: each of its machines so many times, each time from what it saw."""
    own = list(made.machines[writer.reply.unit].items())[which::MOVERS]
    seen = dict(own)
    edits = []
    for number in range(moves):
        for id, _ in own:
            base, seen[id] = seen[id], writer.next_dot(2)
            change = Change("set", "equipment", id, {"base": f"示例停放点{number:02}"})
            edits.append(writer.write("equipment.edit", 2, change, (base,)))
            if len(edits) == PER_RUN:
                yield writer.push(writer.run(2, edits))
                edits = []
    if edits:
        raise BenchFailed(f"{len(own) * moves} moves do not fill runs of {PER_RUN}")


async def _comes_back(port: int, reader: Writer, seq: int) -> tuple[int, int, list[bytes]]:
    """Bytes of the answers as they travel, round trips, and the rows of the register."""
    cursors: Cursors = {
        scope: {str(lane): seq for lane in range(5)} for scope in reader.reply.scopes
    }
    line, size, trips, rows = await Line.to(port), 0, 0, []
    pairs = {(scope, int(lane)) for scope in cursors for lane in cursors[scope]}
    reader.headers["Accept-Encoding"] = "gzip"
    while pairs:
        answer = await line.ask(reader.post(cursors=cursors, max_bytes=PULL_BYTES_MAX))
        if answer.status != 200:
            raise BenchFailed(answer.body[:300].decode(errors="replace"))
        size, trips = size + len(answer.body), trips + 1
        told = _answer.decode(gzip.decompress(answer.body))
        for page in told.pages:
            rows += [bytes(row) for row in page.rows]
            cursors[page.scope][str(page.lane)] = page.next
        for scope, lanes in told.complete.items():
            for lane in lanes:
                cursors[scope][str(lane)] = told.upto
                pairs.discard((scope, lane))
    line.close()
    return size, trips, rows


async def idle(bench: Bench) -> None:
    """The memory of a server that was started and is left alone."""
    made = await make(bench.folder / "idle", Size())
    seen = []
    async with served(made.folder) as at:
        for number in range(IDLE_LOOKS):
            bench.told("idle", number, IDLE_LOOKS)
            await asyncio.sleep(1)
            seen.append(rss_kib(at.pid) / 1024)
    note = "8 units, 64 devices, 2,400 orders; the whole process, in RAM"
    bench.found(plain("idle_rss_mib", Samples("idle", "MiB", seen), note))

"""Live sockets: how soon an order is in everybody's hands, and what each socket costs."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.broadcast import TELL
from tests.bench.centre import (
    ROOT,
    Made,
    Size,
    answering,
    free_port,
    make,
    opened,
    running,
    served,
)
from tests.bench.crowd import TEXT, Ear
from tests.bench.desk import Dispatcher, allow
from tests.bench.harness import Bench, BenchFailed, Samples, percentile, plain, ratio
from tests.bench.writer import Writer

FANOUT = ("fanout_vs_raw",)
SOCKETS = ("sockets", "kib_per_socket", "kib_per_socket_tls")
TLS_SHARE = 5
"""One in so many is measured with TLS in the process as well."""

LISTENERS_ASKED = 5_000
SOCKETS_ASKED = 10_000
EACH_CROWD = 2_500
HEARD_S = 60
UNITS = 50
FANOUT_NOTE = (
    "the order goes to 50 units through the dispatcher's form; counted from its commit, taken as"
    " the time that the form's answer takes while nobody listens, until a poke is in the hands of"
    " 99 of 100 sockets"
)


class Crowd:
    """Processes that hold sockets."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def ask(self, what: str) -> list[dict[str, object]]:
        """What each process answers."""
        for one in self._processes:
            assert one.stdin
            one.stdin.write(f"{what}\n".encode())
        return [await _told(one) for one in self._processes]

    async def heard(self) -> list[float]:
        """When each socket first heard something, once all have. BenchFailed when some do not."""
        times = await self._times("heard")
        if not all(times):
            raise BenchFailed(f"{times.count(0.0)} of {len(times)} sockets heard nothing")
        return times

    async def reached(self, seqs: dict[str, int]) -> list[float]:
        """When each socket was told that one of these scopes stands at its seq; 0 for never."""
        return await self._times(f"reached {json.dumps(seqs)}")

    async def alive(self) -> int:
        """How many sockets are still open."""
        return sum(int(str(one["alive"])) for one in await self.ask("alive"))

    async def _times(self, what: str) -> list[float]:
        """What each socket answers, as soon as none says 0, or after a while all the same."""
        deadline = time.monotonic() + HEARD_S
        while True:
            told = await self.ask(what)
            times = [at for one in told for at in one["heard"]]  # type: ignore[attr-defined]
            if all(times) or time.monotonic() > deadline:
                return times
            await asyncio.sleep(0.2)


async def _told(process: asyncio.subprocess.Process) -> dict[str, object]:
    assert process.stdout
    line = await process.stdout.readline()
    if not line:
        raise BenchFailed("a process that holds sockets has died")
    told: dict[str, object] = json.loads(line)
    return told


@asynccontextmanager
async def crowd(
    port: int, hellos: Sequence[str], tls: bool = False, beats: bool = False
) -> AsyncIterator[Crowd]:
    """A socket for each hello, in processes beside this one.

    With `beats` each asks now and then whether its line lives, as the app does.
    """
    processes: list[asyncio.subprocess.Process] = []
    try:
        for number, at in enumerate(range(0, len(hellos), EACH_CROWD)):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.crowd"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                limit=2**24,
            )
            processes.append(process)
            source = f"127.0.0.{2 + number}"
            some = hellos[at : at + EACH_CROWD]
            asked = {"port": port, "source": source, "hellos": some, "tls": tls, "beats": beats}
            assert process.stdin
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            await _told(process)
        yield Crowd(processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


def hello_of(writer: Writer) -> str:
    return json.dumps({"token": writer.reply.token, "replica": writer.reply.replica})


async def fanout(bench: Bench) -> None:
    """From an order's commit to a poke in everybody's hands, beside a bare broadcast."""
    count = bench.sizes.listeners
    made = await crowded(bench.folder / "fanout", count)
    async with served(made.folder) as at, bare(bench.folder) as port:
        dispatcher = Dispatcher(at.port)
        await dispatcher.sign_in()
        quiet = statistics.median([await _issued(dispatcher, made) for _ in range(5)])
        hellos = [hello_of(one) for one in made.writers]
        async with crowd(at.port, hellos) as ours, crowd(port, ["{}"] * count) as theirs:
            teller = await _teller(port)

            async def order() -> float:
                await asyncio.sleep(bench.sizes.silence_s)
                await ours.ask("forget")
                sent = time.monotonic()
                await _issued(dispatcher, made)
                return _ms(await ours.heard(), sent + quiet)

            async def tell() -> float:
                await theirs.ask("forget")
                sent = time.monotonic()
                teller.say(TELL + POKE + "}")
                return _ms(await theirs.heard(), sent)

            found = await bench.interleaved("fan-out", {"bare": tell, "order": order})
    said = {side: Samples(side, "ms", values) for side, values in found.items()}
    note = f"{FANOUT_NOTE}; {bench.sizes.silence_s} s after they heard anything"
    small = "" if count >= LISTENERS_ASKED else f"{count:,} sockets"
    bench.found(ratio("fanout_vs_raw", said["order"], said["bare"], note, small))


POKE = '{"scope":"unit/u000","lane":0,"seq":1000000,"prev":999999}'


def _ms(times: Sequence[float], since: float) -> float:
    return (percentile(times, 0.99) - since) * 1000


async def _issued(dispatcher: Dispatcher, made: Made) -> float:
    """Issue an order to all units; the seconds until its answer."""
    drafted = await dispatcher.draft(made.incident, sorted(made.targets))
    began = time.monotonic()
    await dispatcher.issue(drafted)
    return time.monotonic() - began


async def crowded(folder: Path, count: int, orders: int = 1) -> Made:
    """A centre with so many phones, and a dispatcher who can sign in."""
    size = Size(units=UNITS, devices=count, targets=orders, machines=0, kind="phone")
    return await with_dispatcher(folder, size)


async def with_dispatcher(folder: Path, size: Size, store: str = "") -> Made:
    """A centre of this size, and a dispatcher who can sign in."""
    made = await make(folder, size, store)
    async with opened(folder, store) as engine:
        await allow(engine)
    return made


class Teller(Ear):
    """The socket that makes the bare server speak."""

    def say(self, text: str) -> None:
        self.send(TEXT, text.encode())


async def _teller(port: int) -> Teller:
    loop = asyncio.get_running_loop()
    _, teller = await loop.create_connection(
        lambda: Teller(f"{TELL}{POKE}}}".encode()), "127.0.0.1", port
    )
    await teller.ready
    return teller


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[int]:
    """A bare broadcast server; its port."""
    port, log = free_port(), folder / "broadcast.log"
    command = [sys.executable, "-m", "tests.bench.broadcast", str(port)]
    with log.open("wb") as out, running(command, out) as process:
        await answering(port, process, log)
        yield port


async def sockets(bench: Bench) -> None:
    """How many devices stay on the line, and the memory that each takes."""
    count, idle_s = bench.sizes.sockets, bench.sizes.idle_s
    made = await crowded(bench.folder / "sockets", count)
    small = "" if count >= SOCKETS_ASKED else f"{count:,} sockets"
    note = f"{count:,} phones of {UNITS} units, idle for {idle_s} s"
    bench.told("sockets", 0, 2)
    alive, grown = await _held(made, count, idle_s, tls=False)
    bench.found(
        plain("sockets", Samples("alive", "", [float(alive)]), note, small),
        plain("kib_per_socket", Samples("grown", "KiB", [grown]), note, small),
    )
    if bench.wants("kib_per_socket_tls"):
        bench.told("sockets with TLS", 1, 2)
        some = max(1, count // TLS_SHARE)
        _, grown = await _held(made, some, idle_s, tls=True)
        note = f"{some:,} of these phones, TLS in the same process"
        bench.found(plain("kib_per_socket_tls", Samples("grown", "KiB", [grown]), note))


async def _held(made: Made, count: int, idle_s: int, tls: bool) -> tuple[int, float]:
    """So many sockets that idle: how many are left, and the KiB that each costs the server."""
    async with served(made.folder, tls) as at:
        before, hellos = rss_kib(at.pid), [hello_of(one) for one in made.writers[:count]]
        async with crowd(at.tls_port if tls else at.port, hellos, tls) as ours:
            await asyncio.sleep(idle_s)
            return await ours.alive(), (rss_kib(at.pid) - before) / count


def rss_kib(pid: int) -> int:
    """The memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise BenchFailed(f"process {pid} is gone")

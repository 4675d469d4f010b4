"""`python -m tests.bench`: measure, print each figure beside its bar, write what was asked for."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.back import CATCHUP, IDLE, catchup, idle
from tests.bench.centre import ROOT
from tests.bench.figures import FIGURES
from tests.bench.growth import GROWTH, growth
from tests.bench.harness import QUICK, TROUBLE, Bench, Result, Sizes
from tests.bench.limits import raise_limits
from tests.bench.live import FANOUT, SOCKETS, fanout, sockets
from tests.bench.load import LOAD, load
from tests.bench.machine import this_machine
from tests.bench.page import write_page
from tests.bench.report import Report, line_of
from tests.bench.rows import ROWS, rows
from tests.bench.rush import HERD, RECEIPTS, herd, receipts

Measurement = Callable[[Bench], Awaitable[None]]

MEASUREMENTS: tuple[tuple[Measurement, tuple[str, ...]], ...] = (
    (rows, ROWS),
    (fanout, FANOUT),
    (sockets, SOCKETS),
    (receipts, RECEIPTS),
    (herd, HERD),
    (load, LOAD),
    (catchup, CATCHUP),
    (idle, IDLE),
    (growth, GROWTH),
)
"""In this order, each with the figures that it may give."""


EXIT_MISSED, EXIT_FAILED = 1, 2
WITH_PEERS = ("_kinto", "_pouchdb")
STOPPED = "stopped by hand"


def main(arguments: Sequence[str], sizes: Sizes | None = None, folder: Path | None = None) -> int:
    """Measure: 1 when a bar was missed, 2 when something could not be measured.

    `sizes` and `folder` are for tests.
    """
    options = asked(arguments)
    sizes = sizes or (QUICK if options.quick else Sizes())
    sizes = replace(
        sizes,
        rounds=options.rounds or sizes.rounds,
        large_log=options.large or sizes.large_log,
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    raise_limits()
    base = folder or ROOT / "var"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=base) as scratch:
        Path(scratch).chmod(0o711)  # PostgreSQL has a folder in it, and a user of its own.
        report = measure(options, sizes, Path(scratch), console)
    part = options.quick or options.only or report.failed
    folder = options.report or ROOT / ("var/bench" if part else "docs")
    page = write_page(report, folder, said(options))
    for what, why in report.failed.items():
        console.print(f"未能测得 · not measured: {what}: {why}", style="red")
    console.print(f"\n{page}: {len(report.missed)} of {len(report.results)} missed")
    if options.json:
        report.write_json(options.json)
    return EXIT_FAILED if report.failed else EXIT_MISSED if report.missed else 0


def asked(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. SystemExit, with a sentence, for what cannot be done."""
    options = parser().parse_args(arguments)
    lacking = [name for name in options.only or () if name.endswith(WITH_PEERS)]
    if lacking and not options.peers:
        parser().error(f"--only {lacking[0]}: 需要 · needs --peers")
    return options


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="run.py bench", description=__doc__)
    found.add_argument("--quick", action="store_true", help="less of everything, within 3 minutes")
    found.add_argument("--peers", action="store_true", help="against Kinto and pouchdb-server, too")
    found.add_argument(
        "--only", action="append", choices=tuple(FIGURES), metavar="NAME", help="only this figure"
    )
    found.add_argument("--rounds", type=count, metavar="N", help="rounds of each side (5, quick 3)")
    found.add_argument(
        "--large",
        type=count,
        metavar="N",
        help="mutations in the large log (2,000,000; the bar asks for 10,000,000)",
    )
    found.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="write the page here (docs after a whole run, else var/bench)",
    )
    found.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return found


def count(text: str) -> int:
    """How many: a number from 1 on."""
    number = int(text.replace(",", ""))
    if number < 1:
        raise ValueError(text)
    return number


def said(options: argparse.Namespace) -> str:
    """What was asked for, as it is typed."""
    words = ["--quick"] * options.quick + ["--peers"] * options.peers
    words += [f"--only {name}" for name in options.only or ()]
    words += [f"--rounds {options.rounds}"] if options.rounds else []
    words += [f"--large {options.large}"] if options.large else []
    return "".join(f" {word}" for word in words)


def measure(options: argparse.Namespace, sizes: Sizes, scratch: Path, console: Console) -> Report:
    """Run every measurement that is asked for, one after the other."""
    began, clock = datetime.now(UTC), time.monotonic()
    machine = this_machine(scratch)
    console.print(machine.line())
    wanted = frozenset(options.only or FIGURES)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("bench", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        def shown(result: Result) -> None:
            console.print(line_of(result))

        bench = Bench(scratch, sizes, options.peers, wanted, told, shown)
        for measurement, names in MEASUREMENTS:
            if bench.wants(*names) and STOPPED not in bench.failed:
                attempt(measurement, bench)
    mode = "quick" if options.quick else "full"
    at, seconds = began.isoformat(timespec="seconds"), time.monotonic() - clock
    return Report(at, machine, mode, seconds, bench.settings, bench.results, bench.failed)


def attempt(measurement: Measurement, bench: Bench) -> None:
    """Measure; what goes wrong is kept under its name, and what lies in the folder goes.

    Whoever stops the run keeps what was measured before.
    """
    try:
        run(measurement(bench))
    except KeyboardInterrupt:
        bench.failed[STOPPED] = measurement.__name__
    except TROUBLE as error:
        bench.failed[measurement.__name__] = f"{type(error).__name__}: {error}"
    for path in bench.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(work: Awaitable[None]) -> None:
    """On the fastest loop there is: the generator shares the cores with what it measures."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_awaited(work))
    else:
        uvloop.run(_awaited(work))


async def _awaited(work: Awaitable[None]) -> None:
    await work


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

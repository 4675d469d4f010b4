"""`python -m tests.bench`: measure, print each figure beside its bar, write what was asked for."""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.centre import ROOT
from tests.bench.figures import FIGURES
from tests.bench.harness import QUICK, Bench, Result, Sizes
from tests.bench.machine import this_machine
from tests.bench.push import PUSHED, pushes
from tests.bench.report import Report, line_of

Measurement = Callable[[Bench], Awaitable[list[Result]]]

MEASUREMENTS: tuple[tuple[Measurement, tuple[str, ...]], ...] = ((pushes, PUSHED),)
"""In this order, each with the figures that it may give."""


def main(arguments: Sequence[str], sizes: Sizes | None = None, folder: Path | None = None) -> int:
    """Measure. `sizes` and `folder` are for tests; 1 when a bar was missed."""
    options = parser().parse_args(arguments)
    sizes = sizes or (QUICK if options.quick else Sizes())
    console = Console(highlight=False, markup=False, soft_wrap=True)
    raise_limits()
    base = folder or ROOT / "var"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=base) as scratch:
        report = measure(options, sizes, Path(scratch), console)
    if options.json:
        report.write_json(options.json)
    return 1 if report.missed else 0


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="run.py bench", description=__doc__)
    found.add_argument("--quick", action="store_true", help="less of everything, within 3 minutes")
    found.add_argument("--peers", action="store_true", help="against Kinto and pouchdb-server, too")
    found.add_argument(
        "--only", action="append", choices=tuple(FIGURES), metavar="NAME", help="only this figure"
    )
    found.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    return found


def raise_limits() -> None:
    """As many open files as this machine lets us have: a socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(options: argparse.Namespace, sizes: Sizes, scratch: Path, console: Console) -> Report:
    """Run every measurement that is asked for, one after the other."""
    began, clock = datetime.now(UTC), time.monotonic()
    machine = this_machine(scratch)
    console.print(machine.line())
    wanted = frozenset(options.only or FIGURES)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    results: list[Result] = []
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("bench", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        bench = Bench(scratch, sizes, options.peers, wanted, told)
        for measurement, names in MEASUREMENTS:
            if bench.wants(*names):
                found = [one for one in run(measurement(bench)) if one.name in wanted]
                for result in found:
                    console.print(line_of(result))
                results += found
    mode = "quick" if options.quick else "full"
    seconds = time.monotonic() - clock
    return Report(began.isoformat(timespec="seconds"), machine, mode, seconds, {}, results)


def run(work: Awaitable[list[Result]]) -> list[Result]:
    """On the fastest loop there is: the generator shares the cores with what it measures."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_awaited(work))
    return uvloop.run(_awaited(work))


async def _awaited(work: Awaitable[list[Result]]) -> list[Result]:
    return await work


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

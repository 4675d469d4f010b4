"""`python -m tests.sim`: run seeds, or a trace again; a failing seed is made small and kept."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.sim.disk import STORES, serving
from tests.sim.many import Report, run_many, trace_of
from tests.sim.mutants import hunt_all
from tests.sim.one import Outcome, replay
from tests.sim.shrink import shrink

FAILURES = Path("var/sim")
SHRUNK_MAX = 3
"""So many failing seeds are made small; the others are only named."""


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if options.trace:
        return _again(options.trace, console)
    if options.mutants:
        return hunt_all(options.seeds or 1000, options.steps, options.json, console)
    first = options.seed if options.seed is not None else 0
    count = options.seeds or (1 if options.seed is not None else 200)
    with serving(options.store):
        report = _run(range(first, first + count), options, console)
        if options.json:
            report.write(options.json)
        return _tell(report, console)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="run.py sim", description=__doc__)
    found.add_argument("--seeds", type=int, metavar="N", help="how many seeds (200)")
    found.add_argument("--seed", type=int, metavar="S", help="begin with this one (0)")
    found.add_argument("--steps", type=int, default=300, metavar="K", help="actions a seed (300)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    found.add_argument("--trace", type=Path, metavar="FILE", help="run a written trace again")
    found.add_argument(
        "--node",
        choices=("always", "never", "auto"),
        default="auto",
        help="when devices have the app's own core, in Node (auto: in 1 of 20 seeds)",
    )
    found.add_argument(
        "--store", choices=STORES, default="sqlite", help="the centre's database (sqlite)"
    )
    found.add_argument("--mutants", action="store_true", help="plant bugs, see each one caught")
    return found


def _run(seeds: range, options: argparse.Namespace, console: Console) -> Report:
    columns = (TextColumn("sim"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(seeds))

        def done(outcome: Outcome) -> None:
            progress.advance(task)

        return run_many(seeds, options.steps, done, options.node, options.store)


def _tell(report: Report, console: Console) -> int:
    for found in report.broken[:SHRUNK_MAX]:
        _show(shrink(found), console)
    for found in report.broken[SHRUNK_MAX:]:
        console.print(f"seed {found.seed}: {found.broken}: {found.what.strip()[-300:]}")
    never = report.never()
    if never:
        console.print("never happened, so nothing is proven: " + ", ".join(never))
    console.print(
        f"{report.seeds} seeds, {report.steps} steps, {len(report.broken)} violations,"
        f" {report.seconds:.1f} s"
    )
    return 1 if report.broken or never else 0


def _show(found: Outcome, console: Console) -> None:
    """Write a small failing run where the next person finds it."""
    FAILURES.mkdir(parents=True, exist_ok=True)
    path = FAILURES / f"seed-{found.seed}.json"
    path.write_text(json.dumps(trace_of(found), indent=1) + "\n", encoding="utf-8")
    console.print(f"seed {found.seed}: {found.broken}: {found.what.strip()}")
    for action in found.actions:
        console.print(f"  {json.dumps(action)}")
    console.print(f"  again: python3 run.py sim --trace {path}")


def _again(path: Path, console: Console) -> int:
    trace = json.loads(path.read_text(encoding="utf-8"))
    with serving(trace["setup"].get("store", "sqlite")):
        found = replay(trace["setup"], trace["actions"])
    console.print(f"{found.broken}: {found.what.strip()}" if found.broken else "every promise held")
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

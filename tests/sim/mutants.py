"""Plants each bug in turn and runs seeds until one notices; a bug that none notices is reported."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console

from tests.sim.bugs import BUGS, Bug
from tests.sim.many import WORKERS
from tests.sim.one import run_seed


class Hunt(Struct):
    """How the search for one bug ended: the seed that broke a promise, if one did."""

    name: str
    seed: int | None
    promise: str = ""
    what: str = ""


def with_bug(*arguments: str) -> dict[str, Any]:
    """What `tests.sim.planted` says of these arguments, in a process of its own."""
    command = [sys.executable, "-m", "tests.sim.planted", *arguments]
    told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode:
        raise RuntimeError(told.stderr[-2000:])
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def hunt(bug: Bug, seeds: int, steps: int) -> Hunt:
    """Run seeds with the bug planted. One that fails without it too says nothing of it."""
    first = 0
    while first < seeds:
        found = with_bug("seeds", bug.name, str(first), str(seeds), str(steps))
        if found["seed"] is None:
            break
        if not run_seed(found["seed"], steps).broken:
            return Hunt(bug.name, found["seed"], found["promise"], found["what"])
        first = found["seed"] + 1
    return Hunt(bug.name, None)


def hunt_all(seeds: int, steps: int, report: Path | None, console: Console) -> int:
    """Hunt every bug, two at a time. 0 when each was caught."""
    with ThreadPoolExecutor(WORKERS) as pool:
        hunts = []
        for one in pool.map(lambda bug: hunt(bug, seeds, steps), BUGS):
            hunts.append(one)
            caught = f"seed {one.seed}: {one.promise}" if one.seed is not None else "NOT CAUGHT"
            console.print(f"{one.name}: {caught}")
    caught = sum(one.seed is not None for one in hunts)
    console.print(f"{caught} of {len(hunts)} planted bugs caught")
    if report:
        told = {
            "planted": len(hunts),
            "caught": caught,
            "bugs": [{"name": one.name, "seed": one.seed, "promise": one.promise} for one in hunts],
        }
        report.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0 if caught == len(hunts) else 1

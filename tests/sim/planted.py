"""Runs the simulation on sources with one bug planted: `python -m tests.sim.planted …`.

`seeds NAME FIRST LAST STEPS`, `trace NAME FILE` or `keep NAME SEED STEPS FILE`. Nothing of the
product may be imported before the bug is in place.
"""

import importlib.machinery
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tests.sim.bugs import BUGS, Bug


class Planting(MetaPathFinder):
    """Finds one module as usual, and gives its source with the bug in it."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader)
        spec.loader = _Loader(spec.loader.name, spec.loader.path, self._bug)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, bug: Bug) -> None:
        super().__init__(name, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        return compile(self._bug.planted_in(source), self.path, "exec", dont_inherit=True)


def main(arguments: list[str]) -> None:
    """Print what came of it as one line of JSON."""
    what, name, *more = arguments
    bug = next(one for one in BUGS if one.name == name)
    sys.meta_path.insert(0, Planting(bug))
    told = {"seeds": _first_broken, "trace": _again, "keep": _keep}[what](bug, *more)
    print(json.dumps(told))


def _first_broken(bug: Bug, first: str, last: str, steps: str) -> dict[str, Any]:
    """Which of these seeds is the first that notices, if one does."""
    from tests.sim.one import run_seed

    for seed in range(int(first), int(last)):
        found = run_seed(seed, int(steps))
        if found.broken:
            return {"seed": seed, "promise": found.broken, "what": found.what[-300:]}
    return {"seed": None}


def _again(bug: Bug, path: str) -> dict[str, Any]:
    """What a kept trace breaks."""
    from tests.sim.one import replay

    trace = json.loads(Path(path).read_text(encoding="utf-8"))
    found = replay(trace["setup"], trace["actions"])
    return {"promise": found.broken, "what": found.what[-300:]}


def _keep(bug: Bug, seed: str, steps: str, path: str) -> dict[str, Any]:
    """Write the smallest trace found in which this seed notices."""
    from tests.sim.one import run_seed
    from tests.sim.shrink import shrink

    small = shrink(run_seed(int(seed), int(steps)))
    trace = {
        "promise": small.broken,
        "bug": bug.name,
        "setup": small.setup,
        "actions": small.actions,
    }
    Path(path).write_text(json.dumps(trace, indent=1) + "\n", encoding="utf-8")
    return {"promise": small.broken, "actions": len(small.actions)}


if __name__ == "__main__":
    main(sys.argv[1:])

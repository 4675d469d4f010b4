"""Runs seeds on sources with one bug planted: `python -m tests.sim.planted NAME FIRST LAST STEPS`.

Nothing of the product may be imported before the bug is in place.
"""

import importlib.machinery
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import CodeType, ModuleType

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


def main(name: str, first: int, last: int, steps: int) -> None:
    bug = next(one for one in BUGS if one.name == name)
    sys.meta_path.insert(0, Planting(bug))
    from tests.sim.one import run_seed

    for seed in range(first, last):
        found = run_seed(seed, steps)
        if found.broken:
            print(json.dumps({"seed": seed, "promise": found.broken, "what": found.what[-300:]}))
            return
    print(json.dumps({"seed": None}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))

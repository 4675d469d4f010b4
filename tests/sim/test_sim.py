"""The simulation itself: its promises hold, its traces replay, and it can fail."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sim.bugs import BUGS
from tests.sim.many import COVERED_FROM_SEEDS, FAULTS, STATES, Report
from tests.sim.mutants import hunt, with_bug
from tests.sim.one import Outcome, replay, run_seed
from tests.sim.shrink import shrink

ROOT = Path(__file__).resolve().parents[2]
TRACES = sorted((Path(__file__).parent / "traces").glob("*.json"))
STEPS = 300
SEEDS = 1_000
SEEDS_LONG = 20_000


@pytest.mark.first
@pytest.mark.timeout(1_800)
def test_every_promise_holds_in_a_world_of_bad_luck(tmp_path):
    """Many worlds, and no kind of bad luck that none of them met."""
    told = worlds(SEEDS, tmp_path)
    assert (told["broken"], told["never"]) == ([], [])
    assert (told["seeds"], told["violations"]) == (SEEDS, 0)
    assert told["steps"] > SEEDS * 200 and told["seconds"] > 0
    assert all(told["faults"].values()) and told["states"]["applied"] > SEEDS


@pytest.mark.long("sim")
@pytest.mark.timeout(24 * 3_600)
def test_every_promise_holds_in_very_many_worlds(tmp_path):
    told = worlds(SEEDS_LONG, tmp_path)
    assert (told["broken"], told["never"]) == ([], [])
    assert (told["seeds"], told["violations"]) == (SEEDS_LONG, 0)


def worlds(count: int, folder: Path) -> dict[str, Any]:
    """What `run.py sim` reports of so many seeds."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "tests.sim", "--seeds", str(count), "--json", str(report)]
    subprocess.run(command, cwd=ROOT, check=False)
    return read(report)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_once_broke_a_promise_does_so_no_more(path):
    trace = read(path)
    found = replay(trace["setup"], trace["actions"])
    assert not found.broken, f"{found.broken}: {found.what}"


PLANTED = [(read(path).get("bug"), path) for path in TRACES]


@pytest.mark.parametrize(
    ("bug", "path"), [pytest.param(bug, path, id=path.stem) for bug, path in PLANTED if bug]
)
def test_a_kept_trace_still_shows_the_bug_it_was_kept_for(bug, path):
    assert with_bug("trace", bug, str(path))["promise"] == read(path)["promise"]


def test_the_same_seed_gives_the_same_trace_in_any_process():
    hashes = {hash_elsewhere(5, hash_seed) for hash_seed in ("0", "1", "4711")}
    assert hashes == {run_seed(5, STEPS).hash}


def hash_elsewhere(seed: int, hash_seed: str) -> str:
    program = f"from tests.sim.one import run_seed; print(run_seed({seed}, {STEPS}).hash)"
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


def test_other_seeds_give_other_traces():
    assert len({run_seed(seed, 50).hash for seed in range(5)}) == 5


def test_an_action_list_replays_what_its_seed_did():
    found = run_seed(3, STEPS)
    again = replay(found.setup, found.actions)
    assert (again.hash, again.faults, again.states) == (found.hash, found.faults, found.states)


def test_a_planted_bug_is_found():
    bug = next(one for one in BUGS if one.name == "rows of a lost scope stay")
    assert hunt(bug, 100, STEPS).seed is not None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_bug_still_has_its_place_in_the_source(bug):
    path = ROOT / (bug.module.replace(".", "/") + ".py")
    source = path.read_text(encoding="utf-8")
    assert bug.planted_in(source) != source


def test_a_fault_that_never_happened_fails_the_run():
    everything = Counter(FAULTS) + Counter(STATES)
    report = Report(seeds=COVERED_FROM_SEEDS, faults=everything, states=everything)
    assert report.never() == []
    report.faults = everything - Counter(["wipe"])
    assert report.never() == ["wipe"]


def test_a_broken_promise_shrinks_to_what_it_takes(monkeypatch):
    monkeypatch.setattr("tests.sim.model.scopes_of", lambda entity, fields, actor: ["centre"])
    found = next(one for one in map(run_few, range(20)) if one.broken)
    small = shrink(found)
    assert small.broken == found.broken
    assert len(small.actions) <= 12


def run_few(seed: int) -> Outcome:
    return run_seed(seed, 60)

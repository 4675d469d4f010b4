"""The app's own core in Node under the same scheduler: the same promises, and it can fail too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.node_process import process, why_missing
from tests.sim.one import replay, run_seed
from tests.sim.test_sim import ROOT, STEPS

pytestmark = pytest.mark.skipif(bool(why_missing()), reason=why_missing())

TRACES = sorted((Path(__file__).parent / "traces" / "node").glob("*.json"))


@pytest.mark.parametrize("seed", range(3, 7))
def test_every_promise_holds_for_the_app_itself(seed):
    found = run_seed(seed, STEPS, "always")
    assert not found.broken, f"seed {seed}: {found.broken}: {found.what}"
    assert found.states["node_device"]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_the_app_once_broke_holds_now(path):
    trace = json.loads(path.read_text(encoding="utf-8"))
    found = replay(trace["setup"], trace["actions"])
    assert not found.broken, f"{found.broken}: {found.what}"


def test_the_app_does_the_same_for_the_same_seed_in_any_process():
    program = f"from tests.sim.one import run_seed; print(run_seed(3, {STEPS}, 'always').hash)"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == run_seed(3, STEPS, "always").hash


def test_a_failure_in_the_app_says_where():
    with pytest.raises(RuntimeError, match=r"driver\.js"):
        process().call({"do": "seen", "of": "nobody"})

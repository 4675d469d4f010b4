"""Many seeds on two processes: what broke, what was explored, and what never happened."""

import gc
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.sim.one import Outcome, run_seed

WORKERS = 2
COVERED_FROM_SEEDS = 200
"""A run of this many seeds must have met every fault."""

FAULTS = (
    *("drop_request", "drop_reply", "lose_reply", "half_open", "duplicate_request"),
    *("duplicate_reply", "reorder", "delay", "cut_request", "cut_reply", "portal"),
    *("crash_before_commit", "crash_after_commit", "crash_at_read", "disk_full", "device_crash"),
    *("unflushed_lost", "quota", "wipe", "two_tabs", "skew", "device_clock_jump"),
    *("server_clock_jump", "restore", "horizon", "lost_part", "outbox_corrupted"),
    *("row_corrupted", "old_client", "new_client", "county_down", "stick_lost", "stick_stale"),
    *("stick_twice", "stick_wrong_server", "stick_truncated", "stick_flipped", "stick_forged"),
    *("stick_old_revocation", "stick_unregistered"),
)
STATES = (
    *("applied", "merged", "held", "quarantined", "refused", "repeat", "restart", "revoked"),
    *("shift", "snapshot", "part", "fork", "missing", "durable", "bad_pair", "lost_lines"),
    *("conflict_manual", "conflict_latest", "conflict_authority", "conflict_recall"),
    *("conflict_removed", "conflict_state", "desk_release", "status_507", "status_400"),
    *("conflict_move", "move_ruled", "move_settled", "clock_off", "level_limit"),
    *("relayed", "passed_on", "landed_fresh", "landed_gaps", "landed_failed", "landed_other_log"),
    *("stick_settled", "heard", "node_device", "p256", "unserved", "set_back", "foreign_part"),
    *("after", "guard_exists", "guard_absent", "guard_eq", "guard_in", "guard_dot"),
    *("photo_told", "photo_again", "photo_harmed", "photo_twice", "photo_unheard"),
    *("photo_shown", "photo_hidden"),
)


class Report(Struct):
    """What a run over many seeds came to."""

    seeds: int = 0
    steps: int = 0
    seconds: float = 0.0
    faults: Counter[str] = Counter()
    states: Counter[str] = Counter()
    broken: list[Outcome] = []

    def never(self) -> list[str]:
        """What must happen in a run of this size, and did not."""
        if self.seeds < COVERED_FROM_SEEDS:
            return []
        faults = [name for name in FAULTS if not self.faults[name]]
        return faults + [name for name in STATES if not self.states[name]]

    def write(self, path: Path) -> None:
        """The report for scripts."""
        told = {
            "seeds": self.seeds,
            "steps": self.steps,
            "violations": len(self.broken),
            "broken": [
                {"seed": one.seed, "promise": one.broken, "what": one.what} for one in self.broken
            ],
            "never": self.never(),
            "faults": {
                name: self.faults[name] for name in {**dict.fromkeys(FAULTS), **+self.faults}
            },
            "states": dict(sorted(self.states.items())),
            "seconds": round(self.seconds, 1),
        }
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def run_many(
    seeds: range,
    steps: int,
    done: Callable[[Outcome], None],
    node: str = "auto",
    store: str = "sqlite",
) -> Report:
    """Run each seed; `done` is told of each as it ends, in the order of the seeds."""
    report, started = Report(), time.monotonic()
    for outcome in _outcomes(seeds, steps, node, store):
        report.seeds += 1
        report.steps += outcome.steps
        report.faults.update(outcome.faults)
        report.states.update(outcome.states)
        if outcome.broken:
            report.broken.append(outcome)
        done(outcome)
    report.seconds = time.monotonic() - started
    return report


def _outcomes(seeds: range, steps: int, node: str, store: str) -> Iterator[Outcome]:
    if len(seeds) < 2 * WORKERS:
        yield from (run_seed(seed, steps, node, store) for seed in seeds)
        return
    with multiprocessing.get_context("spawn").Pool(WORKERS, _settle_down) as pool:
        yield from pool.imap(partial(_slim, steps, node, store), seeds, chunksize=4)


def _settle_down() -> None:
    """Nobody waits for one seed: who else works on this machine meanwhile goes first."""
    gc.set_threshold(50_000)
    if hasattr(os, "nice"):
        os.nice(10)


def _slim(steps: int, node: str, store: str, seed: int) -> Outcome:
    """Actions travel between processes only when somebody will look at them."""
    outcome = run_seed(seed, steps, node, store)
    if not outcome.broken:
        outcome.actions, outcome.setup = [], {}
    return outcome


def trace_of(found: Outcome) -> dict[str, Any]:
    """What is needed to run it again, and why it is kept."""
    return {"promise": found.broken, "setup": found.setup, "actions": found.actions}

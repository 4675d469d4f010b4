"""The simulation on PostgreSQL: the same promises hold, and a seed ends as it does on SQLite."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server.store.postgres import PostgresDatabase
from tests.sim.disk import CENTRE, FULL, at_server, new_disk, serving
from tests.sim.many import COVERED_FROM_SEEDS
from tests.sim.one import run_seed, stores_differ

ROOT = Path(__file__).resolve().parents[2]
STEPS = 300
SEEDS_LONG = 300
ALIKE_LONG = range(1_000, 1_100)


@pytest.fixture
def server(postgres_url):
    """Where the simulated centres of a test have their databases."""
    with at_server(postgres_url):
        yield


@pytest.fixture
def disk(server):
    found = new_disk("postgres")
    yield found
    found.close()


@pytest.mark.parametrize("seed", [4, 19])
def test_every_promise_holds_on_postgresql_in_a_world_of_bad_luck(server, seed):
    found = run_seed(seed, STEPS, "never", "postgres")
    assert (found.broken, found.what) == ("", "")
    assert found.steps == STEPS and found.faults["answer_lost"] > 0


@pytest.mark.parametrize("seed", [5, 13, 31])
def test_a_seed_ends_alike_on_both_databases(server, seed):
    assert stores_differ(seed, STEPS) == ""


def test_a_commit_that_is_told_as_done_and_is_not_is_found_out(server, monkeypatch):
    monkeypatch.setattr(PostgresDatabase, "_stands", lambda database, xact: True)
    found = (run_seed(seed, STEPS, "never", "postgres") for seed in range(20))
    assert next(one for one in found if one.broken).faults["line_cut"] > 0


def test_an_image_of_a_disk_brings_back_all_that_was_on_it(disk):
    opened = disk.database(bytes)
    opened.write(lambda txn: txn.put("code", "k", {"kept": True}))
    image = disk.image()
    opened.write(lambda txn: txn.put("code", "k", {"kept": False}))
    assert disk.image() != image
    disk.put_back(image)
    assert disk.image() == image
    assert disk.database(bytes).read(lambda txn: txn.get("code", "k")) == {"kept": True}


def test_a_full_disk_keeps_nothing_of_a_transaction(disk):
    opened, image = disk.database(bytes), disk.image()

    def work(txn):
        txn.put("code", "k", {})
        txn.put("code", "l", {})

    disk.trouble(1)
    with pytest.raises(FULL):
        opened.write(work)
    assert disk.told == {"disk_full": 1} and disk.image() == image
    disk.trouble(None)
    opened.write(work)
    assert disk.select("SELECT key FROM side WHERE centre=? ORDER BY key", CENTRE) == [
        ("k",),
        ("l",),
    ]


@pytest.mark.long("sim-postgres")
@pytest.mark.timeout(6 * 3_600)
def test_every_promise_holds_on_postgresql_in_many_worlds(tmp_path):
    report = tmp_path / "report.json"
    seeds = max(SEEDS_LONG, COVERED_FROM_SEEDS)
    command = [sys.executable, "-m", "tests.sim", "--store", "postgres", "--seeds", str(seeds)]
    subprocess.run([*command, "--json", str(report)], cwd=ROOT, check=False)
    told = json.loads(report.read_text(encoding="utf-8"))
    assert (told["seeds"], told["broken"], told["never"]) == (seeds, [], [])
    assert told["faults"]["answer_lost"] > seeds and told["faults"]["line_cut"] > seeds / 10


@pytest.mark.long("sim-postgres")
@pytest.mark.timeout(6 * 3_600)
def test_many_seeds_end_alike_on_both_databases():
    with serving("postgres"):
        told = {seed: stores_differ(seed, STEPS) for seed in ALIKE_LONG}
    assert {seed: what for seed, what in told.items() if what} == {}

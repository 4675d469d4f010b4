"""The peers: which versions, and how they come into a cache outside the tree."""

import os
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from server.cli.setup import need_node
from tests.bench.centre import ROOT
from tests.bench.harness import BenchFailed

KINTO = "26.5.0"
UWSGI = "2.0.31"
POUCHDB_SERVER = "4.2.0"

Row = dict[str, object]


class Peer(Protocol):
    """A running peer. Each method answers how many rows a second it did."""

    name: str
    settings: str
    slower: int
    """It is given so many times less to do in a round, so that the round does not last too long."""

    async def push(self, batches: Sequence[Sequence[Row]], at_once: int) -> float:
        """Store the rows, a request for each batch, so many requests at once."""

    async def single(self, rows: Sequence[Row], at_once: int) -> float:
        """Store the rows, a request for each, so many at once."""

    async def fill(self, batches: Sequence[Sequence[Row]]) -> None:
        """Store the rows where `pull` reads."""

    async def pull(self, count: int) -> float:
        """Read so many rows as what changed since the beginning."""


def cache() -> Path:
    """The folder that keeps what was installed for later runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lingda" / "peers"


def kinto_folder() -> Path:
    """A Python environment with Kinto and uWSGI in it, installed on first use."""
    folder = cache() / f"kinto-{KINTO}-{UWSGI}"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True, clear=True)
        wanted = [f"kinto[postgresql]=={KINTO}", f"uwsgi=={UWSGI}"]
        python = folder / "bin" / "python"
        _install([str(python), "-m", "pip", "install", "--quiet", *wanted], folder)
    return folder


def pouchdb_folder() -> Path:
    """A folder with pouchdb-server in its node_modules, installed on first use."""
    folder = cache() / f"pouchdb-server-{POUCHDB_SERVER}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}\n", encoding="ascii")
        npm = [*need_node(ROOT).npm, "install", "--no-audit", "--no-fund", "--silent"]
        _install([*npm, f"pouchdb-server@{POUCHDB_SERVER}"], folder)
    return folder


def _install(command: Sequence[str], folder: Path) -> None:
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if told.returncode:
        raise BenchFailed(f"{' '.join(command)}: {(told.stderr or told.stdout).strip()[-800:]}")
    (folder / "done").touch()


def node_program() -> str:
    return str(need_node(ROOT).program)

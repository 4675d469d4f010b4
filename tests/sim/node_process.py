"""The app's core in a Node process: bundled when it is needed, one process for each worker."""

import atexit
import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.cli.setup import find_node

ROOT = Path(__file__).resolve().parents[2]
PWA = ROOT / "pwa"
BUNDLE = PWA / "node_modules" / ".cache" / "lingda-sim"
SOURCES = ("src/core", "src/store", "src/net", "tests/sim", "tests/store")

Answers = dict[str, Callable[[Any], Any]]
"""What the driver may ask back, by the name of the question."""


class NoDriver(Exception):
    """The app's core cannot be run here: why, and what helps."""


class NodeProcess:
    """One driver and its devices. A call is one line out, and one line in after its questions."""

    def __init__(self) -> None:
        node = find_node(ROOT)
        if node is None:
            raise NoDriver("there is no Node that is new enough: run python3 run.py setup")
        self._process = subprocess.Popen(
            [node.program, bundled(node.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PWA,
        )
        atexit.register(self.close)

    def call(self, command: dict[str, Any], answers: Answers | None = None) -> Any:
        """What the driver tells of it. RuntimeError with its stack when it failed."""
        self._write(command)
        while True:
            message = json.loads(self._read())
            if "ask" not in message:
                break
            reply = (answers or {})[message["ask"]]
            self._write({"answer": reply(message.get("text") or message.get("sha256"))})
        if "error" in message:
            raise RuntimeError(message["error"])
        return message["told"]

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended with {self._process.wait()}")
        return line

    def close(self) -> None:
        """The process ends by itself once nobody speaks to it."""
        self._process.communicate()


def bundled(node: Path) -> Path:
    """The driver as one file, not older than any of its sources."""
    script = BUNDLE / "driver.js"
    vite = PWA / "node_modules" / "vite" / "bin" / "vite.js"
    if not vite.is_file():
        raise NoDriver("the app's packages are not installed: run python3 run.py setup")
    BUNDLE.mkdir(parents=True, exist_ok=True)
    with (BUNDLE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Two workers may begin at once.
        if not script.is_file() or script.stat().st_mtime < _newest_source():
            command = [node, vite, "build", "--config", "tests/sim/vite.config.ts"]
            told = subprocess.run(
                [*command, "--outDir", BUNDLE], cwd=PWA, capture_output=True, text=True
            )
            if told.returncode:
                raise NoDriver(f"the app's core does not build:\n{told.stdout}{told.stderr}")
    return script


def _newest_source() -> float:
    return max(path.stat().st_mtime for name in SOURCES for path in (PWA / name).glob("*.ts"))


def why_missing() -> str:
    """Why the app's core cannot be run here; empty where it can, and where it must."""
    if os.environ.get("CI"):
        return ""
    installed = (PWA / "node_modules" / "vite").is_dir()
    return "" if find_node(ROOT) and installed else "no Node, or the app's packages are missing"


_running: list[NodeProcess] = []


def process() -> NodeProcess:
    """The driver of this worker, started at the first call."""
    if not _running:
        _running.append(NodeProcess())
    return _running[0]

"""Which machine this is, in one line: a figure is worth nothing without it."""

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

from msgspec import Struct

SYNCS = 50
SYNC_BYTES = 4096


class Machine(Struct, frozen=True):
    """What was measured on."""

    cpu: str
    cores: int
    ram_gib: float
    kernel: str
    python: str
    sqlite: str
    postgres: str
    node: str
    fsync_ms: float
    load: float
    """How busy the machine was with other work when the run began, in cores."""

    def line(self) -> str:
        parts = [f"{self.cpu}, {self.cores} cores, {self.ram_gib:.0f} GiB", self.kernel]
        parts += [f"Python {self.python}", f"SQLite {self.sqlite}"]
        parts += [f"PostgreSQL {self.postgres}"] if self.postgres else []
        parts += [f"Node {self.node}"] if self.node else []
        parts += [f"fsync {self.fsync_ms:.2f} ms", f"load {self.load:.1f} at the start"]
        return " · ".join(parts)


def this_machine(folder: Path) -> Machine:
    """The machine that this runs on; `folder` lies on the disk that is written to."""
    return Machine(
        _cpu(),
        os.cpu_count() or 1,
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        sqlite3.sqlite_version,
        _version("postgres").removeprefix("postgres (PostgreSQL)").strip().split(" ")[0],
        _version("node").removeprefix("v"),
        fsync_ms(folder),
        os.getloadavg()[0],
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _version(program: str) -> str:
    found = shutil.which(program)
    if not found:
        return ""
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def fsync_ms(folder: Path) -> float:
    """The median of what it costs to have one page on disk."""
    path = folder / "fsync"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(SYNC_BYTES))
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return statistics.median(took)

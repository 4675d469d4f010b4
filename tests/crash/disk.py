"""A disk that is written down and that fails when told: `record.c` between a server and libc."""

import ctypes
import errno
import hashlib
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from server.cli.system_packages import find_compiler, has_c_headers

SOURCE = Path(__file__).with_name("record.c")
BUILT = SOURCE.parents[2] / "var" / "crash"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
FULL, BROKEN = errno.ENOSPC, errno.EIO
WRITES, SYNCS = 1, 2

needs_recorder = pytest.mark.skipif(
    sys.platform != "linux" or not has_c_headers(),
    reason="no C compiler for Linux: Debian's packages gcc and libc6-dev bring one",
)


@cache
def library() -> Path:
    """The recorder, compiled by this machine's compiler once for each text of it."""
    compiler = find_compiler()
    assert compiler is not None
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    path = BUILT / f"record-{name}.so"
    if not path.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, *FLAGS, "-o", fresh, SOURCE, "-ldl", "-lpthread"],
            check=True,
            capture_output=True,
        )
        fresh.replace(path)
    return path


class Control(ctypes.Structure):
    """What the disk does from now on, and what it has done: `struct control` of the recorder."""

    _fields_ = (
        ("error", ctypes.c_int32),
        ("on", ctypes.c_int32),
        ("from_", ctypes.c_int64),
        ("times", ctypes.c_int64),
        ("sync_ms", ctypes.c_int64),
        ("calls", ctypes.c_int64),
        ("faults", ctypes.c_int64),
        ("writes", ctypes.c_int64),
        ("syncs", ctypes.c_int64),
    )


class Disk:
    """What lies under one folder, as the processes see it that are started with `env`."""

    def __init__(self, under: Path, beside: Path, recorded: bool = True) -> None:
        under.mkdir(parents=True, exist_ok=True)
        beside.mkdir(parents=True, exist_ok=True)
        self.under = under
        self.record = beside / "record" if recorded else None
        self._path = beside / "control"
        self._path.write_bytes(bytes(ctypes.sizeof(Control)))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), ctypes.sizeof(Control))
        self.control = Control.from_buffer(self._map)

    @property
    def env(self) -> dict[str, str]:
        told = {
            "LD_PRELOAD": str(library()),
            "LINGDA_DISK_UNDER": str(self.under),
            "LINGDA_DISK_CONTROL": str(self._path),
        }
        return told | ({"LINGDA_DISK_RECORD": str(self.record)} if self.record else {})

    def fail(self, error: int, at: int, on: int = WRITES, times: int = 0) -> None:
        """The `at`-th call from now fails, and `times` in all; every one from then on for 0."""
        self.heal()
        self.control.calls = self.control.faults = 0
        self.control.from_, self.control.times, self.control.on = at, times, on
        self.control.error = error

    def heal(self) -> None:
        self.control.error = 0

    @property
    def failing(self) -> bool:
        """Whether a fault is still to come, or goes on."""
        is_over = self.control.times and self.control.faults >= self.control.times
        return bool(self.control.error and not is_over)

    @property
    def faults(self) -> int:
        return int(self.control.faults)

    def acknowledge(self, told: bytes) -> None:
        """Note, after everything that was done before, what a client has been told by now."""
        assert self.record is not None
        note(self.record, told)


HEAD = struct.Struct("<IIiiqc")
AFTER_SIZE = HEAD.size - 4


def note(path: Path, told: bytes) -> None:
    """Append to a record what a client was told."""
    line = HEAD.pack(AFTER_SIZE + len(told), 0, os.getpid(), -1, 0, b"a") + told
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        assert os.write(handle, line) == len(line)
    finally:
        os.close(handle)


class Line(NamedTuple):
    """One thing that was done. `kind` as in the recorder, and `a` for what a client was told."""

    kind: str
    pid: int
    fd: int
    number: int
    first: str
    second: bytes


def lines_of(record: Path) -> Iterator[Line]:
    """All that was written down, in order. What a killed process did not finish is left out."""
    with record.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            size, first, pid, fd, number, kind = HEAD.unpack(head)
            rest = file.read(size - AFTER_SIZE)
            if len(rest) < size - AFTER_SIZE:
                return
            yield Line(kind.decode(), pid, fd, number, rest[:first].decode(), rest[first:])

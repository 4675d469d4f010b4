"""The recorder sees what a process does to files, and what it fails, the process hears."""

import os
import subprocess
import sys

import pytest

from tests.crash.disk import BROKEN, FULL, SYNCS, WRITES, Disk, lines_of, needs_recorder
from tests.crash.images import Model

pytestmark = needs_recorder

WORK = """
import os, shutil, sqlite3, sys
from pathlib import Path

os.chdir(sys.argv[1])
Path("sub").mkdir()
Path("sub/a").write_bytes(b"one")
with open("sub/a", "r+b", buffering=0) as file:
    file.seek(1)
    file.write(b"NE and more")
    os.pwrite(file.fileno(), b"O", 0)
    os.pwritev(file.fileno(), [b"m", b"O"], 4)
    os.ftruncate(file.fileno(), 6)
    os.fsync(file.fileno())
with open("sub/a", "ab") as file:
    file.write(b"!")
shutil.copyfile("sub/a", "copy")
os.rename("copy", "sub/copied")
Path("gone").touch()
os.unlink("gone")
folder = os.open("sub", os.O_RDONLY)
Path("x").write_bytes(b"x")
os.rename("x", "b", dst_dir_fd=folder)
os.fsync(folder)
db = sqlite3.connect("c.db", isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE t (a)")
db.execute("INSERT INTO t VALUES (zeroblob(9000))")
os._exit(0)
"""


def run(disk, script, *arguments):
    command = [sys.executable, "-c", script, str(disk.under), *arguments]
    env = {**os.environ, **disk.env}
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_the_record_tells_all_that_a_process_does_to_files(tmp_path):
    disk = Disk(tmp_path / "disk", tmp_path / "beside")
    assert run(disk, WORK).returncode == 0
    model = Model(disk.under)
    for line in lines_of(disk.record):
        model.take(line)
    real = {path: path.read_bytes() for path in disk.under.rglob("*") if path.is_file()}
    told = model.seen()
    assert real.keys() == told.keys()
    assert {path.name for path in real if real[path] != told[path]} <= {"c.db-shm"}
    assert told[disk.under / "sub/copied"] == b"ONE mO!"
    kinds = [line.kind for line in lines_of(disk.record)]
    assert kinds.count("b") == kinds.count("s") == disk.control.syncs >= 5


def test_what_lies_elsewhere_is_not_recorded(tmp_path):
    disk = Disk(tmp_path / "disk", tmp_path / "beside")
    other = tmp_path / "disk2"
    other.mkdir()
    script = f"open({str(other / 'a')!r}, 'w').write('x')"
    assert run(disk, script).returncode == 0
    assert list(lines_of(disk.record)) == [] and (other / "a").read_text() == "x"


SAVES = """
import os, sys
file = os.open(sys.argv[1] + "/a", os.O_WRONLY | os.O_CREAT)
for n in range(4):
    try:
        done = os.write(file, b"12345678")
        os.fsync(file)
        print(done)
    except OSError as error:
        print(os.strerror(error.errno))
"""


@pytest.mark.parametrize(
    ("error", "on", "times", "heard"),
    [
        (BROKEN, WRITES, 1, ["8", "Input/output error", "8", "8"]),
        (BROKEN, SYNCS, 0, ["8", *["Input/output error"] * 3]),
        (FULL, WRITES, 0, ["8", "4", *["No space left on device"] * 2]),
    ],
)
def test_the_disk_fails_at_the_call_that_was_named(tmp_path, error, on, times, heard):
    disk = Disk(tmp_path / "disk", tmp_path / "beside")
    (disk.under / "a").touch()
    disk.fail(error, at=2, on=on, times=times)
    assert run(disk, SAVES).stdout.split("\n")[:-1] == heard
    assert disk.faults == heard.count("Input/output error") + heard.count("No space left on device")


def test_a_disk_without_a_compiled_recorder_is_never_taken_for_one_that_was_seen(tmp_path):
    disk = Disk(tmp_path / "disk", tmp_path / "beside")
    script = "print('ran')"
    env = {**os.environ, **disk.env, "LINGDA_DISK_RECORD": str(tmp_path / "no" / "record")}
    told = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert told.returncode != 0 and told.stdout == ""

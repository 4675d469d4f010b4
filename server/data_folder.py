"""The folder that holds everything that is kept: who may use it, and what the demo may wipe."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

LOCK = "lock"
SETTINGS = "settings.json"
DEMO = "lingda-demo.json"
KEPT_AT_RESET = {LOCK, "tls"}
"""Phones that trust the demo's root go on trusting it."""

OWNER_ONLY = 0o600


class Trouble(Exception):
    """Why the server cannot start: the name of a sentence under `cli.trouble`, and its facts."""

    def __init__(self, name: str, /, **facts: object) -> None:
        super().__init__(name, facts)
        self.name = name
        self.facts = facts


class Settings(Struct, frozen=True):
    """What the first start fixes for good, and what a later one may change."""

    centre: str
    centre_name: str
    public_host: str = ""
    on_postgres: bool = False
    """Whether the log and rows lie in a PostgreSQL, and not in this folder."""


class DemoMark(Struct, frozen=True):
    """Says that a folder is a demo and may be wiped; the password is for invented people only."""

    scenario: str
    password: str


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process alone. Trouble `in_use`, or one of `explained`."""
    with explained(folder):
        make_folder(folder)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble("in_use", path=folder) from None
        yield
    finally:
        os.close(lock)


def make_folder(folder: Path) -> None:
    """Afterwards the folder is there for its owner alone, and a power cut leaves it there."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in reversed(made):
        sync_folder(one.parent)
    if not made and not any(folder.iterdir()):  # Perhaps made a moment ago, by who died of it.
        with suppress(PermissionError):
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Names that came into the folder, and went, are on disk: a synced file alone has none yet."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_locked(folder: Path) -> bool:
    """True while a process holds the folder. Asking keeps nobody from it."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a Trouble that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Trouble("disk_full", path=path) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
            raise Trouble("no_write", path=path) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise Trouble("no_folder", path=path) from error
        if error.errno == errno.EIO:
            raise Trouble("disk_broken", path=path, reason=error.strerror) from error
        raise


def is_empty(folder: Path) -> bool:
    """True when nothing is kept there but what a reset leaves."""
    return not any(path.name not in KEPT_AT_RESET for path in folder.iterdir())


def read_mark(folder: Path) -> DemoMark | None:
    """The demo's mark. None for a folder that is not a demo's."""
    try:
        return msgspec.json.decode((folder / DEMO).read_bytes(), type=DemoMark)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_mark(folder: Path, mark: DemoMark) -> None:
    """Mark the folder as a demo's."""
    write_private(folder / DEMO, msgspec.json.encode(mark))


def wipe_demo(folder: Path) -> None:
    """Remove what a demo keeps there, but not its root. Trouble `not_demo` for any other folder."""
    if is_empty(folder):
        return
    if read_mark(folder) is None or folder.is_symlink():
        raise Trouble("not_demo", path=folder)
    for path in folder.iterdir():
        if path.name in KEPT_AT_RESET or path.name == DEMO:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / DEMO).unlink()  # Last, so that a reset that was cut short can be repeated.


def read_settings(folder: Path) -> Settings | None:
    """What the first start wrote. None before it; Trouble `settings` when it cannot be read."""
    path = folder / SETTINGS
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings) if path.exists() else None
    except msgspec.MsgspecError:
        raise Trouble("settings", path=path) from None


def write_private(path: Path, data: bytes) -> None:
    """Replace the file whole, on disk on return, readable by its owner alone."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)

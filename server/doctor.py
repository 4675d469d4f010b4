"""What an operator asks before and after trouble: each answer is fine, a warning, or broken.

Reads only, and beside a running server too.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec
import psycopg
from msgspec import Struct

from schema.versions import MINUTE_MS
from server.audit.opened import centre_of, is_on_postgres
from server.clock import Clock, steady_clock, system_clock
from server.config import Config
from server.data_folder import DEMO, SETTINGS, Trouble, is_locked
from server.node import Node, read_key
from server.store.inspect import CannotRead, Inspector
from server.store.postgres import schema as postgres_schema
from server.store.postgres.database import ENCODING, UNSAFE
from server.store.postgres.inspect import PostgresInspector
from server.store.sqlite.database import WANTED
from server.store.sqlite.inspect import Settings, SqliteInspector
from server.store.sqlite.schema import MIGRATIONS
from server.store.wal import DamagedLog, check_log
from server.tls import RENEW_BEFORE_DAYS, Tls, load

SQLITE_SAFE = (3, 51, 3)
"""Before it, two connections that wrote and folded the log in at once could damage a database."""

POSTGRES_MIN = 13
"""The first that tells what became of a transaction by its whole number."""

MIB, GIB = 1024**2, 1024**3
FREE_BYTES_MIN = 256 * MIB
FREE_BYTES_GOOD = 2 * GIB
LOG_BYTES_MAX = 256 * MIB
"""A write-ahead log that has grown beyond this is not folded in any more."""

YEARS = range(2025, 2100)
JUMP_MS_MAX = 1_000
AHEAD_MS_MAX = 5 * MINUTE_MS
ROOT_WARN_DAYS = 180
OTHERS = 0o077
"""The rights of everybody but the owner."""


class State(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"


class Answer(Struct, frozen=True):
    """One answer: `code` names its sentence under `doctor.*` in `i18n`, `facts` fill it."""

    code: str
    state: State = State.FINE
    facts: dict[str, str | int] = {}


class Machine(Struct, frozen=True):
    """What is asked of the machine itself."""

    clock: Clock = system_clock
    steady: Clock = steady_clock
    python: tuple[int, ...] = sys.version_info[:3]
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info
    free_bytes: Callable[[Path], int] = lambda path: _free_bytes(path)


def examine(config: Config, machine: Machine) -> Iterator[Answer]:
    """All answers about this machine and this data folder."""
    before = machine.clock(), machine.steady()
    yield Answer("python", facts={"version": _dotted(machine.python)})
    yield sqlite_answer(machine.sqlite)
    yield Answer(*_built(config.static / "app" / "index.html"))
    yield year_answer(machine.clock())
    if config.data.is_dir():
        yield from folder_answers(config, machine)
    else:
        yield Answer("no_data", State.WARNING, {"path": str(config.data)})
    yield jump_answer(before, (machine.clock(), machine.steady()))


def sqlite_answer(version: tuple[int, ...]) -> Answer:
    """Whether this SQLite has the bug of its write-ahead log."""
    facts: dict[str, str | int] = {"version": _dotted(version), "safe": _dotted(SQLITE_SAFE)}
    if version < SQLITE_SAFE:
        return Answer("sqlite_old", State.WARNING, facts)
    return Answer("sqlite", facts=facts)


def _built(index: Path) -> tuple[str, State]:
    return ("app", State.FINE) if index.exists() else ("app_missing", State.WARNING)


def year_answer(now_ms: int) -> Answer:
    """Whether the clock tells a year that can be."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    facts: dict[str, str | int] = {"time": f"{now:%Y-%m-%d %H:%M:%S}"}
    if now.year in YEARS:
        return Answer("clock", facts=facts)
    return Answer("clock_year", State.BROKEN, facts)


def jump_answer(before: tuple[int, int], after: tuple[int, int]) -> Answer:
    """Whether the clock went as fast as time meanwhile."""
    went, passed = after[0] - before[0], after[1] - before[1]
    if abs(went - passed) <= JUMP_MS_MAX:
        return Answer("clock_steady")
    return Answer("clock_jumps", State.WARNING, {"seconds": (went - passed) // 1000})


def folder_answers(config: Config, machine: Machine) -> Iterator[Answer]:
    """What the data folder tells."""
    yield Answer("served" if is_locked(config.data) else "not_served")
    yield from mode_answers(config.data)
    yield free_answer(machine.free_bytes(config.data))
    yield size_answer(config) if not config.store else beside_answer(config)
    yield from tls_answers(Tls(config.data / "tls"), machine.clock())
    if config.store and config.database.exists():
        yield Answer("two_databases", State.BROKEN, {"path": str(config.database)})
    elif config.store:
        yield from store_answers(config, machine.clock())
    elif is_on_postgres(config.data):
        yield Answer("on_postgres", State.WARNING)
    elif config.database.exists():
        yield from database_answers(config, machine.clock())
    else:
        yield Answer("no_data", State.WARNING, {"path": str(config.data)})


def mode_answers(folder: Path) -> Iterator[Answer]:
    """Whether anybody but the owner may read what is secret."""
    secret = [folder / "node.key", folder / SETTINGS, folder / DEMO]
    secret += sorted((folder / "tls").glob("*.key"))
    open_ones = [path.relative_to(folder).as_posix() for path in secret if _is_open(path)]
    if open_ones:
        yield Answer("private_open", State.BROKEN, {"names": " ".join(open_ones)})
    elif _is_open(folder):
        yield Answer("folder_open", State.WARNING, {"path": str(folder)})
    else:
        yield Answer("private")


def _is_open(path: Path) -> bool:
    return os.name != "nt" and path.exists() and bool(path.stat().st_mode & OTHERS)


def free_answer(free: int) -> Answer:
    """Whether there is room to go on writing."""
    facts: dict[str, str | int] = {"free": size_text(free)}
    if free < FREE_BYTES_MIN:
        return Answer("disk_full", State.BROKEN, facts)
    if free < FREE_BYTES_GOOD:
        return Answer("disk_low", State.WARNING, facts)
    return Answer("disk", facts=facts)


def size_answer(config: Config) -> Answer:
    """What takes how much room, and whether the write-ahead log is still folded in."""
    log = config.database.with_name(f"{config.database.name}-wal")
    wal = _bytes_of(log)
    facts: dict[str, str | int] = {
        "database": size_text(_bytes_of(config.database)),
        "wal": size_text(wal),
        "blobs": size_text(_bytes_below(config.blobs)),
        "snapshots": size_text(_bytes_below(config.snapshots)),
    }
    return (
        Answer("wal_big", State.WARNING, facts)
        if wal > LOG_BYTES_MAX
        else Answer("size", facts=facts)
    )


def beside_answer(config: Config) -> Answer:
    """What takes how much room beside a database that lies elsewhere."""
    sizes = {"blobs": config.blobs, "snapshots": config.snapshots}
    return Answer(
        "size_beside", facts={name: size_text(_bytes_below(path)) for name, path in sizes.items()}
    )


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _bytes_below(folder: Path) -> int:
    return sum(_bytes_of(Path(root) / name) for root, _, names in os.walk(folder) for name in names)


def tls_answers(tls: Tls, now_ms: int) -> Iterator[Answer]:
    """How long the folder's own certificates are good for."""
    if not tls.root.exists():
        yield Answer("no_cert")
        return
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    warned = (("leaf", tls.leaf, RENEW_BEFORE_DAYS), ("root", tls.root, ROOT_WARN_DAYS))
    for name, path, days in warned:
        try:
            until = load(path).not_valid_after_utc
        except (OSError, ValueError):
            yield Answer("cert_unreadable", State.BROKEN, {"path": str(path)})
            continue
        facts: dict[str, str | int] = {"until": f"{until:%Y-%m-%d}"}
        if until <= now:
            yield Answer(f"{name}_expired", State.BROKEN, facts)
        elif until <= now + timedelta(days=days):
            yield Answer(f"{name}_soon", State.WARNING, facts)
        else:
            yield Answer(name, facts=facts)


def database_answers(config: Config, now_ms: int) -> Iterator[Answer]:
    """What the database tells of itself and of its log."""
    try:
        check_log(config.database)
        inspector = SqliteInspector(config.database, centre_of(config.data))
    except DamagedLog as error:
        yield Answer("wal_damaged", State.BROKEN, {"lost": error.lost})
        return
    except CannotRead as error:
        yield Answer("database_broken", State.BROKEN, {"reason": str(error)})
        return
    try:
        settings = inspector.settings()
        yield settings_answer(settings)
        yield schema_answer(settings.schema, len(MIGRATIONS))
        if settings.schema:
            yield from log_answers(inspector, now_ms)
            yield from key_answers(config, inspector)
    except CannotRead as error:
        yield Answer("database_broken", State.BROKEN, {"reason": str(error)})
    finally:
        inspector.close()


def store_answers(config: Config, now_ms: int) -> Iterator[Answer]:
    """What a PostgreSQL tells of itself and of the centre's log."""
    try:
        with closing(PostgresInspector(config.store, centre_of(config.data))) as inspector:
            yield version_answer(inspector)
            yield from safety_answers(inspector.settings())
            known = len(postgres_schema.MIGRATIONS)
            yield schema_answer(inspector.schema(), known)
            if inspector.schema():
                yield from log_answers(inspector, now_ms)
                yield from key_answers(config, inspector)
    except psycopg.OperationalError as error:
        reason = str(error).strip().split("\n")[0]
        yield Answer("store_down", State.BROKEN, {"reason": reason})
    except CannotRead as error:
        yield Answer("store_broken", State.BROKEN, {"reason": str(error)})


def version_answer(inspector: PostgresInspector) -> Answer:
    """Whether this PostgreSQL has what is asked of it."""
    version = inspector.version()
    facts: dict[str, str | int] = {"version": f"{version // 10_000}.{version % 10_000}"}
    if version < POSTGRES_MIN * 10_000:
        return Answer("store_old", State.BROKEN, facts | {"least": POSTGRES_MIN})
    return Answer("store", facts=facts | {"size": size_text(inspector.size())})


def safety_answers(settings: dict[str, str]) -> Iterator[Answer]:
    """Whether a commit is on disk when it returns, all text can be kept, and damage is found."""
    unsafe = [f"{name}={settings[name]}" for name, bad in UNSAFE.items() if settings[name] in bad]
    told: dict[str, str | int] = {"settings": " ".join(unsafe)}
    safe: dict[str, str | int] = {name: settings[name] for name in UNSAFE}
    yield (
        Answer("store_unsafe", State.BROKEN, told) if unsafe else Answer("store_safe", facts=safe)
    )
    encoding: dict[str, str | int] = {"found": settings["server_encoding"], "wanted": ENCODING}
    if settings["server_encoding"] != ENCODING:
        yield Answer("store_encoding", State.BROKEN, encoding)
    if settings["data_checksums"] != "on":
        yield Answer("store_unchecked", State.WARNING)


def settings_answer(settings: Settings) -> Answer:
    """Whether a commit is on disk when it returns."""
    facts: dict[str, str | int] = {
        "journal_mode": settings.journal_mode,
        "synchronous": settings.synchronous,
    }
    if facts == WANTED:
        return Answer("settings", facts=facts)
    return Answer("settings_unsafe", State.WARNING, facts)


def schema_answer(found: int, known: int) -> Answer:
    """Whether this program knows the database's tables."""
    facts: dict[str, str | int] = {"found": found, "known": known}
    if found > known:
        return Answer("schema_newer", State.BROKEN, facts)
    if found < known:
        return Answer("schema_older", State.WARNING, facts)
    return Answer("schema", facts=facts)


def log_answers(inspector: Inspector, now_ms: int) -> Iterator[Answer]:
    """How far the log has come, what of it a backup covers, and whether it knows a later time."""
    head, last = inspector.head()
    if head is None or head.seq != last:
        yield Answer("log_astray", State.BROKEN, {"last": last})
        return
    yield Answer("log", facts={"centre": head.centre, "epoch": head.epoch, "seq": head.seq})
    covered: dict[str, str | int] = {"durable": head.durable, "seq": head.seq}
    if head.seq and not head.durable:
        yield Answer("no_backup", State.WARNING, covered)
    else:
        yield Answer("backup", facts=covered)
    ahead_ms = inspector.newest_ms() - now_ms
    if ahead_ms > AHEAD_MS_MAX:
        yield Answer("clock_behind", State.WARNING, {"minutes": ahead_ms // MINUTE_MS})


class _Named(Struct):
    replica: str = ""
    key: str = ""


def key_answers(config: Config, inspector: Inspector) -> Iterator[Answer]:
    """Whether the key that the centre signs with is the one that its log knows."""
    replica = _record(inspector, "node", "self").replica
    known = _record(inspector, "node_key", replica).key if replica else ""
    if not known:
        return
    try:
        public = Node("", read_key(config.node_key)).public
    except FileNotFoundError:
        yield Answer("key_missing", State.BROKEN, {"path": str(config.node_key)})
        return
    except (OSError, Trouble):
        yield Answer("key_damaged", State.BROKEN, {"path": str(config.node_key)})
        return
    if public == known:
        yield Answer("key")
    else:
        yield Answer("key_other", State.BROKEN, {"path": str(config.node_key)})


def _record(inspector: Inspector, kind: str, key: str) -> _Named:
    try:
        return msgspec.json.decode(inspector.get(kind, key) or "{}", type=_Named)
    except (ValueError, RecursionError):
        return _Named()


def size_text(size: int) -> str:
    """A number of bytes as people read it."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _free_bytes(path: Path) -> int:
    told = os.statvfs(path)
    return told.f_bavail * told.f_frsize

"""A PostgreSQL of our own for the length of a test or a measurement: on loopback, then gone."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTED_S = 60
STOPPED_S = 30
USER = "lingda"
OWNER = "postgres"
"""Whom the server runs as where we are root: it refuses to run as root itself."""

DEBIAN = Path("/usr/lib/postgresql")


class NoPostgres(Exception):
    """There is no PostgreSQL here, or it did not start; the text says which and why."""


def programs() -> Path:
    """The folder with `initdb` and `postgres`. NoPostgres when this machine has none."""
    newest = sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    for folder in [*newest, *([Path(found).parent] if found else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres("initdb and postgres are not installed (Debian: apt-get install postgresql)")


@contextmanager
def postgres(base: Path | None = None, **settings: str) -> Iterator[str]:
    """The URL of a new, empty server whose data lies below `base`; stopped and removed at the end.

    `settings` are the server's own, as in its configuration file; `fsync` is on unless they say
    otherwise. NoPostgres where there is none or it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=base))
    try:
        _give(folder)
        password = secrets.token_hex(16)
        data = _made(folder, password)
        port = _free_port()
        with _running(data, folder / "log", {"port": str(port), **settings}):
            yield f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path, password: str) -> Path:
    """A new data folder that asks everybody for the password."""
    secret, data = folder / "password", folder / "data"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    _give(secret)
    command = [str(programs() / "initdb"), "-D", str(data), "-U", USER, "--auth=scram-sha-256"]
    command += [f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    command.append("--no-sync")  # What is there before the first start may be lost.
    told = subprocess.run(command, capture_output=True, text=True, cwd="/", **_as_owner())
    if told.returncode:
        raise NoPostgres(told.stderr.strip()[-500:])
    secret.unlink()
    return data


@contextmanager
def _running(data: Path, log: Path, settings: dict[str, str]) -> Iterator[None]:
    """The server on this data folder, until the block ends, however it ends."""
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""} | settings
    command = [str(programs() / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/", **_as_owner()
        )
    try:
        _wait(process, settings["port"], log)
        yield
    finally:
        _stop(process)


def _wait(process: "subprocess.Popen[bytes]", port: str, log: Path) -> None:
    """Until the server takes connections. NoPostgres with its own words when it does not."""
    asking = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port]
    deadline = time.monotonic() + STARTED_S
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(asking, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise NoPostgres(log.read_text(encoding="utf-8", errors="replace").strip()[-500:])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop it without waiting for its clients; by force when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOPPED_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _give(path: Path) -> None:
    """Let the server's owner have this file."""
    if owner := _as_owner():
        os.chown(path, owner["user"], owner["group"])


def _as_owner() -> dict[str, Any]:
    """What starts a process as the server's owner."""
    if os.geteuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam(OWNER)
    except KeyError:
        raise NoPostgres(f"no user {OWNER!r} here, and root may not run a server") from None
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": ()}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port

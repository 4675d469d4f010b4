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
    with restartable(base, **settings) as server:
        yield server.url


@contextmanager
def restartable(base: Path | None = None, **settings: str) -> "Iterator[Server]":
    """As `postgres`: a server that runs, and can be stopped and started again meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=base))
    server = None
    try:
        _give(folder)
        password = secrets.token_hex(16)
        server = Server(_made(folder, password), folder / "log", password, settings)
        server.start()
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A server on one data folder and one port."""

    def __init__(self, data: Path, log: Path, password: str, settings: dict[str, str]) -> None:
        self.data = data
        self.log = log
        self.port = _free_port()
        self.url = f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/postgres"
        legal = {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        self.settings = legal | {"port": str(self.port)} | settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Afterwards it takes connections. NoPostgres with its own words when it does not."""
        command = [str(programs() / "postgres"), "-D", str(self.data)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/", **_as_owner()
            )
        try:
            _wait(self.process, str(self.port), self.log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it without waiting for its clients; by force when it does not."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop it as it stands: nothing is finished or written, and the next start recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOPPED_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


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


def _wait(process: "subprocess.Popen[bytes]", port: str, log: Path) -> None:
    """Until the server takes connections. NoPostgres with its own words when it does not."""
    asking = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port]
    deadline = time.monotonic() + STARTED_S
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(asking, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise NoPostgres(log.read_text(encoding="utf-8", errors="replace").strip()[-500:])


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

"""`dev`: the server and the app side by side, each built again when its sources change."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from server.cli.setup import ROOT, need_node
from server.cli.setup_words import COMMANDS, both

WATCHED = ("schema", "sync", "server")
LOOK_EVERY_S = 0.5
STOP_WITHIN_S = 10

Marks = dict[Path, int]


def marks(root: Path) -> Marks:
    """When each of the server's sources was last written."""
    sources = (path for folder in WATCHED for path in (root / folder).rglob("*"))
    return {path: path.stat().st_mtime_ns for path in sources if is_source(path)}


def is_source(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.is_file()


def changed(before: Marks, now: Marks) -> list[Path]:
    """What was added, removed or written between two looks."""
    return sorted({path for path, _ in before.items() ^ now.items()})


@contextmanager
def running(command: list[str], cwd: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program of ours that is stopped, politely at first, when the block ends."""
    child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for_change(root: Path) -> list[Path]:
    """Returns what changed. A server that stopped by itself is left alone until its source does."""
    before = marks(root)
    while not (found := changed(before, marks(root))):
        time.sleep(LOOK_EVERY_S)
    return found


def serve_for_ever(arguments: tuple[str, ...]) -> None:
    while True:
        with running([sys.executable, "-P", "-m", "server.cli", "serve", *arguments]):
            found = wait_for_change(ROOT)
        names = ", ".join(str(path.relative_to(ROOT)) for path in found[:3])
        click.secho(f"↻ {names}", fg="cyan", err=True)


@click.command(help=both(COMMANDS["dev"][1:]), context_settings={"ignore_unknown_options": True})
@click.argument("serve_arguments", nargs=-1, type=click.UNPROCESSED)
def command(serve_arguments: tuple[str, ...]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Also then stop what we started.
    vite = [str(need_node(ROOT).program), "node_modules/vite/bin/vite.js", "build", "--watch"]
    with running(vite, ROOT / "pwa"):
        try:
            serve_for_ever(serve_arguments)
        except KeyboardInterrupt:
            click.echo()

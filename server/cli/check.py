"""`check`: all that must hold before a commit, two parts at a time."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from server.cli import planted
from server.cli.setup import ROOT, Node, need_node
from server.cli.setup_run import ToolFailed, run_logged, tool_env
from server.cli.setup_words import COMMANDS, both

AT_ONCE = 2
REDRAW_S = 0.2
LOGS = ROOT / "var/log/check"
UNIT_TESTS = ("-m", "not e2e", "-q")


@dataclass
class Part:
    """One check. `run` returns "" when all is well, else what a person should read."""

    name: str
    run: Callable[[], str]
    started: float = 0.0
    seconds: float = 0.0
    trouble: str | None = field(default=None)

    def go(self) -> None:
        self.started = time.monotonic()
        trouble = self.run()
        self.seconds = time.monotonic() - self.started
        self.trouble = trouble

    @property
    def mark(self) -> str:
        if self.trouble is None:
            return "…" if self.started else " "
        return "✗" if self.trouble else "✓"

    @property
    def spent(self) -> str:
        if self.trouble is None and self.started:
            return f"{time.monotonic() - self.started:.1f} s"
        return f"{self.seconds:.1f} s" if self.seconds else ""


def tool(name: str, command: Sequence[str], cwd: Path, env: dict[str, str]) -> Part:
    """A part that is well when the tool exits with 0."""

    def run() -> str:
        log = LOGS / f"{name.replace(' ', '-')}.log"
        try:
            run_logged(command, log, cwd, {**env, "NO_COLOR": "1"})
        except ToolFailed:
            return log.read_text(encoding="utf-8")
        return ""

    return Part(name, run)


def python_tool(name: str, *arguments: str) -> Part:
    return tool(name, [sys.executable, "-m", *arguments], ROOT, tool_env(os.environ))


def npm_tool(node: Node, name: str, *arguments: str) -> Part:
    return tool(name, [*node.npm, *arguments], ROOT / "pwa", node.env())


def all_parts(node: Node) -> list[Part]:
    """Long ones first, so that two at a time end together."""
    return [
        python_tool("unit tests", "pytest", *UNIT_TESTS),
        python_tool("mypy", "mypy"),
        npm_tool(node, "svelte-check", "run", "check"),
        npm_tool(node, "vitest", "test"),
        Part("planted error, app", lambda: planted.app_checker_is_blind(ROOT, node)),
        Part("planted error, server", lambda: planted.python_checker_is_blind(ROOT)),
        npm_tool(node, "prettier", "run", "format:check"),
        python_tool("ruff check", "ruff", "check", "."),
        python_tool("ruff format", "ruff", "format", "--check", "."),
    ]


def format_all(node: Node) -> None:
    """Rewrite what the formatters would complain about."""
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", "-q", "."], cwd=ROOT)
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", "."], cwd=ROOT)
    subprocess.run([*node.npm, "run", "-s", "format"], cwd=ROOT / "pwa", env=node.env())


def run_all(parts: Sequence[Part], console: Console) -> None:
    """Afterwards each part has run. A terminal shows a live list, a pipe one line per part."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(part.go): part for part in parts}
        if console.is_terminal:
            watch(list(running), parts, console)
        for done, part in running.items():
            done.result()
            if not console.is_terminal:
                console.print(f"{part.mark} {part.name}  {part.spent}")


def watch(running: Sequence[Future[None]], parts: Sequence[Part], console: Console) -> None:
    with Live(table(parts), console=console, auto_refresh=False) as live:
        while not all(future.done() for future in running):
            time.sleep(REDRAW_S)
            live.update(table(parts), refresh=True)
        live.update(table(parts), refresh=True)


def table(parts: Sequence[Part]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for part in parts:
        grid.add_row(part.mark, part.name, part.spent)
    return grid


@click.command(help=both(COMMANDS["check"][1:]))
@click.option("--fix", is_flag=True, help="Format the sources first.")
def command(fix: bool) -> None:
    node, started = need_node(ROOT), time.monotonic()
    console = Console(highlight=False, markup=False)
    if fix:
        format_all(node)
    parts = all_parts(node)
    run_all(parts, console)
    for part in parts:
        if part.trouble:
            click.echo(f"\n── {part.name} ──\n{part.trouble}")
    bad = sum(bool(part.trouble) for part in parts)
    console.print(f"\n{len(parts) - bad} ✓, {bad} ✗, {time.monotonic() - started:.1f} s")
    raise SystemExit(bool(bad))

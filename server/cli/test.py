"""`test`: the app's tests, then the server's, in the order a failure is quickest to see."""

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import click

from server.cli import system_packages
from server.cli.setup import ROOT, need_node
from server.cli.setup_words import COMMANDS, both

REPORTS = ROOT / "var/log/test"
BYTECODE = ROOT / "var/bytecode"


@dataclass(frozen=True)
class Outcome:
    """What one test runner said."""

    name: str
    exit_code: int
    passed: int
    failed: int


@dataclass(frozen=True)
class Selection:
    """Which tests a person asked for; empty means all but the long ones."""

    long: str | None
    expression: str | None
    paths: tuple[str, ...]
    store: str = ""

    @property
    def whole(self) -> bool:
        return not (self.long or self.expression or self.paths)

    def app_paths(self) -> list[str]:
        return [path for path in self.paths if in_app(path)]

    def server_paths(self) -> list[str]:
        return [path for path in self.paths if not in_app(path)]

    def wants_app(self) -> bool:
        return self.whole or bool(self.app_paths())

    def wants_server(self) -> bool:
        return not self.app_paths() or bool(self.server_paths())


def in_app(path: str) -> bool:
    return Path(path).absolute().is_relative_to(ROOT / "pwa")


def run_app_tests(paths: Sequence[str]) -> Outcome:
    """Vitest over the app; its report is read for the closing line."""
    node, report = need_node(ROOT), REPORTS / "vitest.xml"
    files = [str(Path(path).absolute()) for path in paths]
    reporters = ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"]
    command = [*node.npm, "test", "--", *reporters, *files]
    return run("vitest", command, report, ROOT / "pwa", node.env())


def run_server_tests(chosen: Selection, browser: bool) -> list[Outcome]:
    """What was chosen, in one process; a whole run spreads the others over its workers."""
    if chosen.whole:
        return [run_pytest("pytest", [*whole_run_arguments(), "-m", "not e2e"])]
    return [run_pytest("pytest", pytest_arguments(chosen, browser))]


def run_tests(chosen: Selection, browser: bool) -> list[Outcome]:
    """Every runner in its turn. A whole run keeps the browser's tests apart, and for the end.

    Their driver holds the loop of its process, and what a person would wait for, they wait for:
    beside other tests some of them waited too long.
    """
    outcomes = [run_app_tests(chosen.app_paths())] if chosen.wants_app() else []
    outcomes += run_server_tests(chosen, browser) if chosen.wants_server() else []
    return [*outcomes, run_browser_tests()] if chosen.whole and browser else outcomes


def run_browser_tests() -> Outcome:
    return run_pytest("browser", [str(ROOT / "tests/e2e")])


def run_pytest(name: str, arguments: Sequence[str]) -> Outcome:
    report = REPORTS / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments]
    return run(name, command, report, ROOT, with_bytecode(os.environ))


def with_bytecode(outer: Mapping[str, str]) -> dict[str, str]:
    """An environment whose Pythons compile each module once, not once for every server started.

    Where bytecode is not wanted beside the sources, it lies below var.
    """
    if not outer.get("PYTHONDONTWRITEBYTECODE"):
        return dict(outer)
    return {**outer, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(BYTECODE)}


def pytest_arguments(chosen: Selection, browser: bool) -> list[str]:
    """A chosen run stays in one process."""
    arguments = [] if browser else ["-m", "not e2e"]
    if chosen.long:
        arguments += ["--long", chosen.long]
    if chosen.expression:
        arguments += ["-k", chosen.expression]
    if chosen.store:
        arguments += ["--store", chosen.store]
    return arguments + [str(Path(path).absolute()) for path in chosen.server_paths()]


def whole_run_arguments() -> list[str]:
    """The workers that pyproject.toml sets."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    arguments: list[str] = settings["tool"]["lingda"]["whole-run"]
    return arguments


def run(name: str, command: Sequence[str], report: Path, cwd: Path, env: dict[str, str]) -> Outcome:
    """Run one test runner with its output on the terminal. A runner without a report has failed."""
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    exit_code = subprocess.run(command, cwd=cwd, env=env).returncode
    passed, failed = counts(report)
    return Outcome(name, exit_code, passed, max(failed, 1) if exit_code else failed)


def counts(report: Path) -> tuple[int, int]:
    """(passed, failed) of a JUnit report; (0, 0) when there is none."""
    if not report.is_file():
        return 0, 0
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))

    def total(kind: str) -> int:
        return sum(int(suite.get(kind) or 0) for suite in suites)

    failed = total("failures") + total("errors")
    return total("tests") - failed - total("skipped"), failed


NEEDING_PACKAGES = ("e2e", "crash", "store")

STORE_SUITES = (
    "tests/store",
    "tests/server/test_follow.py",
    "tests/crash/test_nodes.py",
    "tests/load",
)
"""What any PostgreSQL-compatible server must pass: contract, differential, dying nodes, load."""


def needs_packages(chosen: Selection) -> bool:
    """A run narrowed by hand asks for no system packages unless it names tests that need some."""
    named = any(name in path for path in chosen.paths for name in NEEDING_PACKAGES)
    return chosen.whole or chosen.long is not None or named


@click.command(help=both(COMMANDS["test"][1:]))
@click.option(
    "--long", metavar="NAME", help="Only the long tests of this name (“all” for every one)."
)
@click.option("-k", "expression", metavar="EXPR", help="Only tests whose name matches (pytest -k).")
@click.option(
    "--store", default="", metavar="URL", help="Hold this PostgreSQL-compatible server to it all."
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
def command(long: str | None, expression: str | None, store: str, paths: tuple[str, ...]) -> None:
    if store and not paths:
        paths = tuple(str(ROOT / path) for path in STORE_SUITES)
    chosen, started = Selection(long, expression, paths, store), time.monotonic()
    browser = system_packages.ensure() if needs_packages(chosen) else True
    outcomes = run_tests(chosen, browser)
    click.echo(summary(outcomes, time.monotonic() - started))
    raise SystemExit(any(outcome.exit_code for outcome in outcomes))


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The last line counts all runners together, in a form that scripts read."""
    each = ", ".join(f"{o.name} {'✗' if o.exit_code else '✓'}" for o in outcomes)
    passed, failed = sum(o.passed for o in outcomes), sum(o.failed for o in outcomes)
    return f"\n{each}, {seconds:.1f} s\n{passed} passed, {failed} failed"

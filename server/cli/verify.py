"""`verify`: whether all that a centre keeps is as it was written, or the proof of one mutation."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec
from msgspec import Struct, to_builtins
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from schema.words import say
from server.audit.finding import Finding, Gravity
from server.audit.opened import opened
from server.audit.proof import Proof, prove
from server.audit.walk import Looked, audit
from server.cli.spoken import (
    blobs_option,
    data_option,
    looked_at,
    spoken,
    store_option,
    telling,
)
from server.config import Config
from server.data_folder import Trouble
from server.store.inspect import CannotRead
from server.verify import DOT

SHOWN_MAX = 1_000
"""So many flaws of one kind are named; of more, only how many there are."""

REDRAWN_EVERY = 250
MARKS = {Gravity.BROKEN: "✗", Gravity.UNPROVEN: "!", Gravity.NOTE: "·"}


class Report(Struct):
    """The flaws that were found: those that are named, and how many there are of each gravity."""

    named: list[Finding] = []
    of_flaw: Counter[str] = msgspec.field(default_factory=Counter)
    of_gravity: Counter[str] = msgspec.field(default_factory=Counter)

    def take(self, finding: Finding) -> bool:
        """Count a flaw. True when it is to be named."""
        self.of_flaw[finding.flaw] += 1
        self.of_gravity[finding.gravity] += 1
        return self.of_flaw[finding.flaw] <= SHOWN_MAX

    @property
    def is_clean(self) -> bool:
        return not (self.of_gravity[Gravity.BROKEN] or self.of_gravity[Gravity.UNPROVEN])

    @property
    def left_off(self) -> dict[str, int]:
        """How many flaws of each kind are not named."""
        return {flaw: n - SHOWN_MAX for flaw, n in self.of_flaw.items() if n > SHOWN_MAX}


@click.command(help=spoken("verify.about", "\n\n"))
@data_option
@store_option
@blobs_option
@click.option("--dot", default="", help=spoken("cli.option.dot"))
@click.option("--json", "as_json", is_flag=True, help=spoken("cli.option.json"))
def command(data: Path, store: str, blobs: Path | None, dot: str, as_json: bool) -> None:
    with telling(data):
        config = looked_at(data, store, blobs)
        if not store and not config.database.is_file():
            raise Trouble("no_database", path=data)
        if dot and not DOT.fullmatch(dot):
            raise Trouble("no_dot", dot=dot)
        is_well = prove_one(config, dot, as_json) if dot else check_all(config, as_json)
    raise SystemExit(0 if is_well else 1)


def check_all(config: Config, as_json: bool) -> bool:
    """Check everything and tell what was found. True when all is well."""
    report, out = Report(), Console(highlight=False, markup=False, soft_wrap=True)

    def take(finding: Finding) -> None:
        if report.take(finding):
            if as_json:
                report.named.append(finding)
            else:
                print_finding(finding, out)

    with watched(out, as_json) as bar:
        looked = audit(config, take, Shown(bar))
    if as_json:
        click.echo(msgspec.json.encode(told(report, looked)).decode())
    else:
        print_end(report, looked)
    return report.is_clean


@contextmanager
def watched(out: Console, as_json: bool) -> Iterator[Progress]:
    """A bar where a person looks at it, and never among what a script or a file takes."""
    shared = out.is_terminal and not as_json
    console = out if shared else Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        yield bar


class Shown:
    """Shows how far a walk has come, one line of the bar for each of its parts."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, part: str, done: int, total: int) -> None:
        if part not in self.tasks:
            label = spoken(f"verify.part.{part}")
            self.tasks[part] = self.bar.add_task(label, total=total or None)
        if done == total or done % REDRAWN_EVERY == 0:
            self.bar.update(self.tasks[part], completed=done, total=total or None)


def print_finding(finding: Finding, out: Console) -> None:
    """The entry, then what it means and what to do, in both languages."""
    detail = f"  ({finding.detail})" if finding.detail else ""
    out.print(f"{MARKS[finding.gravity]} {finding.flaw}  {finding.entry}{detail}")
    out.print("  " + spoken(f"verify.flaw.{finding.flaw}", "\n  "))


def print_end(report: Report, looked: Looked) -> None:
    """How many more flaws there are of each kind, what was looked at, and the verdict."""
    for flaw, n in report.left_off.items():
        click.echo(f"… {flaw}  {spoken('verify.more', n=n)}")
    click.echo(spoken("verify.looked", "\n", **to_builtins(looked)))
    counts = {one.value: report.of_gravity[one] for one in Gravity}
    verdict = "verify.clean" if report.is_clean else "verify.flawed"
    click.echo(f"{'✓' if report.is_clean else '✗'} " + spoken(verdict, "\n  ", **counts))


def told(report: Report, looked: Looked) -> dict[str, object]:
    """The report for scripts."""
    return {
        "ok": report.is_clean,
        "looked": to_builtins(looked),
        "counts": dict(report.of_flaw),
        "findings": [
            {
                **to_builtins(finding),
                "gravity": finding.gravity,
                "zh": say("zh-CN", f"verify.flaw.{finding.flaw}"),
                "en": say("en", f"verify.flaw.{finding.flaw}"),
            }
            for finding in report.named
        ],
        "left_off": report.left_off,
    }


def prove_one(config: Config, dot: str, as_json: bool) -> bool:
    """Prove one mutation and tell how. True when it is proven."""
    try:
        with closing(opened(config)) as inspector:
            proof = prove(inspector, dot)
    except CannotRead as error:
        raise Trouble("database", path=config.data, reason=error) from error
    if as_json:
        click.echo(msgspec.json.encode({"proven": proof.proven, **to_builtins(proof)}).decode())
    else:
        print_proof(proof)
    return proof.proven


def print_proof(proof: Proof) -> None:
    """What the proof stands on, and whether it holds."""
    run = f"{proof.first}..{proof.last}" if proof.last else "-"
    click.echo(f"{MARKS[Gravity.NOTE]} {proof.dot}")
    if proof.hash:
        click.echo(f"  {spoken('verify.proof.verdict')}: seq {proof.seq} {proof.verdict}")
        click.echo(f"  {spoken('verify.proof.hash')}: {proof.hash}")
        click.echo(f"  {spoken('verify.proof.run')}: {run}")
        click.echo(f"  {spoken('verify.proof.key')}: {proof.key or '-'}")
    if proof.flaw is None:
        click.echo("✓ " + spoken("verify.proved", "\n  "))
        return
    zh, en = (
        say(one, "verify.not_proved") + say(one, f"verify.flaw.{proof.flaw}")
        for one in ("zh-CN", "en")
    )
    click.echo(f"✗ {zh}\n  {en}")

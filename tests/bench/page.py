"""The page of a run: what was measured, on what, against which bar, and how it was done."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench import plots
from tests.bench.figures import FIGURES
from tests.bench.harness import Result
from tests.bench.report import Report, bar_of, shown, verdict_of

PAGE = "performance.md"
PICTURES = {"img/bench-bars.svg": plots.bars, "img/bench-rates.svg": plots.rates}

_HEAD = """# Performance

{chinese}

{english}

Made by `python3 run.py bench{options}`; a later run replaces it. Each ratio is one of medians,
of sides that took turns in one go on one machine, round by round; the spread is the least and the
most that two rounds in succession gave. What was not measured in that run is not here.

- machine: {machine}
- run: {began}, {minutes} min, {mode}
"""

_ENDING = """
What is measured is the product as `run.py serve` starts it, in a process of its own on a fresh
folder, over HTTP on loopback: authorisation, signatures, judging against the rows that are there,
scopes, digests, the hash chain, and a commit that waits for the disk. Requests are made and signed
before the clock starts, and every answer is checked after it stops. The generator shares the cores
with what it measures.
"""


def write_page(report: Report, folder: Path, options: str = "") -> Path:
    """Afterwards the page and its pictures in this folder tell of this run, and of no other."""
    shown_pictures = []
    for name, draw in PICTURES.items():
        path, drawn = folder / name, draw(report.results)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if drawn:
            path.write_text(drawn, encoding="utf-8")
            shown_pictures.append(f"![]({name})\n")
    parts = [head(report, options), table(report.results), *shown_pictures, _ENDING.strip() + "\n"]
    parts += [notes(report)]
    page = folder / PAGE
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def head(report: Report, options: str) -> str:
    met = [one for one in report.results if one.met]
    missed = [one.name for one in report.missed]
    names = ", ".join(f"`{name}`" for name in missed)
    chinese = f"本次测得 {len(report.results)} 项:{len(met)} 项达标,{len(missed)} 项未达标"
    english = (
        f"Figures measured: {len(report.results)}; bars met: {len(met)}, missed: {len(missed)}"
    )
    return _HEAD.format(
        chinese=f"**{chinese}{f'({names})' if missed else ''}。**",
        english=f"**{english}{f' ({names})' if missed else ''}.**",
        options=options,
        machine=report.machine.line(),
        began=report.began,
        minutes=f"{report.seconds / 60:.0f}",
        mode=report.mode,
    )


def table(results: Sequence[Result]) -> str:
    """Every figure of the run, in the order of the bars."""
    lines = ["| figure | measured | bar | | spread | sides |", "|---|---|---|---|---|---|"]
    order = list(FIGURES)
    for one in sorted(results, key=lambda result: order.index(result.name)):
        figure = FIGURES[one.name]
        low, high = (shown(value) for value in one.spread)
        sides = "<br>".join(f"{s.side} {shown(s.median)} {s.unit}".strip() for s in one.sides)
        cells = [
            f"`{one.name}`<br>{figure.title}",
            f"**{shown(one.value, figure.unit)}**",
            bar_of(figure),
            verdict_of(one),
            f"{low} … {high}",
            sides,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def notes(report: Report) -> str:
    """How each figure was taken, and how each peer was set up."""
    lines = ["## How", ""]
    told: dict[str, list[str]] = {}
    for one in report.results:
        if one.note:
            told.setdefault(one.note, []).append(f"`{one.name}`")
    lines += [f"- {', '.join(names)}: {note}." for note, names in told.items()]
    lines += [f"- {name}: {settings}." for name, settings in report.peers.items()]
    for what, why in report.failed.items():
        lines.append(f"- **not measured**: {what}: {(why.splitlines() or [''])[-1]}")
    return "\n".join(lines) + "\n"

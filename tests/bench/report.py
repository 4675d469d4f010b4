"""What a run came to: on the terminal, as JSON for scripts, as a page with plots."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.bench.figures import FIGURES, Figure
from tests.bench.harness import Result, Samples
from tests.bench.machine import Machine


class Report(Struct):
    """A run: when, on what, how, and every figure that it measured."""

    began: str
    machine: Machine
    mode: str
    seconds: float
    peers: dict[str, str]
    results: list[Result]
    failed: dict[str, str] = {}

    def write_json(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @property
    def missed(self) -> list[Result]:
        return [one for one in self.results if one.met is False]


def shown(value: float, unit: str = "") -> str:
    """A number as people read it: three digits that count, thousands parted."""
    if value == int(value) and unit != "×":
        text = f"{int(value):,}"
    elif abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif abs(value) >= 100:
        text = f"{value:.0f}"
    elif abs(value) >= 10:
        text = f"{value:.1f}"
    else:
        text = f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
    return f"{text} {unit}".strip()


def bar_of(figure: Figure) -> str:
    """The bar in words; empty where a figure is only printed."""
    if figure.bar is None:
        return "—"
    sign = "≥" if figure.at_least else "≤"
    text = f"{sign} {shown(figure.bar) if figure.unit != '×' else f'{figure.bar:g}'}"
    text += f" {figure.unit}" if figure.unit else ""
    return text + (f" (stretch {figure.stretch:g})" if figure.stretch else "")


def verdict_of(result: Result) -> str:
    """Whether the bar is reached, said plainly."""
    if result.small:
        return f"not at full size: {result.small}"
    return {True: "met", False: "MISSED", None: "printed only"}[result.met]


def line_of(result: Result) -> str:
    """A figure in one line of the terminal."""
    figure = FIGURES[result.name]
    low, high = (shown(one) for one in result.spread)
    sides = ", ".join(f"{one.side} {shown(one.median)} {one.unit}" for one in result.sides)
    return (
        f"{result.name}: {shown(result.value, figure.unit)} [{low}…{high}], bar {bar_of(figure)}:"
        f" {verdict_of(result)} ({sides})"
    )


def sides_of(results: Sequence[Result]) -> dict[str, Samples]:
    """Every side that was measured, once, by what it did and its name."""
    found: dict[str, Samples] = {}
    for result in results:
        for one in result.sides:
            found.setdefault(f"{result.name.partition('_')[0]}: {one.side}", one)
    return found

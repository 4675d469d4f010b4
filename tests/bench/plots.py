"""Small plots as SVG: bars on a logarithmic scale, with the spread of the rounds."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

from tests.bench.figures import FIGURES
from tests.bench.harness import Result, Samples
from tests.bench.report import shown, sides_of

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 200, 90, 24, 34
INK, QUIET, BAD, GOOD, OURS, PEER = "#24292f", "#8c959f", "#cf222e", "#1a7f37", "#0969da", "#afb8c1"
OWN_SIDES = frozenset({"facts", "mixed", "single", "pull", "order"})
LEAST = 1e-3


class Scale:
    """Where a value stands on a logarithmic axis of whole decades."""

    def __init__(self, values: Sequence[float]) -> None:
        sound = [max(value, LEAST) for value in values]
        self.low, self.high = floor(log10(min(sound))), ceil(log10(max(sound)))
        self.high = max(self.high, self.low + 1)

    def x(self, value: float) -> float:
        share = (log10(max(value, LEAST)) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def rates(results: Sequence[Result]) -> str:
    """Rows a second of every side, ours and others'."""
    sides = {name: one for name, one in sides_of(results).items() if one.unit == "rows/s"}
    if not sides:
        return ""
    scale = Scale([value for one in sides.values() for value in one.spread])
    rows = [_rate(scale, number, *pair) for number, pair in enumerate(sides.items())]
    return _picture("rows a second (logarithmic); line: least and most of a round", scale, rows)


def _rate(scale: Scale, number: int, name: str, one: Samples) -> str:
    y, colour = _y(number), OURS if one.side in OWN_SIDES else PEER
    low, high = (scale.x(value) for value in one.spread)
    return (
        _name(name, y)
        + _bar(LEFT, scale.x(one.median), y, colour)
        + f'<path d="M{low:.1f} {y + 8}H{high:.1f}" stroke="{INK}"/>'
        + _value(shown(one.median), y)
    )


def bars(results: Sequence[Result]) -> str:
    """How far each figure is on the right side of its bar, or on the wrong one."""
    reach = [(one, reached(one)) for one in results]
    told = [(one, times) for one, times in reach if times is not None]
    if not told:
        return ""
    scale = Scale([0.5, 2.0, *(times for _, times in told)])
    rows = [_reach(scale, number, *pair) for number, pair in enumerate(told)]
    return _picture("times better than the bar (logarithmic); 1 is the bar", scale, rows)


def reached(result: Result) -> float | None:
    """1 at the bar, more beyond it. None where no such number can be told."""
    bar, value = FIGURES[result.name].bar, result.value
    if not bar or value <= 0 or result.small:
        return None
    return value / bar if FIGURES[result.name].at_least else bar / value


def _reach(scale: Scale, number: int, result: Result, times: float) -> str:
    y, colour = _y(number), GOOD if result.met else BAD
    low, high = sorted((scale.x(1.0), scale.x(times)))
    value = shown(result.value, FIGURES[result.name].unit)
    return _name(result.name, y) + _bar(low, high, y, colour) + _value(value, y)


def _picture(title: str, scale: Scale, rows: Sequence[str]) -> str:
    height = TOP + ROW * len(rows) + 24
    grid = "".join(
        f'<path d="M{scale.x(at):.1f} {TOP - 6}V{height - 20}" stroke="{QUIET}" opacity=".4"/>'
        f'<text x="{scale.x(at):.1f}" y="{height - 6}" text-anchor="middle" fill="{QUIET}">'
        f"{at:,g}</text>"
        for at in scale.decades
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        ' font-family="system-ui,sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="12" y="18" fill="{INK}" font-weight="600">{escape(title)}</text>'
        + grid
        + "".join(rows)
        + "</svg>\n"
    )


def _y(number: int) -> int:
    return TOP + ROW * number


def _name(text: str, y: int) -> str:
    return f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" fill="{INK}">{escape(text)}</text>'


def _bar(low: float, high: float, y: int, colour: str) -> str:
    width = max(high - low, 1)
    return f'<rect x="{low:.1f}" y="{y}" width="{width:.1f}" height="16" fill="{colour}"/>'


def _value(text: str, y: int) -> str:
    x = WIDTH - 8
    return f'<text x="{x}" y="{y + 12}" text-anchor="end" fill="{INK}">{escape(text)}</text>'

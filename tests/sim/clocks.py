"""Whose own clock is wrong: what a request tells of it, and the remark that must come of that."""

from typing import TYPE_CHECKING

from tests.sim.broken import Broken

if TYPE_CHECKING:
    from tests.sim.model import Line, Model

OFF_MS = 2 * 60_000
RIGHT = frozenset({False})

Clocks = dict[str, frozenset[bool]]
"""Replica → whether its clock is off, by each request that it makes at this moment."""


def note_request(clocks: Clocks, replica: str, clock: int, now: int) -> None:
    """A request is here; where no clock is told, none is wrong."""
    off = bool(clock) and not -OFF_MS <= clock - now <= OFF_MS
    clocks[replica] = clocks.get(replica, frozenset()) | {off}


def check_remark(model: "Model", dot: str, was: "Line | None") -> None:
    """What was taken says that its device's clock was off if and only if its push said so.

    What had to wait says it once it stands; what a person let in came by no push.
    """
    line = model.log[dot]
    clocks = model.centre.clocks.get(dot.split("/")[0], RIGHT)
    if was is not None:
        clocks = model.waiting_clocks.get(dot, RIGHT) if was.verdict == "held" else RIGHT
    if line.verdict == "held":
        model.waiting_clocks[dot] = clocks
    taken, told = line.verdict in ("applied", "merged"), "clock_off" in line.tags
    if told not in clocks if taken else told:
        raise Broken("clock_off", f"{dot} {line.verdict}, tagged {line.tags!r}")
    model.count("clock_off" if told else "clock_right")

"""What devices write: facts alone, and facts with edits of rows that several devices share."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from random import Random

from schema.steps import UNIT_STEPS
from schema.wire import Change
from server.ids import uuid7
from tests.bench.centre import Made
from tests.bench.writer import Writer

PER_RUN = 100
FOREIGN_SHARE = 0.1
"""So many edits meet one of another device of the unit that their author had not seen."""

HELP_SHARE = 0.05
EDITED = ("base", "manager", "manager_phone", "operator", "operator_phone")
TEXT = "示例反馈：现场已封控，人员到位，正在处置，暂无新增险情。"


Target = tuple[str, str]
"""A unit's target and the directive that it is of."""


def write_step(writer: Writer, target: Target, step: str) -> bytes:
    """A step of this order, as the bytes that travel."""
    return writer.write("target.step", 0, step_of(writer, target, step))


def step_of(writer: Writer, target: Target, step: str) -> Change:
    fields = _of_target(writer, target) | {"step": step, "version": 1, "route": "device"}
    return Change("create", "step", uuid7(_now_of(writer)), fields)


def write_feedback(writer: Writer, target: Target, photos: Sequence[object] = ()) -> bytes:
    """Feedback on this order, which may name photos, as the bytes that travel."""
    fields = _of_target(writer, target) | {"kind": "progress", "text": TEXT}
    fields |= {"photos": list(photos)} if photos else {}
    change = Change("create", "feedback", uuid7(_now_of(writer)), fields)
    return writer.write("feedback.add", 1, change)


def _of_target(writer: Writer, target: Target) -> dict[str, object]:
    of, directive = target
    fields = {"target": of, "directive": directive, "unit": writer.reply.unit}
    return fields | {"round": 1, "at": _now_of(writer)}


def _now_of(writer: Writer) -> int:
    """When the device wrote last; when it was enrolled, if it has not written."""
    return writer.stamp.wall_ms or writer.reply.now


class Mix:
    """Endless work for the devices of a centre, the same for the same seed."""

    def __init__(self, made: Made, seed: int) -> None:
        self._random = Random(seed)
        self._targets = {unit: cycle(known) for unit, known in made.targets.items()}
        self._cells = {
            unit: [(id, name) for id in cards for name in EDITED]
            for unit, cards in made.machines.items()
        }
        self._seen: dict[tuple[str, str, str], str] = {}
        self._created = {id: dot for cards in made.machines.values() for id, dot in cards.items()}

    def facts(self, writer: Writer, lane: int, count: int = PER_RUN) -> list[bytes]:
        """Steps with now and then a call for help (lane 0), or feedback (lane 1)."""
        make = self._urgent if lane == 0 else self._feedback
        return [make(writer) for _ in range(count)]

    def rows(self, writer: Writer, count: int = PER_RUN) -> list[dict[str, object]]:
        """As many rows as `facts` makes, for peers that know no intents: an id and the fields."""
        steps = [self._step_of(writer) for _ in range(count)]
        return [{"id": one.id, "entity": one.entity, **one.fields} for one in steps]

    def _urgent(self, writer: Writer) -> bytes:
        if self._random.random() < HELP_SHARE:
            return self._help_call(writer)
        return writer.write("target.step", 0, self._step_of(writer))

    def _step_of(self, writer: Writer) -> Change:
        return step_of(writer, self._next_target(writer), self._random.choice(UNIT_STEPS))

    def _help_call(self, writer: Writer) -> bytes:
        fields = {key: self._of_target(writer)[key] for key in ("unit", "target", "at")}
        fields |= {"text": "示例求援：请增派一台吊车", "lat_e6": 30_000_000, "lon_e6": 120_000_000}
        change = Change("create", "help_call", uuid7(writer.stamp.wall_ms), fields)
        return writer.write("help.call", 0, change)

    def _feedback(self, writer: Writer) -> bytes:
        return write_feedback(writer, self._next_target(writer))

    def _of_target(self, writer: Writer) -> dict[str, object]:
        return _of_target(writer, self._next_target(writer))

    def _next_target(self, writer: Writer) -> Target:
        return next(self._targets[writer.reply.unit])

    def edits(self, writer: Writer, share: tuple[int, int], count: int = PER_RUN) -> list[bytes]:
        """Edits of machines' cards, each based on what this device last saw of the field.

        `share` = (which, of how many) devices of the unit: most edits are of its own part.
        """
        return [self._edit(writer, *share) for _ in range(count)]

    def _edit(self, writer: Writer, which: int, of: int) -> bytes:
        cells = self._cells[writer.reply.unit]
        if self._random.random() < FOREIGN_SHARE:
            which = (which + 1) % of
        id, name = cells[self._random.randrange(len(cells) // of) * of + which]
        cell = (writer.reply.replica, id, name)
        base = self._seen.get(cell, self._created[id])
        self._seen[cell] = writer.next_dot(2)
        value = f"示例{self._random.randrange(10**9):09}"
        return writer.write(
            "equipment.edit", 2, Change("set", "equipment", id, {name: value}), (base,)
        )


def fact_pushes(mix: Mix, writer: Writer, count: int) -> Iterator[bytes]:
    """So many requests of one run of facts each, urgent ones and others in turn."""
    for number in range(count):
        lane = number % 2
        yield writer.push(writer.run(lane, mix.facts(writer, lane)))


def mixed_pushes(mix: Mix, writer: Writer, share: tuple[int, int], count: int) -> Iterator[bytes]:
    """As many runs of edits as of facts."""
    for number in range(count):
        if number % 2:
            yield writer.push(writer.run(2, mix.edits(writer, share)))
        else:
            lane = number // 2 % 2
            yield writer.push(writer.run(lane, mix.facts(writer, lane)))

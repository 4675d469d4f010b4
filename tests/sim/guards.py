"""Conditions that some mutations carry: what they say, and what the oracle expects of them."""

import json
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from schema.wire import Change, Guard, Row
from tests.sim.broken import Broken
from tests.sim.writes import Fact, every_write, heads

if TYPE_CHECKING:
    from tests.sim.device import Device
    from tests.sim.model import Model

CHECKS = ("exists", "absent", "eq", "in", "dot")

UNUSED_LANE = 4
"""A lane in which nobody says anything."""


def draw_guard(device: "Device", changes: Sequence[Change], random: Random) -> tuple[Guard, ...]:
    """What whoever edits a row takes for granted of it; now and then they are mistaken."""
    [change, *others] = changes
    row = device.view(change.entity, change.id) if change.op == "set" and not others else None
    if row is None or random.random() < 0.7:
        return ()
    check, name = random.choice(CHECKS), next(iter(change.fields))
    place = f"{change.entity}/{change.id}"
    if check == "absent" and random.random() < 0.7:
        place += "-never"
    values = {"eq": row.fields.get(name), "in": [row.fields.get(name), "?"], "dot": _dot(row, name)}
    return (Guard(place, check, name if check in values else None, values.get(check)),)


def draw_after(life: str, lane: int, numbers: dict[int, int], random: Random) -> tuple[str, ...]:
    """One's own latest words in a slower lane, which these build on; or some that never come.

    `numbers` are those of the latest in each lane.
    """
    if random.random() < 0.02:
        return (f"{life}/{UNUSED_LANE}/1",)
    slower = [other for other, n in numbers.items() if other > lane and n]
    if not slower or random.random() < 0.8:
        return ()
    other = random.choice(sorted(slower))
    return (f"{life}/{other}/{numbers[other]}",)


def _dot(row: Row, name: str) -> str:
    return row.writes.get(name, ("", row.dot))[1]


def check_guards(model: "Model", dot: str) -> None:
    """What is applied met its conditions; what is refused for one of them did not."""
    line = model.log[dot]
    for guard in (line.mutation or {}).get("guard", ()):
        holds = _holds(model, guard, dot)
        applied = line.verdict in ("applied", "merged")
        if (applied and holds is False) or (line.code == "guard" and holds is True):
            raise Broken("guard", f"{dot} {line.verdict} while {guard} is {holds}")


def _holds(model: "Model", guard: dict[str, Any], dot: str) -> bool | None:
    """None where a rule other than the guard's decides which of rivals it is about."""
    entity, _, id = guard["row"].partition("/")
    fact = model.rows.get((entity, id))
    if fact is None or fact.removed:
        return bool(guard["check"] == "absent")
    if guard["check"] in ("exists", "absent"):
        return bool(guard["check"] == "exists")
    return _fits_field(model, fact, guard, dot)


def _fits_field(model: "Model", fact: Fact, guard: dict[str, Any], dot: str) -> bool | None:
    name = guard.get("field") or ""
    writes = every_write(fact, name)
    rivals = heads(writes)
    known_of = any(dot in one.seen for one in writes)
    if len(rivals) != 1 or known_of or name in model.unsettled_fields(fact):
        return None
    if guard["check"] == "dot":
        return bool(rivals[0].dot == guard["value"])
    values = guard["value"] if guard["check"] == "in" else [guard["value"]]
    return rivals[0].value in values


def check_wait(model: "Model", dot: str, need: str | None) -> None:
    """Nothing is held but for what it names, and only while that is not here."""
    mutation = model.log[dot].mutation or {}
    line, (entity, _, id) = model.log.get(need or ""), (need or "").partition("/")
    if need in mutation.get("after", ()):
        idle = line is not None and line.verdict != "held"
    elif "/" in id:
        target, _, n = id.split("/")
        idle = not model.centre.restores or _has_round(model, target, int(n))
    else:
        idle = id not in json.dumps(mutation["changes"]) or (entity, id) in model.rows
    if idle:
        raise Broken("held_for_nothing", f"{dot} waits for {need}")


def _has_round(model: "Model", target: str, n: int) -> bool:
    """Whether a target has come to this round."""
    rounds = [one.first["round"] for one in model.of_target("round", target)]
    return max([1, *rounds]) >= n


def check_after(model: "Model", dot: str) -> None:
    """Nothing is applied before what it is to come after."""
    for one in (model.log[dot].mutation or {}).get("after", ()):
        if one not in model.log or model.log[one].verdict == "held":
            raise Broken("after", f"{dot} is applied before {one}")

"""Makes a failing run small: fewer actions, plainer actions, fewer devices, the same promise."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

from msgspec.structs import replace

from tests.sim.one import Outcome, replay
from tests.sim.world import Action

TRIES_MAX = 6_000
SMALL = 12
"""A trace of so few actions is small enough to be read."""

CHOICES = 8
TOGETHER = ((2, 24), (3, 18))
"""So many actions are left out together, from so few on: one may undo what the other did."""

FANCY = ("fault", "crash", "after", "room", "gate", "lanes", "bytes")


class _Tries:
    """Counts runs, and keeps the smallest that still breaks the promise."""

    def __init__(self, found: Outcome) -> None:
        self.best = found
        self.left = TRIES_MAX

    def broken_by(self, setup: dict[str, Any], actions: list[Action]) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        again = replay(setup, actions)
        if again.broken != self.best.broken:
            return False
        # What comes after the action that broke it has no part in it.
        self.best = replace(again, actions=again.actions, setup=setup)
        return True


def shrink(found: Outcome) -> Outcome:
    """The smallest run found that breaks the same promise (delta debugging over its actions)."""
    tries = _Tries(found)
    while tries.left > 0:
        before = _size(tries.best)
        _fewer_actions(tries)
        _fewer_together(tries)
        _plainer_actions(tries)
        _fewer_devices(tries)
        if _size(tries.best) == before and SMALL < len(tries.best.actions) <= 2 * SMALL:
            _fewer_by_choice(tries)
        if _size(tries.best) == before:
            break
    return tries.best


def _size(found: Outcome) -> tuple[int, int, int]:
    return (
        len(found.actions),
        len(found.setup["devices"]),
        sum(len(action) for action in found.actions),
    )


def _fewer_actions(tries: _Tries) -> None:
    parts = 2
    while tries.left > 0:
        actions = tries.best.actions
        size = max(1, len(actions) // parts)
        if not _drop_one(tries, actions, size):
            if size == 1:
                return
            parts *= 2


def _drop_one(tries: _Tries, actions: list[Action], size: int) -> bool:
    """Leave out one stretch of this size, from the end on; True when something could go."""
    dropped = False
    at = len(actions) - size
    while at > -size and tries.left > 0:
        start = max(0, at)
        gone, rest = actions[start : start + size], actions[start + size :]
        waited = sum(action.get("ms", 0) for action in gone)
        for after in (rest, _later(rest, waited)) if waited else (rest,):
            if tries.broken_by(tries.best.setup, [*actions[:start], *after]):
                actions, dropped = tries.best.actions, True
                break
        at -= size
    return dropped


def _fewer_together(tries: _Tries) -> None:
    while tries.left > 0:
        actions = tries.best.actions
        choices = (
            gone
            for many, few in TOGETHER
            if len(actions) <= few
            for gone in combinations(range(len(actions)), many)
        )
        for gone in choices:
            rest = [one for at, one in enumerate(actions) if at not in gone]
            if tries.broken_by(tries.best.setup, rest):
                break
        else:
            return


def _fewer_by_choice(tries: _Tries) -> None:
    """Without one action a later one may choose something else; let it choose again."""
    for at in range(len(tries.best.actions)):
        rest = [*tries.best.actions[:at], *tries.best.actions[at + 1 :]]
        for one in range(at, len(rest)):
            for choice in range(CHOICES if "r" in rest[one] else 0):
                other = [*rest[:one], {**rest[one], "r": choice}, *rest[one + 1 :]]
                if tries.broken_by(tries.best.setup, other):
                    return


def _later(actions: list[Action], ms: int) -> list[Action]:
    """The same with the first so much later: time is all that some actions bring."""
    return [
        {**one, "ms": one.get("ms", 0) + ms} if at == 0 else one for at, one in enumerate(actions)
    ]


def _plainer_actions(tries: _Tries) -> None:
    for name in FANCY:
        _each(tries, lambda action, name=name: {k: v for k, v in action.items() if k != name})
    _each(tries, lambda action: {**action, "ms": 0} if action.get("ms") else action)


def _each(tries: _Tries, change: Callable[[Action], Action]) -> None:
    for at in range(len(tries.best.actions)):
        actions = tries.best.actions
        if at < len(actions) and (plain := change(actions[at])) != actions[at]:
            tries.broken_by(tries.best.setup, [*actions[:at], plain, *actions[at + 1 :]])


def _fewer_devices(tries: _Tries) -> None:
    """Fewer devices; who an action means is then counted among those that are left."""
    while len(tries.best.setup["devices"]) > 1 and tries.left > 0:
        setup = tries.best.setup
        count = len(setup["devices"])
        for at in range(count):
            devices = [*setup["devices"][:at], *setup["devices"][at + 1 :]]
            actions = [_renumbered(action, at, count) for action in tries.best.actions]
            if tries.broken_by({**setup, "devices": devices}, actions):
                break
        else:
            return


def _renumbered(action: Action, gone: int, count: int) -> Action:
    if action.get("dev", -1) < 0:
        return action
    number = action["dev"] % count
    return {**action, "dev": number - (number > gone)}

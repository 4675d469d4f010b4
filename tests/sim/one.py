"""One seed from beginning to end, on one store or both, or a list of actions again."""

import hashlib
import traceback
from collections.abc import Iterable
from random import Random
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tests.sim.broken import Broken
from tests.sim.draw import Draw, draw_setup
from tests.sim.rest import come_to_rest, scan, sum_up
from tests.sim.seals import installed
from tests.sim.world import Action, World

SCAN_EVERY = 50
"""After so many steps everything is looked at in full, not only what changed."""

ALIKE_EVERY = 20
"""One seed in so many is run again in other ways."""


class Outcome(Struct):
    """What a run came to. `broken` is the promise that did not hold, or nothing."""

    seed: int
    steps: int = 0
    hash: str = ""
    broken: str = ""
    what: str = ""
    actions: list[Action] = []
    setup: dict[str, Any] = {}
    faults: dict[str, int] = {}
    states: dict[str, int] = {}
    end: dict[str, Any] = {}
    """What the centre held at the end."""
    sums: dict[tuple[str, int], int] = {}
    """The sum that it kept of each (scope, lane)."""


def run_seed(seed: int, steps: int, node: str = "auto", store: str = "sqlite") -> Outcome:
    """Draw a world and `steps` actions, then let it come to rest."""
    found = run_world(draw_setup(seed, node) | {"store": store}, steps)
    if seed % ALIKE_EVERY == 0 and not found.broken:
        found = _alike(found)
    return found


def run_world(setup: dict[str, Any], steps: int) -> Outcome:
    """Draw `steps` actions for this world, then let it come to rest."""
    draw = Draw(setup)
    return _run(setup, (draw.next for _ in range(steps)))


def stores_differ(seed: int, steps: int) -> str:
    """How a seed ends otherwise on PostgreSQL than on SQLite; "" where it does not.

    Each action came to the same and left the same end of the chain, and so did the sums. The disks
    have room: databases write the same in other statements, so that one is full before the other.
    """
    setup = draw_setup(seed) | {"roomy": True}
    one, other = (run_world(setup | {"store": store}, steps) for store in ("sqlite", "postgres"))
    for found in (one, other):
        if found.broken:
            return f"{found.setup['store']}: {found.broken}: {found.what}"
    if one.hash != other.hash:
        return "the actions came to something else"
    parts = {"end": (one.end, other.end), "sums": (one.sums, other.sums)}
    return next((name for name, (here, there) in parts.items() if here != there), "")


def replay(setup: dict[str, Any], actions: list[Action]) -> Outcome:
    """The same world with these actions."""
    found = _run(setup, ((lambda world, one=one: one) for one in actions))
    return _alike(found) if setup.get("alike") and not found.broken else found


def _run(setup: dict[str, Any], source: Iterable[Any]) -> Outcome:
    """Run until the source ends or a promise is broken."""
    found = Outcome(setup["seed"], setup=setup, actions=[])
    world = None
    seals = installed(setup["p256"], Random(setup["seed"]), setup["snapshot_from"])
    with seals as make_seal:
        try:
            world = World(setup, make_seal)
            for draw in source:
                action = draw(world)
                found.actions.append(action)
                world.step(action)
                if len(found.actions) % SCAN_EVERY == 0:
                    scan(world)
            come_to_rest(world)
            found.end, found.sums = sum_up(world), world.centre.sums()
        except Broken as error:
            found.broken, found.what = error.promise, error.what
        except Exception as error:
            found.broken = f"error_{type(error).__name__}"
            found.what = traceback.format_exc(limit=-6)
    found.steps = len(found.actions)
    if world:
        found.faults = dict(world.faults)
        found.states = {**world.states, **world.model.kinds}
        found.hash = hashlib.sha256(world.hash.hexdigest().encode()).hexdigest()[:16]
        world.close()
    return found


# --- The same workload in another way must come to the same ---------------------------------------


def _alike(found: Outcome) -> Outcome:
    """The same work with other clocks, in other batches, and by stick: the centre ends alike."""
    setup = {**found.setup, "alike": True}
    calm = [one for one in map(_calm, found.actions) if one is not None]
    plain = _run(setup, ((lambda world, one=one: one) for one in calm))
    ways = {"skew": _skewed(setup), "split": {**setup, "split": True}}
    ways |= {f"by_{by}": {**setup, "by": by} for by in ("stick", "both")}
    for name, other in ways.items():
        again = _run(other, ((lambda world, one=one: one) for one in calm))
        if (again.broken, again.end) != (plain.broken, plain.end):
            what = again.broken + again.what or _first_difference(plain.end, again.end)
            return replace(found, broken=f"alike_{name}", what=what, setup=setup, actions=calm)
    found.states["alike"] = 1
    return found


def _calm(action: Action) -> Action | None:
    """Without what makes two runs differ by design: a jumping clock, a crash at the n-th call."""
    if action["do"] in ("jump", "restore"):
        return None
    calm = {name: one for name, one in action.items() if name not in ("crash", "room", "gate")}
    return {**calm, "picks": calm["picks"][:1]} if "picks" in calm else calm


def _skewed(setup: dict[str, Any]) -> dict[str, Any]:
    """Every device's clock is off by something else."""
    devices = [
        [kind, unit, who, 86_400_000 * (7 * number - 40) - skew, speech]
        for number, (kind, unit, who, skew, speech) in enumerate(setup["devices"])
    ]
    return {**setup, "devices": devices}


def _first_difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    for part in one:
        for key in sorted({*one[part], *other[part]}):
            if one[part].get(key) != other[part].get(key):
                return f"{key}: {one[part].get(key)} and {other[part].get(key)}"
    return ""

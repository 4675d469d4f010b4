"""After the bad luck: everything is healed, everybody syncs, and all must come to rest alike."""

from typing import Any

import msgspec

from schema.wire import Row
from sync.fold import Facts, progress_of
from tests.sim.ashore import check_late_sticks
from tests.sim.broken import Broken
from tests.sim.device import PythonDevice
from tests.sim.handset import Handset
from tests.sim.model import RANK, RULE_FIELD, Model
from tests.sim.world import World

ROUNDS_MAX = 9
PHOTO_STEPS_MAX = 40
"""More than a device's photos of one world need."""
DAYS_6_MS = 6 * 24 * 3_600_000
FACTS = ("step", "round", "recall", "stop", "ruling", "feedback")


def come_to_rest(world: World) -> None:
    """Heal, let everybody sync for a bounded number of rounds, then check the whole."""
    world.healed = True
    world.requests.clear()
    world.replies.clear()
    world.step({"do": "ferry", "what": "heal"})
    for number in range(ROUNDS_MAX):
        before = world.model.seq
        _everybody_syncs(world)
        if any(line.verdict == "held" for line in world.model.log.values()):
            _wait_out_the_held(world)
        elif number and world.model.seq == before and _settled(world):
            break
    else:
        raise Broken("liveness", _unsettled(world))
    check_rest(world)


def _everybody_syncs(world: World) -> None:
    for handset in world.handsets:
        if not handset.gone:
            handset.device.audit_all()
            living = [one for one in world.handsets if not one.gone]
            dev = living.index(handset)
            world.step({"do": "sync", "dev": dev, "r": 1, "ms": 10})
            for _ in range(PHOTO_STEPS_MAX):
                if world.photos.waiting(handset):
                    world.step({"do": "photo", "dev": dev, "r": 0, "ms": 10})


def _wait_out_the_held(world: World) -> None:
    """What waited for words that never came is given up after five days, at the next write."""
    world.step({"do": "desk", "what": "open_incident", "r": 1, "ms": DAYS_6_MS})
    world.step({"do": "desk", "what": "open_incident", "r": 2, "ms": 10})


def _settled(world: World) -> bool:
    return all(
        not handset.device.inspect().outbox
        and not handset.unsettled
        and not handset.device.inspect().busy
        and (handset.revoked or not handset.device.inspect().unsure)
        and not world.photos.waiting(handset)
        for handset in world.handsets
        if not handset.gone
    )


def _unsettled(world: World) -> str:
    waiting = {
        handset.life: [
            *sorted({*handset.device.inspect().outbox, *handset.unsettled})[:3],
            *sorted(handset.device.inspect().unsure)[:3],
            *[one.sha256 for one in world.photos.waiting(handset)][:3],
        ]
        for handset in world.handsets
        if not handset.gone
    }
    return f"still waiting after {ROUNDS_MAX} rounds: {waiting}"


def check_rest(world: World) -> None:
    """At rest every promise can be looked at in full."""
    scan(world)
    _check_offered(world)
    for dot, line in world.model.log.items():
        if line.verdict == "held":
            raise Broken("liveness", f"{dot} is still held")
    for handset in world.handsets:
        if not handset.gone and not handset.revoked:
            _check_refused(world, handset)
            _check_device(world, handset)
    check_late_sticks(world.ferry)


def scan(world: World) -> None:
    """The whole log, and all that stands at the centre, once more from the beginning."""
    _check_log(world)
    _check_conflicts(world.model)
    _check_numbers(world.model)
    _check_progress(world.model)
    world.photos.check_all()


def _check_log(world: World) -> None:
    """The whole log again: each line is as it was when it came, else all are looked at anew."""
    lines = world.centre.lines(0)
    if lines == world.model.lines:
        return
    again = Model(world.centre)
    again.said = world.model.said
    for line in lines:
        again.check_line(line)
    if again.chain != world.model.chain:
        raise Broken("audit_chain", "the log is not what it was")
    for dot, line in world.model.log.items():
        if again.log[dot].hash != line.hash or again.log[dot].verdict != line.verdict:
            raise Broken("durability", f"{dot} changed in the log")


def _check_offered(world: World) -> None:
    """What the centre lost and a device that lives to the end can prove is back."""
    living = {one.life for one in world.handsets if not one.gone and not one.revoked}
    for dot, one in world.owed.items():
        line = world.model.log.get(dot)
        lost_call = one.entity == "help_answer" and line and line.code == "parent_unknown"
        back = line is not None and line.verdict in ("applied", "merged")
        if living.intersection(one.lives) and not lost_call and not back:
            told = f"{line.verdict} {line.code}" if line else "nowhere"
            raise Broken("not_offered", f"{dot} ({one.entity} {one.id}) is {told}")


def _check_conflicts(model: Model) -> None:
    """The inbox holds what is open, and nothing else."""
    open = {
        (key[0], key[1], name)
        for key, doc in model.docs.items()
        if not doc["removed"]
        for name in doc["open"]
    }
    waiting = {
        tuple(doc["fields"][name] for name in ("row_entity", "row_id", "field"))
        for (entity, _), doc in model.docs.items()
        if entity == "conflict"
        and doc["fields"]["state"] == "open"
        and doc["fields"]["rule"] == RULE_FIELD
    }
    if open != waiting:
        raise Broken("inbox", f"open {sorted(open)[:3]}, waiting {sorted(waiting)[:3]}")


def _check_numbers(model: Model) -> None:
    """No two orders, and no two incidents, have one number."""
    given: set[tuple[str, str]] = set()
    for (entity, _), doc in model.docs.items():
        number = doc["fields"].get("no") if entity in ("directive", "incident") else None
        if number and (entity, number) in given:
            raise Broken("number_twice", f"{entity} {number}")
        given |= {(entity, number)} if number else set()


def _check_progress(model: Model) -> None:
    """Where each target stands by the product's fold is where its facts say it stands."""
    by_target: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for (entity, _), doc in model.docs.items():
        if entity in FACTS:
            by_target.setdefault((entity, doc["fields"]["target"]), []).append(doc)
    for (entity, id), doc in model.docs.items():
        if entity != "target":
            continue
        facts = {name: by_target.get((name, id), []) for name in FACTS}
        newest = max([1, *(one["fields"]["round"] for one in facts["round"])])
        ranks = [
            RANK[one["fields"]["step"]] for one in facts["step"] if one["fields"]["round"] == newest
        ]
        ranks += [
            RANK["acting"]
            for one in facts["feedback"]
            if one["fields"]["round"] == newest and one["fields"]["kind"] == "progress"
        ]
        directive = model.docs["directive", doc["fields"]["directive"]]
        found = progress_of(
            Row(**directive),
            Facts(
                *(
                    [Row(**one) for one in facts[name]]
                    for name in ("step", "round", "recall", "stop", "ruling", "feedback")
                )
            ),
        )
        if found.rank != max([0, *ranks]):
            raise Broken("status", f"{id} shown as {found.step}, its facts say {ranks}")


def sum_up(world: World) -> dict[str, Any]:
    """What the centre holds at the end, without when it came."""
    rows = {
        "/".join(key): [doc["removed"], doc["fields"], doc["open"]]
        for key, doc in world.model.docs.items()
        if key[0] not in ("conflict", "verdict")
    }
    rivals = {
        doc["id"]: [doc["fields"][name] for name in ("row_id", "field", "winner", "state")]
        for key, doc in world.model.docs.items()
        if key[0] == "conflict"
    }
    return {"rows": rows, "conflicts": rivals}


def _check_refused(world: World, handset: Handset) -> None:
    """A person sees the last word about what was refused, not one before it."""
    for dot, (hash, verdict) in handset.device.inspect().refused.items():
        line = world.model.log.get(dot)
        if line and line.hash == hash and line.verdict != verdict:
            told = f"{dot} is {line.verdict}, shown as {verdict}"
            raise Broken("stale_verdict", f"{handset.life}: {told}")
    if not isinstance(handset.device, PythonDevice):
        return
    for saved, shown in handset.device.replica.refused:
        line = world.model.log.get(saved.dot)
        if line and line.hash == saved.hash and line.code != shown.code:
            told = f"{saved.dot} is {line.code}, shown as {shown.code}"
            raise Broken("stale_verdict", f"{handset.life}: {told}")


def _check_device(world: World, handset: Handset) -> None:
    """A device holds exactly what its scopes hold at the centre, byte for byte."""
    model, held = world.model, handset.device.inspect()
    granted = world.centre.scopes(handset.life) if model.roles_of(handset.actor) else frozenset()
    if granted - model.register.granted(handset.kind, handset.actor, handset.life):
        raise Broken("scopes", f"{handset.life} is granted {sorted(granted)}")
    if set(held.cursors) != granted:
        raise Broken(
            "scopes", f"{handset.life} holds {sorted(held.cursors)}, not {sorted(granted)}"
        )
    wanted: dict[Any, dict[str, Any]] = {}
    for (scope, _), rows in model.members.items():
        if scope in granted:
            wanted |= {key: model.docs[key] for key in rows}
    shown = {key: row for key, row in held.rows.items() if not row.removed}
    if set(shown) != set(wanted):
        lacks, extra = sorted(set(wanted) - set(shown))[:3], sorted(set(shown) - set(wanted))[:3]
        raise Broken("convergence", f"{handset.life} lacks {lacks}, should not hold {extra}")
    for key, row in shown.items():
        if msgspec.json.decode(msgspec.json.encode(row)) != wanted[key]:
            raise Broken("convergence", f"{handset.life} shows another {key}")

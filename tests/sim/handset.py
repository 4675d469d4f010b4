"""A device with its owner and its clock, and what must hold of it at every moment."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import msgspec
from msgspec import Struct, field

from schema.wire import EnrolReply
from tests.sim.broken import Broken
from tests.sim.device import Device, Held
from tests.sim.model import FINAL, Key, Model, Pair, Said, scopes_of
from tests.sim.people import Person, Wish

Told = dict[tuple[str, int], dict[Pair, dict[Key, int]]]
"""`(epoch, upto)` → what each pair comes to there, as replies have told."""


class Handset(Struct):
    """One enrolled device. A wiped one is `gone`, and its owner enrols another."""

    number: int
    kind: str
    actor: str
    unit: str
    life: str
    token: str
    device: Device
    skew_ms: int
    speech: str
    boots: int = 0
    revoked: bool = False
    gone: bool = False
    spoilt: bool = False
    """A row on its disk was damaged."""
    unsettled: dict[str, str] = field(default_factory=dict)
    own: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    shown: dict[Key, Any] = field(default_factory=dict)
    seen: dict[Key, dict[str, frozenset[str]]] = field(default_factory=dict)
    """The writes behind each field of each row that its screen has shown."""
    waited: set[str] = field(default_factory=set)
    latest: int = 0
    """The latest time that it may stamp with since it was told that its clock ran ahead."""

    def clock(self, now: int) -> int:
        return now + self.skew_ms

    def person(self, now: int, random: Random, new_id: Callable[[int], str]) -> Person:
        read = self.clock(now) + self.device.offset
        return Person(self.actor, self.unit, self.device, read, random, new_id)

    def settle_view(self, models: dict[str, Model]) -> None:
        """Begin comparing from what is on the device now: its disk went back."""
        held = self.device.inspect()
        self.shown, self.waited, self.latest = dict(held.rows), set(held.outbox), 0
        for key, row in held.rows.items():
            if row.seq:
                self.seen[key] = models[held.epoch].seen_in(key, row.seq)


def enrolled(number: int, reply: EnrolReply, device: Device, skew_ms: int, speech: str) -> Handset:
    return Handset(
        number,
        reply.kind,
        reply.actor,
        reply.unit,
        reply.replica,
        reply.token,
        device,
        skew_ms,
        speech,
    )


def remember(handset: Handset, model: Model, wish: Wish, raw: bytes) -> Said:
    """Note a saved mutation with what its author's screen had shown; then it must never be lost."""
    mutation = msgspec.json.decode(raw)
    dot = f"{mutation['replica']}/{mutation['lane']}/{mutation['n']}"
    held = handset.device.inspect()
    seen: dict[tuple[str, str, str], frozenset[str]] = {}
    for change in wish.changes:
        known = handset.seen.get((change.entity, change.id), {})
        for name in _touched(known, change):
            place = (change.entity, change.id, name)
            shown = known.get(name, known.get("", frozenset()))
            own = {*handset.own.get(place, ()), *handset.own.get((*place[:2], ""), ())}
            seen[place] = shown | own
    for change in wish.changes:
        for name in [""] if change.op == "create" else change.fields:
            place = (change.entity, change.id, name)
            handset.own.setdefault(place, set()).add(dot)
    said = Said(dot, held.outbox[dot], handset.number, mutation, seen)
    model.said[dot] = said
    handset.unsettled[dot] = said.hash
    handset.waited.add(dot)
    return said


def _touched(known: Iterable[str], change: Any) -> list[str]:
    """The fields whose writes its author had before them: of a removal, all that were written."""
    if change.op == "create":
        return []
    return list(change.fields) if change.op == "set" else [name for name in known if name]


def check_words(handset: Handset, model: Model, verdicts: list[dict[str, Any]]) -> Held:
    """Nothing that was saved is lost; nothing leaves the outbox but by a verdict that names it."""
    held = handset.device.inspect()
    _note_voids(handset, model, held)
    named: dict[str, set[str]] = {}
    for one in verdicts:
        if one["verdict"] in FINAL:
            named.setdefault(one["dot"], set()).add(one["hash"])
    for (entity, _), row in held.rows.items():
        if entity == "verdict":
            named.setdefault(row.fields["dot"], set()).add(row.fields["hash"])
    for dot in sorted(handset.waited - set(held.outbox)):
        said = model.said[dot]
        if dot not in held.damaged and not {said.hash, *said.voids} & named.get(dot, set()):
            raise Broken("left_outbox", f"{dot} without a verdict of its own")
    handset.waited = set(held.outbox)
    for dot, hash in list(handset.unsettled.items()):
        _account_for(handset, model, held, (dot, hash))
    return held


def _account_for(handset: Handset, model: Model, held: Held, saved: tuple[str, str]) -> None:
    """What was saved waits, or is in the log with a verdict that its author can see."""
    dot, hash = saved
    line = model.log.get(dot)
    if dot in held.outbox and (held.outbox[dot] == hash or dot in held.damaged):
        return
    if line is None or line.verdict not in FINAL or (line.hash != hash and dot not in held.damaged):
        if dot in held.damaged:
            del handset.unsettled[dot]  # Shown as lost; a void takes its number once it is missed.
            return
        if dot in held.kept or dot in held.refused:
            return
        raise Broken("outbox", f"{dot} was saved and is nowhere")
    refused = line.verdict in ("refused", "quarantined")
    if refused and dot in held.kept:
        return  # It was released in a log that is lost; the device does not know yet.
    if refused and dot not in held.refused and dot not in held.damaged:
        raise Broken("refused_hidden", f"{dot} {line.verdict}, not shown on the device")
    del handset.unsettled[dot]


def _note_voids(handset: Handset, model: Model, held: Held) -> None:
    """A void that the device wrote for lost words is among what was said."""
    for dot, hash in held.outbox.items():
        past = model.said.get(dot)
        if past is None:
            mutation = {"intent": "lane.void", "changes": []}
            model.said[dot] = Said(dot, hash, handset.number, mutation, {})
            handset.unsettled[dot] = hash
        elif hash not in (past.hash, *past.voids):
            if dot not in held.damaged:
                raise Broken("outbox", f"{dot} was replaced by other words")
            past.voids = (*past.voids, hash)


def note_clock(handset: Handset, reply: dict[str, Any], clock: int) -> bool:
    """Whether this answer says that the clock ran ahead: then no later stamp is of that time."""
    told = any("clock_ahead" in one["tags"] for one in reply["verdicts"])
    if told or handset.latest:
        handset.latest = max(handset.latest, reply["now"], clock + handset.device.offset)
    return told


def check_clock(handset: Handset, stamp: str, clock: int) -> None:
    """Who was told that the clock ran ahead stamps with the centre's time, or a later reading."""
    if not handset.latest or handset.device.inspect().damaged:
        return  # The void of a lost record has a time of its own.
    handset.latest = max(handset.latest, clock + handset.device.offset)
    if int(stamp[:12], 16) > handset.latest + 1:
        raise Broken("clock_reset", f"{handset.life} stamped {stamp} after {handset.latest}")


def check_verdicts(model: Model, asked: dict[str, str], verdicts: list[dict[str, Any]]) -> None:
    """Each mutation that was sent has one verdict, and it is the one in the log."""
    told = {one["dot"]: one for one in verdicts}
    for dot, hash in asked.items():
        one = told.get(dot)
        if one is None:
            raise Broken("no_verdict", f"{dot} was sent and not answered")
        line = model.log.get(dot)
        said = model.said[dot]
        overtaken = said.voids and one["code"] == "identity_reused"
        if one["seq"] == 0 and said.honest and not overtaken:
            raise Broken("unnumbered", f"{dot} {one['verdict']} {one['code']}")
        if one["seq"] == 0:
            continue
        if line is None or line.hash != hash or one["hash"] != hash:
            raise Broken("durability", f"{dot} answered {one['verdict']}, not in the log")
        if line.verdict != one["verdict"] and one["verdict"] != "held":
            raise Broken("durability", f"{dot} answered {one['verdict']}, log {line.verdict}")


def check_view(handset: Handset, model: Model, held: Held, told: Told) -> int:
    """A complete pair holds exactly what the centre had in it there; nothing else is held."""
    wanted = _claimed(held, told, handset.spoilt)
    actual: dict[Pair, dict[Key, int]] = {pair: {} for pair in wanted}
    for key, row in held.rows.items():
        if row.removed:
            continue
        lane = model.lane(key[0])
        holders = held.scopes.get(key, ())
        if not holders or not set(held.cursors).issuperset(holders):
            raise Broken("visibility", f"{key} is held for {sorted(holders)}")
        if handset.shown.get(key) is not row:
            _check_row(handset, model, key, row, held)
        for scope in holders:
            if (scope, lane) in actual:
                actual[scope, lane][key] = row.seq
    handset.shown = dict(held.rows)
    for pair in sorted(wanted):
        if actual[pair] != wanted[pair]:
            _check_newer(held, pair, actual[pair], wanted[pair])
    return len(wanted)


def _claimed(held: Held, told: Told, spoilt: bool) -> dict[Pair, dict[Key, int]]:
    """What each pair must hold that is complete: a digest that finds fault with it shows why."""
    unsure = held.unsure if spoilt else held.unsure - held.bad
    wanted: dict[Pair, dict[Key, int]] = {}
    for scope, lanes in held.cursors.items():
        for lane, seq in lanes.items():
            pair = (scope, int(lane))
            rows = told.get((held.epoch, seq), {}).get(pair)
            if rows is not None and pair not in unsure:
                wanted[pair] = rows
    return wanted


def _check_row(handset: Handset, model: Model, key: Key, row: Any, held: Held) -> None:
    """A row is held only in a scope that its own content names; its seq never moves back."""
    past = handset.shown.get(key)
    if past is not None and 0 < row.seq < past.seq:
        raise Broken("monotonic_reads", f"{key} went from {past.seq} to {row.seq}")
    if not row.seq:
        return  # Shown from before a restore of the centre, until its new log has told everything.
    handset.seen[key] = model.seen_in(key, row.seq)
    seen = set(scopes_of(key[0], row.fields, row.actor))
    if not seen & set(held.cursors) and not model.carried(key, frozenset(held.cursors)):
        raise Broken("visibility", f"{key} belongs to {sorted(seen)}")


def _check_newer(held: Held, pair: Pair, actual: dict[Key, int], wanted: dict[Key, int]) -> None:
    """A row may be newer than its pair says when another pair that it is in has brought it."""
    at = held.cursors[pair[0]][str(pair[1])]
    newer = {key: seq for key, seq in actual.items() if key in wanted and seq > at}
    if actual != wanted | newer:
        raise Broken("complete_view", _difference(pair, actual, wanted))


def _difference(pair: Pair, actual: dict[Key, int], wanted: dict[Key, int]) -> str:
    wrong = [
        f"{key}: {actual.get(key)} not {wanted.get(key)}"
        for key in sorted({*actual, *wanted})
        if actual.get(key) != wanted.get(key)
    ]
    return f"{pair}: {wrong[:3]}"

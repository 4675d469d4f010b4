"""The world: one centre, its devices, the network between them, and what one action does to it."""

import hashlib
import json
from collections import Counter
from random import Random
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.wire import Change
from server.errors import Fault
from tests.sim.answers import (
    check_answer,
    check_gone,
    check_log_order,
    check_own_work,
    check_request,
    check_told,
    check_unserved,
)
from tests.sim.ashore import bring_first
from tests.sim.broken import Broken
from tests.sim.centre import Centre, Crashed, Trouble
from tests.sim.device import PythonDevice
from tests.sim.disk import CENTRE, FULL, Image
from tests.sim.ferry import Ferry
from tests.sim.guards import draw_after, draw_guard
from tests.sim.handset import (
    Handset,
    Told,
    check_clock,
    check_verdicts,
    check_view,
    check_words,
    enrolled,
    note_clock,
    remember,
)
from tests.sim.model import HONEST_NEVER, Model
from tests.sim.node_device import NodeDevice, forget_devices
from tests.sim.owed import Owed, no_longer_owed, owed_by
from tests.sim.people import ACTS, ACTS_OF, CENTRE_ACTS, WORDS, Desk, Page, Wish
from tests.sim.photos import Photos
from tests.sim.seals import GONE_MS, Ids
from tests.sim.speech import split, spoken, with_raw_runs
from tests.sim.town import ROLES, START_MS, UNITS, WHOSE, founded, person_id, web_user

Action = dict[str, Any]

LATE_MS = 60_000
PORTAL = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Message(Struct):
    """A request on its way, or the reply to one. `made` numbers it within the world."""

    made: int
    number: int
    life: str
    token: str
    body: bytes
    asked: dict[str, str]
    sent: int
    asked_clock: int
    boot: int
    reply: bytes = b""
    answered: int = 0


class Backup(Struct):
    """The centre's database as it was, and the model's idea of it."""

    image: Image
    model: Model


class World:
    """Everything there is. `step` does one action; a broken promise raises `Broken`."""

    def __init__(self, setup: dict[str, Any], make_seal: Any) -> None:
        self.setup = setup
        self.random = Random(setup["seed"])
        self.make_seal = make_seal
        disk = founded(setup.get("store", "sqlite"))
        self.centre = Centre(disk, Random(self.random.getrandbits(32)))
        self.now = self.centre.now = START_MS
        self.ids = Ids(Random(self.random.getrandbits(32)))
        self.model = Model(self.centre)
        self.models = {self.centre.epoch(): self.model}
        self.handsets: list[Handset] = []
        self.requests: list[Message] = []
        self.replies: list[Message] = []
        self.page = Page({}, 0)
        self.faults: Counter[str] = Counter()
        self.states: Counter[str] = Counter({"p256": int(setup["p256"])})
        self.made = 0
        self.enrolments = 0
        self.newest_taken: dict[str, int] = {}
        self.told: Told = {}
        self.parts: dict[str, str] = {}
        """The scope of each part of a snapshot that some device was told of."""
        self.backups: list[Backup] = []
        self.owed: dict[str, Owed] = {}
        self.healed = False
        self.hash = hashlib.sha256()
        self.ferry = Ferry(self)
        self.photos = Photos(self)
        self.model.tail()
        if not self.model.seq:
            raise Broken("durability", "the register that was loaded is not there")
        if setup.get("node"):
            forget_devices()
        for kind, unit, who, skew, speech in setup["devices"]:
            self._enrol(kind, person_id(WHOSE[kind][who], UNITS[unit]), skew, speech)

    def close(self) -> None:
        """Nothing of it is left."""
        self.photos.close()
        self.centre.close()

    # --- One action ---------------------------------------------------------------------------

    def step(self, action: Action) -> str:
        """Do it, check what can be checked cheaply, and say what came of it."""
        self.now += action.get("ms", 0)
        self.centre.now = self.now
        self.centre.clocks.clear()
        told = getattr(self, "_" + action["do"])(action)
        self.model.tail()
        self.hash.update(f"{json.dumps(action, sort_keys=True)} {told} {self.model.chain}".encode())
        return str(told)

    def _wait(self, action: Action) -> str:
        return "ok"

    def _handset(self, action: Action) -> Handset | None:
        living = [one for one in self.handsets if not one.gone]
        return living[action["dev"] % len(living)] if living else None

    def _enrol(self, kind: str, actor: str, skew: int, speech: str) -> Handset | None:
        seal = self.make_seal(f"{self.setup['seed']} {self.enrolments}".encode())
        self.enrolments += 1
        try:
            reply = self.centre.run(self.centre.enrol(actor, kind, seal.public))
        except (Fault, Crashed, *FULL):
            return None
        every = self.setup.get("node", 0)
        # A newer app is not the app that is here.
        if every and self.enrolments % every == 1 % every and speech != "new":
            device = NodeDevice(reply, seal, self.now + skew)
        else:
            device = PythonDevice(reply, seal, self.now + skew, speech == "new")
        self.states["node_device"] += isinstance(device, NodeDevice)
        self.faults["skew"] += bool(skew)
        self.faults[f"{speech}_client"] += speech != "now"
        handset = enrolled(len(self.handsets), reply, device, skew, speech)
        self.handsets.append(handset)
        return handset

    # --- People on devices --------------------------------------------------------------------

    def _save(self, action: Action) -> str:
        handset = self._handset(action)
        if handset is None:
            return "nobody"
        random = Random(action["r"])
        names = ACTS_OF[handset.kind]
        name = action.get("what") or names[action["r"] % len(names)]
        if handset.speech == "new" and action["r"] % 7 == 0:
            name = "newer"
        wish = ACTS[name](handset.person(self.now, random, self.ids))
        if wish is None:
            return "nothing to do"
        clock = handset.clock(self.now)
        if action.get("fault") == "quota":
            handset.device.write_without_room(wish.intent, wish.lane, wish.changes, clock)
            self.faults["quota"] += 1
            check_words(handset, self.model, [])
            return "no room"
        self._attach_conditions(handset, wish, random)
        if wish.intent == "feedback.add" and action["r"] % 4:
            wish.changes[0].fields["photos"] = [self.photos.take(handset, random)]
        raw = handset.device.write(wish.intent, wish.lane, wish.changes, clock)
        said = remember(handset, self.model, wish, raw)
        check_words(handset, self.model, [])
        check_own_work(handset.device, wish.changes)
        check_clock(handset, said.mutation["stamp"], clock)
        self.states[f"said_{name}"] += 1
        return said.dot

    def _attach_conditions(self, handset: Handset, wish: Wish, random: Random) -> None:
        """Some words hold under a condition only; but not where any order must come to the same."""
        device = handset.device
        if not isinstance(device, PythonDevice) or self.setup.get("alike"):
            return
        numbers = {lane: tip.n for lane, tip in device.replica.tips.items()}
        guard = draw_guard(device, wish.changes, random)
        after = draw_after(handset.life, wish.lane, numbers, random)
        device.conditions = {"guard": guard, "after": after}
        for one in guard:
            self.states[f"guard_{one.check}"] += 1
        self.states["after"] += len(after)

    def _photo(self, action: Action) -> str:
        """A device goes on with a photo."""
        return self.photos.step(action, self._handset(action))

    # --- The network --------------------------------------------------------------------------

    def _send(self, action: Action) -> str:
        handset = self._handset(action)
        if handset is None:
            return "nobody"
        clock = handset.clock(self.now)
        body = handset.device.request(clock)
        check_words(handset, self.model, [])
        check_request(handset.life, body)
        asked = dict(handset.device.inspect().outbox)
        sent = {
            f"{handset.life}/{run['lane']}/{one['n']}"
            for run in msgspec.json.decode(body)["runs"]
            for one in run["mutations"]
        }
        asked = {dot: hash for dot, hash in asked.items() if dot in sent}
        body = spoken(body, handset.speech, action)
        self.made += 1
        message = Message(
            self.made,
            handset.number,
            handset.life,
            handset.token,
            body,
            asked,
            self.now,
            clock,
            handset.boots,
        )
        if any(one.life == handset.life for one in (*self.requests, *self.replies)):
            self.faults["two_tabs"] += 1
        self.requests.append(message)
        return str(self.made)

    def _arrive(self, action: Action) -> str:
        """Some requests reach the centre together; each reply sets out, or does not."""
        chosen: list[Message] = []
        for pick in action["picks"]:
            if self.requests:
                chosen.append(self.requests.pop(pick % len(self.requests)))
        if not chosen:
            return "nothing"
        fault = action.get("fault", "")
        if fault == "drop_request":
            self.faults[fault] += len(chosen)
            return "dropped"
        if fault == "duplicate_request":
            self.requests.append(chosen[0])
            self.faults[fault] += 1
        self.faults["delay"] += sum(self.now - one.sent > LATE_MS for one in chosen)
        bodies = [(one.token, one.body) for one in chosen]
        if fault == "cut_request":
            token, body = bodies[0]
            bodies[0] = (token, body[: action["r"] % len(body)])
        if self.setup.get("split") and fault != "cut_request":
            self._serve_in_parts(chosen)
        if self.setup.get("by") and fault != "cut_request":
            bring_first(self.ferry, chosen, self.setup["by"])
        answers = self._serve(bodies, chosen, action)
        for message, (status, body) in answers:
            self._answer(message, status, body, action)
        return " ".join(str(status) for _, (status, _) in answers)

    def _serve(self, bodies: list[Any], chosen: list[Message], action: Action) -> list[Any]:
        trouble, before = self.trouble(action), self.model.seq
        self.centre.on_reply = self._hear
        answers = self.centre.run(self.centre.deliver(bodies, trouble))
        self.after(trouble)
        self.model.tail()
        for one in chosen:
            if sum(other.life == one.life for other in chosen) == 1:
                check_log_order(one.life, one.asked, self.centre.lines(before))
        if action.get("fault") == "cut_request":
            self.faults["cut_request"] += answers[0][0] == 400
        return list(zip(chosen, answers, strict=True))

    def _serve_in_parts(self, chosen: list[Message]) -> None:
        """Push each mutation alone first; the whole push then finds every one of them known."""
        for message in chosen:
            handset = self.handsets[message.number]
            for body in split(message.body, handset.life, handset.device.seal.sign):
                self.centre.run(self.centre.deliver([(message.token, body)], Trouble()))
                self.model.tail()

    def _hear(self, body: bytes) -> None:
        """Note what the log comes to at the moment of a reply, and hold its digests against it."""
        self.model.tail()
        reply = msgspec.json.decode(body)
        pairs = self.told.setdefault((reply["epoch"], reply["upto"]), {})
        pairs |= check_told(self.model, reply)
        for one in reply["snapshots"]:
            self.parts |= {part["sha256"]: one["scope"] for part in one["parts"]}
        self.states["snapshot"] += bool(reply["snapshots"])
        self.states["fork"] += reply["fork"] is not None
        self.states["missing"] += bool(reply["missing"])

    def _answer(self, message: Message, status: int, body: bytes, action: Action) -> None:
        fault = action.get("fault", "")
        self.states[f"status_{status}"] += 1
        if status == 200:
            reply, asked = msgspec.json.decode(body), msgspec.json.decode(message.body)
            check_answer(asked, reply)
            if message.life in self.model.revoked:
                check_unserved(message.life, reply)
                self.states["unserved"] += 1
            if reply["epoch"] == asked["epoch"]:
                check_verdicts(self.model, message.asked, reply["verdicts"])
            self.states["repeat"] += any(one["repeat"] for one in reply["verdicts"])
        elif status == 0:
            return
        elif status not in (400, 401, 403, 426, 507):
            raise Broken("server_error", f"status {status} {body[:200]!r}")
        if fault in ("lose_reply", "half_open"):
            self.faults[fault] += 1
            return
        if status != 200:
            body = b"{}"
        if fault == "cut_reply" and body:
            body = body[: action["r"] % len(body)]
            self.faults[fault] += 1
        if fault == "portal":
            body = PORTAL
            self.faults[fault] += 1
        self.made += 1
        self.replies.append(replace(message, reply=body, answered=self.made))

    def _take(self, action: Action) -> str:
        """A reply reaches its device."""
        if not self.replies:
            return "nothing"
        message = self.replies.pop(action["pick"] % len(self.replies))
        fault = action.get("fault", "")
        if fault == "drop_reply":
            self.faults[fault] += 1
            return "dropped"
        if fault == "duplicate_reply":
            self.replies.append(message)
            self.faults[fault] += 1
        handset = self.handsets[message.number]
        if handset.gone or handset.boots != message.boot:
            return "nobody there"
        if message.answered < self.newest_taken.get(handset.life, 0):
            self.faults["reorder"] += 1
        self.newest_taken[handset.life] = max(
            message.answered, self.newest_taken.get(handset.life, 0)
        )
        return self._receive(handset, message)

    def _receive(self, handset: Handset, message: Message) -> str:
        times = (message.asked_clock, handset.clock(self.now))
        fetch = self._fetcher(handset)
        epoch = handset.device.inspect().epoch
        if not handset.device.receive(message.reply, message.body, times, fetch):
            return "no reply"
        reply = msgspec.json.decode(message.reply)
        if msgspec.json.decode(message.body)["epoch"] == epoch:
            self.states["set_back"] += note_clock(handset, reply, handset.clock(self.now))
        held = check_words(handset, self.model, reply["verdicts"])
        self.states["pairs_compared"] += check_view(
            handset, self.models[held.epoch], held, self.told
        )
        waiting = (self.model.said.get(dot) for dot in held.outbox)
        check_gone(handset.device, [one for one in waiting if one])
        self.states["bad_pair"] += bool(held.bad)
        if held.bad and not handset.spoilt:
            raise Broken("bad_for_nothing", f"{handset.life} mistrusts {sorted(held.bad)[:3]}")
        if self.centre.serves():
            self._ask_for_a_foreign_part(handset)
        return "taken"

    def _last_words(self, handset: Handset) -> None:
        """What a device that may not sign in any more still has is kept for a person to see."""
        body = handset.device.request(handset.clock(self.now))
        asked = handset.device.inspect().outbox
        message = {"centre": CENTRE, "replica": handset.life, "key": handset.device.seal.public}
        verdicts = self.centre.run(self.centre.late(with_raw_runs(body, message)))
        kept = self.centre.kept()
        for one in verdicts:
            named = f"{one['dot']} {one['hash']}"
            if asked.get(one["dot"]) != one["hash"] or kept.get(named) != "late":
                raise Broken("late", f"{named} is kept as {kept.get(named)}")
        self.states["late"] += len(verdicts)

    def _fetcher(self, handset: Handset) -> Any:
        """How a device gets the parts of a snapshot; some never come."""

        def fetch(sha256: str) -> bytes | None:
            if not self.healed and self.random.random() < self.setup["luck"]["lost_part"]:
                self.faults["lost_part"] += 1
                return None
            found: bytes | None = self.centre.run(self.centre.snapshot(handset.token, sha256))
            self.states["part" if found else "part_gone"] += 1
            return found

        return fetch

    def _ask_for_a_foreign_part(self, handset: Handset) -> None:
        """Whoever learns the name of a part that another device was given gets nothing by it."""
        revoked = handset.life in self.model.revoked
        granted = frozenset() if revoked else self.centre.scopes(handset.life)
        foreign = [sha256 for sha256, scope in self.parts.items() if scope not in granted]
        if not foreign:
            return
        sha256 = foreign[-1 - self.made % min(len(foreign), 3)]
        if self.centre.run(self.centre.snapshot(handset.token, sha256)):
            raise Broken("foreign_part", f"{handset.life} has one of {self.parts[sha256]}")
        self.states["foreign_part"] += 1

    def _sync(self, action: Action) -> str:
        """A whole round trip at once."""
        told = self._send(action)
        if told == "nobody":
            return told
        mine = len(self.requests) - 1
        told = self._arrive({**action, "picks": [mine]})
        if self.replies and self.replies[-1].number == self._handset(action).number:  # type: ignore[union-attr]
            fault = "drop_reply" if action.get("fault") == "drop_reply" else ""
            return told + " " + self._take({"pick": len(self.replies) - 1, "fault": fault})
        return told

    def _ferry(self, action: Action) -> str:
        """Something goes by stick, or through a county's server."""
        return self.ferry.step(action)

    # --- The centre's own process -------------------------------------------------------------

    def trouble(self, action: Action) -> Trouble:
        trouble = Trouble(action.get("crash"), action.get("after", False), action.get("gate"))
        self.centre.disk.trouble(None if self.setup.get("roomy") else action.get("room"))
        return trouble

    def after(self, trouble: Trouble) -> None:
        if trouble.crashed:
            self.faults[f"crash_{trouble.crashed}"] += 1
        self.centre.disk.trouble(None)
        self.faults.update(self.centre.disk.told)
        self.centre.disk.told.clear()

    def _restart(self, action: Action) -> str:
        """The process is stopped between requests and started again."""
        self.centre.engine = None
        self.states["restart"] += 1
        return "restarted"

    # --- People at the centre -----------------------------------------------------------------

    def _desk(self, action: Action) -> str:
        random = Random(action["r"])
        if self.page.seq == 0 or random.random() < 0.6:
            self.page = Page(dict(self.model.docs), self.model.seq)
        actor, act = CENTRE_ACTS[action["what"]]
        wish = act(Desk(self.model, self.page, self.centre.clock(), random, self.ids))
        if wish is None:
            return "nothing to do"
        base, seen = self._base(wish)
        told = self._act(
            lambda: self.centre.act(web_user(actor), wish.intent, wish.changes, base),
            wish.changes,
            seen,
            action,
        )
        self.page = Page({}, 0)
        self.states[f"desk_{action['what']}"] += 1
        return told

    def _base(self, wish: Wish) -> tuple[Any, Any]:
        """What the page names as seen, and what it showed, for each field that is set."""
        base: dict[str, dict[str, tuple[str, ...]]] = {}
        seen: dict[Any, frozenset[str]] = {}
        for change in wish.changes:
            doc = self.page.docs.get((change.entity, change.id))
            if change.op == "create" or doc is None:
                continue
            base.setdefault(f"{change.entity}/{change.id}", {})
            for name in change.fields if change.op == "set" else doc["writes"]:
                known = doc["writes"].get(name)
                dots = tuple(known[1:]) if known else (doc["dot"],)
                base[f"{change.entity}/{change.id}"][name] = dots
                place = (change.entity, change.id, name)
                seen[place] = self.model.shown(place[:2], name, doc["seq"])
        return base, seen

    def _act(self, act: Any, changes: list[Change], seen: Any, action: Action) -> str:
        self.model.wish(msgspec.json.decode(msgspec.json.encode(changes)), seen)
        trouble = self.trouble(action)
        try:
            self.centre.run(self.centre.open())
        except FULL:
            self.after(trouble)
            return "full"
        assert self.centre.store is not None
        self.centre.store.trouble = trouble
        try:
            verdict = self.centre.run(act())
            if verdict.code in HONEST_NEVER:
                raise Broken("unfair_refusal", f"{changes[0].entity} at the centre: {verdict.code}")
            told = f"{verdict.verdict} {verdict.code}"
        except Crashed:
            told = "crashed"
        except FULL:
            told = "full"
        finally:
            self.centre.store.trouble = Trouble()
            self.after(trouble)
        self.model.tail()
        self.model.wishes.clear()
        if told != "crashed" and told != "full" and verdict.dot not in self.model.log:
            raise Broken("durability", f"{verdict.dot} at the centre was {told}, not in the log")
        return told

    # --- The administration -------------------------------------------------------------------

    def _shift(self, action: Action) -> str:
        """A person is moved to another unit or gets another role."""
        random = Random(action["r"])
        id = person_id(random.choice(sorted(ROLES)), random.choice(UNITS))
        handset = self._handset(action)
        if handset is not None and random.random() < 0.6:
            id = handset.actor
        fields: dict[str, Any] = {"unit": random.choice(UNITS)}
        if random.random() < 0.4:
            fields = {"roles": random.choice(sorted(ROLES.values()))}
        changes = [Change("set", "person", id, fields)]
        seen = {
            ("person", id, name): self.model.shown(("person", id), name, self.model.seq)
            for name in fields
        }
        self.states["shift"] += 1
        return self._act(lambda: self.centre.load(changes), changes, seen, action)

    def _reload(self, action: Action) -> str:
        """The register of machines is imported again, with the centre's authority."""
        random = Random(action["r"])
        id = f"{random.choice('ef')}-{random.choice(UNITS)}"
        fields: dict[str, Any] = {"name": random.choice(WORDS)}
        if random.random() < 0.3:
            fields = {"operator_person": person_id("driver", random.choice(UNITS))}
        changes = [Change("set", "equipment", id, fields)]
        seen = {
            ("equipment", id, name): self.model.shown(("equipment", id), name, self.model.seq)
            for name in fields
        }
        return self._act(lambda: self.centre.load(changes), changes, seen, action)

    def _revoke(self, action: Action) -> str:
        handset = self._handset(action)
        if handset is None or handset.revoked:
            return "nobody"
        self.centre.change_doc(handset.life, {"revoked_at": self.centre.clock()})
        handset.revoked = True
        self.model.revoked.add(handset.life)
        self.states["revoked"] += 1
        return handset.life

    # --- Backups ------------------------------------------------------------------------------

    def _backup(self, action: Action) -> str:
        """Take a copy of the database; when it is verified, older copies are needed no more."""
        self.backups.append(Backup(self.centre.disk.image(), self.model.copy()))
        if action["r"] % 2:
            self.backups = self.backups[-1:]
            self.centre.run(self.centre.mark_durable(self.model.seq))
            self.states["durable"] += 1
        self.backups = self.backups[-3:]
        self.states["backup"] += 1
        return str(self.model.seq)

    def _forget(self, action: Action) -> str:
        """Old tombstones are told no more: whoever was away for longer begins anew."""
        self.now += 2 * GONE_MS
        self.centre.now = self.now
        self.centre.run(self.centre.forget_old())
        self.faults["horizon"] += 1
        return "forgotten"

    def _restore(self, action: Action) -> str:
        """The centre's machine is lost, and a copy takes its place."""
        if not self.backups:
            return "no backup"
        spot = action["r"] % len(self.backups)
        self.backups = self.backups[: spot + 1]
        backup = self.backups[spot]
        lost = {
            dot: line.hash
            for dot, line in self.model.log.items()
            if dot not in backup.model.log or backup.model.log[dot].verdict != line.verdict
        }
        self.centre.restore(backup.image, self.ids(self.now))
        self.model = self.models[self.centre.epoch()] = backup.model.copy()
        self.page = Page({}, 0)
        self.photos.restored()
        self.faults["restore"] += 1
        self.states["lost_lines"] += len(lost)
        for handset in self.handsets:
            self._survives(handset, lost)
        # What came back and is lost again is owed only if somebody still shows it.
        self.owed = {dot: one for dot, one in self.owed.items() if dot not in lost}
        own = {dot for dot in lost if self.model.said[dot].by < 0}
        self.owed |= owed_by(self.handsets, own)
        return str(self.model.seq)

    def _survives(self, handset: Handset, lost: dict[str, str]) -> None:
        """What a living device said and the log lost must still be on the device."""
        if handset.life not in self.ferry.enrolled():
            handset.gone = True  # Enrolled after the backup: nobody knows it now.
            self._last_words(handset)
        if handset.gone:
            return
        for dot, hash in lost.items():
            if dot.startswith(handset.life) and self.model.said[dot].hash == hash:
                handset.unsettled[dot] = hash
        check_words(handset, self.model, [])

    # --- What befalls devices -----------------------------------------------------------------

    def _corrupt(self, action: Action) -> str:
        """A record of the outbox cannot be read any more."""
        handset = self._handset(action)
        dot = handset.device.corrupt(action["r"]) if handset else None
        if handset is None or dot is None:
            return "nothing"
        self.faults["outbox_corrupted"] += 1
        return dot

    def _crash(self, action: Action) -> str:
        """The device's power goes, and with it what was not flushed."""
        handset = self._handset(action)
        if handset is None:
            return "nobody"
        lost = min(action["r"] % 4, handset.device.unflushed)
        handset.device.crash(lost)
        no_longer_owed(self.owed, handset)
        handset.boots += 1
        handset.settle_view(self.models)
        self.faults["device_crash"] += 1
        self.faults["unflushed_lost"] += bool(lost)
        return str(lost)

    def _spoil(self, action: Action) -> str:
        """A row in the device's storage is damaged where no checksum of the machine sees it."""
        handset = self._handset(action)
        key = handset.device.spoil(action["r"]) if handset else None
        if handset is None or key is None:
            return "nothing"
        handset.shown[key] = handset.device.inspect().rows[key]
        handset.spoilt = True
        self.faults["row_corrupted"] += 1
        return "/".join(key)

    def _wipe(self, action: Action) -> str:
        """The browser's storage is gone: whatever was not sent is lost, and the person enrols."""
        handset = self._handset(action)
        if handset is None or handset.revoked:
            return "nobody"
        handset.gone = True
        self.faults["wipe"] += 1
        self._enrol(handset.kind, handset.actor, handset.skew_ms, handset.speech)
        return "wiped"

    def _jump(self, action: Action) -> str:
        """A clock is set: a device's, or the centre's when `dev` is -1."""
        if action["dev"] < 0:
            self.centre.skew_ms += action["by"]
            self.faults["server_clock_jump"] += 1
            return str(self.centre.skew_ms)
        handset = self._handset(action)
        if handset is None:
            return "nobody"
        handset.skew_ms += action["by"]
        self.faults["device_clock_jump"] += 1
        return str(handset.skew_ms)

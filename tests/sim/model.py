"""What must be, worked out from what people said and the verdicts in the log. Knows no `sync/`."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.entities import ENTITIES
from tests.sim.broken import Broken
from tests.sim.centre import Centre
from tests.sim.clocks import Clocks, check_remark
from tests.sim.entitlement import WITHOUT_RIGHT, Register
from tests.sim.filings import Dispute, Open, check_open, note_filings
from tests.sim.guards import check_after, check_guards, check_wait
from tests.sim.levels import check_level
from tests.sim.writes import Fact, Wrote, every_write, fields_of, heads, is_open

Key = tuple[str, str]
Pair = tuple[str, int]

SCOPES: dict[str, tuple[str, ...]] = {
    "unit": ("directory",),
    "person": ("centre", "unit/unit", "*shown_in"),
    "incident": ("centre",),
    "incident_summary": ("centre",),
    "directive": ("centre",),
    "contact": ("centre", "register/unit"),
    "contact_phone": ("centre", "register/unit"),
    "equipment": ("centre", "register/unit", "actor/operator_person"),
    "equipment_move": ("centre", "register/unit", "actor/@"),
    "move_ruling": ("centre", "register/unit", "*shown_in"),
    "help_call": ("centre", "unit/unit", "actor/@"),
    "help_answer": ("centre", "unit/unit", "actor/caller"),
    "conflict": ("*scopes",),
    "verdict": ("device/replica",),
    "quarantine": ("centre", "actor/author"),
    "void": ("centre", "device/replica"),
}
OF_TARGET = ("centre", "unit/unit")
"""Every other entity is a fact about a target, or the target."""

FINAL = frozenset({"applied", "merged", "refused", "quarantined"})
MADE_BY_SERVER = frozenset({"conflict", "verdict", "quarantine"})
HONEST_NEVER = frozenset(
    {
        *("bad_field", "wrong_lane", "intent_change", "signature", "chain_broken"),
        *("identity_reused", "wrong_replica", "wrong_centre", "fact_edit", "server_only"),
        *("bad_request", "too_large", "internal", "backdated", "bad_void", "mixed_home"),
    }
)
"""Codes that nobody gets who uses the app as it is."""

CENTRE_ROLES = {"dispatcher", "shift_lead", "centre_head", "admin"}
UNIT_ROLES = {"duty", "unit_head", "steward"}
RULE_FIELD = "4.3#16"
"""The rule of a Conflict about one field; others are about facts that meet."""

AHEAD_MS = 5 * 60_000
FIRST_RANKS = ("pending", "received", "read", "signed", "departed", "arrived", "acting", "reported")
WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
RANK = {name: rank for rank, name in enumerate((*FIRST_RANKS, "closed"))}


def scopes_of(entity: str, fields: dict[str, Any], actor: str) -> list[str]:
    """Where a row is seen."""
    found: list[str] = []
    for place in SCOPES.get(entity, OF_TARGET):
        kind, _, name = place.partition("/")
        if place.startswith("*"):
            found += fields.get(place[1:]) or []
        elif not name:
            found.append(kind)
        elif value := actor if name == "@" else fields.get(name):
            found.append(f"{kind}/{value}")
    return found


def text_of(value: Any) -> str:
    return WRITER.encode(value)


def short_hash(value: Any) -> str:
    return hashlib.sha256(text_of(value).encode()).hexdigest()[:32]


class Said(Struct):
    """One saved mutation, and which writes its author's screen showed beneath each field."""

    dot: str
    hash: str
    by: int
    mutation: dict[str, Any]
    seen: dict[tuple[str, str, str], frozenset[str]]
    honest: bool = True
    voids: tuple[str, ...] = ()
    """The hash of what took its number when its bytes were damaged."""


class Line(Struct):
    """What the log says of a dot."""

    seq: int
    hash: str
    verdict: str
    code: str | None
    tags: str
    mutation: dict[str, Any] | None


class Model:
    """Folds the log line by line, and holds the server's rows against it."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.seq = 0
        self.chain = ""
        self.log: dict[str, Line] = {}
        self.lines: list[tuple[Any, ...]] = []
        """The log as it stood there, line by line, when each was looked at."""
        self.said: dict[str, Said] = {}
        self.stood: set[str] = set()
        """What was ever applied, in whichever log."""
        self.rows: dict[Key, Fact] = {}
        self.members: dict[Pair, dict[Key, int]] = {}
        self.docs: dict[Key, dict[str, Any]] = {}
        self.sums: dict[Pair, int] = {}
        self.digests: dict[Key, int] = {}
        self.sides: dict[tuple[str, str], set[str]] = {}
        self.inbox: dict[str, tuple[str, str, str]] = {}
        """Of each Conflict that waits for a person: what it is about."""
        self.expected: set[Key] = set()
        self.meetings: set[tuple[str, str, str]] = set()
        self.disputes: dict[str, Open | None] = {}
        """Of each machine that was filed on: its Conflict to be open, and what stands for now."""
        self.weighed: set[str] = set()
        self.waiting_clocks: Clocks = {}
        self.wishes: dict[str, list[dict[tuple[str, str, str], frozenset[str]]]] = {}
        self.kinds: dict[str, int] = {}
        self.register = Register()
        self.revoked: set[str] = set()

    # --- What people said ---------------------------------------------------------------------

    def wish(self, changes: list[dict[str, Any]], seen: dict[Any, frozenset[str]]) -> None:
        """Somebody at the centre is about to write this, on a page that showed `seen`."""
        self.wishes.setdefault(_sets(changes), []).append(seen)

    def shown(self, key: Key, name: str, seq: int) -> frozenset[str]:
        """The writes of a field that a screen has behind it which shows the row as of `seq`."""
        fact = self.rows.get(key)
        if fact is None:
            return frozenset()
        writes = [one.dot for one in fact.writes.get(name, ()) if self.log[one.dot].seq <= seq]
        return frozenset([fact.dot, *writes])

    def seen_in(self, key: Key, seq: int) -> dict[str, frozenset[str]]:
        """The writes behind each field of a row as of `seq`; under "" of one as created."""
        fact = self.rows.get(key)
        if fact is None:
            return {}
        return {
            "": frozenset([fact.dot]),
            **{name: self.shown(key, name, seq) for name in fact.writes},
        }

    # --- The log ------------------------------------------------------------------------------

    def tail(self) -> int:
        """Take every new line of the log, and check the rows it moved. How many there were."""
        lines = self.centre.lines(self.seq)
        if not lines:
            return 0
        touched: set[Key] = set()
        for line in lines:
            touched |= self._take(line)
        self.lines += lines
        self._look_at_rows(lines[0][0], touched)
        return len(lines)

    def _take(self, line: tuple[Any, ...]) -> set[Key]:
        seq, replica, lane, n = line[:4]
        dot = f"{replica}/{lane}/{n}"
        was = self.log.get(dot)
        self.check_line(line)
        check_remark(self, dot, was)
        check_guards(self, dot)
        check_level(self, dot)
        if line[6] == "held" and line[5] is not None:
            check_wait(self, dot, line[8])
        if self.said[dot].by >= 0:
            self._check_rights(dot, was.verdict if was else "", line[9])
        if line[6] in ("applied", "merged"):
            self.stood.add(dot)
            check_after(self, dot)
            return self._apply(dot, seq, line[9])
        if line[6] in ("refused", "quarantined") and self.said[dot].by >= 0:
            self._expect_row("quarantine", hashlib.sha256(dot.encode()).hexdigest()[:32])
        if line[7] == "removed":
            self._expect_meeting(dot)
        return set()

    def _check_rights(self, dot: str, was: str, received: int) -> None:
        """What is applied was allowed; what was allowed is not refused for want of a right."""
        line = self.log[dot]
        mutation = line.mutation
        if mutation is None:
            return
        applied = line.verdict in ("applied", "merged")
        if applied and not was and dot.split("/")[0] in self.revoked:
            raise Broken("revoked_heard", dot)
        allowed = self.register.allows(mutation, received, slack=applied)
        if was == "quarantined" or "released" in line.tags:
            allowed = allowed or self.register.ever_allowed(mutation)
        if applied and not allowed:
            raise Broken("rights", f"{dot} {mutation['intent']} by {mutation['actor']}")
        if line.code in WITHOUT_RIGHT and allowed:
            raise Broken("unfair_refusal", f"{dot} {line.verdict} {line.code}")

    def _expect_row(self, entity: str, id: str) -> None:
        self.expected.add((entity, id))

    def expect_dispute(self, machine: str, found: Dispute | None, dot: str) -> None:
        """What people disagree about is in a Conflict, and no other about that machine is open.

        It stays the same one for as long as they say the same.
        """
        was, wanted = self.disputes.get(machine), None
        if found:
            dots = sorted({*found.dots, dot})
            id = short_hash(["equipment", machine, "position", dots])
            wanted = Open(was.id if was and found.goes_on(was.about) else id, found)
            self._expect_row("conflict", wanted.id)
        if was != wanted:
            self.count("conflict_move" if wanted else "move_settled")
        self.disputes[machine] = wanted
        self.weighed.add(machine)

    def _expect_meeting(self, dot: str) -> None:
        """Words about a row that is removed are shown to a person."""
        mutation = self.log[dot].mutation
        for change in mutation["changes"] if mutation else ():
            fact = self.rows.get((change["entity"], change["id"]))
            if change["op"] == "set" and fact and fact.removed:
                self.meetings.add((change["id"], "removed", dot))

    def check_line(self, line: tuple[Any, ...]) -> None:
        """A line follows the one before, says what was said, and is the dot's first or release."""
        seq, replica, lane, n, hash, raw, verdict, code, _, _, chain, tags = line
        dot = f"{replica}/{lane}/{n}"
        if seq != self.seq + 1:
            raise Broken("dense_seq", f"{seq} after {self.seq}")
        told = text_of([self.chain, seq, dot, hash, verdict, code])
        if hashlib.sha256(told.encode()).hexdigest() != chain:
            raise Broken("audit_chain", f"line {seq}")
        self.seq, self.chain = seq, chain
        self.count(verdict)
        past = self.log.get(dot)
        if raw is None:
            if past is None or past.verdict not in ("held", "quarantined"):
                raise Broken("at_most_once", f"{dot} judged again without waiting")
            self.log[dot] = Line(seq, hash, verdict, code, tags or "", past.mutation)
        else:
            if past is not None:
                raise Broken("at_most_once", f"{dot} is in the log twice")
            said = self._read(dot, hash, raw)
            self.log[dot] = Line(seq, hash, verdict, code, tags or "", said)
        self._is_fair(dot, self.log[dot])

    def count(self, kind: str) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def _read(self, dot: str, hash: str, raw: bytes) -> dict[str, Any] | None:
        """What the line says; every device's line is what somebody on that device saved."""
        if hashlib.sha256(raw).hexdigest() != hash:
            raise Broken("log_bytes", dot)
        said = self.said.get(dot)
        if said is not None and hash not in (said.hash, *said.voids):
            raise Broken("other_words", f"{dot} is not what was saved")
        try:
            found: dict[str, Any] = json.loads(raw)
        except ValueError:
            return None
        if said is None and found.get("session", "").startswith(("web-", "node")):
            seen = self._seen_at_centre(found["changes"])
            self.said[dot] = Said(dot, hash, -1, found, seen)
            return found
        if said is None:
            raise Broken("forged", f"nobody said {dot}")
        return found

    def _is_fair(self, dot: str, line: Line) -> None:
        said = self.said.get(dot)
        if (said is None or said.honest) and line.code in HONEST_NEVER:
            raise Broken("unfair_refusal", f"{dot} {line.verdict} {line.code}")

    # --- Effects ------------------------------------------------------------------------------

    def _apply(self, dot: str, seq: int, received: int) -> set[Key]:
        mutation = self.log[dot].mutation
        assert mutation is not None
        seen = self.said[dot].seen
        touched = set()
        for change in mutation["changes"]:
            key = (change["entity"], change["id"])
            if key[0] in MADE_BY_SERVER:
                continue
            touched.add(key)
            if change["op"] == "create":
                self._create(key, change.get("fields", {}), dot, mutation)
                self.rows[key].claim = (mutation["stamp"], received)
                if key[0] == "move_ruling" and (doc := self.centre.row(*key)):
                    self.rows[key].stamp = _fits(doc[0]["stamp"], dot, *self.rows[key].claim)
            elif change["op"] == "remove":
                self._remove(self._standing(key, dot), dot, seen)
            else:
                fact = self._standing(key, dot)
                doc = self.centre.row(*key)
                history = doc[1] if doc else {}
                for name, value in change["fields"].items():
                    kept = {"stamp": mutation["stamp"], "authority": 0}
                    stamp = mutation["stamp"]
                    if name in ENTITIES[key[0]].fields:
                        kept = _kept(history.get(name), dot)
                        stamp = _fits(kept["stamp"], dot, stamp, received)
                    mine = seen.get((*key, name), frozenset())
                    weight = self._authority(mutation)
                    if "before_cut" in self.log[dot].tags:
                        weight = kept["authority"]  # Of the rights that its author had then.
                    wrote = Wrote(dot, stamp, mutation["actor"], weight, value, mine)
                    fact.writes.setdefault(name, []).append(wrote)
                    self._expect_conflict(fact, name, dot)
        if "reoffered" in self.log[dot].tags:
            touched |= self._stubs(dot, mutation, received)
        for key in touched:
            fact = self.rows[key]
            doc = {"fields": fields_of(fact), "removed": fact.removed}
            self.register.note(key, doc, received)
        self._expect_reopening(dot, mutation["changes"])
        if mutation["intent"] in ("directive.recall", "target.step", "target.close"):
            self._expect_recall_conflicts(mutation["changes"])
        note_filings(self, mutation["changes"], dot)
        return touched

    def _stubs(self, dot: str, mutation: dict[str, Any], received: int) -> set[Key]:
        """A summary that comes back after a restore brings its incident, if that is lost."""
        made = set()
        for change in mutation["changes"]:
            key = ("incident", change["id"])
            if change["entity"] == "incident_summary" and key not in self.rows:
                self._create(key, {"state": "open"}, dot, mutation)
                self.rows[key].claim = (mutation["stamp"], received)
                made.add(key)
        return made

    def _create(self, key: Key, fields: dict[str, Any], dot: str, mutation: dict[str, Any]) -> None:
        if key in self.rows:
            raise Broken("resurrected" if self.rows[key].removed else "made_twice", f"{key}")
        weight = self._authority(mutation)
        self.rows[key] = Fact(*key, dot, "", mutation["actor"], weight, dict(fields))

    def _remove(self, fact: Fact, dot: str, seen: dict[Any, frozenset[str]]) -> None:
        """A removal stands; edits that whoever removed had not seen are shown to a person."""
        fact.removed = True
        mutation = self.log[dot].mutation
        assert mutation is not None
        lane = dot.rsplit("/", 1)[0]
        for name in set(fact.writes) - self.unsettled_fields(fact):
            behind = seen.get((fact.entity, fact.id, name), frozenset())
            if any(map(self._is_missing, behind)):
                continue
            newer = name not in ENTITIES[fact.entity].fields  # The last is all that is kept of it.
            writes = every_write(fact, name)
            for one in writes[-1:] if newer else heads(writes):
                own = one.actor == mutation["actor"] and one.dot.rsplit("/", 1)[0] == lane
                if one.dot not in behind and one.dot != fact.dot and not own:
                    self.meetings.add((fact.id, "removed", one.dot))

    def _expect_reopening(self, dot: str, changes: list[dict[str, Any]]) -> None:
        """A call for help about a closed incident asks for its reopening."""
        for change in changes:
            if change["entity"] != "help_call":
                continue
            target = self.rows.get(("target", change["fields"].get("target") or ""))
            incident = self.rows.get(("incident", target.first["incident"])) if target else None
            if incident and fields_of(incident).get("state") == "closed":
                self.meetings.add((incident.id, "state", dot))

    def _standing(self, key: Key, dot: str) -> Fact:
        fact = self.rows.get(key)
        if fact is None or fact.removed:
            raise Broken("resurrected", f"{dot} changed {key}")
        return fact

    def _seen_at_centre(self, changes: list[dict[str, Any]]) -> dict[Any, frozenset[str]]:
        waiting = self.wishes.get(_sets(changes))
        return waiting.pop(0) if waiting else {}

    def _authority(self, mutation: dict[str, Any]) -> int:
        if mutation["actor"] == "system":
            return 2
        roles = set(self.roles_of(mutation["actor"]))
        return 2 if roles & CENTRE_ROLES else 1 if roles & UNIT_ROLES else 0

    def roles_of(self, actor: str) -> list[str]:
        fact = self.rows.get(("person", actor))
        if fact is None or fact.removed:
            return []
        return fields_of(fact).get("roles") or []

    def _expect_conflict(self, fact: Fact, name: str, dot: str) -> None:
        if name not in ENTITIES[fact.entity].fields or name in self.unsettled_fields(fact):
            return
        sides = heads(every_write(fact, name))
        rivals = any(one.value != sides[0].value for one in sides)
        if rivals and any(one.dot == dot for one in sides):
            dots = sorted(one.dot for one in sides)
            self._expect_row("conflict", short_hash([fact.entity, fact.id, name, dots]))
            self.count(f"conflict_{ENTITIES[fact.entity].fields[name].policy}")

    def _expect_recall_conflicts(self, changes: list[dict[str, Any]]) -> None:
        for change in changes:
            other = {"recall": "step", "step": "recall"}[change["entity"]]
            for fact in self.of_target(other, change["fields"]["target"]):
                mine = self.rows[change["entity"], change["id"]]
                recall, step = (mine, fact) if other == "step" else (fact, mine)
                self._expect_recall(recall, step)

    def _expect_recall(self, recall: Fact, step: Fact) -> None:
        rank = RANK[step.first["step"]]
        unaware = rank >= RANK["signed"] and rank > recall.first["rank_seen"]
        if unaware and recall.first["round"] == step.first["round"]:
            dots = sorted([recall.dot, step.dot])
            self._expect_row(
                "conflict", short_hash(["target", step.first["target"], "recall", dots])
            )
            self.count("conflict_recall")

    def of_target(self, entity: str, target: str) -> Iterable[Fact]:
        return [
            fact
            for (of, _), fact in self.rows.items()
            if of == entity and fact.first.get("target") == target
        ]

    def lane(self, entity: str) -> int:
        return ENTITIES[entity].lane

    def carried(self, key: Key, scopes: frozenset[str]) -> bool:
        """True when a target of one of these units brings this row along."""
        name = {"directive": "directive", "incident_summary": "incident"}.get(key[0])
        return name is not None and any(
            fact.first[name] == key[1] and f"unit/{fact.first['unit']}" in scopes
            for (of, _), fact in self.rows.items()
            if of == "target"
        )

    # --- The server's rows against the model --------------------------------------------------

    def _look_at_rows(self, first_seq: int, touched: set[Key]) -> None:
        moved = self.centre.rows_since(first_seq)
        for doc in moved:
            key = (doc["entity"], doc["id"])
            if key[0] not in MADE_BY_SERVER:
                self._compare(key, doc, touched)
        for doc in sorted(moved, key=lambda doc: doc["entity"] == "target"):
            self._move((doc["entity"], doc["id"]), doc)
        seen = {(doc["entity"], doc["id"]) for doc in moved}
        if touched - seen:
            raise Broken("effect_lost", f"{sorted(touched - seen)[:3]}")
        for key in sorted(self.expected):
            if key not in self.docs:
                raise Broken(f"{key[0]}_unrecorded", key[1])
        for id, name, dot in sorted(self.meetings):
            if dot not in self.sides.get((id, name), ()):
                raise Broken("conflict_unrecorded", f"{dot} meets {name} of {id}")
            self.count(f"conflict_{name}")
        for doc in moved:
            self._check_inbox((doc["entity"], doc["id"]), doc)
        for machine in self.weighed:
            conflicts = [doc for (of, _), doc in self.docs.items() if of == "conflict"]
            check_open(conflicts, self.disputes[machine], machine)
        self.weighed.clear()
        self.expected.clear()
        self.meetings.clear()

    def _check_inbox(self, key: Key, doc: dict[str, Any]) -> None:
        """What is open in a row waits for a person, and nothing else of it."""
        waiting = {place[2] for place in self.inbox.values() if place[:2] == key}
        open = set() if doc["removed"] else set(doc["open"])
        if open != waiting:
            raise Broken("inbox", f"{key} is open in {sorted(open)}, {sorted(waiting)} waits")

    def _compare(self, key: Key, doc: dict[str, Any], touched: set[Key]) -> None:
        fact = self.rows.get(key)
        if fact is None or key not in touched:
            raise Broken("unexplained_row", f"{key}")
        if not fact.stamp:
            fact.stamp = _fits(doc["stamp"], fact.dot, *fact.claim)
        if doc["removed"] != fact.removed:
            raise Broken("resurrected", f"{key}")
        if fact.removed:
            return
        wanted = fields_of(fact)
        for name in self.unsettled_fields(fact):
            wanted[name] = doc["fields"].get(name)
        if doc["fields"] != wanted:
            wrong = {
                name: (doc["fields"].get(name), wanted.get(name))
                for name in {*wanted, *doc["fields"]}
                if doc["fields"].get(name) != wanted.get(name)
            }
            raise Broken("wrong_winner", f"{key} {wrong}")
        open = {name for name in fact.writes if is_open(fact, name)}
        if (set(doc["open"]) ^ open) - self.unsettled_fields(fact):
            raise Broken("wrong_open", f"{key} has {sorted(doc['open'])}, wanted {sorted(open)}")

    def unsettled_fields(self, fact: Fact) -> set[str]:
        """Fields of which a write was seen by another one's author and is not here.

        It has not come yet, or it stood in a log that was lost and does not in this one: then what
        its own author had seen cannot be told of who saw it. Or it came after what was based on it,
        and seems to be of a later time: then nobody is believed to have seen it.
        """
        return {name for name, writes in fact.writes.items() if self._is_unsettled(writes)}

    def _is_unsettled(self, writes: list[Wrote]) -> bool:
        here = {one.dot: one for one in writes}
        seen = [(here.get(dot), one, dot) for one in writes for dot in one.seen]
        return any(self._is_missing(dot) for *_, dot in seen) or any(
            one.stamp[:12] > other.stamp[:12] and self.log[one.dot].seq > self.log[other.dot].seq
            for one, other, _ in seen
            if one is not None
        )

    def _is_missing(self, dot: str) -> bool:
        line = self.log.get(dot)
        return line is None or (dot in self.stood and line.verdict not in ("applied", "merged"))

    def _move(self, key: Key, doc: dict[str, Any]) -> None:
        """Keep the index of who sees what."""
        was = self.docs.get(key)
        lane = ENTITIES[key[0]].lane
        old = self._places(key, was) if was else set()
        new = set() if doc["removed"] else self._places(key, doc)
        self.docs[key] = doc
        if key[0] == "conflict":
            fields = doc["fields"]
            dots = self.sides.setdefault((fields["row_id"], fields["field"]), set())
            dots |= {side["dot"] for side in fields["sides"]}
            self.inbox.pop(key[1], None)
            if fields["state"] == "open" and fields["rule"] == RULE_FIELD:
                self.inbox[key[1]] = (fields["row_entity"], fields["row_id"], fields["field"])
        before, self.digests[key] = self.digests.get(key, 0), _digest(doc)
        for scope in old & new:
            pair = (scope, lane)
            self._sum(pair, self.digests[key] - before)
        for scope in old - new:
            self._sum((scope, lane), -before)
        for scope in new - old:
            self._sum((scope, lane), self.digests[key])
        for scope in old - new:
            self._set_member((scope, lane), key, None)
        for scope in new:
            self._set_member((scope, lane), key, doc["seq"])
        if was is None and key[0] == "target":
            for entity, name in (("directive", "directive"), ("incident_summary", "incident")):
                parent = (entity, doc["fields"][name])
                pair = (f"unit/{doc['fields']['unit']}", ENTITIES[entity].lane)
                if parent in self.docs and parent not in self.members.get(pair, ()):
                    self._set_member(pair, parent, self.docs[parent]["seq"])
                    self._sum(pair, self.digests[parent])

    def _places(self, key: Key, doc: dict[str, Any]) -> set[str]:
        """The scopes that see a row: its own, and those of the targets that bring it along."""
        places = set(scopes_of(key[0], doc["fields"], doc["actor"]))
        if key[0] in ("directive", "incident_summary"):
            lane = ENTITIES[key[0]].lane
            places |= {
                scope for (scope, of), rows in self.members.items() if of == lane and key in rows
            }
        return places

    def _sum(self, pair: Pair, digest: int) -> None:
        self.sums[pair] = self.sums.get(pair, 0) + digest

    def digest(self, pair: Pair) -> str:
        """The sum of a pair as replies write it."""
        return f"{self.sums.get(pair, 0) % 2**64:x}"

    def copy(self) -> "Model":
        """The same model, which the log goes on from another time."""
        other = Model(self.centre)
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, dict | list) else value)
        other.said, other.kinds = self.said, self.kinds
        other.rows = {
            key: replace(fact, writes={name: list(one) for name, one in fact.writes.items()})
            for key, fact in self.rows.items()
        }
        other.sides = {key: set(dots) for key, dots in self.sides.items()}
        other.expected, other.meetings, other.weighed = set(), set(), set()
        other.register, other.revoked = self.register.copy(), set(self.revoked)
        return other

    def _set_member(self, pair: Pair, key: Key, seq: int | None) -> None:
        rows = dict(self.members.get(pair, ()))
        rows.pop(key, None)
        if seq is not None:
            rows[key] = seq
        self.members[pair] = rows


def _sets(changes: list[dict[str, Any]]) -> str:
    """What tells one act of the centre from another."""
    return text_of(
        [[one["entity"], one["id"], one.get("fields", {})] for one in changes if one["op"] == "set"]
    )


def _kept(history: list[dict[str, Any]] | None, dot: str) -> dict[str, Any]:
    """What the server keeps of a write of a field."""
    kept = next((one for one in history or () if one["dot"] == dot), None)
    if kept is None:
        raise Broken("history_lost", dot)
    return kept


def _digest(doc: dict[str, Any]) -> int:
    """What a row adds to the sum of each pair that it is in."""
    body = {
        name: doc[name] for name in ("actor", "dot", "fields", "home", "open", "stamp", "writes")
    }
    digest = hashlib.sha256(text_of([doc["entity"], doc["id"], body]).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def _fits(kept: str, dot: str, claimed: str, received: int) -> str:
    """A kept stamp is the claimed one unless that was far ahead; then it is of the receipt."""
    wall, kept_wall = int(claimed[:12], 16), int(kept[:12], 16)
    if wall <= received + AHEAD_MS:
        if kept != claimed:
            raise Broken("restamped", f"{dot} {claimed} became {kept}")
    elif not received <= kept_wall <= received + AHEAD_MS + 1:
        raise Broken("stamp_ahead", f"{dot} kept {kept} at {received}")
    return kept

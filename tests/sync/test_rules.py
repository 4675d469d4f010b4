"""The numbered rules of what to do when work meets unseen work, as far as their entities exist.

A test named `test_rule_NN_…` proves a part of rule NN. `NOT_YET` names what a rule waits for, and
`PARTS_NOT_YET` what the rest of a rule waits for: as soon as that comes, the rule needs its tests.
The rules about orders and incidents are here, the others in the files beside.
"""

import importlib.util
import re
from pathlib import Path

import pytest

from schema.entities import ENTITIES
from schema.intents import INTENTS
from schema.tags import Tag
from schema.wire import Change
from sync.fold import Facts, overdue, progress_of
from sync.push import plan_push
from tests.sync.builders import NOW, arrival, known, recall, row, step, target

MINUTE = 60_000
LATER = NOW + 10 * 60 * MINUTE
RULES = range(1, 31)

NOT_YET = {
    4: ("objection",),
    6: ("reassignment", "target.reassigned_to"),
    7: ("supervision", "escalation"),
    11: ("incident.merged_into", "incident_alias"),
    14: ("leave_notice",),
    15: ("requisition", "reservation"),
    17: ("stock", "stock_movement", "material", "material_movement"),
    18: ("unit.successor_ids", "unit.successors", "unit_change"),
    20: ("shift", "handover"),
    21: ("roll_call", "roll_call_answer"),
    22: ("transfer",),
    23: ("callback",),
    24: ("warning",),
    27: ("incident.mode", "drill_plan"),
    28: ("step.step=relayed",),
    30: ("step.callee", "target.step_for"),
}
"""Rule → what it is about, none of which exists: `entity`, `entity.field`, `entity.field=choice`,
an intent or a module."""

PARTS_NOT_YET = {
    9: ("feedback.casualties", "feedback.kind=help"),
    13: ("geofence",),
    16: ("expert", "plan", "base", "contact_phone.verified_at"),
    25: ("photo_missing",),
    29: ("carrier", "media_carrier"),
}
"""A rule that has tests → what the rest of it is about."""


def exists(name: str) -> bool:
    """Whether what a rule waits for has come."""
    if name.endswith(".py"):
        return importlib.util.find_spec(name[:-3].replace("/", ".")) is not None
    path, _, choice = name.partition("=")
    entity, _, field = path.partition(".")
    if not field or name in INTENTS:
        return entity in ENTITIES or name in INTENTS
    found = ENTITIES[entity].fields.get(field) if entity in ENTITIES else None
    return found is not None and (not choice or choice in found.choices)


def covered() -> set[int]:
    sources = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_rules*.py")]
    return {int(n) for text in sources for n in re.findall(r"^def test_rule_(\d\d)_", text, re.M)}


def test_every_rule_is_tested_or_waits_for_something():
    assert covered() | set(NOT_YET) == set(RULES)
    assert covered() & set(NOT_YET) == set()
    assert set(PARTS_NOT_YET) <= covered()


@pytest.mark.parametrize("rule", [*NOT_YET, *PARTS_NOT_YET])
def test_what_a_rule_waits_for_is_not_there(rule):
    waits = (NOT_YET | PARTS_NOT_YET)[rule]
    assert [name for name in waits if exists(name)] == [], f"rule {rule} can be tested now"


def test_what_exists_is_seen_to_exist():
    for name in ("target", "step.route", "step.step=signed", "target.step", "sync/fold.py"):
        assert exists(name), name
    assert not exists("target.nothing") and not exists("nothing.step")


def judge(world, *arrivals, now=LATER):
    """The verdicts, as `(verdict, code, tags)`."""
    plan = plan_push(world, list(arrivals), now)
    return [(one.verdict, one.code, one.tags) for one in plan.verdicts]


def conflicts(world):
    """`(rule, state, needs)` of every Conflict there is."""
    rows = [stored.row.fields for key, stored in world.rows.items() if key[0] == "conflict"]
    return [(one["rule"], one["state"], one["needs"]) for one in rows]


def progress(world):
    """Where the target stands, by all facts that were taken."""
    names = {"steps": "step", "rounds": "round", "recalls": "recall", "stops": "stop"}
    names |= {"rulings": "ruling", "feedback": "feedback"}
    facts = {name: world.of(entity, "t1") for name, entity in names.items()}
    return progress_of(world.rows["directive", "d1"].row, Facts(**facts))


def said(who, n, change, **more):
    """A step of the unit, written at its own time."""
    return arrival(who, 0, n, "target.step", change, **more)


RECALL = arrival("lead", 0, 1, "directive.recall", recall(at=NOW, rank_seen=2))


def ruling(verdict):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 1, "at": LATER}
    change = Change("create", "ruling", "g1", fields | {"recall": "r1", "verdict": verdict})
    return arrival("lead", 0, 2, "recall.rule", change)


@pytest.mark.parametrize("recall_first", [True, False])
def test_rule_01_the_recall_stands_over_a_sign_made_before_it_and_the_sign_was_in_time(
    recall_first,
):
    world = known(*target())
    sign = said("phone", 1, step("signed", at=NOW - 5_000))
    judge(world, *((RECALL, sign) if recall_first else (sign, RECALL)))
    now = progress(world)
    assert (now.recall, now.blind) == ("recalling", False)
    assert conflicts(world) == [("4.3#1", "auto", None)]
    assert now.marks["signed"].at == NOW - 5_000
    assert not overdue(next(one for one in now.clocks if one.name == "sign"), LATER)


def test_rule_01_people_may_be_moving_so_the_recall_waits_for_their_stop():
    world = known(*target())
    judge(world, RECALL, said("phone", 1, step("signed", at=NOW - 5_000)))
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 1, "at": LATER}
    stop = Change("create", "stop", "x1", fields | {"recall": "r1"})
    judge(world, arrival("phone", 0, 2, "target.stop", stop))
    assert progress(world).recall == "stopped"


@pytest.mark.parametrize("name", ["signed", "departed"])
def test_rule_02_a_sign_made_after_a_recall_not_yet_heard_of_is_blind_and_no_fault(name):
    world = known(*target())
    verdicts = judge(world, RECALL, said("phone", 1, step(name, at=NOW + 5_000)))
    assert [one[0] for one in verdicts] == ["applied", "merged"]
    now = progress(world)
    assert (now.recall, now.blind, now.step) == ("recalling", True, name)
    assert conflicts(world) == [("4.3#2", "auto", None)]


@pytest.mark.parametrize("name", ["arrived", "acting", "reported"])
@pytest.mark.parametrize("at", [NOW - 5_000, NOW + 5_000])
def test_rule_03_a_recall_that_meets_arrived_or_done_work_waits_for_the_dispatcher(name, at):
    world = known(*target())
    judge(world, RECALL, said("phone", 1, step(name, at=at)))
    now = progress(world)
    assert (now.recall, now.step) == ("contested", name)
    assert conflicts(world) == [("4.3#3", "open", "centre")]


@pytest.mark.parametrize(
    ("verdict", "state"), [("accept_result", "accepted"), ("stand_by_recall", "recalling")]
)
def test_rule_03_the_dispatcher_accepts_the_result_or_stands_by_the_recall(verdict, state):
    world = known(*target())
    judge(world, RECALL, said("phone", 1, step("reported")), ruling(verdict))
    assert progress(world).recall == state
    assert conflicts(world) == [("4.3#3", "decided", "centre")]


def test_rule_05_the_same_mutation_again_gets_its_recorded_verdict_and_writes_nothing():
    world = known(*target())
    sign = said("phone", 1, step("signed"))
    plan_push(world, [sign], LATER)
    plan = plan_push(world, [sign], LATER)
    assert plan.entries == []
    assert (plan.verdicts[0].verdict, plan.verdicts[0].repeat) == ("applied", True)


def test_rule_05_of_two_people_who_sign_the_first_counts_and_the_second_is_a_witness():
    world = known(*target())
    second = said("duty", 1, step("signed", id="s2", at=NOW + 3_000))
    first = said("phone", 1, step("signed", id="s1", at=NOW + 1_000))
    assert [one[0] for one in judge(world, second, first)] == ["applied"] * 2
    now = progress(world)
    assert (now.step, now.marks["signed"].actor) == ("signed", "phone")
    assert [one.actor for one in now.witnesses] == ["duty"]


def test_rule_05_one_person_who_signs_on_two_devices_counts_once():
    world = known(*target())
    world.sessions["spare", "spare"] = world.sessions["phone", "phone"]
    again = {"session": "spare", "actor": "phone"}
    judge(
        world,
        said("phone", 1, step("signed", id="s1", at=NOW + 1_000)),
        said("spare", 1, step("signed", id="s2", at=NOW + 2_000), **again),
    )
    now = progress(world)
    assert [(one.step, one.actor) for one in now.witnesses] == [("signed", "phone")]
    assert now.marks["signed"].at == NOW + 1_000


def new_version(n=1):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 2, "at": NOW + MINUTE}
    change = Change("create", "round", "o2", fields | {"reason": "new_version", "note": "改道"})
    return arrival("lead", 0, n, "target.send_back", change)


def test_rule_08_a_sign_of_the_round_before_is_kept_shown_and_not_counted():
    world = known(*target())
    late = said("phone", 1, step("signed", at=NOW + 1_000))
    assert [one[0] for one in judge(world, new_version(), late)] == ["applied"] * 2
    now = progress(world)
    assert (now.step, now.marks) == ("pending", {})
    assert [(one.step, one.round) for one in now.old] == [("signed", 1)]
    judge(world, said("phone", 2, step("signed", id="s2", at=LATER, round=2)))
    assert progress(world).step == "signed"


def test_rule_08_a_sign_is_bound_to_the_version_that_was_read():
    order = target()
    order[4].row.fields["version"] = 2
    world = known(*order)
    judge(world, said("phone", 1, step("signed", version=1)))
    now = progress(world)
    assert (now.step, [one.version for one in now.old]) == ("pending", [1])
    assert next(one for one in now.clocks if one.name == "sign").met is None
    judge(world, said("phone", 2, step("signed", id="s2", version=2)))
    assert progress(world).step == "signed"


def feedback(id="f1", **more):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 1, "at": NOW + 2_000}
    return Change("create", "feedback", id, fields | {"kind": "progress", "text": "到位"} | more)


def test_rule_08_feedback_stays_with_the_version_that_it_was_given_on():
    world = known(*target())
    judge(world, new_version(), arrival("phone", 1, 1, "feedback.add", feedback()))
    assert world.rows["feedback", "f1"].row.fields["round"] == 1
    assert progress(world).step == "pending"


def with_incident(state):
    return known(*target(), row("incident", "i1", {"state": state}))


def test_rule_09_feedback_after_its_incident_was_closed_is_a_supplement():
    news = arrival("phone", 1, 1, "feedback.add", feedback(kind="result"))
    assert judge(with_incident("open"), news) == [("applied", None, ())]
    world = with_incident("closed")
    assert judge(world, news) == [("applied", None, (Tag.AFTER_CLOSE,))]
    assert world.rows["feedback", "f1"].row.fields["text"] == "到位"
    assert conflicts(world) == []


def test_rule_09_a_call_for_help_after_the_close_proposes_to_reopen():
    fields = {"unit": "u1", "target": "t1", "at": NOW + 2_000, "text": "人员被困"}
    call = arrival("phone", 0, 1, "help.call", Change("create", "help_call", "h1", fields))
    assert judge(with_incident("open"), call) == [("applied", None, ())]
    world = with_incident("closed")
    assert judge(world, call) == [("merged", None, (Tag.AFTER_CLOSE,))]
    assert conflicts(world) == [("4.3#9", "open", "centre")]
    assert world.rows["incident", "i1"].row.fields["state"] == "closed"

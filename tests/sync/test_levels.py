"""A dispatcher alone acts on incidents up to level III; II and I are for the shift lead and heads.

Orders are not held up by it: they are given first, whatever the level.
"""

import pytest

from schema.codes import Code
from schema.roles import Role
from schema.wire import Change
from sync.known import Rights, Session
from sync.push import plan_push
from tests.sync.builders import NOW, arrival, known, recall, row, step, target

LEVELS = ("I", "II", "III", "IV", None)
GRAVE = ("I", "II")
APPLIED = ("applied", None)
LIMITED = ("refused", Code.LEVEL_LIMIT)


def at_level(level):
    """An order about an incident of this level; besides `lead`, a dispatcher and a head."""
    summary = row("incident_summary", "i1", {"title": "t", "level": level})
    world = known(*[one for one in target() if one.key[0] != "incident_summary"], summary)
    world.sessions["disp", "disp"] = Session("disp", "", frozenset({Role.DISPATCHER}))
    world.sessions["head", "head"] = Session("head", "", frozenset({Role.CENTRE_HEAD}))
    return world


def judge(world, *arrivals):
    plan = plan_push(world, list(arrivals), NOW)
    return [(one.verdict, one.code) for one in plan.verdicts][-1]


def edited(who, entity, n=1, **fields):
    base = {f"{entity}/i1": dict.fromkeys(fields, ("seed/0/1",))}
    return arrival(who, 1, n, "incident.edit", Change("set", entity, "i1", fields), base=base)


def closing(who):
    return arrival(who, 0, 1, "target.close", step("closed", route="centre"))


def sending_back(who):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 2, "at": NOW}
    change = Change("create", "round", "o1", fields | {"reason": "sent_back", "note": "再查"})
    return arrival(who, 0, 1, "target.send_back", change)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("act", [closing, sending_back], ids=["close", "send back"])
@pytest.mark.parametrize("who", ["disp", "lead", "head"])
def test_who_may_end_an_order_depends_on_the_level_of_its_incident(who, act, level):
    limited = who == "disp" and level in GRAVE
    assert judge(at_level(level), act(who)) == (LIMITED if limited else APPLIED)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("who", ["disp", "lead", "head"])
def test_who_may_close_an_incident_depends_on_its_level(who, level):
    limited = who == "disp" and level in GRAVE
    closed = edited(who, "incident", state="closed")
    assert judge(at_level(level), closed) == (LIMITED if limited else APPLIED)


@pytest.mark.parametrize("new", LEVELS)
@pytest.mark.parametrize("old", LEVELS)
@pytest.mark.parametrize("who", ["disp", "lead", "head"])
def test_a_dispatcher_neither_sets_a_grave_level_nor_changes_one(who, old, new):
    limited = who == "disp" and (old in GRAVE or new in GRAVE)
    set_to = edited(who, "incident_summary", level=new)
    assert judge(at_level(old), set_to) == (LIMITED if limited else APPLIED)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("who", ["disp", "lead"])
def test_an_incident_is_opened_at_a_level_that_its_author_may_set(who, level):
    opened = arrival(
        who,
        0,
        1,
        "incident.open",
        Change("create", "incident", "i2", {"state": "open"}),
        Change("create", "incident_summary", "i2", {"title": "t", "level": level}),
    )
    limited = who == "disp" and level in GRAVE
    world = at_level(None)
    assert judge(world, opened) == (LIMITED if limited else APPLIED)
    assert (("incident", "i2") in world.rows) != limited


@pytest.mark.parametrize("level", GRAVE)
def test_a_dispatcher_goes_on_working_on_a_grave_incident(level):
    world = at_level(level)
    fields = {"incident": "i1", "kind": "dispatch", "urgency": "flash", "version": 1, "text": "去"}
    order = Change("create", "directive", "d2", fields | {"clocks": {"sign": 60_000}, "at": NOW})
    assert judge(world, arrival("disp", 0, 1, "directive.issue", order)) == APPLIED
    assert judge(world, arrival("disp", 0, 2, "directive.recall", recall())) == APPLIED
    assert judge(world, edited("disp", "incident_summary", title="更正")) == APPLIED
    assert judge(world, edited("disp", "incident", 2, state="open")) == APPLIED


def test_a_level_set_just_before_in_the_same_batch_counts():
    raised = edited("lead", "incident_summary", level="II")
    assert judge(at_level("III"), raised, closing("disp")) == LIMITED


def test_what_a_shift_lead_wrote_before_becoming_a_dispatcher_only_stands():
    world = at_level("II")
    past = (Rights(NOW + 1, "", frozenset({Role.SHIFT_LEAD})),)
    world.sessions["disp", "disp"] = Session("disp", "", frozenset({Role.DISPATCHER}), past=past)
    before = arrival(
        "disp", 0, 1, "target.close", step("closed", route="centre"), stamp=f"{NOW:012x}-0000-disp"
    )
    assert judge(world, before) == APPLIED

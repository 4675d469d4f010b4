"""What a mutation takes for granted: guards are judged, and what it comes after is waited for."""

import pytest
from msgspec.structs import replace

from schema.codes import Code
from schema.versions import HELD_MS
from schema.wire import Change, Guard
from sync.known import Held
from sync.push import plan_push
from tests.sync.builders import NOW, arrival, known, row, step, target

SEEN = ("seed/0/1",)
REFUSED = ("refused", Code.GUARD)
APPLIED = ("applied", None)


def contacts(**more):
    """A unit's contact, whose post was edited once, and another unit's."""
    card = {"unit": "u1", "duty": "head", "name": "示例甲", "post": "主任"}
    stored = row("contact", "c1", card)
    edited = replace(stored.row, writes={"post": (f"{2:012x}-0000-lead", "lead/2/7")}, **more)
    return known(
        row("unit", "u1", {"name": "甲"}),
        replace(stored, row=edited),
        row("contact", "c2", card | {"unit": "u2"}),
    )


def judged(world, *guards):
    change = Change("set", "contact", "c1", {"name": "示例乙"})
    base = {"contact/c1": {"name": SEEN}}
    said = arrival("duty", 2, 1, "contact.edit", change, base=base, guard=guards)
    [verdict] = plan_push(world, [said], NOW).verdicts
    return verdict.verdict, verdict.code


HOLDING = [
    Guard("contact/c1", "exists"),
    Guard("contact/c9", "absent"),
    Guard("contact/c1", "eq", "post", "主任"),
    Guard("contact/c1", "eq", "n", None),
    Guard("contact/c1", "in", "post", ["副主任", "主任"]),
    Guard("contact/c1", "dot", "post", "lead/2/7"),
    Guard("contact/c1", "dot", "name", "seed/0/1"),
]
FAILING = [
    Guard("contact/c9", "exists"),
    Guard("contact/c1", "absent"),
    Guard("contact/c1", "eq", "post", "副主任"),
    Guard("contact/c1", "eq", "post", None),
    Guard("contact/c9", "eq", "post", None),
    Guard("contact/c1", "in", "post", ["副主任"]),
    Guard("contact/c1", "in", "post", []),
    Guard("contact/c1", "in", "post", "主任"),
    Guard("contact/c9", "in", "post", [None]),
    Guard("contact/c1", "dot", "post", "seed/0/1"),
    Guard("contact/c1", "dot", "name", "lead/2/7"),
    Guard("contact/c9", "dot", "name", "seed/0/1"),
]


@pytest.mark.parametrize("guard", HOLDING, ids=str)
def test_a_guard_that_holds_lets_its_mutation_stand(guard):
    assert judged(contacts(), guard) == APPLIED


@pytest.mark.parametrize("guard", FAILING, ids=str)
def test_a_guard_that_fails_is_refused_and_writes_nothing(guard):
    world = contacts()
    assert judged(world, guard) == REFUSED
    assert world.rows["contact", "c1"].row.fields["name"] == "示例甲"


@pytest.mark.parametrize("place", ["contact/c1", "contact/c9", "nonsense"])
@pytest.mark.parametrize("check", ["", "is", "EXISTS", "not_in"])
def test_a_guard_of_a_kind_that_nobody_knows_holds_for_no_row(check, place):
    assert judged(contacts(), Guard(place, check, "post", "主任")) == REFUSED


def test_all_guards_must_hold():
    assert judged(contacts(), *HOLDING) == APPLIED
    assert judged(contacts(), *HOLDING, FAILING[0]) == REFUSED


def test_a_row_that_was_removed_is_absent():
    world = contacts()
    gone = world.rows["contact", "c2"]
    removed = replace(
        gone, row=replace(gone.row, removed=True, fields=gone.row.fields | {"unit": "u1"})
    )
    world.remember([removed])
    assert judged(world, Guard("contact/c2", "absent")) == APPLIED


@pytest.mark.parametrize(("check", "told"), [("absent", APPLIED), ("exists", REFUSED)])
def test_a_row_that_its_author_may_not_see_is_as_if_it_were_not(check, told):
    assert judged(contacts(), Guard("contact/c2", check)) == told


def test_the_centre_sees_every_row():
    change = Change("set", "contact", "c1", {"name": "示例乙"})
    more = {"base": {"contact/c1": {"name": SEEN}}, "guard": (Guard("contact/c2", "exists"),)}
    said = arrival("lead", 2, 1, "contact.edit_any", change, **more)
    assert plan_push(contacts(), [said], NOW).verdicts[0].verdict == "applied"


def test_a_guard_sees_what_was_judged_before_it_in_the_batch():
    world = contacts()
    change = Change("set", "contact", "c1", {"post": "副主任"})
    base = {"contact/c1": {"post": ("lead/2/7",)}}
    first = arrival("duty", 2, 1, "contact.edit", change, base=base)
    later = arrival(
        "duty",
        2,
        2,
        "contact.edit",
        Change("set", "contact", "c1", {"name": "示例乙"}),
        base={"contact/c1": {"name": SEEN}},
        guard=(Guard("contact/c1", "dot", "post", "duty/2/1"),),
    )
    verdicts = plan_push(world, [first, later], NOW).verdicts
    assert [one.code for one in verdicts] == [None, None]


# --- After ----------------------------------------------------------------------------------------


def signed(n, *after, id="s1", **more):
    return arrival("phone", 0, n, "target.step", step("signed", id=id, **more), after=after)


def waiting(world, said):
    """The world in which this waits, as the next batch finds it."""
    plan = plan_push(world, [said], NOW)
    verdict = plan.verdicts[0]
    assert (verdict.verdict, verdict.code) == ("held", Code.AFTER)
    world.held = [Held(said, verdict.detail, NOW)]
    return verdict.detail


def test_what_names_nothing_waits_for_nothing():
    assert plan_push(known(*target()), [signed(1)], NOW).verdicts[0].verdict == "applied"


def test_what_comes_after_words_that_are_not_here_is_held_for_them_by_name():
    world = known(*target())
    assert waiting(world, signed(1, "other/1/1")) == "other/1/1"
    assert ("step", "s1") not in world.rows


def test_what_comes_after_words_that_are_here_stands():
    first, later = signed(1), signed(2, "phone/0/1", id="s2")
    verdicts = plan_push(known(*target()), [first, later], NOW).verdicts
    assert [one.verdict for one in verdicts] == ["applied", "applied"]


def test_it_is_let_in_once_they_came_and_its_author_is_told():
    world = known(*target())
    waiting(world, signed(2, "phone/0/1", id="s2"))
    plan = plan_push(world, [signed(1)], NOW)
    assert [one.verdict.verdict for one in plan.released] == ["applied"]
    told = [stored.row for key, stored in world.rows.items() if key[0] == "verdict"]
    assert [(one.fields["dot"], one.fields["verdict"]) for one in told] == [
        ("phone/0/2", "applied")
    ]
    assert ("step", "s2") in world.rows


def test_words_that_were_refused_have_come_all_the_same():
    bad = signed(1, round=7)
    verdicts = plan_push(known(*target()), [bad, signed(2, "phone/0/1", id="s2")], NOW).verdicts
    assert [one.verdict for one in verdicts] == ["refused", "applied"]


def test_words_that_wait_themselves_have_not_come():
    world = known(*target())
    first, later = signed(1, "other/1/1"), signed(2, "phone/0/1", id="s2")
    verdicts = plan_push(world, [first, later], NOW).verdicts
    assert [(one.verdict, one.detail) for one in verdicts] == [
        ("held", "other/1/1"),
        ("held", "phone/0/1"),
    ]


def test_each_of_several_is_waited_for():
    world = known(*target())
    assert waiting(world, signed(3, "phone/0/1", "phone/0/2", id="s3")) == "phone/0/1"
    plan = plan_push(world, [signed(1)], NOW)
    assert [one.verdict.verdict for one in plan.released] == []
    assert ("step", "s3") not in world.rows


def test_what_waits_too_long_is_given_to_a_person():
    world = known(*target())
    waiting(world, signed(2, "other/1/1", id="s2"))
    plan = plan_push(world, [signed(1)], NOW + HELD_MS + 1)
    assert [one.verdict.verdict for one in plan.released] == ["quarantined"]
    assert ("step", "s2") not in world.rows

"""The numbered rules about levels, machines, contacts, people and clocks; see `test_rules.py`."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schema.codes import Code
from schema.entities import ENTITIES
from schema.roles import Role
from schema.scopes import granted, scopes_of
from schema.tags import Tag
from schema.versions import CLOCK_OFF_MS_MAX, DRIFT_MS_MAX
from schema.wire import Change
from sync.filings import ORDERS
from sync.known import Rights, Session
from sync.moves import EACH_MAX, whereabouts
from sync.push import plan_push
from sync.rows import base_of
from sync.stamp import is_off
from tests.sync.builders import NOW, arrival, known, row, step, target

MINUTE = 60_000
LATER = NOW + 10 * 60 * MINUTE
LEVELS = ("I", "II", "III", "IV", None)


def judge(world, *arrivals, now=LATER):
    """The verdicts, as `(verdict, code, tags)`."""
    plan = plan_push(world, list(arrivals), now)
    return [(one.verdict, one.code, one.tags) for one in plan.verdicts]


def conflicts(world):
    """Every Conflict there is."""
    return [stored.row for key, stored in world.rows.items() if key[0] == "conflict"]


# --- 10: the level of an incident ----------------------------------------------------------------


def with_level(level):
    world = known(*target(), row("incident_summary", "i1", {"title": "t", "level": level}))
    lead = world.sessions["lead", "lead"]
    world.sessions["head", "head"] = Session("head", "", lead.roles)
    world.sessions["lead", "second"] = replace(lead, actor="second")
    return world


def levelled(who, n, level, base=("seed/0/1",), **more):
    change = Change("set", "incident_summary", "i1", {"level": level})
    base = {"incident_summary/i1": {"level": tuple(base)}}
    return arrival(who, 1, n, "incident.edit", change, base=base, **more)


def level_of(world):
    return world.rows["incident_summary", "i1"].row.fields["level"]


@given(levels=st.permutations(LEVELS), turned=st.booleans(), late=st.booleans())
def test_rule_10_of_two_levels_the_higher_stands_at_once_whoever_came_or_wrote_last(
    levels, turned, late
):
    before, one, other = levels[:3]
    world = with_level(before)
    n = 5 if late else 1
    edits = [levelled("lead", n, one), levelled("head", 3, other)]
    judge(world, *(edits[::-1] if turned else edits))
    assert level_of(world) == min(one, other, key=LEVELS.index)
    told = conflicts(world)[0].fields
    assert (told["rule"], told["state"], told["field"]) == ("4.3#10", "auto", "level")
    assert {side["value"] for side in told["sides"]} == {one, other}
    assert told["winner"] == (f"lead/1/{n}" if level_of(world) == one else "head/1/3")


def test_rule_10_lowering_stands_when_it_knows_of_the_current_level():
    world = with_level("III")
    judge(world, levelled("lead", 1, "I"))
    assert judge(world, levelled("head", 1, "IV", ["lead/1/1"])) == [("applied", None, ())]
    assert (level_of(world), conflicts(world)) == ("IV", [])


def test_rule_10_lowering_that_did_not_know_of_a_raise_leaves_the_raise_and_a_conflict():
    world = with_level("II")
    judge(world, levelled("lead", 1, "I"))
    assert judge(world, levelled("head", 5, "IV"))[0][0] == "merged"
    assert level_of(world) == "I"
    assert len(conflicts(world)) == 1


def test_rule_10_two_people_at_one_console_have_not_seen_each_other_s_level():
    world = with_level("III")
    judge(world, levelled("lead", 1, "I"))
    second = levelled("lead", 2, "II", session="second", actor="second")
    assert judge(world, second)[0][0] == "merged"
    assert level_of(world) == "I"


def test_rule_10_whoever_sees_both_levels_may_then_lower():
    world = with_level("III")
    judge(world, levelled("lead", 1, "I"), levelled("head", 1, "II"))
    seen = base_of(world.rows["incident_summary", "i1"].row, "level")
    assert set(seen) == {"lead/1/1", "head/1/1"}
    judge(world, levelled("head", 2, "IV", seen))
    assert level_of(world) == "IV"


# --- 12 and 13: where a machine is ---------------------------------------------------------------


LAT, LON = 44_551_000, 129_633_000
KM = 8_993
"""Micro-degrees of latitude."""


def with_machine():
    card = {"unit": "u1", "kind": "crane", "name": "示例吊车", "status": "available"}
    world = known(row("unit", "u1", {"name": "甲"}), row("equipment", "e1", card))
    world.sessions["op", "op"] = Session("op", "u1", frozenset({Role.OPERATOR}))
    world.sessions["duty2", "duty2"] = Session("duty2", "u1", frozenset({Role.DUTY}))
    return world


def filed(who, n, at, place=None, north=None, **more):
    fields = {"equipment": "e1", "unit": "u1", "kind": "move", "at": NOW + at, "place": place}
    fields |= {"manager": "示例甲", "operator": "示例乙", "operator_phone": "100 0000 0002"}
    if north is not None:
        fields |= {"lat_e6": LAT + north, "lon_e6": LON}
    change = Change("create", "equipment_move", f"{who}{n}", fields | more)
    return arrival(who, 1, n, "move.file", change)


def seen(*filings, now=LATER):
    world = with_machine()
    assert {one[0] for one in judge(world, *filings, now=now)} <= {"applied", "merged"}
    return whereabouts_in(world)


def whereabouts_in(world):
    return whereabouts(world.of("equipment_move", "e1"), world.of("move_ruling", "e1"))


def test_rule_12_two_people_who_file_one_place_and_time_are_two_witnesses_of_one_move():
    found = seen(filed("op", 1, 0, None, 0), filed("duty", 1, 20 * MINUTE, None, KM // 3))
    assert [len(move.points) for move in found.moves] == [2]
    assert (found.position["witnesses"], found.position["to_check"]) == (["op", "duty"], [])


def test_rule_12_what_was_measured_is_the_position_and_the_other_filing_is_to_be_checked():
    found = seen(filed("duty", 1, 20 * MINUTE, "桥西"), filed("op", 1, 0, "桥东", 0))
    assert (found.position["place"], found.position["lat_e6"]) == ("桥东", LAT)
    assert found.position["to_check"] == ["duty1"]


def test_rule_12_of_two_measured_places_the_newest_observed_is_the_position():
    found = seen(filed("op", 1, 20 * MINUTE, None, 3 * KM), filed("duty", 1, 0, None, 0))
    assert (found.position["move"], found.position["to_check"]) == ("op1", ["duty1"])


def test_rule_12_the_owner_s_duty_room_holds_both_filings():
    world = with_machine()
    judge(world, filed("op", 1, 0, None, 0), filed("duty", 1, 0, "桥西"))
    duty_room = granted("tablet", "u1", "duty", "r")
    for made in world.of("equipment_move", "e1"):
        scopes = scopes_of(ENTITIES["equipment_move"], made.fields, made.actor)
        assert set(scopes) & set(duty_room) >= {"register/u1"}


def test_rule_12_two_phones_a_minute_and_three_kilometres_apart_contradict_and_make_no_jump():
    found = seen(filed("op", 1, 0, None, 3 * KM), filed("duty", 1, MINUTE, None, 0))
    assert [point.flag for point in found.track] == ["", ""]
    assert (found.position["move"], found.position["to_check"]) == ("duty1", ["op1"])


def test_rule_12_nobody_bears_witness_to_a_place_that_its_filer_has_left():
    found = seen(
        filed("op", 1, 0, "桥东"),
        filed("op", 2, 30 * MINUTE, "桥西"),
        filed("duty", 1, 40 * MINUTE, "桥东"),
    )
    assert [[one.filing for one in move.points] for move in found.moves] == [
        ["op1"],
        ["op2"],
        ["duty1"],
    ]
    assert (found.position["move"], found.position["to_check"]) == ("duty1", ["op2"])


def contradicted(*more):
    """A machine that its operator measured in the east, and the duty room says is in the west."""
    world = with_machine()
    verdicts = judge(world, filed("op", 1, 0, "桥东", 0), filed("duty", 1, 0, "桥西"), *more)
    assert [one[0] for one in verdicts[:2]] == ["applied", "merged"]
    return world


def open_conflicts(world):
    """The filings of each dispute that waits for a person."""
    waiting = [one.fields for one in conflicts(world) if one.fields["state"] == "open"]
    return [sorted(side["value"]["filing"] for side in one["sides"]) for one in waiting]


def ruling(who, n, filing, *over, at=LATER, **more):
    fields = {"equipment": "e1", "unit": "u1", "filing": filing, "over": list(over), "at": at}
    intent = "conflict.decide" if who == "lead" else "conflict.decide_own"
    change = Change("create", "move_ruling", f"r-{who}{n}", fields)
    return arrival(who, 1, n, intent, change, **more)


def test_rule_12_filings_that_contradict_each_other_leave_a_conflict_for_the_owner_unit():
    [found] = conflicts(contradicted())
    told = found.fields
    assert (told["rule"], told["row_entity"], told["row_id"]) == ("4.3#12", "equipment", "e1")
    assert (told["state"], told["needs"], told["unit"]) == ("open", "unit", "u1")
    assert told["scopes"] == ["centre", "register/u1"]
    assert [(side["actor"], side["value"]["place"]) for side in told["sides"]] == [
        ("duty", "桥西"),
        ("op", "桥东"),
    ]
    assert told["winner"] == "op/1/1"
    assert found.arrived == LATER


def test_rule_12_the_conflict_is_the_same_one_whichever_filing_came_first():
    world = with_machine()
    judge(world, filed("duty", 1, 0, "桥西"))
    judge(world, filed("op", 1, 0, "桥东", 0))
    assert [one.id for one in conflicts(world)] == [one.id for one in conflicts(contradicted())]
    dots = ["duty/1/1", "op/1/1"]
    named = f'["equipment","e1","position",["{dots[0]}","{dots[1]}"]]'
    assert conflicts(world)[0].id == sha256(named.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "second",
    [
        filed("duty", 1, 20 * MINUTE, "桥东", KM // 3),
        filed("op", 2, 20 * MINUTE, "桥西"),
        filed("duty", 1, 121 * MINUTE, "桥西"),
        filed("duty", 1, 0, "桥西", kind="stop"),
        filed("duty", 1, 0),
    ],
    ids=["same place", "same person", "another time", "another kind", "no place"],
)
def test_rule_12_what_does_not_contradict_leaves_no_conflict(second):
    world = with_machine()
    assert judge(world, filed("op", 1, 0, "桥东", 0), second) == [("applied", None, ())] * 2
    assert conflicts(world) == []


def test_rule_12_a_filing_that_changes_nothing_about_a_dispute_leaves_its_conflict_alone():
    world = contradicted()
    before = conflicts(world)
    assert judge(world, filed("op", 2, -300 * MINUTE, "桥南")) == [("applied", None, ())]
    assert conflicts(world) == before


def test_rule_12_a_further_filing_takes_the_place_of_the_conflict_before():
    world = contradicted(filed("duty2", 1, MINUTE, "桥南"))
    assert [one.fields["state"] for one in conflicts(world)] == ["superseded", "open"]
    assert open_conflicts(world) == [["duty1", "duty21", "op1"]]


def test_rule_12_who_puts_their_own_filing_right_ends_the_dispute():
    world = contradicted(filed("duty", 2, MINUTE, "桥东"))
    assert [one.fields["state"] for one in conflicts(world)] == ["superseded"]
    assert whereabouts_in(world).position["witnesses"] == ["op", "duty"]


@pytest.mark.parametrize("who", ["duty", "lead"])
def test_rule_12_the_owner_unit_or_the_centre_says_which_filing_stands(who):
    world = contradicted()
    assert judge(world, ruling(who, 9, "duty1", "op1")) == [("applied", None, ())]
    found = whereabouts_in(world)
    assert (found.position["move"], found.position["to_check"]) == ("duty1", [])
    assert [point.flag for point in found.track] == ["", "ruled"]
    [told] = [one.fields for one in conflicts(world)]
    assert (told["state"], told["decided_by"], told["winner"]) == ("decided", who, "duty/1/1")
    assert told["decided_at"] == LATER


def test_rule_12_a_ruling_settles_only_what_its_author_saw():
    world = contradicted(filed("duty2", 1, MINUTE, "桥南"))
    judge(world, ruling("duty", 9, "op1", "duty1"))
    assert open_conflicts(world) == [["duty21", "op1"]]
    assert [one.fields["state"] for one in conflicts(world)] == ["superseded", "superseded", "open"]


def test_rule_12_the_newest_ruling_on_a_filing_counts():
    world = contradicted()
    judge(world, ruling("duty", 9, "duty1", "op1"))
    judge(world, ruling("lead", 9, "op1", "duty1", at=LATER + 1), now=LATER + 1)
    assert whereabouts_in(world).position["move"] == "op1"
    assert open_conflicts(world) == []


def test_rule_12_a_ruling_against_somebody_s_newest_filing_does_not_bring_back_an_older_one():
    world = contradicted(filed("op", 2, MINUTE, "桥南", KM))
    judge(world, ruling("duty", 9, "duty1", "op2"))
    assert (whereabouts_in(world).position["move"], open_conflicts(world)) == ("duty1", [])


def test_rule_12_the_later_ruling_counts_whatever_time_its_author_typed():
    world = contradicted()
    judge(world, ruling("duty", 9, "duty1", "op1", at=LATER + 110_000))
    stamp = f"{LATER + 60_000:012x}-0000-lead"
    judge(world, ruling("lead", 9, "op1", "duty1", at=LATER, stamp=stamp), now=LATER + 60_000)
    assert (whereabouts_in(world).position["move"], open_conflicts(world)) == ("op1", [])


def test_rule_12_a_ruling_from_a_clock_that_runs_ahead_gives_way_to_a_later_one():
    world = contradicted()
    ahead = f"{LATER + 4 * MINUTE:012x}-0000-duty"
    judge(world, ruling("duty", 9, "duty1", "op1", stamp=ahead))
    stamp = f"{LATER + MINUTE:012x}-0000-lead"
    judge(world, ruling("lead", 9, "op1", "duty1", stamp=stamp), now=LATER + MINUTE)
    assert whereabouts_in(world).position["move"] == "op1"


@pytest.mark.parametrize("turned", [False, True])
def test_rule_12_of_two_rulings_that_did_not_see_each_other_the_later_by_stamp_stands(turned):
    world = contradicted()
    both = [
        ruling("lead", 9, "op1", "duty1", stamp=f"{LATER - 5 * MINUTE:012x}-0000-lead"),
        ruling("duty", 9, "duty1", "op1", stamp=f"{LATER - 3 * MINUTE:012x}-0000-duty"),
    ]
    judge(world, *(both[::-1] if turned else both))
    assert (whereabouts_in(world).position["move"], open_conflicts(world)) == ("duty1", [])


def test_rule_12_every_ruling_of_a_mutation_is_heard():
    world = contradicted()
    beside = filed("duty2", 1, -300 * MINUTE, "桥南")
    judge(world, beside)
    rulings = [
        ruling("duty", n, filing, "op1").mutation.changes[0]
        for n, filing in ((8, "duty21"), (9, "duty1"))
    ]
    judge(world, arrival("duty", 1, 9, "conflict.decide_own", *rulings))
    [told] = [one.fields for one in conflicts(world)]
    assert (told["state"], told["winner"]) == ("decided", "duty/1/1")


def test_rule_12_the_conflict_reaches_the_centre_and_the_duty_room_alone():
    world = with_machine()
    card = world.rows["equipment", "e1"]
    hired = replace(
        card, row=replace(card.row, fields=card.row.fields | {"operator_person": "hired"})
    )
    world.remember([hired])
    judge(world, filed("op", 1, 0, "桥东", 0), filed("duty", 1, 0, "桥西"))
    assert [one.fields["scopes"] for one in conflicts(world)] == [["centre", "register/u1"]]


def test_rule_12_a_ruling_reaches_those_whose_filings_it_names():
    world = contradicted(filed("duty2", 1, MINUTE, "桥南"))
    judge(world, ruling("lead", 9, "duty1", "op1"))
    [made] = world.of("move_ruling", "e1")
    scopes = scopes_of(ENTITIES["move_ruling"], made.fields, made.actor)
    assert scopes == ("centre", "register/u1", "actor/duty", "actor/op")


def test_rule_12_who_repeats_themselves_leaves_the_conflict_its_place_in_the_queue():
    world = contradicted()
    [before] = conflicts(world)
    judge(world, filed("op", 2, MINUTE, "桥东", 3), now=LATER + MINUTE)
    [after] = conflicts(world)
    assert (after.id, after.arrived, after.fields["state"]) == (before.id, LATER, "open")
    assert open_conflicts(world) == [["duty1", "op2"]]


def test_rule_12_who_says_something_else_leaves_another_conflict():
    world = contradicted()
    judge(world, filed("op", 2, MINUTE, "桥东", KM))
    assert [one.fields["state"] for one in conflicts(world)] == ["superseded", "open"]


def test_rule_12_a_conflict_that_is_over_never_opens_again():
    world = contradicted(filed("duty2", 1, MINUTE, "桥南"))
    judge(world, ruling("duty", 9, "op1", "duty21"))
    assert [one.fields["state"] for one in conflicts(world)] == ["superseded", "superseded", "open"]
    assert open_conflicts(world) == [["duty1", "op1"]]


def test_rule_12_whoever_files_again_and_again_does_not_end_a_dispute():
    world = contradicted()
    again = [filed("op", n, MINUTE + n, "桥东", 0) for n in range(2, 300)]
    judge(world, *again)
    assert open_conflicts(world) == [["duty1", "op299"]]


def test_rule_12_a_filing_costs_the_same_however_much_was_filed_before(monkeypatch):
    folded = []

    def counted(filings, rulings):
        folded.append(len(filings) + len(rulings))
        return whereabouts(filings, rulings)

    monkeypatch.setattr("sync.filings.whereabouts", counted)
    world = contradicted()
    judge(world, *(filed("op", n, n, f"桥{n}", 0) for n in range(2, 300)))
    judge(world, *(ruling("duty", n, "duty1", f"op{n}") for n in range(10, 100)))
    assert max(folded) == 2 * EACH_MAX + 1
    assert all(len(world.of(name, "e1")) <= 3 * EACH_MAX for name in ORDERS)


def test_rule_12_a_machine_with_a_long_history_is_weighed_by_its_newest_filings():
    old = [filed("op", n, -n * 180 * MINUTE, "桥南") for n in range(2, 300)]
    world = with_machine()
    judge(world, *old)
    judge(world, filed("op", 1, 0, "桥东", 0), filed("duty", 1, 0, "桥西"))
    assert open_conflicts(world) == [["duty1", "op1"]]


@pytest.mark.parametrize(
    ("who", "code"), [("op", Code.NO_RIGHT), ("other", Code.NOT_YOURS), ("phone", Code.NO_RIGHT)]
)
def test_rule_12_nobody_else_rules_on_a_unit_s_filings(who, code):
    world = contradicted()
    assert judge(world, ruling(who, 9, "duty1", "op1")) == [("refused", code, ())]
    assert whereabouts_in(world).position["move"] == "op1"


def test_rule_12_of_a_machine_that_is_gone_nothing_is_left_to_decide():
    world = contradicted()
    judge(world, arrival("duty", 2, 1, "equipment.edit", Change("remove", "equipment", "e1")))
    judge(world, filed("duty2", 1, MINUTE, "桥南"))
    assert open_conflicts(world) == []


def test_rule_13_a_point_that_comes_late_fills_the_track_and_leaves_the_position():
    newest = filed("op", 1, 60 * MINUTE, None, 2 * KM)
    late = filed("op", 2, 30 * MINUTE, None, KM)
    world = with_machine()
    judge(world, newest, now=NOW + 61 * MINUTE)
    judge(world, late)
    found = whereabouts(world.of("equipment_move", "e1"))
    assert [point.filing for point in found.track] == ["op2", "op1"]
    assert found.position["move"] == "op1"


def test_rule_13_no_point_is_more_than_two_minutes_after_its_arrival():
    world = with_machine()
    judge(world, filed("op", 1, 600 * MINUTE, "未来"), now=NOW)
    assert whereabouts(world.of("equipment_move", "e1")).position["at"] == NOW + 2 * MINUTE
    judge(world, filed("op", 2, 3 * MINUTE, "现在"), now=NOW + 3 * MINUTE)
    assert whereabouts(world.of("equipment_move", "e1")).position["place"] == "现在"


def test_rule_13_a_jump_and_a_poor_fix_are_on_the_track_and_are_not_the_position():
    found = seen(
        filed("op", 1, 0, None, 0),
        filed("op", 2, 10 * MINUTE, None, 300 * KM),
        filed("op", 3, 20 * MINUTE, None, KM, accuracy_m=5_001),
    )
    assert [point.flag for point in found.track] == ["", "speed", "accuracy"]
    assert found.position["move"] == "op1"


# --- 16: a contact edited at two places ----------------------------------------------------------


def with_phone():
    phone = {"unit": "u1", "contact": "c1", "kind": "mobile", "number": "1000000001"}
    card = {"unit": "u1", "kind": "crane", "name": "示例吊车", "status": "available"}
    return known(
        row("unit", "u1", {"name": "甲"}),
        row("contact", "c1", {"unit": "u1", "name": "示例甲", "duty": "head", "post": "主任"}),
        row("contact_phone", "p1", phone),
        row("equipment", "e1", card),
    )


def edit(who, n, key, fields, base=("seed/0/1",), intent="contact.edit", lane=2):
    entity, id = key.split("/")
    change = Change("set", entity, id, fields)
    return arrival(who, lane, n, intent, change, base={key: dict.fromkeys(fields, tuple(base))})


def rival_numbers():
    world = with_phone()
    judge(
        world,
        edit("duty", 1, "contact_phone/p1", {"number": "111"}),
        edit("lead", 1, "contact_phone/p1", {"number": "222"}, intent="contact.edit_any"),
    )
    return world


def test_rule_16_both_numbers_stay_dialable_and_the_owner_unit_decides():
    world = rival_numbers()
    phone = world.rows["contact_phone", "p1"].row
    assert phone.fields["number"] == "1000000001"
    assert {side["value"] for side in phone.open["number"]} == {"111", "222"}
    told = conflicts(world)[0].fields
    assert (told["rule"], told["state"], told["needs"]) == ("4.3#16", "open", "unit")
    assert told["scopes"] == ["centre", "register/u1"]


def test_rule_16_the_owner_unit_s_decision_ends_the_dispute():
    world = rival_numbers()
    both = base_of(world.rows["contact_phone", "p1"].row, "number")
    decision = edit(
        "duty", 1, "contact_phone/p1", {"number": "222"}, both, "conflict.decide_own", 1
    )
    assert judge(world, decision) == [("applied", None, ())]
    phone = world.rows["contact_phone", "p1"].row
    assert (phone.fields["number"], phone.open) == ("222", {})
    assert [one.fields["state"] for one in conflicts(world)] == ["decided"]


def test_rule_16_edits_of_different_fields_both_stand_without_a_conflict():
    world = with_phone()
    judge(
        world,
        edit("duty", 1, "contact/c1", {"name": "示例丙"}),
        edit("lead", 1, "contact/c1", {"post": "副主任"}, intent="contact.edit_any"),
    )
    fields = world.rows["contact", "c1"].row.fields
    assert (fields["name"], fields["post"], conflicts(world)) == ("示例丙", "副主任", [])


@pytest.mark.parametrize("centre_first", [True, False])
def test_rule_16_what_the_centre_owns_stands_over_the_unit_s_later_word(centre_first):
    world = with_phone()
    centre = edit("admin", 1, "equipment/e1", {"plate": "A"}, intent="register.load")
    unit = edit("duty", 9, "equipment/e1", {"plate": "B"}, intent="equipment.edit")
    judge(world, *((centre, unit) if centre_first else (unit, centre)))
    assert world.rows["equipment", "e1"].row.fields["plate"] == "A"
    assert [one.fields["state"] for one in conflicts(world)] == ["auto"]


# --- 19: a person moved or disabled while offline ------------------------------------------------


def moved(unit, *roles):
    """A world in which the phone's person was a responder of u1 until just now."""
    world = known(*target())
    past = (Rights(NOW, "u1", frozenset({Role.RESPONDER})),)
    world.sessions["phone", "phone"] = Session("phone", unit, frozenset(roles), past=past)
    return world


def signed_at(ms):
    return arrival("phone", 0, 1, "target.step", step("signed"), stamp=f"{ms:012x}-0000-phone")


CUTS = [("u2", Role.RESPONDER), ("u1", Role.STEWARD), ("",)]


@pytest.mark.parametrize("now", CUTS, ids=["moved", "other role", "disabled"])
def test_rule_19_what_was_written_before_the_cut_stands_and_says_so(now):
    world = moved(*now)
    assert judge(world, signed_at(NOW - 1)) == [("applied", None, (Tag.BEFORE_CUT,))]
    assert ("step", "s1") in world.rows


@pytest.mark.parametrize("now", CUTS, ids=["moved", "other role", "disabled"])
def test_rule_19_what_was_written_after_the_cut_is_kept_for_a_person_to_judge(now):
    world = moved(*now)
    assert judge(world, signed_at(NOW + 1)) == [("quarantined", Code.ROLE_CUT, ())]
    assert ("step", "s1") not in world.rows
    shown = [stored.row.fields for key, stored in world.rows.items() if key[0] == "quarantine"]
    assert [(one["code"], one["author"], one["state"]) for one in shown] == [
        (Code.ROLE_CUT, "phone", "open")
    ]
    assert shown[0]["changes"][0]["fields"]["step"] == "signed"


def test_rule_19_what_neither_the_old_nor_the_new_rights_allow_is_refused():
    world = moved("u2", Role.RESPONDER)
    close = arrival("phone", 0, 1, "target.close", step("closed", route="centre"))
    assert judge(world, close) == [("refused", Code.NO_RIGHT, ())]


# --- 25: a photo that has not come --------------------------------------------------------------


PHOTO = {"sha256": "ab" * 32, "size": 900_000, "type": "image/jpeg"}


def feedback(photo):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": 1, "at": NOW}
    change = Change("create", "feedback", "f1", fields | {"kind": "progress", "photos": [photo]})
    return arrival("phone", 1, 1, "feedback.add", change)


def test_rule_25_feedback_stands_before_its_photo_has_come_and_names_it_by_content():
    world = known(*target())
    assert judge(world, feedback(PHOTO)) == [("applied", None, ())]
    assert world.rows["feedback", "f1"].row.fields["photos"] == [PHOTO]


def test_rule_25_a_photo_without_the_hash_of_its_content_is_none():
    unnamed = {"size": 900_000, "type": "image/jpeg"}
    assert judge(known(*target()), feedback(unnamed)) == [("refused", Code.FIELD, ())]


# --- 26: a clock that is wrong --------------------------------------------------------------------


def stamped(who, n, number, wall_ms, base=("seed/0/1",)):
    change = Change("set", "contact_phone", "p1", {"number": number})
    base = {"contact_phone/p1": {"number": tuple(base)}}
    stamp = f"{wall_ms:012x}-0000-{who}"
    return arrival(who, 2, n, "contact.edit", change, base=base, stamp=stamp)


@pytest.mark.parametrize(
    ("ahead", "tags"), [(DRIFT_MS_MAX, ()), (DRIFT_MS_MAX + 1, (Tag.CLOCK_AHEAD,))]
)
def test_rule_26_a_stamp_too_far_ahead_is_replaced_at_receipt_and_says_so(ahead, tags):
    world = with_phone()
    assert judge(world, stamped("duty", 1, "111", LATER + ahead)) == [("applied", None, tags)]
    kept = world.rows["contact_phone", "p1"].row.writes["number"][0]
    assert kept == f"{LATER if tags else LATER + ahead:012x}-0000-duty"


@pytest.mark.parametrize("off", [CLOCK_OFF_MS_MAX, -CLOCK_OFF_MS_MAX])
def test_rule_26_a_clock_more_than_two_minutes_off_is_wrong(off):
    beyond = off + (1 if off > 0 else -1)
    assert (is_off(NOW + off, NOW), is_off(NOW + beyond, NOW)) == (False, True)
    assert not is_off(0, NOW), "a request that told none"


def test_rule_26_what_a_device_with_a_wrong_clock_sends_says_so_and_stands_as_it_is():
    world = with_phone()
    said = replace(stamped("duty", 1, "111", LATER), clock_off=True)
    assert judge(world, said) == [("applied", None, (Tag.CLOCK_OFF,))]
    kept = world.rows["contact_phone", "p1"].row.writes["number"][0]
    assert kept == f"{LATER:012x}-0000-duty"


def test_rule_26_a_stamp_far_ahead_and_a_wrong_clock_are_two_remarks():
    world = with_phone()
    said = replace(stamped("duty", 1, "111", LATER + DRIFT_MS_MAX + 1), clock_off=True)
    assert judge(world, said) == [("applied", None, (Tag.CLOCK_AHEAD, Tag.CLOCK_OFF))]


def test_rule_26_a_slow_clock_does_not_lose_to_what_its_author_had_seen():
    world = with_phone()
    judge(world, stamped("duty", 1, "111", LATER + 60 * MINUTE))
    slow = stamped("duty", 2, "222", NOW - 60 * MINUTE, ["duty/2/1"])
    assert judge(world, slow) == [("applied", None, ())]
    phone = world.rows["contact_phone", "p1"].row
    assert (phone.fields["number"], phone.open) == ("222", {})


def test_rule_26_rows_carry_the_centre_s_time_of_arrival_beside_the_device_s():
    world = known(*target())
    judge(world, arrival("phone", 0, 1, "target.step", step("signed", at=NOW - 60 * MINUTE)))
    made = world.rows["step", "s1"].row
    assert (made.fields["at"], made.arrived) == (NOW - 60 * MINUTE, LATER)

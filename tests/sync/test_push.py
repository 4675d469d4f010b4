"""What a push is given as verdict, and what it leaves behind."""

import pytest
from msgspec.structs import replace

from schema.codes import Code
from schema.versions import HELD_MS
from schema.wire import Change, Guard
from sync.judge import HELD_PER_REPLICA_MAX
from sync.known import Held
from sync.numbers import asked_for, missing_after
from sync.push import plan_push
from tests.sync.builders import NOW, arrival, known, recall, row, step, target


def judge(world, *arrivals):
    return plan_push(world, list(arrivals), NOW)


def verdict(world, one):
    entry = judge(world, one).entries[0]
    return entry.verdict.verdict, entry.verdict.code


def phone_rows(number="1000000001"):
    return [
        row("unit", "u1", {"name": "甲"}),
        row("contact", "c1", {"unit": "u1", "name": "示例甲", "duty": "head"}),
        row(
            "contact_phone",
            "p1",
            {"unit": "u1", "contact": "c1", "kind": "mobile", "number": number},
        ),
    ]


def edit(who, n, number, base, intent="contact.edit", fields=None):
    change = Change("set", "contact_phone", "p1", fields or {"number": number})
    return arrival(who, 2, n, intent, change, base={"contact_phone/p1": {"number": tuple(base)}})


def test_a_step_of_ones_own_unit_is_applied():
    assert verdict(known(*target()), arrival("phone", 0, 1, "target.step", step("signed"))) == (
        "applied",
        None,
    )


def test_a_step_for_another_unit_is_refused_and_nothing_is_written():
    plan = judge(known(*target()), arrival("other", 0, 1, "target.step", step("signed")))
    assert plan.entries[0].verdict.code == Code.NOT_YOURS
    assert [stored.row.entity for _, stored in plan.entries[0].wrote] == ["quarantine"]


def test_a_step_that_claims_ones_own_unit_on_a_foreign_target_is_refused():
    world = known(*target("u2"))
    assert verdict(world, arrival("phone", 0, 1, "target.step", step("signed")))[1] == (
        Code.NOT_YOURS
    )


def test_only_the_centre_may_close():
    change = step("closed", route="centre")
    assert verdict(known(*target()), arrival("phone", 0, 1, "target.close", change)) == (
        "refused",
        Code.NO_RIGHT,
    )


def test_a_unit_cannot_write_a_closing_step_as_its_own():
    change = step("closed")
    assert verdict(known(*target()), arrival("phone", 0, 1, "target.step", change))[0] == "refused"


def test_a_repeat_gets_the_recorded_verdict_and_writes_nothing():
    world = known(*target())
    one = arrival("phone", 0, 1, "target.step", step("signed"))
    judge(world, one)
    plan = judge(world, one)
    assert plan.entries == []
    assert (plan.verdicts[0].verdict, plan.verdicts[0].repeat) == ("applied", True)


def test_the_same_dot_with_other_bytes_is_refused():
    world = known(*target())
    judge(world, arrival("phone", 0, 1, "target.step", step("signed")))
    plan = judge(world, arrival("phone", 0, 1, "target.step", step("read")))
    assert plan.verdicts[0].code == Code.IDENTITY_REUSED


def test_a_refused_mutation_does_not_stop_the_next():
    plan = judge(
        known(*target()),
        arrival("phone", 0, 1, "target.close", step("closed")),
        arrival("phone", 0, 2, "target.step", step("signed")),
    )
    assert [entry.verdict.verdict for entry in plan.entries] == ["refused", "applied"]


def test_a_gap_stops_nothing_and_is_asked_for():
    plan = judge(known(*target()), arrival("phone", 0, 3, "target.step", step("signed")))
    assert plan.entries[0].verdict.verdict == "applied"
    top, gaps = missing_after(0, [], {3})
    assert (top, asked_for(gaps)) == (3, [1, 2])
    assert asked_for(missing_after(top, gaps, {1})[1]) == [2]


def test_a_number_far_ahead_costs_one_range():
    top, gaps = missing_after(0, [], {2**31 - 1})
    assert (top, gaps, len(asked_for(gaps))) == (2**31 - 1, [[1, 2**31 - 2]], 500)


def test_an_edit_of_a_row_never_seen_is_held_and_released_when_the_row_comes():
    world = known(*phone_rows()[:2])
    plan = judge(world, edit("duty", 1, "2", ["admin/2/1"]))
    assert plan.entries[0].verdict.verdict == "held"
    world.held = [Held(plan.entries[0].arrival, "contact_phone/p1", NOW)]
    create = Change("create", "contact_phone", "p1", phone_rows()[2].row.fields)
    plan = judge(world, arrival("admin", 2, 1, "register.load", create))
    assert [entry.verdict.verdict for entry in plan.released] == ["applied"]
    told = plan.released[0].wrote[-1][1].row
    assert (told.entity, told.fields["verdict"]) == ("verdict", "applied")
    assert world.rows["contact_phone", "p1"].row.fields["number"] == "2"


def test_an_edit_of_a_removed_row_is_quarantined_with_its_words():
    world = known(*phone_rows())
    judge(world, arrival("duty", 2, 1, "contact.edit", Change("remove", "contact_phone", "p1")))
    assert verdict(world, edit("duty", 2, "2", ["seed/0/1"])) == ("quarantined", Code.REMOVED)


def test_a_device_cannot_write_what_only_the_home_writes():
    change = Change("create", "directive", "d2", {**target()[4].row.fields, "no": "伪造"})
    fields = {"kind": "dispatch", "urgency": "urgent", "text": "t", "clocks": {"sign": 1}}
    change = Change("create", "directive", "d2", change.fields | fields)
    assert verdict(known(*target()), arrival("lead", 0, 1, "directive.issue", change))[1] == (
        Code.SERVER_FIELD
    )


def test_a_failed_guard_is_refused():
    guard = Guard("directive/d1", "eq", "version", 2)
    one = arrival("phone", 0, 1, "target.step", step("signed"), guard=(guard,))
    assert verdict(known(*target()), one) == ("refused", Code.GUARD)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"step": "flying"}, Code.FIELD),
        ({"round": 1.5}, Code.FIELD),
        ({"at": 2**60}, Code.FIELD),
        ({"note": "x" * 201}, Code.FIELD),
        ({"target": None}, Code.FIELD),
        ({"target": "t\n1"}, Code.FIELD),
        ({"id": "s\0"}, Code.FIELD),
    ],
)
def test_bad_fields_are_refused_by_name(fields, code):
    change = step("signed", **fields)
    assert verdict(known(*target()), arrival("phone", 0, 1, "target.step", change))[1] == code


def test_a_refusal_quotes_nothing_that_cannot_be_shown():
    one = arrival("phone", 0, 1, "target.\0step\n", step("signed"))
    told = plan_push(known(*target()), [one], NOW).verdicts[0]
    assert (told.code, told.detail) == (Code.INTENT, "target.step")


def test_someone_elses_session_is_refused():
    one = arrival("phone", 0, 1, "target.step", step("signed"), actor="lead")
    assert verdict(known(*target()), one) == ("refused", Code.ACTOR)


def opened(n, reoffered=True):
    """A further round, opened by the centre: of old, or now."""
    fields = {
        "target": "t1",
        "directive": "d1",
        "unit": "u1",
        "round": n,
        "at": NOW,
        "reason": "redo",
        "note": "x",
    }
    change = Change("create", "round", f"r{n}", fields)
    return replace(arrival("lead", 0, n, "target.send_back", change), reoffered=reoffered)


def restored():
    """An order in a log that was restored."""
    world = known(*target())
    world.node = "node2"
    return world


@pytest.mark.parametrize("round", [2, 3])
def test_what_is_of_a_round_that_a_restore_lost_waits_until_that_comes_back(round):
    one = arrival("phone", 0, 1, "target.step", step("signed", round=round))
    back = replace(one, returning=True)
    assert verdict(known(*target()), back) == verdict(restored(), one) == ("refused", Code.FIELD)
    world = restored()
    held = judge(world, back).entries[0].verdict
    assert (held.verdict, held.detail) == ("held", f"target/t1/round/{round}")
    world.held = [Held(back, held.detail, NOW)]
    released = [judge(world, opened(n)).released for n in range(2, round + 1)]
    assert [len(each) for each in released] == [0] * (round - 2) + [1]
    assert released[-1][0].verdict.verdict == "applied"


def test_a_round_that_is_opened_now_is_another_one_than_the_lost():
    world, one = restored(), arrival("phone", 0, 1, "target.step", step("signed", round=2))
    back = replace(one, returning=True)
    world.held = [Held(back, judge(world, back).entries[0].verdict.detail, NOW)]
    assert judge(world, opened(2, reoffered=False)).released == []
    assert ("step", "s1") not in world.rows


def test_a_round_that_comes_back_before_the_one_below_it_waits_for_that_one():
    assert judge(restored(), opened(3)).entries[0].verdict.detail == "target/t1/round/2"


def test_in_a_restored_log_nobody_claims_to_have_seen_what_the_centre_writes_next():
    world = known(*phone_rows())
    world.node = "admin"
    judge(world, edit("duty", 1, "111", ["seed/0/1", "admin/2/1"]))
    judge(world, edit("admin", 1, "222", ["seed/0/1"], "register.load"))
    assert open_conflicts(world) == [["admin/2/1", "duty/2/1"]]
    world = known(*phone_rows())
    world.node = "node2"
    judge(world, edit("duty", 1, "111", ["seed/0/1", "admin/2/1"]))
    judge(world, edit("admin", 1, "222", ["seed/0/1"], "register.load"))
    assert open_conflicts(world) == []


def test_concurrent_phone_numbers_are_both_kept_and_a_conflict_opens():
    """4.3#16"""
    world = known(*phone_rows())
    judge(world, edit("duty", 1, "111", ["seed/0/1"]))
    plan = judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    assert plan.entries[0].verdict.verdict == "merged"
    phone = world.rows["contact_phone", "p1"].row
    assert phone.fields["number"] == "1000000001"
    assert {side["value"] for side in phone.open["number"]} == {"111", "222"}
    conflict = plan.entries[0].wrote[-1][1].row
    assert (conflict.entity, conflict.fields["state"]) == ("conflict", "open")
    assert conflict.fields["needs"] == "unit"
    assert conflict.fields["scopes"] == ["centre", "register/u1"]


def test_a_decision_that_names_both_dots_closes_the_conflict():
    world = known(*phone_rows())
    judge(world, edit("duty", 1, "111", ["seed/0/1"]))
    judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    change = Change("set", "contact_phone", "p1", {"number": "222"})
    base = {"contact_phone/p1": {"number": ("duty/2/1", "lead/2/1")}}
    plan = judge(world, arrival("lead", 1, 1, "conflict.decide", change, base=base))
    phone = world.rows["contact_phone", "p1"].row
    assert (phone.fields["number"], phone.open) == ("222", {})
    closed = [one.row for _, one in plan.entries[0].wrote if one.row.entity == "conflict"]
    assert [(c.fields["state"], c.fields["decided_by"]) for c in closed] == [("decided", "lead")]


def test_a_third_rival_supersedes_the_conflict_of_the_first_two():
    world = known(*phone_rows())
    judge(world, edit("duty", 1, "111", ["seed/0/1"]))
    judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    plan = judge(world, edit("admin", 1, "333", ["seed/0/1"], "register.load"))
    states = sorted(
        one.row.fields["state"] for _, one in plan.entries[0].wrote if one.row.entity == "conflict"
    )
    assert states == ["open", "superseded"]


def open_conflicts(world):
    """The dots of each dispute that waits for a person."""
    rows = [stored.row for (of, _), stored in world.rows.items() if of == "conflict"]
    return [
        sorted(side["dot"] for side in one.fields["sides"])
        for one in rows
        if one.fields["state"] == "open"
    ]


def test_a_late_edit_that_its_own_author_wrote_over_leaves_the_dispute_as_it_is():
    world = known(*phone_rows())
    judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    judge(world, edit("duty", 2, "111", ["seed/0/1"]))
    assert open_conflicts(world) == [["duty/2/2", "lead/2/1"]]
    judge(world, edit("duty", 1, "333", ["seed/0/1"]))
    assert world.rows["contact_phone", "p1"].row.open
    assert open_conflicts(world) == [["duty/2/2", "lead/2/1"]]


def test_a_late_edit_that_knew_of_one_of_three_rivals_leaves_the_dispute_of_the_other_two():
    world = known(*phone_rows())
    judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    judge(world, edit("admin", 1, "444", ["seed/0/1"], "register.load"))
    judge(world, edit("duty", 2, "111", ["seed/0/1"]))
    judge(world, edit("duty", 1, "333", ["admin/2/1"]))
    assert open_conflicts(world) == [["duty/2/2", "lead/2/1"]]


def test_edits_of_different_fields_are_both_kept_without_a_conflict():
    world = known(*phone_rows())
    judge(world, edit("duty", 1, "111", ["seed/0/1"]))
    change = Change("set", "contact_phone", "p1", {"kind": "landline"})
    base = {"contact_phone/p1": {"kind": ("seed/0/1",)}}
    plan = judge(world, arrival("lead", 2, 1, "contact.edit_any", change, base=base))
    assert plan.entries[0].verdict.verdict == "applied"
    phone = world.rows["contact_phone", "p1"].row
    assert (phone.fields["number"], phone.fields["kind"]) == ("111", "landline")


@pytest.mark.parametrize(
    ("name", "at", "rule", "state"),
    [
        ("signed", NOW - 5, "4.3#1", "auto"),
        ("signed", NOW + 5, "4.3#2", "auto"),
        ("arrived", NOW - 5, "4.3#3", "open"),
        ("reported", NOW + 5, "4.3#3", "open"),
    ],
)
def test_a_step_unaware_of_a_recall_is_kept_and_falls_under_its_rule(name, at, rule, state):
    world = known(*target())
    judge(world, arrival("lead", 0, 1, "directive.recall", recall(at=NOW, rank_seen=2)))
    plan = judge(world, arrival("phone", 0, 1, "target.step", step(name, at=at)))
    assert plan.entries[0].verdict.verdict == "merged"
    made = {one.row.entity: one.row for _, one in plan.entries[0].wrote}
    assert made["step"].fields["step"] == name
    assert (made["conflict"].fields["rule"], made["conflict"].fields["state"]) == (rule, state)


def test_a_ruling_closes_the_conflict_that_it_decides():
    """4.3#3"""
    world = known(*target())
    judge(world, arrival("lead", 0, 1, "directive.recall", recall(at=NOW, rank_seen=2)))
    judge(world, arrival("phone", 0, 1, "target.step", step("arrived")))
    fields = {**recall().fields, "recall": "r1", "verdict": "accept_result"}
    fields = {name: fields[name] for name in fields if name not in ("reason", "rank_seen")}
    change = Change("create", "ruling", "g1", fields)
    plan = judge(world, arrival("lead", 0, 2, "recall.rule", change))
    made = {one.row.entity: one.row.fields for _, one in plan.entries[0].wrote}
    assert (made["conflict"]["state"], made["conflict"]["decided_by"]) == ("decided", "lead")


def test_a_step_the_dispatcher_had_seen_is_no_conflict():
    world = known(*target())
    judge(world, arrival("lead", 0, 1, "directive.recall", recall(rank_seen=5)))
    plan = judge(world, arrival("phone", 0, 1, "target.step", step("signed")))
    assert plan.entries[0].verdict.verdict == "applied"


def test_a_stamp_far_in_the_future_is_accepted_and_restamped_in_order():
    far = f"{NOW + 10**10:012x}-0000-duty"
    world = known(*phone_rows())
    plan = judge(
        world,
        edit("duty", 1, "1", ["seed/0/1"]),
        arrival(
            "duty",
            2,
            2,
            "contact.edit",
            Change("set", "contact_phone", "p1", {"number": "2"}),
            base={"contact_phone/p1": {"number": ("duty/2/1",)}},
            stamp=far,
        ),
    )
    assert plan.entries[1].verdict.verdict == "applied"
    stamp = world.rows["contact_phone", "p1"].row.writes["number"][0]
    assert stamp < f"{NOW + 10**9:012x}"


def test_what_waits_for_something_later_in_the_same_push_is_released_by_it():
    world = known(*phone_rows()[:1])
    machine = {"unit": "u1", "kind": "crane", "name": "示例吊车", "status": "available"}
    move = {
        "equipment": "e1",
        "unit": "u1",
        "kind": "move",
        "at": NOW,
        "manager": "示例甲",
        "operator": "示例乙",
        "operator_phone": "100 0000 0002",
    }
    plan = judge(
        world,
        arrival("duty", 1, 1, "move.file", Change("create", "equipment_move", "m1", move)),
        arrival("duty", 2, 1, "equipment.edit", Change("create", "equipment", "e1", machine)),
    )
    assert [one.verdict for one in plan.verdicts] == ["held", "applied"]
    assert [one.verdict.verdict for one in plan.released] == ["applied"]


def test_what_waits_too_long_is_quarantined_and_its_author_told():
    world = known(*phone_rows()[:2])
    waiting = judge(world, edit("duty", 1, "2", ["seed/0/1"])).entries[0].arrival
    world.held = [Held(waiting, "contact_phone/p1", NOW - HELD_MS - 1)]
    plan = judge(world, arrival("duty", 2, 2, "contact.edit", Change("remove", "contact", "c1")))
    assert [one.verdict.verdict for one in plan.released] == ["quarantined"]
    assert plan.released[0].wrote[-1][1].row.entity == "verdict"


def test_one_device_cannot_make_everybody_wait_for_what_it_waits_for():
    world = known(*phone_rows()[:2])
    world.waiting = {"duty": HELD_PER_REPLICA_MAX - 1}
    assert verdict(world, edit("duty", 1, "2", ["seed/0/1"]))[0] == "held"
    assert verdict(world, edit("duty", 2, "3", ["seed/0/1"])) == ("refused", Code.PARENT)


def test_a_base_that_names_a_write_of_the_future_counts_for_nothing():
    world = known(*phone_rows())
    future = [f"lead/2/{n}" for n in range(1, 300)]
    judge(world, edit("duty", 1, "111", ["seed/0/1", *future]))
    plan = judge(world, edit("lead", 1, "222", ["duty/2/1"], "contact.edit_any"))
    assert plan.entries[0].verdict.verdict == "applied"
    assert world.rows["contact_phone", "p1"].row.fields["number"] == "222"


def test_two_dispatchers_at_the_centre_who_edit_one_number_both_keep_it():
    world = known(*phone_rows())
    world.sessions["lead", "second"] = replace(world.sessions["lead", "lead"], actor="second")
    judge(world, edit("lead", 1, "111", ["seed/0/1"], "contact.edit_any"))
    change = Change("set", "contact_phone", "p1", {"number": "222"})
    base = {"contact_phone/p1": {"number": ("seed/0/1",)}}
    other = {"session": "second", "actor": "second", "base": base}
    plan = judge(world, arrival("lead", 2, 2, "contact.edit_any", change, **other))
    assert plan.entries[0].verdict.verdict == "merged"
    phone = world.rows["contact_phone", "p1"].row
    assert {side["value"] for side in phone.open["number"]} == {"111", "222"}


def test_one_mutation_cannot_write_a_row_twice_to_slip_it_into_another_unit():
    fields = {"unit": "u1", "duty": "head", "name": "示例"}
    changes = (
        Change("create", "contact", "c9", fields),
        Change("set", "contact", "c9", {"unit": "u2"}),
    )
    assert verdict(known(*phone_rows()), arrival("duty", 2, 1, "contact.edit", *changes)) == (
        "refused",
        Code.MUTATION,
    )


def test_a_parent_of_another_unit_made_on_the_way_does_not_help():
    changes = (
        Change("create", "contact", "c9", {"unit": "u2", "duty": "head", "name": "示例"}),
        Change(
            "create",
            "contact_phone",
            "p9",
            {"unit": "u1", "contact": "c9", "kind": "mobile", "number": "1"},
        ),
    )
    assert verdict(known(*phone_rows()), arrival("duty", 2, 1, "contact.edit", *changes))[1] == (
        Code.NOT_YOURS
    )


def test_a_machine_is_given_only_to_people_of_its_own_unit():
    stranger = row("person", "x", {"name": "示例", "unit": "u2", "roles": ["operator"]})
    card = row("equipment", "e1", {"unit": "u1", "kind": "crane", "name": "吊车"})
    world = known(*phone_rows(), card, stranger)
    change = Change("set", "equipment", "e1", {"operator_person": "x"})
    assert verdict(world, arrival("duty", 2, 1, "equipment.edit", change))[1] == Code.NOT_YOURS


@pytest.mark.parametrize(
    "fields", [{"round": 2}, {"round": 0}, {"version": 77}, {"directive": "d9"}]
)
def test_a_step_belongs_to_a_round_and_a_version_that_there_are(fields):
    world = known(*target())
    world.remember([row("directive", "d9", target()[4].row.fields)])
    change = step("reported", **fields)
    assert verdict(world, arrival("phone", 0, 1, "target.step", change))[1] == Code.FIELD


def test_a_recall_made_without_seeing_a_step_that_is_here_is_a_conflict_too():
    """4.3#3"""
    world = known(*target())
    judge(world, arrival("phone", 0, 1, "target.step", step("arrived")))
    plan = judge(world, arrival("lead", 0, 1, "directive.recall", recall(rank_seen=0)))
    made = {one.row.entity: one.row.fields for _, one in plan.entries[0].wrote}
    assert (made["conflict"]["rule"], made["conflict"]["state"]) == ("4.3#3", "open")


def test_removing_a_row_ends_the_dispute_about_it():
    world = known(*phone_rows())
    judge(world, edit("duty", 1, "111", ["seed/0/1"]))
    judge(world, edit("lead", 1, "222", ["seed/0/1"], "contact.edit_any"))
    plan = judge(
        world, arrival("duty", 2, 2, "contact.edit", Change("remove", "contact_phone", "p1"))
    )
    made = {one.row.entity: one.row.fields for _, one in plan.entries[0].wrote}
    assert (made["conflict"]["state"], made["conflict"]["decided_by"]) == ("decided", "duty")


def test_a_guard_tells_nothing_of_rows_that_its_author_may_not_see():
    world = known(*target(), *phone_rows())
    right, wrong = (
        Guard("contact_phone/p1", "eq", "number", number) for number in ("1000000001", "1")
    )
    seen = [
        verdict(world, arrival("other", 0, n, "help.call", help_call("u2", n), guard=(guard,)))
        for n, guard in enumerate((right, wrong), 1)
    ]
    assert seen == [("refused", Code.GUARD)] * 2


def help_call(unit, n=1):
    return Change("create", "help_call", f"h{n}", {"unit": unit, "at": NOW})


def test_what_does_not_prove_whose_it_is_takes_no_number():
    world = known(*target())
    forged = replace(arrival("phone", 0, 1, "target.step", step("read")), fault=Code.SIGNATURE)
    plan = judge(world, forged)
    assert (plan.verdicts[0].verdict, plan.entries) == ("quarantined", [])
    assert [entry.arrival.raw for entry in plan.kept] == [forged.raw]
    assert verdict(world, arrival("phone", 0, 1, "target.step", step("signed")))[0] == "applied"


def test_both_bytes_of_a_dot_used_twice_are_kept():
    world = known(*target())
    judge(world, arrival("phone", 0, 1, "target.step", step("signed")))
    second = arrival("phone", 0, 1, "target.step", step("read"))
    plan = judge(world, second)
    assert [entry.arrival.raw for entry in plan.kept] == [second.raw]


def test_a_field_edited_a_thousand_times_keeps_a_short_history():
    world = known(*phone_rows())
    last = "seed/0/1"
    for n in range(1, 300):
        judge(world, edit("duty", n, str(n), [last]))
        last = f"duty/2/{n}"
    stored = world.rows["contact_phone", "p1"]
    assert (stored.row.fields["number"], stored.row.open) == ("299", {})
    assert len(stored.history["number"]) <= 65

"""Progress, clocks and positions are folds: the same facts, the same answer."""

from hypothesis import given
from hypothesis import strategies as st

from schema.steps import RANKS
from sync.fold import Facts, directive_state, overdue, position_of, progress_of
from tests.sync.builders import NOW, recall, row, step, target

DIRECTIVE = target()[4].row
MINUTE = 60_000


def fact(change, arrived=NOW + 10, dot="phone/0/1"):
    from msgspec.structs import replace

    made = row(change.entity, change.id, dict(change.fields), dot).row
    return replace(made, arrived=arrived)


def steps(*names, **more):
    return [
        fact(step(name, id=f"s{n}", at=NOW + n * MINUTE, **more), NOW + 10**6, f"phone/0/{n}")
        for n, name in enumerate(names, 1)
    ]


def round_(n, reason="sent_back"):
    fields = {"target": "t1", "directive": "d1", "unit": "u1", "round": n, "at": NOW + MINUTE}
    return row("round", f"o{n}", fields | {"reason": reason, "note": "重做"}).row


def progress(**facts):
    return progress_of(DIRECTIVE, Facts(**facts))


@given(order=st.permutations(steps("received", "read", "signed", "departed")))
def test_the_highest_step_stands_whatever_came_first(order):
    assert progress(steps=order) == progress(steps=steps("received", "read", "signed", "departed"))
    assert progress(steps=order).step == "departed"


def test_a_late_receipt_never_moves_back():
    late = fact(step("received", id="s9", at=NOW + 9 * MINUTE), dot="phone/0/9")
    assert progress(steps=[*steps("signed"), late]).step == "signed"


def test_a_step_that_was_only_implied_has_no_mark():
    marks = progress(steps=steps("arrived")).marks
    assert list(marks) == ["arrived"]


def test_a_new_round_starts_at_pending_and_keeps_the_old_signs_in_sight():
    now = progress(steps=steps("signed", "reported"), rounds=[round_(2)])
    assert (now.round, now.step, [m.step for m in now.old]) == (
        2,
        "pending",
        ["signed", "reported"],
    )


def test_two_dispatchers_who_send_back_at_once_open_one_round():
    assert progress(rounds=[round_(2), round_(2)]).round == 2


def test_a_device_time_after_its_arrival_is_taken_as_the_arrival():
    ahead = fact(step("signed", at=NOW + 10**9), arrived=NOW + 5)
    assert progress(steps=[ahead]).marks["signed"].at == NOW + 5


def test_progress_feedback_means_acting():
    said = row("feedback", "f1", {**step("x").fields, "kind": "progress", "text": "到位"}).row
    assert progress(steps=steps("signed"), feedback=[said]).step == "acting"
    clocks = {c.name: c for c in progress(feedback=[said]).clocks}
    assert clocks["sign"].met == said.arrived


def test_a_sign_before_the_recall_counts_and_is_not_blind():
    """4.3#1"""
    now = progress(
        steps=[fact(step("signed", at=NOW - 5))], recalls=[fact(recall(at=NOW, rank_seen=1))]
    )
    assert (now.recall, now.blind, now.step) == ("recalling", False, "signed")


def test_a_sign_after_the_recall_is_blind():
    """4.3#2"""
    now = progress(
        steps=[fact(step("signed", at=NOW + 5))], recalls=[fact(recall(at=NOW, rank_seen=1))]
    )
    assert (now.recall, now.blind) == ("recalling", True)


def test_an_unaware_arrival_is_contested_until_somebody_rules():
    """4.3#3"""
    facts = {"steps": steps("arrived"), "recalls": [fact(recall(rank_seen=3))]}
    assert progress(**facts).recall == "contested"
    for verdict, state in (("accept_result", "accepted"), ("stand_by_recall", "recalling")):
        fields = {"recall": "r1", "verdict": verdict, "at": NOW + 9}
        assert progress(**facts, rulings=[row("ruling", "g1", fields).row]).recall == state


def test_a_confirmed_stop_ends_the_recall():
    stop = row("stop", "x1", {"recall": "r1", "at": NOW}).row
    assert progress(recalls=[fact(recall())], stops=[stop]).recall == "stopped"


def test_a_recall_of_finished_work_says_so():
    done = steps("reported")
    now = progress(steps=done, recalls=[fact(recall(rank_seen=RANKS["reported"]))])
    assert now.recall == "done_before"


def test_clocks_start_and_stop_where_the_order_says():
    clocks = {c.name: c for c in progress(steps=steps("received", "signed")).clocks}
    assert clocks["sign"].since == NOW
    assert clocks["sign"].met == NOW + 2 * MINUTE
    assert clocks["depart"].since == NOW + 2 * MINUTE
    assert clocks["depart"].met is None
    assert not overdue(clocks["sign"], NOW + 10**9)
    assert overdue(clocks["depart"], clocks["depart"].due + 1)


def test_a_step_above_meets_the_clock_of_one_that_was_skipped():
    clocks = {c.name: c for c in progress(steps=steps("arrived")).clocks}
    assert clocks["sign"].met == NOW + MINUTE


def test_the_header_is_derived_from_the_targets():
    signed, closed = progress(steps=steps("signed")), progress(steps=steps("closed"))
    pending, recalled = progress(), progress(recalls=[fact(recall())])
    assert directive_state([signed, pending]) == "part_signed"
    assert directive_state([signed, signed]) == "all_signed"
    assert directive_state([closed, closed]) == "closed"
    assert directive_state([closed, recalled]) == "recalling"
    assert directive_state([recalled]) == "recalling"
    stop = row("stop", "x1", {"recall": "r1", "at": NOW}).row
    stopped = progress(recalls=[fact(recall())], stops=[stop])
    assert directive_state([closed, stopped]) == "closed"
    assert directive_state([stopped]) == "recalled"
    assert directive_state([progress(steps=steps("departed")), pending]) == "acting"


def move(id, at, place, arrived=NOW + 10**7):
    from msgspec.structs import replace

    fields = {"equipment": "e1", "unit": "u1", "at": at, "place": place}
    return replace(row("equipment_move", id, fields, f"op/1/{id}").row, arrived=arrived)


def test_the_newest_observation_is_the_position_however_late_it_came():
    moves = [move("2", NOW + 2, "桥东"), move("1", NOW + 1, "桥西")]
    assert position_of(moves)["place"] == "桥东"
    assert position_of(list(reversed(moves)))["place"] == "桥东"


def test_an_observation_from_the_future_cannot_hide_later_ones():
    moves = [move("1", NOW + 10**12, "未来", NOW), move("2", NOW + 10**6, "现在")]
    assert position_of(moves)["place"] == "现在"


def test_a_machine_that_never_filed_has_no_position():
    assert position_of([]) is None

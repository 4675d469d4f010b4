"""What the web view's projections say of given rows: no server, no store."""

import pytest

from schema.entities import ENTITIES
from schema.wire import Change, Row
from server.waiting import is_open
from server.web.cases import case, order
from server.web.lookup import Lookup, all_units, grouped
from server.web.views import board, clocks_shown, directive_view, one_directive, unanswered
from server.web.views_register import dispute, sides_of
from sync.fold import Clock
from sync.merge import Write
from sync.rows import Author, Moment, Stored, created, set_fields

NOW = 1_800_000_000_000
MINUTE = 60_000


class Shelf:
    """A store's read side over rows in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Stored] = {}

    def put(self, entity: str, id: str, arrived: int = NOW, actor: str = "p1", **fields) -> Row:
        dot = f"r/0/{len(self.kept) + 1}"
        stamp = f"{arrived:012x}-0000-r"
        change = Change("create", entity, id, fields)
        stored = created(change, Author(actor, 1), Moment(dot, stamp, arrived))
        self.kept[entity, id] = stored
        return stored.row

    def set(self, entity: str, id: str, dot: str, base: tuple[str, ...], **fields) -> None:
        write = Write(dot, (), f"{NOW:012x}-0001-{dot[0]}", "p2", 1, None)
        change = Change("set", entity, id, fields)
        bases = dict.fromkeys(fields, base)
        self.kept[entity, id] = set_fields(self.kept[entity, id], change, write, bases).stored

    def rows(self, keys):
        return {key: self.kept[key] for key in keys if key in self.kept}

    def children(self, entity, parent):
        by = ENTITIES[entity].parent
        return [
            stored
            for (name, _), stored in self.kept.items()
            if name == entity and (parent is None or (by and stored.row.fields.get(by) == parent))
        ]


CLOCKS = {"receipt": MINUTE, "sign": 3 * MINUTE, "stop": 5 * MINUTE}


@pytest.fixture
def shelf():
    shelf = Shelf()
    shelf.put("unit", "u1", code="1.2-01", name="示例一局", tier="T1", category="1.2")
    shelf.put("unit", "u2", code="2-01", name="示例二队", tier="T2", category="2")
    shelf.put("person", "p1", name="示例甲", unit=None, roles=["dispatcher"])
    shelf.put("incident", "i1", state="open")
    shelf.put("incident_summary", "i1", title="示例警情")
    issue(shelf, "d1", "u1", "u2")
    return shelf


def issue(shelf, id, *units, urgency="urgent", at=NOW):
    shelf.put(
        "directive",
        id,
        incident="i1",
        kind="dispatch",
        urgency=urgency,
        version=1,
        text="示例",
        clocks=CLOCKS,
        at=at,
    )
    for unit in units:
        shelf.put(
            "target", f"{id}-{unit}", directive=id, incident="i1", unit=unit, lead=unit == "u2"
        )


def fact(shelf, entity, id, target="d1-u1", at=NOW, round=1, **fields):
    unit = target.split("-")[1]
    common = {"target": target, "directive": target.split("-")[0], "unit": unit}
    shelf.put(entity, id, at + MINUTE, **common, round=round, at=at, **fields)


def step(shelf, name, **more):
    fact(shelf, "step", f"s{len(shelf.kept)}", step=name, version=1, route="device", **more)


def recall(shelf, rank, **more):
    fact(shelf, "recall", "r1", reason="示例", rank_seen=rank, **more)


def target(shelf, unit="u1"):
    return next(one for one in one_directive(shelf, "d1").targets if one.unit.id == unit)


@pytest.mark.parametrize(
    ("done", "light"),
    [
        ([], "waiting"),
        (["received"], "unread"),
        (["received", "read"], "read"),
        (["signed"], "signed"),
        (["arrived"], "signed"),
        (["reported"], "fed-back"),
    ],
)
def test_a_unit_s_light_follows_its_rank(shelf, done, light):
    for name in done:
        step(shelf, name)
    assert target(shelf).light == light


def test_the_lead_unit_comes_first_and_signatures_are_counted(shelf):
    step(shelf, "signed")
    view = one_directive(shelf, "d1")
    assert [one.unit.id for one in view.targets] == ["u2", "u1"]
    assert (view.signed, view.counts) == (1, {"waiting": 1, "signed": 1})
    assert view.issuer == "示例甲"


def test_the_clock_that_runs_out_first_is_shown_and_is_late_after_it(shelf):
    one = target(shelf)
    assert one.running.name == "receipt"
    assert not one.late(NOW + MINUTE) and one.late(NOW + MINUTE + 1)


def test_a_recall_replaces_the_clocks_by_the_one_to_confirm_it(shelf):
    recall(shelf, 0, at=NOW + MINUTE)
    assert target(shelf).clocks == [Clock("stop", NOW + MINUTE, NOW + 6 * MINUTE, None)]
    fact(shelf, "stop", "stop1", recall="r1", at=NOW + 2 * MINUTE)
    assert target(shelf).running is None


def test_a_closed_unit_has_no_running_clock(shelf):
    step(shelf, "closed")
    assert target(shelf).running is None
    look = Lookup(shelf)
    view = directive_view(look, look.row("directive", "d1"))
    one = view.targets[1]
    assert all(clock.met for clock in clocks_shown(view.row, one.progress, one.facts))


def test_open_and_closed_orders_are_on_different_boards(shelf):
    issue(shelf, "d2", "u1", urgency="flash", at=NOW + 1)
    assert [one.row.id for one in board(shelf, False, 0).directives] == ["d2", "d1"]
    for id in ("d1-u1", "d1-u2"):
        step(shelf, "closed", target=id)
    assert [one.row.id for one in board(shelf, False, 0).directives] == ["d2"]
    assert [one.row.id for one in board(shelf, True, 0).directives] == ["d1"]


def test_an_order_stays_on_the_open_board_while_its_recall_is_under_way(shelf):
    issue(shelf, "d3", "u1", at=NOW + 1)
    recall(shelf, 0, target="d3-u1")
    shown = {one.row.id: one.state for one in board(shelf, False, 0).directives}
    assert shown["d3"] == "recalling"
    assert board(shelf, True, 0).directives == []
    fact(shelf, "stop", "stop1", target="d3-u1", recall="r1")
    assert "d3" not in {one.row.id for one in board(shelf, False, 0).directives}


def test_orders_of_a_closed_incident_leave_the_open_board(shelf):
    shelf.set("incident", "i1", "a/1/1", (), state="closed")
    assert board(shelf, False, 0).directives == []
    shown = board(shelf, True, 0)
    assert [one.row.id for one in shown.incidents] == ["i1"]
    assert [one.row.id for one in shown.directives] == ["d1"]


def test_a_call_for_help_stays_on_top_until_it_is_answered(shelf):
    shelf.put("help_call", "h1", unit="u1", target="d1-u1", text="示例", at=NOW)
    assert [one.call.id for one in unanswered(Lookup(shelf))] == ["h1"]
    shelf.put("help_answer", "a1", help_call="h1", unit="u1", caller="p1", text="示例", at=NOW)
    assert unanswered(Lookup(shelf)) == []
    assert case(shelf, "i1").help[0].answers[0][1] == "示例甲"


def test_the_timeline_holds_every_fact_with_both_times_and_marks_old_rounds(shelf):
    step(shelf, "signed", at=NOW)
    fact(shelf, "round", "round2", round=2, reason="sent_back", note="示例", at=NOW + 5)
    fact(shelf, "feedback", "f1", round=2, kind="progress", text="示例", at=NOW + 9)
    found = order(shelf, "d1")
    lines = [(one.kind, one.what, one.old_round) for one in found.timeline]
    assert lines[0] == ("feedback", "progress", None)
    assert ("step", "signed", 1) in lines and lines[-1][0] in ("directive", "step")
    assert all(one.arrived >= one.at for one in found.timeline)
    assert [one.unit for one in found.feedback] == ["示例一局"]


def conflict(shelf, rule, state="open", row=("target", "d1-u1"), field="recall"):
    sides = [
        {"dot": shelf.kept["recall", "r1"].row.dot, "value": "recall", "actor": "p1", "at": NOW},
        {"dot": "x/0/9", "value": "arrived", "actor": "p2", "at": NOW - 1},
    ]
    return shelf.put(
        "conflict",
        f"c-{rule}-{state}",
        row_entity=row[0],
        row_id=row[1],
        field=field,
        sides=sides,
        rule=rule,
        state=state,
        winner=None,
        unit="u1",
    )


def test_a_ruling_settles_the_recall_conflict_it_is_about(shelf):
    recall(shelf, 0)
    row = conflict(shelf, "4.3#3")
    assert is_open(shelf, row)
    assert not is_open(shelf, conflict(shelf, "4.3#1", "auto"))
    found = dispute(Lookup(shelf), row)
    assert found.directive == "d1"
    assert [side.value for side in found.sides] == ["arrived", "recall"]
    fact(shelf, "ruling", "ruling1", recall="r1", verdict="accept_result", note=None)
    assert not is_open(shelf, row)


def test_a_conflict_whose_row_is_gone_counts_as_settled(shelf):
    recall(shelf, 0)
    row = conflict(shelf, "4.3#16", row=("contact_phone", "gone"), field="number")
    assert not is_open(shelf, row)
    assert dispute(Lookup(shelf), row).state == "removed"


def test_a_disputed_number_shows_every_value(shelf):
    shelf.put("contact", "k1", unit="u1", duty="head", name="示例乙")
    first = shelf.put("contact_phone", "n1", unit="u1", contact="k1", kind="mobile", number="1")
    shelf.set("contact_phone", "n1", "a/2/1", (first.dot,), number="2")
    shelf.set("contact_phone", "n1", "b/2/1", (first.dot,), number="3")
    row = shelf.kept["contact_phone", "n1"].row
    assert {side.value for side in sides_of(Lookup(shelf), row, "number")} == {"2", "3"}


def test_units_are_grouped_by_tier_and_category_in_the_register_s_order(shelf):
    tiers = grouped(all_units(Lookup(shelf)))
    assert {tier: [group.code for group in groups] for tier, groups in tiers.items()} == {
        "T1": ["1.2"],
        "T2": ["2"],
    }

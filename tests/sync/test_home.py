"""One centre judges each row; every other server keeps the signed bytes and passes them on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schema.codes import Code
from schema.entities import ENTITIES
from schema.wire import Change, Guard, Row
from sync import home
from sync.mutation import Refusal
from sync.rows import at_home
from tests.sync.builders import arrival, recall, row, step, target

CITY, COUNTY = "city", "county"
GATEWAYS = {"A-05": COUNTY}
HERE = home.Server(COUNTY, GATEWAYS)


def rows(*stored, centre=CITY):
    """What a server knows; whatever says no other home is the city's."""
    return {one.key: at_home(one, centre) for one in stored}


def known():
    """A city with an order to one of its units, and a unit that a county serves."""
    return rows(
        *target(),
        row("unit", "u9", {"name": "县属", "gateway": "A-05"}),
        at_home(row("contact", "c9", {"unit": "u9", "name": "王"}), COUNTY),
        row("contact", "c1", {"unit": "u1", "name": "李"}),
    )


def create(entity, id="new", **fields):
    return Change("create", entity, id, fields)


def home_of(change, seen=None, made=(), centre=COUNTY, gateways=GATEWAYS):
    by_key = {(one.entity, one.id): one for one in made}
    return home.home_of(change, known() if seen is None else seen, by_key, centre, gateways)


# --- Whose row it is --------------------------------------------------------------------------


def test_a_row_keeps_the_home_that_it_was_made_with():
    assert home_of(Change("set", "contact", "c1", {"name": "赵"})) == CITY
    assert home_of(Change("remove", "contact", "c9")) == COUNTY
    moved = {"unit": "u1"}
    assert home_of(Change("set", "contact", "c9", moved)) == COUNTY
    assert home_of(create("contact", "c9", unit="u1")) == COUNTY


def test_what_has_no_parent_belongs_to_the_centre_of_its_author():
    assert home_of(create("incident")) == COUNTY
    assert home_of(create("incident"), centre=CITY) == CITY
    assert home_of(create("help_call", unit="u1", target=None)) == COUNTY


def test_what_follows_on_an_order_belongs_where_the_order_does():
    assert home_of(step("signed")) == CITY
    assert home_of(create("feedback", target="t1", unit="u9")) == CITY
    call = create("help_call", "h1", target="t1", unit="u1")
    assert home_of(create("help_answer", help_call="h1"), made=[call]) == CITY


def test_an_order_belongs_to_its_issuer_whoever_opened_the_incident():
    order = create("directive", "d2", incident="i1")
    assert home_of(order) == COUNTY
    assert home_of(create("target", directive="d2", unit="u9"), made=[order]) == COUNTY
    assert home_of(create("target", directive="d1", unit="u9")) == CITY


@pytest.mark.parametrize(
    "change",
    [
        create("contact", unit="u9"),
        create("person", unit="u9"),
        create("equipment", unit="u9"),
        create("contact_phone", unit="u9", contact="c9"),
    ],
    ids=lambda change: change.entity,
)
def test_what_is_a_unit_s_own_belongs_to_the_centre_that_serves_the_unit(change):
    assert home_of(change, centre=CITY) == COUNTY


def test_a_move_belongs_where_its_machine_does():
    machine = create("equipment", "e9", unit="u9")
    assert home_of(create("equipment_move", equipment="e9"), made=[machine], centre=CITY) == COUNTY


def test_a_unit_without_a_gateway_or_with_none_that_judges_is_served_by_its_own_home():
    assert home_of(create("contact", unit="u1")) == CITY
    assert home_of(create("contact", unit="u9"), gateways={}) == CITY
    unit = create("unit", "u5", gateway="A-05")
    assert home_of(create("contact", unit="u5"), made=[unit], centre=CITY) == COUNTY
    assert home_of(create("contact", unit="u5"), made=[unit], centre=CITY, gateways={}) == CITY


def test_a_conflict_belongs_where_its_row_does():
    about = {"row_entity": "contact", "row_id": "c1"}
    assert home_of(create("conflict", **about)) == CITY
    itself = create("conflict", row_entity="conflict", row_id="new")
    assert home_of(itself, made=[itself]) == COUNTY


def test_a_row_made_before_homes_is_the_judging_centre_s():
    old = {one.key: one for one in target()}
    assert home_of(step("signed"), old, centre=CITY) == CITY


def test_what_a_newer_version_adds_belongs_to_the_centre_of_its_author():
    assert home_of(create("drone", unit="u9")) == COUNTY


JUNK = (
    st.none() | st.integers() | st.text("u9/ 县", max_size=3) | st.just(["u9"]) | st.just({"a": 1})
)
HOSTILE = st.builds(
    Change,
    st.sampled_from(["create", "set", "remove"]),
    st.sampled_from([*ENTITIES, "drone"]),
    st.sampled_from(["t1", "c1", "x"]),
    st.dictionaries(
        st.sampled_from(["unit", "target", "row_entity", "row_id", "gateway", "contact"]), JUNK
    ),
)


@given(changes=st.lists(HOSTILE, max_size=4))
def test_whatever_a_device_claims_each_row_has_a_home(changes):
    for change in changes:
        assert home_of(change, made=changes) in (CITY, COUNTY)


# --- One home per mutation --------------------------------------------------------------------


def one_home(*changes):
    return home.one_home(arrival("phone", 0, 1, "x", *changes).mutation, known(), COUNTY, GATEWAYS)


def test_a_mutation_has_the_one_home_of_its_rows():
    assert one_home(step("signed"), step("departed", "s2")) == CITY
    unit_s = create("contact", "c8", unit="u9"), create("contact_phone", contact="c8", unit="u9")
    assert one_home(*unit_s) == COUNTY


def test_a_mutation_of_two_homes_is_refused_and_names_them():
    with pytest.raises(Refusal) as refusal:
        one_home(step("signed"), create("contact", unit="u9"))
    assert refusal.value.code is Code.MIXED_HOME
    assert refusal.value.detail == "city county"


def test_a_row_not_seen_yet_does_not_make_a_mutation_mixed():
    """It will be held for that row; refusing it would be for ever."""
    unseen = Change("set", "contact", "never", {}), create("feedback", target="never")
    assert one_home(step("signed"), *unseen) == CITY
    assert one_home(*unseen) == COUNTY


# --- Provisional rows -------------------------------------------------------------------------


def shown(entity, centre, seq=1, provisional=False):
    return Row(entity, "x", seq, "d/0/1", "s", "a", 0, {}, home=centre, provisional=provisional)


def test_facts_are_final_on_every_server():
    assert home.is_final_anywhere("step") and home.is_final_anywhere("equipment_move")
    assert not home.is_final_anywhere("contact")
    assert not home.is_final_anywhere("drone")


def test_an_edit_waits_for_its_home_on_every_other_server():
    assert home.provisional(shown("contact", CITY), COUNTY).provisional
    assert not home.provisional(shown("contact", COUNTY), COUNTY).provisional
    assert not home.provisional(shown("step", CITY), COUNTY).provisional


def test_a_row_that_changed_its_home_to_here_waits_no_longer():
    assert not home.provisional(shown("contact", COUNTY, provisional=True), COUNTY).provisional


def test_the_home_hands_out_nothing_provisional():
    assert home.confirmed(shown("contact", CITY, provisional=True)) == shown("contact", CITY)
    assert home.confirmed(shown("contact", CITY)) == shown("contact", CITY)


@pytest.mark.parametrize(
    ("came", "held", "held_seq", "taken"),
    [
        ((5, False), None, 0, True),
        ((5, True), None, 0, True),
        ((5, False), (900, True), 0, True),
        ((5, True), (900, True), 0, True),
        ((5, True), (1, False), 3, False),
        ((5, False), (900, False), 4, True),
        ((5, False), (900, False), 5, True),
        ((5, False), (1, False), 6, False),
    ],
)
def test_the_home_s_row_replaces_a_provisional_one_and_none_that_is_newer(
    came, held, held_seq, taken
):
    """Seqs of this server, as the held row has them, say nothing of the home's."""
    held_row = held and shown("contact", CITY, *held)
    assert home.replaces(shown("contact", CITY, *came), held_row, held_seq) is taken


# --- What a server does with a batch ----------------------------------------------------------


def split(*arrivals, server=HERE):
    return home.split_by_home(arrivals, known(), server)


def test_a_server_judges_its_own_rows_and_passes_on_the_bytes_of_others():
    own = arrival("duty", 2, 1, "contact.edit", Change("set", "contact", "c9", {"name": "孙"}))
    other = arrival("duty", 2, 2, "contact.edit", Change("set", "contact", "c1", {"name": "钱"}))
    found = split(own, other)
    assert found.judged == [own]
    assert found.forwarded == [home.Forwarded(other, CITY, final=False)]
    assert found.forwarded[0].arrival.raw is other.raw


def test_a_fact_of_another_home_is_passed_on_and_stands_here_at_once():
    signed = arrival("phone", 0, 1, "target.step", step("signed"))
    assert split(signed).forwarded == [home.Forwarded(signed, CITY, final=True)]


def test_a_guard_is_judged_at_home_alone():
    guard = (Guard("target/t1", "exists"),)
    guarded = arrival("phone", 0, 1, "target.step", step("signed"), guard=guard)
    assert split(guarded).forwarded == [home.Forwarded(guarded, CITY, final=False)]


def test_what_was_made_earlier_in_the_batch_has_a_home_for_what_follows():
    made = arrival("lead", 0, 1, "directive.issue", create("directive", "d2", incident="i1"))
    sent = arrival("lead", 0, 2, "directive.issue", create("target", "t2", directive="d2"))
    later = arrival("phone", 0, 1, "target.step", step("signed", target="t2", directive="d2"))
    assert split(made, sent, later).judged == [made, sent, later]


def test_a_foreign_author_s_new_rows_are_for_the_centre_that_enrolled_them():
    opened = arrival("lead", 0, 1, "incident.open", create("incident", "i2"))
    server = home.Server(COUNTY, GATEWAYS, {"lead": CITY})
    edited = arrival("duty", 1, 1, "incident.edit", Change("set", "incident", "i2", {"note": "n"}))
    found = split(opened, edited, server=server)
    assert [one.home for one in found.forwarded] == [CITY, CITY]


def test_a_mutation_of_two_homes_is_refused_where_it_first_arrives():
    mixed = arrival("duty", 2, 1, "contact.edit", recall(), create("contact", unit="u9"))
    found = split(mixed)
    assert found.judged == [replace(mixed, fault=Code.MIXED_HOME)]
    assert found.forwarded == []


def test_what_does_not_prove_its_author_travels_no_further():
    forged = replace(arrival("phone", 0, 1, "target.step", step("signed")), fault=Code.SIGNATURE)
    after = arrival("phone", 0, 2, "target.step", step("departed", "s2"))
    found = split(forged, after)
    assert found.judged == [forged]
    assert [one.arrival for one in found.forwarded] == [after]


def test_splitting_changes_nothing_that_it_was_given():
    seen = known()
    keys = set(seen)
    opened = arrival("lead", 0, 1, "incident.open", create("incident", "i2"))
    home.split_by_home([opened], seen, HERE)
    assert set(seen) == keys


# --- Arrival times, by server -----------------------------------------------------------------

TIMES = st.dictionaries(st.sampled_from(["city", "county", "unit"]), st.integers(0, 9))


@given(TIMES, TIMES, TIMES)
def test_arrival_times_come_to_one_map_in_any_order(a, b, c):
    together = home.earliest(a, home.earliest(b, c))
    assert together == home.earliest(home.earliest(c, a), b)
    assert home.earliest(together, a) == together
    assert set(together) == {*a, *b, *c}


def test_the_first_receipt_of_a_server_stays():
    times = home.arrived({}, COUNTY, 5)
    assert home.arrived(times, COUNTY, 9) == {COUNTY: 5}
    assert home.arrived(times, CITY, 9) == {COUNTY: 5, CITY: 9}


def test_each_server_shows_when_a_row_came_to_itself():
    came = replace(shown("step", CITY), arrived=9)
    assert home.seen_from(came, {COUNTY: 5, CITY: 9}, COUNTY).arrived == 5
    assert home.seen_from(came, {CITY: 9}, COUNTY).arrived == 9

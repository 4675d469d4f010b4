"""Range vectors are sets of dots in one form: every law of sets holds, whatever the order."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.codes import Code
from schema.versions import N_MAX, SAFE_INT_MAX
from sync import vector as v
from sync.mutation import Refusal, dot_of

DOTS = st.builds(dot_of, st.sampled_from("ab"), st.sampled_from([0, 3]), st.integers(1, 30))
SETS = st.frozensets(DOTS, max_size=25)


def dots_of(vector):
    """The plain set that a vector stands for."""
    return {
        f"{replica}/{lane}/{n}"
        for replica, lanes in vector.items()
        for lane, ranges in lanes.items()
        for first, last in ranges
        for n in range(first, last + 1)
    }


def refused(decode, value):
    with pytest.raises(Refusal) as refusal:
        decode(value)
    assert refusal.value.code is Code.BAD_REQUEST
    assert refusal.value.detail.startswith("vector")


# --- One form ---------------------------------------------------------------------------------


@given(dots=SETS, data=st.data())
def test_any_order_and_repetition_of_dots_give_one_value(dots, data):
    listed = sorted(dots)
    again = data.draw(st.lists(st.sampled_from(listed), max_size=5)) if listed else []
    shuffled = data.draw(st.permutations(listed + again))
    grown = {}
    for dot in shuffled:
        grown = v.add(grown, dot)
    assert v.vector_of(shuffled) == grown == v.vector_of(listed)
    assert dots_of(grown) == dots


@given(dots=SETS)
def test_what_the_functions_make_is_in_the_form_that_is_taken_from_others(dots):
    made = v.vector_of(dots)
    assert v.decode_vector(made) == made


def test_neighbours_become_one_range():
    found = v.vector_of(["a/0/3", "a/0/1", "a/0/2", "a/0/7", "a/1/4"])
    assert found == {"a": {"0": [[1, 3], [7, 7]], "1": [[4, 4]]}}


def test_words_that_are_no_dot_are_not_counted_in():
    with pytest.raises(ValueError):
        v.vector_of(["a/0"])


# --- The laws of sets -------------------------------------------------------------------------


@given(SETS, SETS, SETS)
def test_union_is_that_of_sets_in_any_order_and_grouping(a, b, c):
    x, y, z = map(v.vector_of, (a, b, c))
    assert v.union(x, y, z) == v.union(z, v.union(y, x)) == v.vector_of(a | b | c)
    assert v.union(x, x) == x == v.union(x) == v.union(x, {})


@given(SETS, SETS)
def test_minus_is_what_the_other_lacks(a, b):
    assert v.minus(v.vector_of(a), v.vector_of(b)) == v.vector_of(a - b)


@given(SETS, SETS)
def test_what_was_taken_away_and_put_back_is_the_union(a, b):
    x, y = v.vector_of(a), v.vector_of(b)
    assert v.union(v.minus(x, y), y) == v.union(x, y)


@given(SETS, SETS)
def test_covering_is_having_all_of_it(a, b):
    assert v.covers(v.vector_of(a), v.vector_of(b)) is (a >= b)


@given(SETS, SETS)
def test_nothing_given_to_a_function_changes(a, b):
    x, y = v.vector_of(a), v.vector_of(b)
    before = copy.deepcopy((x, y))
    together = v.union(x, y)
    v.minus(x, y)
    for lanes in together.values():
        for ranges in lanes.values():
            ranges[0][0] = 0
            ranges.append([999, 999])
    assert (x, y) == before


def test_a_long_lane_costs_as_little_as_a_short_one():
    whole = v.span("a", 0, 1, N_MAX)
    assert v.minus(whole, v.span("a", 0, 2, N_MAX - 1)) == {"a": {"0": [[1, 1], [N_MAX, N_MAX]]}}


# --- From outside -----------------------------------------------------------------------------

BAD = {
    "not an object": [],
    "null": None,
    "a replica that is no name": {"a b": {"0": [[1, 1]]}},
    "a replica that is no text": {1: {"0": [[1, 1]]}},
    "an endless name": {"a" * 65: {"0": [[1, 1]]}},
    "no lanes": {"a": {}},
    "lanes in a list": {"a": [[1, 1]]},
    "a lane that there is not": {"a": {"5": [[1, 1]]}},
    "a lane in another spelling": {"a": {"00": [[1, 1]]}},
    "a lane that is no text": {"a": {0: [[1, 1]]}},
    "no ranges": {"a": {"0": []}},
    "a bare number": {"a": {"0": [1]}},
    "three ends": {"a": {"0": [[1, 2, 3]]}},
    "text for a number": {"a": {"0": [["1", "2"]]}},
    "a truth for a number": {"a": {"0": [[True, 2]]}},
    "a fraction": {"a": {"0": [[1.0, 2.0]]}},
    "nought": {"a": {"0": [[0, 1]]}},
    "a negative number": {"a": {"0": [[-3, -1]]}},
    "a number beyond all": {"a": {"0": [[1, N_MAX + 1]]}},
    "ends turned round": {"a": {"0": [[2, 1]]}},
    "ranges out of order": {"a": {"0": [[5, 6], [1, 2]]}},
    "ranges that overlap": {"a": {"0": [[1, 3], [3, 4]]}},
    "ranges that touch": {"a": {"0": [[1, 2], [3, 4]]}},
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_what_is_not_a_vector_is_refused_by_name(value):
    refused(v.decode_vector, value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text("a0/ 零", max_size=3),
        lambda s: st.lists(s) | st.dictionaries(st.text("a0/ 零", max_size=3), s),
    )
)
def test_whatever_comes_is_a_vector_or_refused(value):
    try:
        taken = v.decode_vector(value)
    except Refusal:
        return
    assert v.vector_of(dots_of(taken)) == taken


def test_more_replicas_or_ranges_than_the_bounds_are_refused():
    refused(v.decode_vector, {f"r{n}": {"0": [[1, 1]]} for n in range(v.VECTOR_REPLICAS_MAX + 1)})
    ranges = [[n, n] for n in range(1, 2 * v.VECTOR_RANGES_MAX + 2, 2)]
    half = len(ranges) // 2
    refused(v.decode_vector, {"a": {"0": ranges}})
    refused(v.decode_vector, {"a": {"0": ranges[:half]}, "b": {"0": ranges[half:]}})


def test_seqs_of_homes_are_counted_by_epoch_and_up_to_any_safe_number():
    seqs = {"city": {"1-0af3": [[1, SAFE_INT_MAX]]}}
    assert v.decode_seqs(seqs) == seqs
    refused(v.decode_seqs, {"city": {"": [[1, 2]]}})
    refused(v.decode_seqs, {"city": {"1": [[1, SAFE_INT_MAX + 1]]}})


# --- Too much to say --------------------------------------------------------------------------


@given(dots=SETS, room=st.integers(1, 8))
def test_what_is_said_never_claims_more_and_stays_in_bounds(dots, room):
    held = v.vector_of(dots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(v, "VECTOR_RANGES_MAX", room)
        said = v.sayable(held)
        assert v.decode_vector(said) == said
    assert v.covers(held, said)
    parts = sum(len(ranges) for lanes in held.values() for ranges in lanes.values())
    assert (said == held) is (parts <= room)


def test_a_lane_of_many_pieces_takes_the_room_that_others_leave(monkeypatch):
    monkeypatch.setattr(v, "VECTOR_RANGES_MAX", 10)
    held = {"a": {"0": [[n, n] for n in range(1, 100, 2)]}, "b": {"0": [[1, 5]]}}
    said = v.sayable(held)
    assert said["b"] == held["b"]
    assert said["a"]["0"] == held["a"]["0"][:9]

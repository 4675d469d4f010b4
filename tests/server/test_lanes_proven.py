"""Which mutations a lane's signatures prove, in whatever order the lane's mutations came."""

from itertools import permutations

import pytest

from server.audit.lanes import OPEN_MAX, Break, Lane, Stretch
from server.audit.words import Link


def link(n, prev=None, **told):
    """A mutation whose hash is its number; it names the one before it."""
    own = {"stands_for": str(n), "proof": str(n), **told}
    return Link(n, ("" if n == 1 else str(n - 1)) if prev is None else prev, **own)


def void(n, lost):
    return Link(n, None, lost, None)


def taken(lane, *mutations):
    """Take (link, signed) in order; all breaks."""
    return [one for each, signed in mutations for one in lane.take(each.seq, each, signed)]


def left(lane):
    return [(one.first, one.last) for one in lane.left()]


def test_a_signature_proves_every_mutation_of_its_run_and_none_behind_it():
    lane = Lane()
    run = [(link(1), False), (link(2), False), (link(3), True), (link(4), False)]
    assert taken(lane, *run) == []
    assert left(lane) == [(4, 4)]


@pytest.mark.parametrize("order", list(permutations(range(1, 6))))
def test_the_order_in_which_mutations_came_changes_nothing(order):
    lane = Lane()
    assert taken(lane, *[(link(n), n in (2, 4)) for n in order]) == []
    assert left(lane) == [(5, 5)]
    assert lane.wanted == {}


def test_a_number_that_never_came_parts_what_is_proven_from_what_is_not():
    lane = Lane()
    assert taken(lane, (link(1), False), (link(3), False), (link(4), True)) == []
    assert left(lane) == [(1, 1)]


def test_a_replaced_mutation_breaks_the_chain_and_is_proven_by_nothing():
    lane = Lane()
    forged = link(2, stands_for="x", proof="x")
    broken = taken(lane, (link(1), False), (forged, False), (link(3), True))
    assert broken == [Break(3, 3)]
    assert left(lane) == [(1, 2)]


@pytest.mark.parametrize("signed", [True, False])
def test_a_replaced_mutation_that_comes_late_breaks_the_chain_too(signed):
    lane = Lane()
    forged = link(1, stands_for="x", proof="x")
    assert taken(lane, (link(2), True), (forged, signed)) == [Break(2, 2)]
    assert left(lane) == ([] if signed else [(1, 1)])


def test_a_void_is_proven_by_its_own_signature_alone_and_stands_for_the_lost_words():
    lane = Lane()
    assert taken(lane, (link(1), True), (void(2, "2"), False), (link(3), True)) == []
    assert left(lane) == [(2, 2)]
    signed = Lane()
    assert taken(signed, (link(1), True), (void(2, "2"), True), (link(3), True)) == []
    assert left(signed) == []


def test_a_void_that_stands_for_other_words_breaks_the_chain():
    assert taken(Lane(), (void(2, "x"), True), (link(3), True)) == [Break(3, 3)]
    assert taken(Lane(), (void(2, None), True), (link(3), True)) == []


def test_the_first_mutation_of_a_lane_names_none_before_it():
    assert taken(Lane(), (link(1, prev="0"), True)) == [Break(1, 1)]


def test_words_that_nobody_held_to_the_chain_break_nothing():
    lane = Lane()
    loose = link(2, prev="?", strict=False)
    assert taken(lane, (link(1), True), (loose, False), (link(3), True)) == []
    assert left(lane) == []


def test_what_no_signature_ends_is_given_up_once_it_is_too_much_to_keep():
    lane = Lane()
    assert taken(lane, *[(link(n), False) for n in range(1, OPEN_MAX + 1)]) == []
    assert list(lane.overflowing()) == []
    taken(lane, (link(OPEN_MAX + 1), False))
    [told] = lane.overflowing()
    assert told == Stretch(1, OPEN_MAX + 1, tuple(range(1, OPEN_MAX + 2)))
    assert lane.open == {}

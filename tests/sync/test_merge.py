"""One field's state is a function of the set of its writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schema.policies import Policy
from sync.merge import HISTORY_MAX, Write, heads_of, is_disputed, resolve, trimmed

POLICIES = [p for p in Policy if p is not Policy.APPEND_ONLY]


def write(n, base=(), value="x", replica="a", stamp=None, authority=0):
    return Write(
        f"{replica}/2/{n}", tuple(base), stamp or f"{n:012x}-0000-{replica}", "p", authority, value
    )


@st.composite
def histories(draw):
    """Writes of three replicas that each saw some of what was there before them."""
    writes = []
    counters = dict.fromkeys("abc", 0)
    for _ in range(draw(st.integers(1, 7))):
        replica = draw(st.sampled_from("abc"))
        counters[replica] += 1
        seen = draw(st.sets(st.sampled_from([w.dot for w in writes]))) if writes else set()
        own = {w.dot for w in writes if w.dot.startswith(replica)}
        wall = draw(st.integers(0, 5))
        writes.append(
            write(
                counters[replica],
                sorted(seen | own),
                draw(st.sampled_from(["1", "2", "3"])),
                replica,
                f"{wall:012x}-0000-{replica}",
                draw(st.integers(0, 2)),
            )
        )
    return writes


@pytest.mark.parametrize("policy", POLICIES)
@given(writes=histories(), data=st.data())
def test_any_order_and_any_repetition_give_one_state(policy, writes, data):
    shuffled = data.draw(st.permutations(writes))
    again = data.draw(st.lists(st.sampled_from(writes), max_size=4))
    assert resolve(policy, shuffled + again) == resolve(policy, writes)


@pytest.mark.parametrize("policy", POLICIES)
@given(writes=histories())
def test_no_rival_value_disappears(policy, writes):
    """Each head is live, open, or named among the heads that a Conflict record is made of."""
    state = resolve(policy, writes)
    assert {w.dot for w in heads_of(writes)} == {w.dot for w in state.heads}


@given(writes=histories())
def test_a_write_that_names_all_heads_ends_every_dispute(writes):
    last = write(1, [w.dot for w in heads_of(writes)], "decided", "z")
    for policy in (Policy.LATEST, Policy.AUTHORITY, Policy.MANUAL):
        state = resolve(policy, [*writes, last])
        assert (state.live, state.open, is_disputed(state)) == (last, (), False)


@given(writes=histories(), jump=st.integers(-(10**6), 10**6))
def test_a_clock_may_change_a_tie_but_never_the_values_kept(writes, jump):
    def jumped(w):
        wall = max(0, int(w.stamp[:12], 16) + (jump if w.dot[0] == "a" else 0))
        return Write(w.dot, w.base, f"{wall:012x}{w.stamp[12:]}", w.actor, w.authority, w.value)

    before, after = (
        resolve(Policy.MANUAL, writes),
        resolve(Policy.MANUAL, [jumped(w) for w in writes]),
    )
    assert {w.value for w in before.open} == {w.value for w in after.open}
    assert is_disputed(before) == is_disputed(after)


def test_a_manual_field_keeps_its_last_undisputed_value_until_a_person_decides():
    first = write(1, value="100")
    left, right = write(1, [first.dot], "111", "b"), write(1, [first.dot], "222", "c")
    state = resolve(Policy.MANUAL, [first, left, right])
    assert state.live == first
    assert {w.value for w in state.open} == {"111", "222"}


def test_a_decision_settles_only_the_dots_it_names():
    first = write(1, value="100")
    rivals = [write(1, [first.dot], str(n), name) for n, name in enumerate("bcd")]
    decision = write(1, [rivals[0].dot, rivals[1].dot], "decided", "e")
    state = resolve(Policy.MANUAL, [first, *rivals, decision])
    assert {w.value for w in state.open} == {"decided", "2"}


def test_two_people_who_write_the_same_value_agree():
    first = write(1, value="100")
    state = resolve(
        Policy.MANUAL,
        [first, write(1, [first.dot], "111", "b"), write(1, [first.dot], "111", "c")],
    )
    assert (state.live.value, state.open) == ("111", ())


def test_authority_beats_a_later_clock():
    first = write(1)
    centre = write(1, [first.dot], "centre", "b", "000000000001-0000-b", authority=2)
    device = write(1, [first.dot], "device", "c", "0000000000ff-0000-c", authority=0)
    assert resolve(Policy.AUTHORITY, [first, centre, device]).live == centre


def test_a_persons_second_offline_edit_replaces_their_first():
    first = write(1, value="100")
    mine = write(1, [first.dot], "1", "b"), write(2, [first.dot], "2", "b")
    state = resolve(Policy.MANUAL, [first, *mine])
    assert (state.live.value, state.open) == ("2", ())


@pytest.mark.parametrize("policy", POLICIES)
@given(writes=histories(), many=st.integers(0, 80))
def test_what_is_kept_of_a_long_history_says_the_same_as_all_of_it(policy, writes, many):
    long = list(writes)
    for n in range(many):
        long.append(write(n + 1, [w.dot for w in heads_of(long)], str(n), "z", f"{n:012x}-0000-z"))
    kept = trimmed(policy, long)
    state, whole = resolve(policy, kept), resolve(policy, long)
    assert len(kept) <= HISTORY_MAX
    assert (state.live.value, state.open) == (whole.live.value, whole.open)


@pytest.mark.parametrize("at_ms", [5, 6])
def test_a_claim_counts_once_its_write_comes(at_ms):
    """A restored log may get a write after one whose author had seen it in the same moment."""
    seen = write(1, value="old", replica="z", stamp=f"{at_ms:012x}-0001-z")
    mine = write(1, value="new", replica="b", stamp=f"{6:012x}-0000-b")
    claiming = replace(mine, claims=(seen.dot,))
    assert heads_of([seen, mine]) == [mine, seen]
    assert heads_of([seen, claiming]) == [claiming] == heads_of([claiming, seen])
    assert resolve(Policy.MANUAL, [claiming, seen]).open == ()


def test_nobody_gets_ahead_of_a_write_that_was_made_later():
    later = write(2, value="theirs", replica="a", stamp=f"{7:012x}-0000-a")
    forged = write(1, value="mine", replica="b", stamp=f"{6:012x}-0000-b")
    forged = replace(forged, claims=(later.dot,))
    assert heads_of([later, forged]) == [later, forged]
    assert is_disputed(resolve(Policy.LATEST, [later, forged]))

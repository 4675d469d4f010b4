"""Bundles in any split, order and repetition come to the same; what is missing is named exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schema.wire import Mutation
from sync import bundle_plan
from sync.bundle import Trust, pack, unpack
from sync.bundle_frames import size_of
from sync.bundle_parts import BundleError, BundleFault, Chunk, Contents, SignedRun
from sync.bundle_plan import (
    Have,
    asked_of,
    basis_of,
    heard,
    lacking,
    plan_export,
    plan_import,
    runs_of,
)
from sync.known import Arrival
from sync.mutation import encode_mutation, hash_of
from sync.vector import union
from tests.sync.bundles import (
    CITY,
    CITY_KEY,
    COUNTY,
    EPOCH,
    REALM,
    TRUST,
    chunk,
    heading,
    mutation_bytes,
    page,
    signed_run,
    signer,
    verdict,
    verify,
)

BLOB = bytes(range(12))
NOTHING = Have()


def stock():
    """All that the city has for the county: two lanes of three phones, its log, and one photo."""
    runs = [
        signed_run(replica, lane, first, 3)
        for lane in (1, 0)
        for replica in ("p", "q", "r")
        for first in (1, 4, 9)
    ]
    pages = [page(after, after + 4) for after in (0, 4, 8)]
    told = [verdict("p/0/1", 2), verdict("q/0/1", 6), verdict("r/0/1", 0)]
    parts = [chunk(BLOB[at : at + 4], at, len(BLOB)) for at in (0, 4, 8)]
    return Contents(tuple(runs), tuple(told), tuple(pages), tuple(parts))


STOCK = stock()


def had_with(contents):
    """What somebody has who has these contents, as it is counted."""
    return Have(
        union(*(run.vector for run in contents.runs)),
        union(*(one.seqs for one in contents.rows)),
        union(*(one.blobs for one in contents.chunks)),
    )


WHOLE = had_with(STOCK)


def as_set(have):
    """Every single number that somebody has, as plain tuples."""
    return {
        (kind, name, lane, n)
        for kind in ("vector", "seqs", "blobs")
        for name, lanes in getattr(have, kind).items()
        for lane, ranges in lanes.items()
        for first, last in ranges
        for n in range(first, last + 1)
    }


def bundle_of(contents, peer=NOTHING, number=1):
    data = pack(heading(number=number, basis=basis_of(peer)), contents, signer(CITY_KEY))
    return unpack(data, TRUST, verify)


def taken(bundle, have=NOTHING, keys=None):
    return plan_import(bundle, have, keys or {}, verify)


def subsets(parts):
    return st.lists(st.sampled_from(parts), unique_by=id).map(tuple)


PARTS = st.builds(
    Contents,
    subsets(STOCK.runs),
    subsets(STOCK.verdicts),
    subsets(STOCK.rows),
    subsets(STOCK.chunks),
)


def exported(peer, room):
    """One bundle after the other, each building on all before it, until nothing is left."""
    bundles = []
    while as_set(peer) != as_set(WHOLE):
        contents = plan_export(STOCK, peer, room).contents
        came = had_with(contents)
        assert as_set(came) - as_set(peer), "every bundle brings the receiver on"
        bundles.append(bundle_of(contents, peer, len(bundles) + 1))
        peer = Have(
            union(peer.vector, came.vector),
            union(peer.seqs, came.seqs),
            union(peer.blobs, came.blobs),
        )
    return bundles


LARGEST = max(
    size_of(part)
    for parts in (STOCK.runs, STOCK.verdicts, STOCK.rows, STOCK.chunks)
    for part in parts
)


# --- Import -----------------------------------------------------------------------------------


@given(first=PARTS, room=st.integers(3 * LARGEST, 20 * LARGEST), data=st.data())
def test_any_split_order_and_repetition_comes_to_the_same(first, room, data):
    start = had_with(first)
    bundles = exported(start, room)
    again = data.draw(st.lists(st.sampled_from(bundles), max_size=3)) if bundles else []
    have = start
    for bundle in data.draw(st.permutations(bundles + again)):
        have = taken(bundle, have).after
    assert have == WHOLE


@given(st.lists(PARTS, min_size=1, max_size=4), st.data())
def test_overlapping_bundles_come_to_the_same_in_any_order(pieces, data):
    bundles = [bundle_of(piece) for piece in pieces]
    have = other = NOTHING
    for bundle in bundles:
        have = taken(bundle, have).after
    for bundle in data.draw(st.permutations(bundles)):
        other = taken(bundle, other).after
    assert have == other
    assert as_set(have) == set().union(*(as_set(had_with(piece)) for piece in pieces))


@given(came=PARTS, basis=PARTS, held=PARTS)
def test_new_known_and_missing_are_told_apart_exactly(came, basis, held):
    have, peer = had_with(held), had_with(basis)
    plan = taken(bundle_of(came, peer), have)
    brought, before, after = as_set(had_with(came)), as_set(have), as_set(plan.after)
    assert after == before | brought
    assert as_set(plan.known) == brought & before
    begun = {("blobs", one.sha256, str(one.total), n) for one in came.chunks for n in range(12)}
    expected = {one for one in as_set(peer) if one[0] != "blobs"} | begun
    assert as_set(plan.gaps) == expected - after
    for kind in ("runs", "rows", "chunks"):
        fresh = [part for part in getattr(came, kind) if not as_set_of(part) <= before]
        assert set(map(id_of, getattr(plan.fresh, kind))) == set(map(id_of, fresh))


def as_set_of(part):
    kind = {SignedRun: "runs", Chunk: "chunks"}.get(type(part), "rows")
    return as_set(had_with(Contents(**{kind: (part,)})))


def id_of(part):
    return str(sorted(as_set_of(part)))


def test_a_bundle_taken_twice_brings_nothing_the_second_time():
    bundle = bundle_of(STOCK)
    first = taken(bundle)
    second = taken(bundle, first.after)
    assert second.after == first.after == second.known
    assert second.fresh == Contents(verdicts=(verdict("r/0/1", 0),)), "beside the log: no seq"
    assert second.gaps == NOTHING


def test_a_run_of_which_something_is_new_is_given_whole_for_its_end_proves_it():
    run = signed_run("p", 0, 1, 5)
    plan = taken(bundle_of(Contents((run,))), Have({"p": {"0": [[1, 2], [5, 5]]}}))
    assert plan.fresh.runs == (run,)
    assert plan.known == Have({"p": {"0": [[1, 2], [5, 5]]}})


def test_a_lost_bundle_shows_as_a_gap_and_is_filled_when_it_comes():
    one, two, three = exported(NOTHING, LARGEST * 4)[:3]
    after = taken(one).after
    late = taken(three, after)
    missing = had_with(two.contents)
    assert late.gaps == Have(missing.vector, missing.seqs)
    filled = taken(two, late.after)
    assert taken(three, filled.after).gaps.vector == {}


def asking(gaps):
    """A bundle that brings nothing, and asks for what is lacking."""
    data = pack(heading(asks=asked_of(gaps)), Contents(), signer(CITY_KEY))
    return unpack(data, TRUST, verify).header


def test_what_a_lost_bundle_brought_is_asked_back_by_the_answer_and_sent_again():
    first, lost, third = exported(NOTHING, LARGEST * 4)[:3]
    gaps = taken(third, taken(first).after).gaps
    assert as_set(gaps) == as_set(had_with(lost.contents)) - as_set(Have(blobs=WHOLE.blobs))
    peer = heard(WHOLE, asking(gaps))
    assert as_set(lacking(WHOLE, peer)) == as_set(gaps)
    assert as_set(had_with(plan_export(STOCK, peer).contents)) >= as_set(gaps)
    assert heard(WHOLE, asking(NOTHING)) == WHOLE


def test_the_rest_of_a_blob_that_began_to_come_is_asked_back():
    begun = bundle_of(Contents(chunks=(chunk(b"ab", 0, 6), chunk(b"f", 5, 6))))
    [(sha256, wanted)] = asking(taken(begun).gaps).asks.blobs.items()
    assert (sha256, wanted) == (begun.contents.chunks[0].sha256, {"6": [[2, 4]]})


# --- Runs that prove nothing ------------------------------------------------------------------


def remade(run, at, raw):
    raws = list(run.mutations)
    raws[at] = raw
    return replace(run, mutations=tuple(raws))


GOOD = signed_run("p", 0, 1, 3)
PREV = hash_of(GOOD.mutations[0])
UNPROVEN = {
    "its words changed": remade(GOOD, 2, mutation_bytes("p", 0, 3, PREV, text="x")),
    "its middle changed": remade(GOOD, 1, mutation_bytes("p", 0, 2, PREV, text="x")),
    "its start changed": remade(GOOD, 0, mutation_bytes("p", 0, 1, text="x")),
    "another's signature": replace(GOOD, sig=signed_run("p", 0, 4, 3).sig),
    "no signature": replace(GOOD, sig=""),
    "one dropped from its end": replace(GOOD, mutations=GOOD.mutations[:2]),
    "one dropped from its start": replace(GOOD, mutations=GOOD.mutations[1:]),
    "turned round": replace(GOOD, mutations=GOOD.mutations[::-1]),
    "under another's name": replace(GOOD, replica="q", key="key of p"),
    "in another lane": replace(GOOD, lane=1),
    "under other numbers": replace(GOOD, first=2),
    "of another installation": remade(
        signed_run("p", 0, 1, 1), 0, mutation_bytes("p", 0, 1, realm="x")
    ),
    "no words at all": remade(GOOD, 1, b"\xff"),
    "words without end": remade(GOOD, 1, b"[" * 100_000),
}


@pytest.mark.parametrize("run", UNPROVEN.values(), ids=UNPROVEN.keys())
def test_a_run_that_does_not_prove_its_author_is_refused_and_stops_no_other(run):
    other = signed_run("q", 1, 1, 2)
    plan = taken(bundle_of(Contents((run, other))))
    assert [(one.run, one.fault) for one in plan.refused] == [(run, BundleFault.RUN)]
    assert plan.fresh.runs == (other,)
    assert plan.after == Have(other.vector)


def test_a_first_mutation_may_follow_on_one_that_is_not_here():
    later = signed_run("p", 0, 4, 2)
    assert taken(bundle_of(Contents((later,)))).fresh.runs == (later,)


def test_a_known_replica_is_proven_by_its_known_key_alone():
    forged = signed_run("p", 0, 1, 2, key="key of a thief")
    keys = {"p": "key of p"}
    plan = taken(bundle_of(Contents((forged, GOOD))), keys=keys)
    assert [(one.run, one.fault) for one in plan.refused] == [(forged, BundleFault.RUN_KEY)]
    assert plan.fresh.runs == (GOOD,)


def test_a_refused_run_is_asked_back_when_it_was_taken_as_known():
    plan = taken(bundle_of(Contents((UNPROVEN["no signature"],)), Have(GOOD.vector)))
    assert plan.gaps == Have(GOOD.vector)


@pytest.mark.parametrize(
    "trust",
    [
        Trust("other", COUNTY, TRUST.keys, TRUST.carriers),
        Trust(REALM, "neighbour", TRUST.keys, TRUST.carriers),
    ],
)
@given(came=PARTS)
def test_a_bundle_for_another_realm_or_centre_is_never_planned(trust, came):
    data = pack(heading(), came, signer(CITY_KEY))
    with pytest.raises(BundleError):
        plan_import(unpack(data, trust, verify), NOTHING, {}, verify)


# --- Export -----------------------------------------------------------------------------------


@given(peer=PARTS)
def test_a_receiver_is_sent_what_it_lacks_and_no_part_that_it_has(peer):
    has = had_with(peer)
    export = plan_export(STOCK, has)
    assert export.left == Contents()
    sent = as_set(had_with(export.contents))
    assert sent | as_set(has) == as_set(WHOLE)
    assert as_set(lacking(WHOLE, has)) == as_set(WHOLE) - as_set(has) <= sent
    for parts in (export.contents.runs, export.contents.rows, export.contents.chunks):
        assert all(not as_set_of(part) <= as_set(has) for part in parts)


def test_a_verdict_is_sent_until_its_seq_is_known():
    known = Have(seqs={CITY: {EPOCH: [[1, 4]]}})
    sent = plan_export(STOCK, known).contents.verdicts
    assert [one.verdict.seq for one in sent] == [6, 0]
    other_epoch = Have(seqs={CITY: {"2-cd": [[1, 99]]}})
    assert plan_export(STOCK, other_epoch).contents.verdicts == STOCK.verdicts


def test_what_is_urgent_goes_first_and_the_rest_waits_for_the_next_bundle():
    orders = [run for run in STOCK.runs if run.lane == 0]
    room = sum(map(size_of, orders))
    export = plan_export(STOCK, NOTHING, room)
    assert export.contents == Contents(tuple(orders))
    assert export.left == replace(STOCK, runs=tuple(run for run in STOCK.runs if run.lane))
    one_less = plan_export(STOCK, NOTHING, room - 1)
    assert one_less.contents == Contents(tuple(orders[:-1]))
    with_verdicts = plan_export(STOCK, NOTHING, room + sum(map(size_of, STOCK.verdicts)))
    assert with_verdicts.contents == Contents(tuple(orders), STOCK.verdicts)


def test_blobs_wait_for_everything_else():
    room = sum(size_of(part) for part in (*STOCK.runs, *STOCK.verdicts, *STOCK.rows))
    export = plan_export(STOCK, NOTHING, room)
    assert export.contents == replace(export.contents, chunks=())
    assert export.left == Contents(chunks=STOCK.chunks)


def test_a_bundle_holds_a_bounded_number_of_parts(monkeypatch):
    monkeypatch.setattr(bundle_plan, "EXPORT_PARTS_MAX", 5)
    export = plan_export(STOCK, NOTHING)
    assert len(export.contents.runs) == 5
    assert len(export.left.runs) == len(STOCK.runs) - 5


def test_the_page_inside_stays_with_what_is_sent():
    assert plan_export(replace(STOCK, inside="页"), NOTHING).contents.inside == "页"


# --- Runs from the log ------------------------------------------------------------------------


def logged(n, sig=""):
    mutation = Mutation("p", 0, n, "", REALM, "s", "s", "a", "x", ())
    raw = encode_mutation(mutation)
    return Arrival(mutation, raw, hash_of(raw), sig=sig)


def test_a_run_of_the_log_ends_with_each_signature():
    lane = [logged(1), logged(2, "two"), logged(3, "three"), logged(4)]
    found = runs_of(lane, "key")
    assert [(run.first, run.last, run.sig) for run in found] == [(1, 2, "two"), (3, 3, "three")]
    assert found[0].mutations == (lane[0].raw, lane[1].raw)
    assert {(run.replica, run.lane, run.key) for run in found} == {("p", 0, "key")}


def test_what_no_signature_follows_without_a_gap_is_left_out():
    found = runs_of([logged(1), logged(3), logged(4, "four"), logged(6), logged(8, "eight")], "key")
    assert [(run.first, run.last) for run in found] == [(3, 4), (8, 8)]

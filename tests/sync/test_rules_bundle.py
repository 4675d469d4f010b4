"""The numbered rule about bundles carried by hand; see `test_rules.py`."""

import pytest

from schema.wire import Mutation
from sync.bundle import Heading, Trust, header_of, pack, unpack
from sync.bundle_parts import BundleError, BundleFault, Contents, Coverage, SignedRun
from sync.known import Arrival
from sync.mutation import decode_mutation, encode_mutation, hash_of
from sync.push import plan_push
from sync.vector import covers, minus, span, union
from tests.sync.builders import NOW, arrival, known, step, target

TRUST = Trust("r", "centre", {"unit": ["key"]}, ["stick-1"])


def signed(data: bytes) -> str:
    return "by-key-" + hash_of(data)


def verified(key: str, sig: str, data: bytes) -> bool:
    return sig == f"by-{key}-{hash_of(data)}"


def bundle(*mutations: Mutation, first=1, number=1, carrier="stick-1", sign=signed, basis=None):
    raws = tuple(map(encode_mutation, mutations))
    runs = (SignedRun("phone", 0, first, "phone-key", "sig", raws),)
    basis = Coverage(basis or {})
    heading = Heading("r", "unit", "e1", number, NOW, "centre", carrier, basis)
    return pack(heading, Contents(runs=runs), sign)


def sign_at(n):
    return arrival("phone", 0, n, "target.step", step("signed", id=f"s{n}", at=NOW + n)).mutation


def taken(world, data):
    """What a centre does with a bundle's mutations: it judges them as if they had been pushed."""
    opened = unpack(data, TRUST, verified)
    raws = [raw for run in opened.contents.runs for raw in run.mutations]
    arrivals = [Arrival(decode_mutation(raw), raw, hash_of(raw)) for raw in raws]
    return plan_push(world, arrivals, NOW + 60_000)


def fault_of(data, trust=TRUST):
    with pytest.raises(BundleError) as caught:
        unpack(data, trust, verified)
    return caught.value.fault


def test_rule_29_a_bundle_imported_twice_changes_nothing_the_second_time():
    world = known(*target())
    data = bundle(sign_at(1), sign_at(2))
    assert [one.verdict for one in taken(world, data).verdicts] == ["applied"] * 2
    again = taken(world, data)
    assert again.entries == []
    assert [(one.verdict, one.repeat) for one in again.verdicts] == [("applied", True)] * 2


def test_rule_29_an_old_bundle_that_comes_last_brings_only_what_was_missing():
    world = known(*target())
    taken(world, bundle(sign_at(2), sign_at(3), first=2, number=2))
    late = taken(world, bundle(sign_at(1), sign_at(2), number=1))
    assert [one.repeat for one in late.verdicts] == [False, True]
    assert [entry.arrival.mutation.n for entry in late.entries] == [1]


def test_rule_29_a_gap_is_listed_so_that_it_can_be_asked_back():
    header = header_of(bundle(sign_at(8), first=8, basis=span("phone", 0, 1, 7)))
    here = union(span("phone", 0, 1, 2), span("phone", 0, 5, 5), header.content.vector)
    assert not covers(here, header.basis.vector)
    assert minus(header.basis.vector, here) == {"phone": {"0": [[3, 4], [6, 7]]}}


def test_rule_29_an_unsigned_bundle_and_one_of_an_unknown_hand_are_refused():
    assert fault_of(bundle(sign_at(1), sign=lambda data: "")) == BundleFault.UNSIGNED
    assert fault_of(bundle(sign_at(1), sign=lambda data: "by-other")) == BundleFault.SIGNATURE
    stranger = Trust("r", "centre", {}, ["stick-1"])
    assert fault_of(bundle(sign_at(1)), stranger) == BundleFault.SIGNER


@pytest.mark.parametrize("carrier", ["stick-9", None])
def test_rule_29_a_bundle_on_an_unregistered_carrier_is_refused(carrier):
    assert fault_of(bundle(sign_at(1), carrier=carrier)) == BundleFault.CARRIER

"""From the bytes of a push to arrivals: decoded, hashed, their chain and signature checked."""

from itertools import pairwise

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.versions import LANE_0_MUTATION_BYTES_MAX, MUTATION_BYTES_MAX, MUTATIONS_PER_PUSH_MAX
from schema.wire import Mutation, Run, SyncRequest
from server.device import Device
from server.errors import Fault
from server.node import public_key, verifies
from server.store.protocol import Txn
from sync.mutation import Refusal, decode_mutation, dot_of, hash_of, signing_bytes
from sync.push import Arrival, Session

SessionKey = tuple[str, str]


class Checked(Struct):
    """Arrivals in order, the signatures of their runs per lane, and the node's own sessions.

    A device's session is read under the lock: nothing read before it is used to judge.
    """

    arrivals: list[Arrival]
    sessions: dict[SessionKey, Session]
    sigs: dict[int, list[str]]


class _Named(Struct):
    """The least a mutation must say of itself to get a verdict of its own."""

    lane: int
    n: int


def arrivals_of(device: Device, request: SyncRequest, realm: str) -> Checked:
    """Check everything that needs no lock. A bad run costs only its own mutations a fault."""
    if sum(len(run.mutations) for run in request.runs) > MUTATIONS_PER_PUSH_MAX:
        raise Fault(Code.TOO_LARGE, str(MUTATIONS_PER_PUSH_MAX))
    arrivals: list[Arrival] = []
    sigs: dict[int, list[str]] = {}
    key = public_key(device.key)
    for run in request.runs:
        decoded = [_arrival(device, run.lane, bytes(raw)) for raw in run.mutations]
        if not decoded:
            continue
        last = decoded[-1]
        signed = signing_bytes(realm, device.replica, run.lane, last.mutation.n, last.hash)
        genuine = verifies(key, run.sig, signed) and _one_chain(run, decoded)
        arrivals += decoded if genuine else [_faulted(one, Code.SIGNATURE) for one in decoded]
        sigs.setdefault(run.lane, []).append(run.sig)
    return Checked(arrivals, {}, sigs)


def _arrival(device: Device, lane: int, raw: bytes) -> Arrival:
    hash = hash_of(raw)
    try:
        mutation = decode_mutation(raw)
    except Refusal:
        return Arrival(_named(device, lane, raw), raw, hash, Code.MUTATION)
    limit = MUTATION_BYTES_MAX if mutation.lane else LANE_0_MUTATION_BYTES_MAX
    fault = None
    if mutation.replica != device.replica or mutation.lane != lane:
        mutation = replace(mutation, replica=device.replica, lane=lane)
        fault = Code.WRONG_REPLICA
    elif len(raw) > limit:
        fault = Code.TOO_LARGE
    return Arrival(mutation, raw, hash, fault)


def _named(device: Device, lane: int, raw: bytes) -> Mutation:
    """A stand-in for words we cannot read, so that they are logged under their own number."""
    try:
        named = msgspec.json.decode(raw, type=_Named)
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise Fault(Code.MUTATION, raw[:80].decode("utf-8", "replace")) from None
    return Mutation(device.replica, lane, named.n, "", "", "", "", device.actor, "", ())


def _one_chain(run: Run, arrivals: list[Arrival]) -> bool:
    """Numbers dense, each `prev` the hash of the one before."""
    return all(
        b.mutation.n == a.mutation.n + 1 and b.mutation.prev == a.hash
        for a, b in pairwise(arrivals)
    )


def _faulted(arrival: Arrival, code: Code) -> Arrival:
    return replace(arrival, fault=arrival.fault or code)


def chained(txn: Txn, checked: Checked) -> Checked:
    """Check each `prev` against the log: what does not follow its own past is quarantined."""
    hashes = {
        dot_of(a.mutation.replica, a.mutation.lane, a.mutation.n): a.hash for a in checked.arrivals
    }
    before = {_before(a) for a in checked.arrivals if a.mutation.n > 1}
    hashes |= {dot: past.hash for dot, past in txn.logged(before - set(hashes)).items()}
    arrivals = [
        arrival
        if arrival.mutation.prev == hashes.get(_before(arrival), arrival.mutation.prev)
        else _faulted(arrival, Code.CHAIN)
        for arrival in checked.arrivals
    ]
    return Checked(arrivals, checked.sessions, checked.sigs)


def _before(arrival: Arrival) -> str:
    m = arrival.mutation
    return dot_of(m.replica, m.lane, m.n - 1)

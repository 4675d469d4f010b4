"""From the bytes of a push to arrivals: decoded, hashed, their chain and signature checked."""

import re
from collections.abc import Iterator
from itertools import pairwise

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.roles import Role
from schema.versions import (
    LANE_0_MUTATION_BYTES_MAX,
    LANES,
    MUTATION_BYTES_MAX,
    MUTATIONS_PER_PUSH_MAX,
    N_MAX,
)
from schema.wire import Mutation, Run, SyncRequest, Verdict
from server.device import Device
from server.errors import Fault
from server.node import public_key, verifies
from server.store.protocol import Txn
from sync.judge import is_well_formed
from sync.known import Arrival, Session
from sync.mutation import VOID, Refusal, decode_mutation, dot_of, hash_of, signing_bytes

SessionKey = tuple[str, str]

REPLICA = re.compile(r"[0-9A-Za-z._-]{1,64}")
DOT = re.compile(r"[0-9A-Za-z._-]{1,64}/[0-4]/[1-9][0-9]{0,9}")

CHANGES_PER_JOB_MAX = 1_000
MUTATIONS_PER_JOB_MAX = 100
"""A push is committed in parts of this size, so that no 签收 waits for somebody's register."""


SYSTEM_ACTOR = "system"
SYSTEM = Session(SYSTEM_ACTOR, "", frozenset({Role.ADMIN}))
"""The node itself."""


class Checked(Struct):
    """Arrivals in order, and the node's own sessions.

    A device's session is read under the lock: nothing read before it is used to judge.
    """

    arrivals: list[Arrival]
    sessions: dict[SessionKey, Session] = {}


class Received(Struct):
    """A push, decoded. `unread` are words that say no number of their own, with their verdict."""

    arrivals: list[Arrival]
    unread: list[tuple[Verdict, bytes]]

    def parts(self) -> Iterator[Checked]:
        """The arrivals in order, in parts that are committed one by one."""
        part: list[Arrival] = []
        changes = 0
        for arrival in self.arrivals:
            part.append(arrival)
            changes += len(arrival.mutation.changes)
            if len(part) >= MUTATIONS_PER_JOB_MAX or changes >= CHANGES_PER_JOB_MAX:
                yield Checked(part)
                part, changes = [], 0
        if part:
            yield Checked(part)


class _Named(Struct):
    """The least a mutation must say of itself to get a verdict of its own."""

    n: int


def received(device: Device, request: SyncRequest, realm: str) -> Received:
    """Check everything that needs no lock. A bad run costs only its own mutations a fault."""
    if sum(len(run.mutations) for run in request.runs) > MUTATIONS_PER_PUSH_MAX:
        raise Fault(Code.TOO_LARGE, str(MUTATIONS_PER_PUSH_MAX))
    found = Received([], [])
    key = public_key(device.key)
    for run in request.runs:
        decoded = _decoded(device, run, realm, found)
        if not decoded:
            continue
        last = decoded[-1]
        signed = signing_bytes(realm, device.replica, run.lane, last.mutation.n, last.hash)
        if verifies(key, run.sig, signed) and _one_chain(decoded):
            decoded[-1] = replace(last, sig=run.sig)
        else:
            decoded = [replace(one, fault=Code.SIGNATURE) for one in decoded]
        found.arrivals += decoded
    return found


def _decoded(device: Device, run: Run, realm: str, found: Received) -> list[Arrival]:
    arrivals = []
    for raw in map(bytes, run.mutations):
        arrival = _arrival(device, run.lane, raw, realm)
        if arrival is None:
            verdict = Verdict("", hash_of(raw), "refused", 0, Code.MUTATION)
            found.unread.append((verdict, raw))
        else:
            arrivals.append(arrival)
    return arrivals


def _arrival(device: Device, lane: int, raw: bytes, realm: str) -> Arrival | None:
    """The mutation in these bytes; a stand-in under its own number when they cannot be read."""
    hash = hash_of(raw)
    try:
        mutation = decode_mutation(raw)
        fault = _fault(device, lane, mutation, len(raw), realm)
    except Refusal:
        mutation = Mutation(device.replica, lane, _number(raw), "", "", "", "", "", "", ())
        fault = Code.MUTATION
    if (mutation.replica, mutation.lane) != (device.replica, lane):
        mutation = replace(mutation, replica=device.replica, lane=lane)
    if lane not in LANES or not 1 <= mutation.n <= N_MAX:
        return None
    well_formed = fault is None and is_well_formed(mutation)
    return Arrival(mutation, raw, hash, fault, well_formed=well_formed)


def _number(raw: bytes) -> int:
    try:
        return msgspec.json.decode(raw, type=_Named).n
    except (ValueError, RecursionError):
        return 0


def _fault(device: Device, lane: int, mutation: Mutation, size: int, realm: str) -> Code | None:
    if mutation.replica != device.replica or mutation.lane != lane:
        return Code.WRONG_REPLICA
    if mutation.realm != realm:
        return Code.WRONG_CENTRE
    return form_fault(mutation, size)


def form_fault(mutation: Mutation, size: int) -> Code | None:
    """What no mutation may be, whoever brings it: too large, or naming what is no dot."""
    if size > (MUTATION_BYTES_MAX if mutation.lane else LANE_0_MUTATION_BYTES_MAX):
        return Code.TOO_LARGE
    dots = [*mutation.after, *_based_on(mutation)]
    return None if all(map(DOT.fullmatch, dots)) else Code.MUTATION


def _based_on(mutation: Mutation) -> Iterator[str]:
    for fields in mutation.base.values():
        for named in fields.values():
            yield from named


def _one_chain(arrivals: list[Arrival]) -> bool:
    """Numbers dense, each `prev` the hash of the one before; a void is a run of its own."""
    return all(
        b.mutation.n == a.mutation.n + 1 and b.mutation.prev == a.hash
        for a, b in pairwise(arrivals)
        if not (a.fault or b.fault)
    )


def chained(txn: Txn, checked: Checked) -> Checked:
    """Check each `prev` against the log: what does not follow its own past is quarantined."""
    proven = [one for one in checked.arrivals if one.fault is None]
    hashes = {one.dot: _stands_for(one.mutation, one.hash) for one in proven}
    before = {_before(one) for one in proven if one.mutation.n > 1} - set(hashes)
    hashes |= {dot: past.hash for dot, past in txn.logged(before).items()}
    off = {_before(one) for one in proven if not _follows(one, hashes)} & before
    for dot, raw in txn.words(off).items():
        hashes[dot] = _stands_for(_read(raw), hash_of(raw))
    arrivals = [
        replace(one, fault=Code.CHAIN) if one.fault is None and not _follows(one, hashes) else one
        for one in checked.arrivals
    ]
    return Checked(arrivals, checked.sessions)


def _stands_for(mutation: Mutation, hash: str) -> str | None:
    """The hash that the next one in the lane must name; None when nobody knows it any more."""
    if mutation.intent != VOID:
        return hash
    lost = mutation.changes[0].fields.get("lost") if mutation.changes else None
    return lost if isinstance(lost, str) else None


def _read(raw: bytes) -> Mutation:
    """A logged mutation; one that cannot be read is an empty one."""
    try:
        return decode_mutation(raw)
    except Refusal:
        return Mutation("", 0, 0, "", "", "", "", "", "", ())


def _follows(arrival: Arrival, hashes: dict[str, str | None]) -> bool:
    """True when `prev` is what the one before stands for, or that one is not known here."""
    m = arrival.mutation
    if m.intent == VOID:
        return True
    if m.n == 1:
        return m.prev == ""
    before = hashes.get(_before(arrival))
    return before is None or before == m.prev


def _before(arrival: Arrival) -> str:
    m = arrival.mutation
    return dot_of(m.replica, m.lane, m.n - 1)

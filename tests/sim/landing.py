"""What each side makes of a bundle: the centre judges what is new in it, a device settles words."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from schema.wire import Run, SyncRequest, Verdict
from server import verify as checks
from server.device import Device
from server.engine import Engine
from server.store.protocol import Doc
from sync.bundle import Bundle, Trust, unpack
from sync.bundle_parts import HomeVerdict, SignedRun
from sync.bundle_plan import Have, Import, plan_import
from sync.mutation import dot_of, hash_of
from sync.vector import Vector, union, vector_of
from tests.sim.broken import Broken
from tests.sim.centre import Centre
from tests.sim.device import PythonDevice
from tests.sim.disk import CENTRE

REGISTERED = ("stick-1", "stick-2", "stick-3")
"""The carriers that are let in. Any other stick was found somewhere."""

UNREGISTERED = "found-on-the-ground"
COUNTY = "county-"

Dots = set[tuple[str, str, int]]
Words = tuple[str, str]
"""A dot and the hash of its bytes."""


class Stick(Struct, frozen=True):
    """One bundle as it is carried."""

    origin: str
    to: str
    number: int
    carrier: str | None
    data: bytes
    revoked: frozenset[str] = frozenset()
    """The devices that were revoked when it was written."""


class Landed(Struct):
    """A bundle that was let in: what was new, which words were pushed, and what they came to."""

    bundle: Bundle
    plan: Import
    epoch: str
    known: set[str]
    """Replicas that are enrolled here."""
    revoked: set[str]
    pushed: dict[str, str] = {}
    fresh: list[Verdict] = []
    verdicts: list[HomeVerdict] = []


def verify(key: str, sig: str, data: bytes) -> bool:
    """The server's own check of a signature, which the simulation may have replaced."""
    return checks.verifies(checks.public_key(key), sig, data)


def dots_in(vector: Vector) -> Dots:
    """Every single number, one by one."""
    return {
        (replica, lane, n)
        for replica, lanes in vector.items()
        for lane, ranges in lanes.items()
        for first, last in ranges
        for n in range(first, last + 1)
    }


def words_of(run: SignedRun) -> list[Words]:
    return [
        (dot_of(run.replica, run.lane, n), hash_of(raw))
        for n, raw in enumerate(run.mutations, run.first)
    ]


def log_vector(centre: Centre, replicas: Sequence[str]) -> Vector:
    """The numbers of these replicas that are in the log, read past the store."""
    marks = ",".join("?" * len(replicas)) or "NULL"
    query = f"SELECT DISTINCT replica, lane, n FROM log WHERE centre=? AND replica IN ({marks})"
    lines = centre.disk.select(query, CENTRE, *replicas)
    return vector_of(dot_of(*line) for line in lines)


def check_gaps(bundle: Bundle, plan: Import, have: Vector) -> None:
    """What is asked back is exactly what the sender took as known and nobody brought."""
    bad = [one.run for one in plan.refused]
    came = union(*(run.vector for run in bundle.contents.runs if run not in bad))
    wanted = dots_in(bundle.header.basis.vector) - dots_in(have) - dots_in(came)
    if dots_in(plan.gaps.vector) != wanted:
        raise Broken("gaps", f"asked back {plan.gaps.vector}, not {sorted(wanted)[:3]}")


async def land(
    centre: Centre, data: bytes, counties: Mapping[str, str], carriers: Sequence[str] | None
) -> Landed:
    """Take a bundle in at the centre. BundleError when it is refused: then nothing has changed."""
    engine = await centre.open()
    head = await engine.head()
    docs = await engine.store.read(lambda txn: txn.find("replica"))
    keys = {replica: doc["key"] for replica, doc in docs.items()}
    signers = {name: (key,) for name, key in [*keys.items(), *counties.items()]}
    bundle = unpack(data, Trust(head.realm, CENTRE, signers, carriers), verify)
    named = union(bundle.header.basis.vector, bundle.header.content.vector)
    have = log_vector(centre, sorted(named))
    plan = plan_import(bundle, Have(have), keys, verify)
    check_gaps(bundle, plan, have)
    known = {
        dot_of(replica, int(lane), n) for replica, lane, n in dots_in(named) if replica in docs
    }
    before = await engine.store.read(lambda txn: txn.logged(known))
    revoked = {replica for replica, doc in docs.items() if doc["revoked_at"] is not None}
    landed = Landed(bundle, plan, head.epoch, set(docs), revoked)
    bad = [one.run for one in plan.refused]
    for run in bundle.contents.runs:
        other = any(dot in before and before[dot].hash != hash for dot, hash in words_of(run))
        # Words under a number that others hold here are not known: both are kept.
        if run not in bad and run.replica in docs and (other or run in plan.fresh.runs):
            landed.fresh += await _push(engine, docs[run.replica], run, bundle.header.epoch)
            landed.pushed |= dict(words_of(run)) if bundle.header.epoch == head.epoch else {}
    logged = await engine.store.read(lambda txn: txn.logged(known))
    told = {(dot, one.hash): one.verdict for dot, one in logged.items()}
    told |= {(one.dot, one.hash): one for one in landed.fresh}
    landed.verdicts = [HomeVerdict(CENTRE, head.epoch, told[words]) for words in sorted(told)]
    return landed


async def _push(engine: Engine, doc: Doc, run: SignedRun, epoch: str) -> list[Verdict]:
    """The way of every push, as the device that the run proves."""
    device = Device(
        run.replica,
        doc["actor"],
        doc["unit"],
        doc["kind"],
        frozenset(),
        doc["session"],
        doc["key"],
        (),
        doc["revoked_at"] is not None,
    )
    one = Run(run.lane, run.sig, [msgspec.Raw(raw) for raw in run.mutations])
    request = SyncRequest(CENTRE, epoch, run.replica, runs=[one], lanes=[])
    return (await engine.sync(device, request)).verdicts


def open_at_device(device: PythonDevice, data: bytes, keys: Mapping[str, str]) -> Bundle:
    """The bundle for this device, of the centre or of a county that speaks for it."""
    me = device.replica.identity
    signers = {name: (key,) for name, key in keys.items()}
    passes_on = {name: {CENTRE} for name in keys if name.startswith(COUNTY)}
    return unpack(data, Trust(me.realm, me.replica, signers, None, passes_on), verify)


def settle(device: PythonDevice, bundle: Bundle) -> list[Verdict]:
    """Settle what the home has decided in the log that this device knows; those verdicts.

    Of another log's decisions it learns from the centre itself, who says where the logs parted.
    """
    me = device.replica.identity
    fresh = plan_import(bundle, Have(), {}, verify).fresh.verdicts
    mine = [
        one.verdict
        for one in fresh
        if (one.home, one.epoch) == (CENTRE, me.epoch)
        and one.verdict.dot.startswith(f"{me.replica}/")
    ]
    device.settle(mine, bundle.header.made_at)
    return mine

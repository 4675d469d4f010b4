"""Last words of a replica that may not sign in any more: kept, never judged by themselves."""

from typing import TYPE_CHECKING

from schema.codes import Code
from schema.wire import LateReply, LateRequest, SyncRequest, Verdict
from server.accounts.limits import limits_of
from server.batch import keep_words
from server.device import Device
from server.errors import Fault
from server.store.protocol import Doc, Read, Txn
from server.verify import REPLICA, received

if TYPE_CHECKING:
    from server.engine import Engine

LATE_KEPT_MAX = 10_000
"""Words kept of devices that prove nothing but their key; more are turned away, not lost there."""


async def take_late(engine: "Engine", request: LateRequest, address: str) -> LateReply:
    """Keep each mutation beside the log, `quarantined late`, for a person to see and judge.

    Fault `wrong_centre`, `bad_key` or `rate_limited`; `storage` when too many wait. A replica that
    is known here must prove itself with the key of its enrolment; otherwise `signature`.
    """
    head = await engine.head()
    if request.centre != head.centre:
        raise Fault(Code.WRONG_CENTRE, head.centre)
    if not REPLICA.fullmatch(request.replica):
        raise Fault(Code.BAD_REQUEST, "replica")
    limits_of(engine).late_address.take(address, engine.clock())
    known = await engine.store.read(lambda txn: txn.get("replica", request.replica))
    push = received(_stranger(request, known), _as_push(request), head.realm)
    late = [(one.dot, one.hash, one.raw, one.fault or Code.LATE) for one in push.arrivals]
    late += [("", verdict.hash, raw, Code.MUTATION) for verdict, raw in push.unread]
    verdicts = [Verdict(dot, hash, "quarantined", 0, code) for dot, hash, _, code in late]
    now = engine.clock()

    def work(txn: Txn) -> None:
        if _kept(txn) + len(late) > LATE_KEPT_MAX:
            raise Fault(Code.STORAGE)
        for verdict, (_, _, raw, _) in zip(verdicts, late, strict=True):
            keep_words(txn, verdict, raw, now)

    await engine.store.write(work)
    return LateReply(verdicts, now)


def _kept(txn: Read) -> int:
    return txn.count("kept", "")


def _stranger(request: LateRequest, known: Doc | None) -> Device:
    key = known["key"] if known else request.key
    return Device(request.replica, "", "", "", frozenset(), "", key, ())


def _as_push(request: LateRequest) -> SyncRequest:
    return SyncRequest(request.centre, "", request.replica, runs=request.runs)

"""Last words of a replica that may not sign in any more: kept, never judged by themselves."""

from typing import TYPE_CHECKING

from schema.codes import Code
from schema.wire import LateReply, LateRequest, SyncRequest, Verdict
from server.accounts.limits import limits_of
from server.batch import keep_words
from server.device import Device
from server.errors import Fault
from server.shelves import STRANGERS, own_shelf
from server.store.protocol import Doc, Txn
from server.verify import REPLICA, received

if TYPE_CHECKING:
    from server.engine import Engine


async def take_late(engine: "Engine", request: LateRequest, address: str) -> LateReply:
    """Keep each mutation beside the log, `quarantined late`, for a person to see and judge.

    Fault `wrong_centre`, `bad_key` or `rate_limited`; `shelf_full` when too many wait to keep any
    of these. Where some found room the verdicts name those, and the device keeps the rest. A
    replica that is known here must prove itself with the key of its enrolment: then its words have
    a shelf of their own. Otherwise `signature`, and they share one with those of all strangers.
    """
    head = await engine.head()
    if request.centre != head.centre:
        raise Fault(Code.WRONG_CENTRE, head.centre)
    if not REPLICA.fullmatch(request.replica):
        raise Fault(Code.BAD_REQUEST, "replica")
    limits_of(engine).late_address.take(address, engine.clock())
    known = await engine.store.read(lambda txn: txn.get("replica", request.replica))
    push = received(_stranger(request, known), _as_push(request), head.realm)
    late = [_late(one.dot, one.hash, one.fault or Code.LATE, one.raw) for one in push.arrivals]
    late += [_late("", verdict.hash, Code.MUTATION, raw) for verdict, raw in push.unread]
    own, now = own_shelf(request.replica), engine.clock()

    def work(txn: Txn) -> list[Verdict]:
        return [
            verdict
            for verdict, raw in late
            if keep_words(txn, own if known and _proven(verdict) else STRANGERS, verdict, raw, now)
        ]

    verdicts = await engine.store.write(work)
    if late and not verdicts:
        raise Fault(Code.SHELF_FULL)
    return LateReply(verdicts, now)


def _late(dot: str, hash: str, code: Code, raw: bytes) -> tuple[Verdict, bytes]:
    return Verdict(dot, hash, "quarantined", 0, code), raw


def _proven(verdict: Verdict) -> bool:
    """True when the signature that covers these words verified."""
    return bool(verdict.dot) and verdict.code != Code.SIGNATURE


def _stranger(request: LateRequest, known: Doc | None) -> Device:
    key = known["key"] if known else request.key
    return Device(request.replica, "", "", "", frozenset(), "", key, ())


def _as_push(request: LateRequest) -> SyncRequest:
    return SyncRequest(request.centre, "", request.replica, runs=request.runs)

"""The pull half of a sync: pages, snapshots and digests of what a device is granted."""

from msgspec import Struct
from msgspec.structs import replace

from schema.versions import PROTOCOL_VERSION
from schema.wire import Page, Pair, Snapshot, SyncReply, SyncRequest
from server.device import Device
from server.epoch import fork_of
from server.proofs import Proofs
from server.snapshots import SNAPSHOT_FROM_BYTES, Snapshots
from server.store.protocol import Head, Read, Slice, Stand
from sync.digest import as_text
from sync.pull import PullPlan, Want, budget, plan_pull

SNAPSHOTS_SINCE = 2
"""An app that speaks an older protocol is told everything in pages."""

NEWEST_CLIENT = PROTOCOL_VERSION + 1
"""The newest protocol that is served: whatever it adds to ours is unknown here and ignored."""

MIN_CLIENT = 1
"""The oldest protocol that an app may speak without being asked to update."""


Stands = dict[Pair, Stand]


class _Asked(Struct):
    """What a device asks for, beside what there is. `moved` is the part that must be read."""

    head: Head
    plan: PullPlan
    stands: Stands
    moved: set[Want]


class _Pulled(Struct):
    pages: list[Page] = []
    snapshots: list[Snapshot] = []
    complete: set[Pair] = set()


class Puller:
    """Answers pulls from what one transaction sees."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._proofs = Proofs()

    def brief(
        self, txn: Read, device: Device, request: SyncRequest, now_ms: int
    ) -> SyncReply | None:
        """The whole answer where there is nothing to be read for it; else None."""
        asked = _asked(txn, device, request)
        if asked.moved or request.epoch != asked.head.epoch:
            return None
        everything = _Pulled(complete={one.pair for one in asked.plan.wants})
        return _told(asked, everything, now_ms)

    def reply(self, txn: Read, device: Device, request: SyncRequest, now_ms: int) -> SyncReply:
        """What the device lacks, urgent lanes first, within its budget. Verdicts are added later.

        A device whose epoch is another one is told where the logs parted, and starts anew.
        """
        asked = _asked(txn, device, request)
        snapshots = request.protocol >= SNAPSHOTS_SINCE
        pulled = self._pull(txn, asked, budget(request.max_bytes), snapshots)
        told = _told(asked, pulled, now_ms)
        if request.epoch == asked.head.epoch:
            return told
        return replace(told, fork=fork_of(txn, request.epoch))

    def _pull(self, txn: Read, asked: _Asked, room: int, snapshots: bool) -> _Pulled:
        """Pages in the order wanted until the room is used up; the rest is not complete."""
        pulled = _Pulled()
        for want in asked.plan.wants:
            if room <= 0:
                break
            if want not in asked.moved:
                pulled.complete.add(want.pair)
                continue
            part = _part(txn, want, room, snapshots)
            if part is None:
                if snapshot := self._snapshots.of(txn, want.scope, want.lane, self._proofs):
                    pulled.snapshots.append(snapshot)
                    continue
                part = txn.page(want.scope, want.lane, 0, room)
            room -= part.size
            if part.size:
                pulled.pages.append(self._proofs.added(txn, part.page))
            if part.complete:
                pulled.complete.add(want.pair)
        return pulled


def _asked(txn: Read, device: Device, request: SyncRequest) -> _Asked:
    head, stands = txn.head(), txn.stands(device.granted)
    plan = plan_for(device, request, head)
    moved = {one for one in plan.wants if one.pair in stands and stands[one.pair].seq > one.after}
    return _Asked(head, plan, stands, moved)


def _told(asked: _Asked, pulled: _Pulled, now_ms: int) -> SyncReply:
    head, plan = asked.head, asked.plan
    complete: dict[str, list[int]] = {}
    digests: dict[str, dict[str, str]] = {}
    for one in plan.wants:
        if one.pair in pulled.complete:
            stand = asked.stands.get(one.pair)
            complete.setdefault(one.scope, []).append(one.lane)
            sums = digests.setdefault(one.scope, {})
            sums[str(one.lane)] = as_text(stand.sum if stand else 0)
    return SyncReply(
        centre=head.centre,
        epoch=head.epoch,
        verdicts=[],
        missing={},
        pages=pulled.pages,
        complete=complete,
        gained=plan.gained,
        revoked=plan.revoked,
        upto=head.seq,
        durable=head.durable,
        now=now_ms,
        snapshots=pulled.snapshots,
        restart=_restarted(plan, pulled),
        digests=digests,
        min_client=MIN_CLIENT,
    )


def _part(txn: Read, want: Want, room: int, snapshots: bool) -> Slice | None:
    """What follows the cursor, within the room. None for a pair that is told by snapshot."""
    if snapshots and want.after == 0:
        small = txn.page(want.scope, want.lane, 0, SNAPSHOT_FROM_BYTES)
        if not small.complete:
            return None
        if small.size <= room:
            return small
    return txn.page(want.scope, want.lane, want.after, room)


def plan_for(device: Device, request: SyncRequest, head: Head) -> PullPlan:
    """What to read for this device."""
    cursors = request.cursors
    if request.epoch != head.epoch:
        cursors = {scope: {} for scope in cursors}
    told = (head.floor, head.seq)
    return plan_pull(list(device.granted), cursors, request.lanes, told, request.bad)


def _restarted(plan: PullPlan, pulled: _Pulled) -> list[Pair]:
    """The pairs that this answer tells from nothing, whether it tells all of them or a part."""
    told = {(page.scope, page.lane) for page in pulled.pages}
    told |= {(one.scope, one.lane) for one in pulled.snapshots}
    told |= pulled.complete
    return [one.pair for one in plan.wants if one.after == 0 and one.pair in told]

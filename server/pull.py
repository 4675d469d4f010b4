"""The pull half of a sync: pages, snapshots and digests of what a device is granted."""

from msgspec import Struct

from schema.versions import PROTOCOL_VERSION
from schema.wire import Page, Pair, Snapshot, SyncReply, SyncRequest
from server.device import Device
from server.epoch import fork_of
from server.proofs import Proofs
from server.snapshots import SNAPSHOT_FROM_BYTES, Snapshots
from server.store.protocol import Head, Read, Slice
from sync.digest import as_text
from sync.pull import PullPlan, Want, budget, plan_pull

SNAPSHOTS_SINCE = 2
"""An app that speaks an older protocol is told everything in pages."""

NEWEST_CLIENT = PROTOCOL_VERSION + 1
"""The newest protocol that is served: whatever it adds to ours is unknown here and ignored."""

MIN_CLIENT = 1
"""The oldest protocol that an app may speak without being asked to update."""


class _Pulled(Struct):
    pages: list[Page] = []
    snapshots: list[Snapshot] = []
    complete: dict[str, list[int]] = {}


class Puller:
    """Answers pulls from what one transaction sees."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._proofs = Proofs()

    def reply(self, txn: Read, device: Device, request: SyncRequest, now_ms: int) -> SyncReply:
        """What the device lacks, urgent lanes first, within its budget. Verdicts are added later.

        A device whose epoch is another one is told where the logs parted, and starts anew.
        """
        head = txn.head()
        plan = plan_for(device, request, head)
        snapshots = request.protocol >= SNAPSHOTS_SINCE
        pulled = self._pull(txn, plan.wants, budget(request.max_bytes), snapshots)
        return SyncReply(
            centre=head.centre,
            epoch=head.epoch,
            verdicts=[],
            missing={},
            pages=pulled.pages,
            complete=pulled.complete,
            gained=plan.gained,
            revoked=plan.revoked,
            upto=head.seq,
            durable=head.durable,
            now=now_ms,
            snapshots=pulled.snapshots,
            restart=_restarted(plan, pulled),
            digests=_digests(txn, pulled.complete),
            fork=None if request.epoch == head.epoch else fork_of(txn, request.epoch),
            min_client=MIN_CLIENT,
        )

    def _pull(self, txn: Read, wants: list[Want], room: int, snapshots: bool) -> _Pulled:
        """Pages in the order wanted until the room is used up; the rest is not complete."""
        pulled = _Pulled()
        for want in wants:
            if room <= 0:
                break
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
                pulled.complete.setdefault(want.scope, []).append(want.lane)
        return pulled


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
    told |= {(scope, lane) for scope, lanes in pulled.complete.items() for lane in lanes}
    return [(one.scope, one.lane) for one in plan.wants if one.after == 0 and one.pair in told]


def _digests(txn: Read, complete: dict[str, list[int]]) -> dict[str, dict[str, str]]:
    found = {}
    for scope, lanes in complete.items():
        sums = txn.digests(scope)
        found[scope] = {str(lane): as_text(sums.get(lane, 0)) for lane in lanes}
    return found

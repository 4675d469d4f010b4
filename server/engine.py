"""The one way in: authorise, load, ask `sync/`, commit, poke. Nothing else writes rows."""

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog
from msgspec.structs import replace

from schema.codes import Code
from schema.versions import DAY_MS, GONE_MS, MINUTE_MS, PROTOCOL_VERSION
from schema.wire import Change, SyncReply, SyncRequest, Verdict
from server.accounts.enrolment import device_now
from server.batch import Batcher, Job, keep_words
from server.clock import Clock, SharedClock, Watch
from server.config import Config
from server.device import Device, WebUser
from server.errors import Fault
from server.fleet import DeviceSeen, Fleet, Mark, heard_since, tell_heard
from server.follow import Follower
from server.ids import uuid7
from server.indexes import make_indexes
from server.lanes import Came, is_news, note_numbers, note_return
from server.live import Hub, Moved
from server.loading import session_of
from server.node import NODE_SESSION, Node, Wish, load_node, mutations_of, note_key
from server.numbers import numbered
from server.offers import OFFERS_MAX, checked_offers, note_seen
from server.pull import NEWEST_CLIENT, Puller
from server.rush import Rush
from server.shelves import unproven_shelf
from server.snapshots import FolderShelf, Snapshots
from server.store.protocol import Head, Read, Store, Txn
from server.verify import SYSTEM, SYSTEM_ACTOR, Checked, chained, received
from sync.outbox import FINAL
from sync.rows import base_of
from sync.stamp import is_off

log = structlog.get_logger()

Base = dict[str, dict[str, tuple[str, ...]]]
"""`{"entity/id": {field: [dots]}}`: what the author of a change had seen."""

BEHIND_AFTER_MS = 30_000
"""A living device has what moved this long ago; one that has not is behind."""

FORGOTTEN_AT_ONCE = 1_000
"""Rows that one transaction of the daily sweep forgets: no push waits long behind it."""

SWEPT_AGAIN_MS = 10 * MINUTE_MS
"""A sweep that failed is tried again after this long."""

EXCHANGED_MS = 2_000
"""Processes of one centre tell each other so often which devices they heard."""

FLEET = "fleet"
"""Pseudo-scope that no device is granted: devices came or went, or said how they are."""


class Engine:
    """A centre that serves: its store, its clock, its node and who listens."""

    def __init__(self, store: Store, clock: Watch, config: Config, node: Node) -> None:
        self.store = store
        self.clock: Clock = clock
        self.config = config
        self.node = node
        self.hub = Hub(clock)
        self.snapshots = Snapshots(FolderShelf(config.snapshots))
        self._puller = Puller(self.snapshots)
        self._fleet = Fleet()
        self.rush = Rush()
        self._swept_ms = 0
        self._batcher = Batcher(store, clock, self.hub.publish)
        self._follower: Follower | None = None
        self._process = ""
        self._mark = Mark()
        self._fleet_seq = 0
        self._exchanged_ms = 0

    @classmethod
    async def open(
        cls, store: Store, clock: Clock, config: Config, steady: Clock | None = None
    ) -> "Engine":
        """An engine on an open store; the node's replica id and key are made on first use.

        On a store that nodes share, it follows what the others commit and goes by the one clock.
        Trouble `other_key` where they sign with another key than this one has.
        """

        def work(txn: Txn) -> str:
            doc = txn.get("node", "self") or {"replica": uuid7(clock())}
            txn.put("node", "self", doc)
            make_indexes(txn)
            replica: str = doc["replica"]
            return replica

        replica = await store.write(work)
        node = await asyncio.to_thread(load_node, config.node_key, replica)
        node = await store.write(
            lambda txn: note_key(txn, node, lambda: uuid7(clock()), store.shared)
        )
        shared = SharedClock(clock)
        engine = cls(store, Watch(shared, steady), config, node)
        await store.read(engine._fleet.load)
        if store.shared:
            engine._process = uuid7(clock())
            engine._follower = await Follower.start(store, shared, engine._looked)
        return engine

    async def _looked(self, moved: Moved, is_anew: bool) -> None:
        """Tell who listens here what others committed, and exchange with them who was heard."""
        if is_anew:
            self.hub.forget()
        self.hub.publish(moved, {pair for pair in moved if pair[1] == 0})  # It may be an order.
        now = self.clock()
        if abs(now - self._exchanged_ms) < EXCHANGED_MS:
            return
        self._exchanged_ms, news = now, self._fleet.news(self._process)
        try:
            await self.store.write(lambda txn: tell_heard(txn, self._process, news, now))
        except BaseException:
            self._fleet.not_told(news)
            raise
        mark = self._mark
        told, self._mark = await self.store.read(
            lambda txn: heard_since(txn, self._process, mark, now)
        )
        if self._fleet.hear(told):
            self._tell_fleet()

    def _tell_fleet(self) -> None:
        self._fleet_seq = max(self._fleet_seq + 1, self.clock())
        self.hub.publish({(FLEET, 0): self._fleet_seq})

    async def close(self) -> None:
        """Finish what is being written, then close the store."""
        if self._follower:
            await self._follower.stop()
        await self._batcher.close()
        await self.store.close()

    async def head(self) -> Head:
        """The end of the log."""
        return await self.store.look(lambda txn: txn.head())

    async def sync(self, device: Device, request: SyncRequest) -> SyncReply:
        """Push, then pull. A push that committed stays committed when the pull half fails.

        Nothing is judged for a device that still knows another log: once it is told, it offers what
        this one lacks before its own words that build on it. Receipts let what people say go first.
        """
        async with self.rush.turn(request):
            return await self._sync(device, request)

    async def _sync(self, device: Device, request: SyncRequest) -> SyncReply:
        if request.protocol > NEWEST_CLIENT:
            raise Fault(Code.PROTOCOL, str(PROTOCOL_VERSION))
        head = await self.head()
        await self._sweep()
        if request.centre != head.centre:
            raise Fault(Code.WRONG_CENTRE, head.centre)
        if request.replica != device.replica:
            raise Fault(Code.WRONG_REPLICA)
        verdicts: list[Verdict] = []
        missing: dict[str, list[int]] = {}
        same_log = request.epoch == head.epoch
        if same_log:
            await self._note_return(device.replica, device.returning_until, request.outbox.count)
        if same_log and (request.offers or request.seen):
            verdicts = await self._take_back(device, request, head)
        if same_log and request.runs:
            told, missing = await self._push(device, request, head)
            verdicts += told
        settled = sum(one.verdict in FINAL for one in verdicts)
        self._fleet.seen(device, request, settled, self.clock())
        now = self.clock()
        reply = await self._pull(device, request, now)
        return replace(reply, verdicts=verdicts, missing=missing)

    async def _pull(self, device: Device, request: SyncRequest, now: int) -> SyncReply:
        """The pull half; on the spot where there is nothing to be read.

        Whoever waited for a turn or a commit may have been revoked meanwhile: it is asked again.
        """

        def brief(txn: Read) -> SyncReply | None:
            return self._puller.brief(txn, device_now(txn, device), request, now)

        def whole(txn: Read) -> SyncReply:
            return self._puller.reply(txn, device_now(txn, device), request, now)

        if not self.store.shared and (told := await self.store.look(brief)):
            return told
        return await self.store.read(whole)

    async def _note_return(self, replica: str, until: int, waiting: int) -> None:
        now = self.clock()
        if is_news(until, waiting, now):
            await self.store.write(lambda txn: note_return(txn, replica, waiting, now))

    async def _push(
        self, device: Device, request: SyncRequest, head: Head
    ) -> tuple[list[Verdict], dict[str, list[int]]]:
        push = received(device, request, head.realm)
        now = self.clock()
        flags = {"clock_off": is_off(request.clock, now), "returning": now < device.returning_until}
        if any(flags.values()):
            push.arrivals = [replace(one, **flags) for one in push.arrivals]
        verdicts: list[Verdict] = []
        missing: dict[str, list[int]] = {}
        waiting = request.outbox.count
        for part in push.parts():
            waiting -= len(part.arrivals)
            say = partial(Came, device.replica, part, request.outbox.oldest, waiting)

            def note(txn: Txn, told: list[Verdict], say: partial[Came] = say) -> None:
                missing.update(note_numbers(txn, say(self.clock()), told))

            urgent = part.arrivals[0].mutation.lane == 0
            make = partial(chained, checked=part)
            verdicts += await self._batcher.run(Job(make, note, urgent, len(part.arrivals)))
        if push.unread:
            verdicts += await self._keep_unread(device, push.unread)
        return verdicts, missing

    async def _keep_unread(
        self, device: Device, unread: list[tuple[Verdict, bytes]]
    ) -> list[Verdict]:
        """Keep words that nobody could read; the device is told so of those that were kept."""
        shelf, now = unproven_shelf(device.replica), self.clock()

        def work(txn: Txn) -> list[Verdict]:
            return [one for one, raw in unread if keep_words(txn, shelf, one, raw, now)]

        return await self.store.write(work)

    async def _take_back(self, device: Device, request: SyncRequest, head: Head) -> list[Verdict]:
        """Take what a device holds of a log that was lost, and note what nobody can prove."""
        found = await self.store.read(lambda txn: checked_offers(txn, request.offers, head.realm))
        verdicts = await self._batcher.run(Job(found.ready, size=len(request.offers)))
        if request.seen and not device.revoked:
            seen, now = request.seen[:OFFERS_MAX], self.clock()
            await self.store.write(lambda txn: note_seen(txn, seen, device.replica, now))
        return verdicts + found.bad

    async def snapshot(self, device: Device, sha256: str) -> bytes:
        """The bytes of a part of a snapshot. Fault `not_found` for who does not hold its scope."""
        data = await self.store.read(lambda txn: self.snapshots.get(txn, sha256, device.granted))
        if data is None:
            raise Fault(Code.NOT_FOUND, sha256)
        return data

    async def mark_durable(self, seq: int) -> None:
        """Everything up to `seq` is in a verified backup or a synchronous standby now."""

        def work(txn: Txn) -> None:
            head = txn.head()
            txn.set_head(replace(head, durable=max(head.durable, min(seq, head.seq))))

        await self.store.write(work)

    async def _sweep(self) -> None:
        """Once a day, when somebody calls anyway; a bounded part at each call until it is done.

        Whoever calls is served when it fails, too, and it is tried again soon.
        """
        now = self.clock()
        if abs(now - self._swept_ms) < DAY_MS:
            return
        before, self._swept_ms = self._swept_ms, now
        try:
            if not await self._forget_part():
                self._swept_ms = before
        except Exception as error:
            log.error("sweep", why=repr(error))
            self._swept_ms = now - DAY_MS + SWEPT_AGAIN_MS

    async def forget_old(self) -> int:
        """Tombstones and rows that left are told for 90 days; the lowest cursor still served."""
        while not await self._forget_part():
            pass
        return (await self.head()).floor

    async def _forget_part(self) -> bool:
        """Raise the floor by a bounded step, with what lies below it. True when it is there."""
        seq = await self.store.read(lambda txn: txn.seq_before(self.clock() - GONE_MS))

        def work(txn: Txn) -> bool:
            head = txn.head()
            if head.floor < seq:
                head = replace(head, floor=txn.forget(head.floor, seq, FORGOTTEN_AT_ONCE))
                txn.set_head(head)
            return head.floor >= seq

        return await self.store.write(work)

    async def act(
        self,
        who: WebUser,
        intent: str,
        changes: Iterable[Change],
        base: Base | None = None,
        after: tuple[str, ...] = (),
    ) -> Verdict:
        """Write one mutation of this node for a signed-in person. The verdict says what it got."""
        wish = Wish(who.actor, who.session, intent, tuple(changes), base or {}, after)
        return await self._write(wish)

    async def load(self, changes: Iterable[Change], intent: str = "register.load") -> Verdict:
        """Write as the node itself, which may fill the register and server-only fields."""
        wish = Wish(SYSTEM_ACTOR, NODE_SESSION, intent, tuple(changes))
        return await self._write(wish)

    async def _write(self, wish: Wish) -> Verdict:
        def make(txn: Txn) -> Checked:
            tips = txn.get("node", "tips") or {}
            ready = numbered(txn, wish, self.clock())
            if wish.session == NODE_SESSION:
                ready = replace(ready, base=_as_it_stands(txn, wish.changes) | wish.base)
            arrivals, after = mutations_of(self.node, tips, ready, txn.head().realm, self.clock())
            txn.put("node", "tips", after)
            system = wish.session == NODE_SESSION
            session = SYSTEM if system else session_of(txn, wish.actor)
            return Checked(arrivals, {(self.node.replica, wish.session): session})

        verdicts = await self._batcher.run(Job(make, urgent=True))
        return next((one for one in verdicts if one.verdict != "applied"), verdicts[0])

    def fleet(self) -> list[DeviceSeen]:
        """Every enrolled device: last contact, what it has not sent, how far it is behind."""
        return self._fleet.list(self.hub.stood_at, self.clock() - BEHIND_AFTER_MS)

    def joined(self, device: Device, delta: int) -> None:
        """A live connection of this device opened (+1) or ended (−1)."""
        self._fleet.connected(device, delta, self.clock())
        self._tell_fleet()


def _as_it_stands(txn: Txn, changes: Iterable[Change]) -> Base:
    """The base of somebody who sees every row as it is now: the node itself, under the lock."""
    rows = txn.rows([(one.entity, one.id) for one in changes if one.op != "create"])
    base: Base = {}
    for change in changes:
        stored = rows.get((change.entity, change.id))
        if stored:
            names = change.fields if change.op == "set" else stored.row.writes
            dots = {name: base_of(stored.row, name) for name in names}
            base[f"{change.entity}/{change.id}"] = dots
    return base

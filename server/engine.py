"""The one way in: authorise, load, ask `sync/`, commit, poke. Nothing else writes rows."""

import asyncio
from collections.abc import Iterable
from functools import partial

from schema.codes import Code
from schema.roles import Role
from schema.wire import Change, Page, SyncReply, SyncRequest, Verdict
from server.batch import Batcher, Job, keep_words, session_of
from server.clock import Clock
from server.config import Config
from server.device import Device, WebUser
from server.errors import Fault
from server.fleet import DeviceSeen, Fleet
from server.ids import uuid7
from server.live import Hub
from server.node import Node, Wish, load_node, mutation_of
from server.numbers import numbered
from server.store.protocol import Doc, Head, Read, Store, Txn
from server.verify import Checked, chained, received
from sync.known import Session
from sync.numbers import asked_for, missing_after
from sync.outbox import FINAL
from sync.pull import Want, budget, plan_pull

NODE_SESSION = "node"
SYSTEM_ACTOR = "system"
BEHIND_AFTER_MS = 30_000
"""A living device has what moved this long ago; one that has not is behind."""

SYSTEM = Session(SYSTEM_ACTOR, "", frozenset({Role.ADMIN}))
FLEET = "fleet"
"""Pseudo-scope that no device is granted: devices came or went, or said how they are."""


class Engine:
    """A centre that serves: its store, its clock, its node and who listens."""

    def __init__(self, store: Store, clock: Clock, config: Config, node: Node) -> None:
        self.store = store
        self.clock = clock
        self.config = config
        self.node = node
        self.hub = Hub(clock)
        self._fleet = Fleet()
        self._batcher = Batcher(store, clock, self.hub.publish)

    @classmethod
    async def open(cls, store: Store, clock: Clock, config: Config) -> "Engine":
        """An engine on an open store; the node's replica id and key are made on first use."""

        def work(txn: Txn) -> str:
            doc = txn.get("node", "self") or {"replica": uuid7(clock())}
            txn.put("node", "self", doc)
            replica: str = doc["replica"]
            return replica

        replica = await store.write(work)
        node = await asyncio.to_thread(load_node, config.node_key, replica)
        engine = cls(store, clock, config, node)
        await store.read(engine._fleet.load)
        return engine

    async def close(self) -> None:
        """Finish what is being written, then close the store."""
        await self._batcher.close()
        await self.store.close()

    async def head(self) -> Head:
        """The end of the log."""
        return await self.store.read(lambda txn: txn.head())

    async def sync(self, device: Device, request: SyncRequest) -> SyncReply:
        """Push, then pull. A push that committed stays committed when the pull half fails."""
        head = await self.head()
        if request.centre != head.centre:
            raise Fault(Code.WRONG_CENTRE, head.centre)
        if request.replica != device.replica:
            raise Fault(Code.WRONG_REPLICA)
        verdicts: list[Verdict] = []
        missing: dict[str, list[int]] = {}
        if request.runs:
            verdicts, missing = await self._push(device, request, head)
        settled = sum(one.verdict in FINAL for one in verdicts)
        self._fleet.seen(device, request, settled, self.clock())
        return await self._pull(device, request, verdicts, missing)

    async def _push(
        self, device: Device, request: SyncRequest, head: Head
    ) -> tuple[list[Verdict], dict[str, list[int]]]:
        push = received(device, request, head.realm)
        verdicts: list[Verdict] = []
        missing: dict[str, list[int]] = {}
        for part in push.parts():

            def note(txn: Txn, told: list[Verdict], part: Checked = part) -> None:
                missing.update(_note_numbers(txn, device.replica, part, told, self.clock()))

            urgent = part.arrivals[0].mutation.lane == 0
            make = partial(chained, checked=part)
            verdicts += await self._batcher.run(Job(make, note, urgent))
        if push.unread:
            verdicts += await self._keep_unread(push.unread)
        return verdicts, missing

    async def _keep_unread(self, unread: list[tuple[Verdict, bytes]]) -> list[Verdict]:
        """Keep words that nobody could read; the device is told so under their hash."""

        def work(txn: Txn) -> None:
            for verdict, raw in unread:
                keep_words(txn, verdict, raw, self.clock())

        await self.store.write(work)
        return [verdict for verdict, _ in unread]

    async def _pull(
        self,
        device: Device,
        request: SyncRequest,
        verdicts: list[Verdict],
        missing: dict[str, list[int]],
    ) -> SyncReply:
        room = budget(request.max_bytes)

        def work(txn: Read) -> SyncReply:
            head = txn.head()
            cursors = request.cursors if request.epoch == head.epoch else {}
            granted = list(device.scopes) if device.roles and not device.revoked else []
            plan = plan_pull(granted, cursors, request.lanes, head.seq)
            pages, complete = _pages(txn, plan.wants, room)
            return SyncReply(
                centre=head.centre,
                epoch=head.epoch,
                verdicts=verdicts,
                missing=missing,
                pages=pages,
                complete=complete,
                gained=plan.gained,
                revoked=plan.revoked,
                upto=head.seq,
                durable=0,
                now=self.clock(),
            )

        return await self.store.read(work)

    async def act(
        self,
        who: WebUser,
        intent: str,
        changes: Iterable[Change],
        base: dict[str, dict[str, tuple[str, ...]]] | None = None,
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
            realm = txn.head().realm
            arrival, after = mutation_of(self.node, tips, ready, realm, self.clock())
            txn.put("node", "tips", after)
            system = wish.session == NODE_SESSION
            session = SYSTEM if system else session_of(txn, wish.actor)
            key = (self.node.replica, wish.session)
            return Checked([arrival], {key: session})

        verdicts = await self._batcher.run(Job(make, urgent=True))
        return verdicts[0]

    def fleet(self) -> list[DeviceSeen]:
        """Every enrolled device: last contact, what it has not sent, how far it is behind."""
        return self._fleet.list(self.hub.stood_at, self.clock() - BEHIND_AFTER_MS)

    def joined(self, device: Device, delta: int) -> None:
        """A live connection of this device opened (+1) or ended (−1)."""
        self._fleet.connected(device, delta, self.clock())
        self.hub.publish({(FLEET, 0): self.clock()})


def _pages(txn: Read, wants: list[Want], room: int) -> tuple[list[Page], dict[str, list[int]]]:
    """Pages in the order wanted until the room is used up; the rest is not complete."""
    pages: list[Page] = []
    complete: dict[str, list[int]] = {}
    for want in wants:
        if room <= 0:
            break
        part = txn.page(want.scope, want.lane, want.after, room)
        room -= part.size
        if part.size:
            pages.append(part.page)
        if part.complete:
            complete.setdefault(want.scope, []).append(want.lane)
    return pages, complete


def _note_numbers(
    txn: Txn, replica: str, part: Checked, told: list[Verdict], now_ms: int
) -> dict[str, list[int]]:
    """Remember which numbers of each lane came. Those that are missing, at most 500 a lane."""
    doc = txn.get("replica", replica) or {}
    lanes: Doc = doc.get("lanes", {})
    came: dict[str, set[int]] = {}
    for arrival, verdict in zip(part.arrivals, told, strict=True):
        if verdict.seq:
            came.setdefault(str(arrival.mutation.lane), set()).add(arrival.mutation.n)
    for lane, numbers in came.items():
        past = lanes.get(lane, {"max": 0, "gaps": []})
        top, gaps = missing_after(past["max"], past["gaps"], numbers)
        lanes[lane] = {"max": top, "gaps": gaps}
    txn.put("replica", replica, {**doc, "lanes": lanes, "last_seen": now_ms})
    return {lane: asked_for(one["gaps"]) for lane, one in lanes.items() if one["gaps"]}

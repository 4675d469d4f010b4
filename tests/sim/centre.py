"""The real server in one thread: its store may crash or fill up at any call, its edge is bytes."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from schema.codes import Code
from schema.wire import Change, EnrolReply, EnrolRequest, LateRequest, SyncRequest, Verdict
from server.accounts import enrol, new_code
from server.accounts.enrolment import device_of
from server.config import Config
from server.device import WebUser
from server.engine import Engine
from server.epoch import begin_epoch
from server.errors import Fault
from server.late import take_late
from server.store.protocol import Read, Store, T, Txn
from tests.sim.clocks import Clocks, note_request
from tests.sim.disk import CENTRE, FULL, Database, Disk, Image


class Crashed(Exception):
    """The server's process died at this call; nothing it would have answered is sent."""


class Trouble:
    """What happens to the store during one action: a crash at a call, yields that interleave."""

    def __init__(
        self, crash_at: int | None = None, after_commit: bool = False, gate: int | None = None
    ) -> None:
        self.crash_at = crash_at
        self.after_commit = after_commit
        self.gate = None if gate is None else Random(gate)
        self.calls = 0
        self.crashed = ""

    def due(self) -> bool:
        self.calls += 1
        return self.crash_at is not None and self.calls > self.crash_at


class SimStore(Store):
    """The real code of a store on the disk's one connection, on the thread that asks."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.trouble = Trouble()
        self.dead = False

    async def write(self, work: Callable[[Txn], T]) -> T:
        await self._pass()
        due = self.trouble.due()
        if due and not self.trouble.after_commit:
            self._die("before_commit")
        result = self.database.write(work)
        if due:
            self._die("after_commit")
        await self._pass()
        return result

    async def read(self, work: Callable[[Read], T]) -> T:
        await self._pass()
        if self.trouble.due():
            self._die("at_read")
        return self.database.read(work)

    async def close(self) -> None:
        self.dead = True

    def _die(self, where: str) -> None:
        self.dead = True
        self.trouble.crashed = where
        raise Crashed(where)

    async def _pass(self) -> None:
        """Let others go first, as often as the action says; a dead process does nothing more."""
        if self.trouble.gate is not None:
            for _ in range(self.trouble.gate.randrange(4)):
                await asyncio.sleep(0)
        if self.dead:
            raise Crashed("dead")


NOWHERE = Path("/nowhere")
"""Nothing of a simulated centre is on this machine's disk."""


class Centre:
    """One centre on its disk, whose process comes and goes."""

    def __init__(self, disk: Disk, random: Random) -> None:
        self.disk = disk
        self.random = random
        self.database = disk.database(random.randbytes)
        self.now = 0
        self.skew_ms = 0
        self.loop = asyncio.new_event_loop()
        self.engine: Engine | None = None
        self.store: SimStore | None = None
        self.starts = 0
        self.restores = 0
        self.on_reply: Callable[[bytes], Any] = lambda body: None
        self.clocks: Clocks = {}

    def clock(self) -> int:
        return self.now + self.skew_ms

    def steady(self) -> int:
        return self.now

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def serves(self) -> bool:
        """True while its process lives."""
        return self.engine is not None and self.store is not None and not self.store.dead

    async def open(self) -> Engine:
        """The serving engine; started again when its process had died."""
        if self.engine is None or self.store is None or self.store.dead:
            self.engine = None  # It stays down when it cannot start.
            self.starts += 1
            self.database = self.disk.database(self.random.randbytes)
            self.store = SimStore(self.database)
            self.engine = await Engine.open(
                self.store, self.clock, Config(data=NOWHERE), self.steady
            )
        return self.engine

    async def post(self, token: str, body: bytes) -> tuple[int, bytes]:
        """`POST /v1/sync` as bytes. A crash gives status 0: no answer at all."""
        try:
            engine = await self.open()
            device = await device_of(engine, token)
            try:
                request = msgspec.json.decode(body, type=SyncRequest)
            except (ValueError, RecursionError):
                raise Fault(Code.BAD_REQUEST) from None
            note_request(self.clocks, request.replica, request.clock, self.clock())
            body = msgspec.json.encode(await engine.sync(device, request))
            self.on_reply(body)
            return 200, body
        except Crashed:
            return 0, b""
        except Fault as fault:
            return fault.status, msgspec.json.encode({"code": fault.code})
        except FULL:
            return 507, b"{}"

    async def deliver(self, posts: list[tuple[str, bytes]], trouble: Trouble) -> list[Any]:
        """Serve these requests at the same time. A server that cannot even start answers none."""
        try:
            await self.open()
        except FULL:
            return [(507, b"{}")] * len(posts)
        assert self.store is not None
        self.store.trouble = trouble
        try:
            work = (self.post(token, body) for token, body in posts)
            answers = await asyncio.gather(*work, return_exceptions=True)
        finally:
            self.store.trouble = Trouble()
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def act(
        self,
        who: WebUser,
        intent: str,
        changes: Iterable[Change],
        base: dict[str, dict[str, tuple[str, ...]]],
        after: tuple[str, ...] = (),
    ) -> Verdict:
        engine = await self.open()
        return await engine.act(who, intent, changes, base, after)

    async def load(self, changes: list[Change]) -> Verdict:
        engine = await self.open()
        return await engine.load(changes)

    async def enrol(self, actor: str, kind: str, public: str) -> EnrolReply:
        engine = await self.open()
        code = await new_code(engine, actor, kind, random=self.random.randbytes)
        return await enrol(engine, EnrolRequest(code, public), actor, self.random.randbytes)

    def change_doc(self, replica: str, change: dict[str, Any]) -> None:
        """Change the record of a device, as the administration's pages do."""

        def work(txn: Txn) -> None:
            doc = txn.get("replica", replica) or {}
            txn.put("replica", replica, {**doc, **change})

        self.database.write(work)

    def scopes(self, replica: str) -> frozenset[str]:
        """What a device is granted now, read past the store."""
        query = "SELECT doc FROM side WHERE centre=? AND kind='replica' AND key=?"
        lines = self.disk.select(query, CENTRE, replica)
        grants = msgspec.json.decode(lines[0][0])["grants"] if lines else []
        return frozenset(one["scope"] for one in grants if one["to_seq"] is None)

    def epoch(self) -> str:
        [(epoch,)] = self.disk.select("SELECT epoch FROM head")
        return str(epoch)

    def realm(self) -> str:
        [(realm,)] = self.disk.select("SELECT realm FROM head")
        return str(realm)

    def replicas(self) -> set[str]:
        """The devices that it knows, read past the store."""
        query = "SELECT key FROM side WHERE centre=? AND kind='replica'"
        return {key for (key,) in self.disk.select(query, CENTRE)}

    def restore(self, image: Image, replica: str) -> None:
        """The machine is lost; another one starts from this image, as a new epoch."""
        self.disk.put_back(image)
        self.engine = None
        self.database = self.disk.database(self.random.randbytes)
        self.restores += 1
        random = self.random.randbytes
        self.database.write(lambda txn: begin_epoch(txn, replica, self.restores, random))

    async def snapshot(self, token: str, sha256: str) -> bytes | None:
        """`GET /v1/snap/<sha256>`: the bytes; None for any other answer."""
        try:
            engine = await self.open()
            return await engine.snapshot(await device_of(engine, token), sha256)
        except (Fault, Crashed):
            return None

    async def late(self, body: bytes) -> list[dict[str, Any]]:
        """`POST /v1/late`: last words of a device that this centre does not know."""
        engine = await self.open()
        request = msgspec.json.decode(body, type=LateRequest)
        reply: dict[str, Any] = msgspec.to_builtins(await take_late(engine, request, ""))
        return list(reply["verdicts"])

    def kept(self) -> dict[str, str]:
        """What is kept beside the log for a person to see: `dot hash` → code."""
        lines = self.disk.select("SELECT key, doc FROM side WHERE kind='kept'")
        return {key: msgspec.json.decode(doc)["code"] for key, doc in lines}

    async def mark_durable(self, seq: int) -> None:
        engine = await self.open()
        await engine.mark_durable(seq)

    async def forget_old(self) -> None:
        engine = await self.open()
        await engine.forget_old()

    def lines(self, after: int) -> list[tuple[Any, ...]]:
        """The log above `after`, read past the store."""
        return self.disk.select(
            "SELECT seq, replica, lane, n, hash, raw, verdict, code, detail, received, chain, tags"
            " FROM log WHERE centre=? AND seq>? ORDER BY seq",
            CENTRE,
            after,
        )

    def row(self, entity: str, id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """A stored row and the history of its writes, read past the store."""
        query = 'SELECT doc, history FROM "row" WHERE centre=? AND entity=? AND id=?'
        for doc, history in self.disk.select(query, CENTRE, entity, id):
            return msgspec.json.decode(doc), msgspec.json.decode(history) if history else {}
        return None

    def rows_since(self, seq: int) -> list[dict[str, Any]]:
        """Every row that moved at `seq` or later, read past the store."""
        query = 'SELECT doc FROM "row" WHERE centre=? AND seq>=? ORDER BY seq, entity, id'
        return [msgspec.json.decode(doc) for (doc,) in self.disk.select(query, CENTRE, seq)]

    def sums(self) -> dict[tuple[str, int], int]:
        """The sum of each (scope, lane), read past the store."""
        lines = self.disk.select("SELECT scope, lane, sum FROM digest WHERE centre=?", CENTRE)
        return {(scope, lane): sum for scope, lane, sum in lines}

    def close(self) -> None:
        self.loop.close()
        self.disk.close()

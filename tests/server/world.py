"""A small centre for tests: a real store and application, an injected clock, reference devices."""

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from schema.versions import LANES
from schema.wire import (
    Change,
    EnrolReply,
    EnrolRequest,
    Mutation,
    SnapshotFile,
    SnapshotPart,
    SyncReply,
)
from server.accounts import enrol, new_code
from server.app import build_app
from server.config import Config
from server.device import WebUser
from server.engine import Engine
from server.ids import uuid7
from server.node import Node
from server.store.sqlite import open_store
from sync.mutation import encode_mutation, hash_of
from sync.outbox import Saved, Tip
from sync.replica import Identity, Replica
from tests.e2e.centre import LiveCentre
from tests.sync.builders import NOW

CLOCKS = {"receipt": 60_000, "sign": 180_000, "depart": 900_000, "first_feedback": 1_800_000}


class Time:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def person(id: str, unit: str | None, *roles: str) -> Change:
    return Change("create", "person", id, {"name": f"示例{id}", "unit": unit, "roles": list(roles)})


def register() -> list[Change]:
    units = [
        Change(
            "create",
            "unit",
            id,
            {"code": id, "name": f"示例单位{id}", "tier": "T1", "category": "1.2"},
        )
        for id in ("u1", "u2")
    ]
    people = [
        person("lead", None, "dispatcher", "shift_lead"),
        person("duty", "u1", "duty"),
        person("phone", "u1", "responder"),
        person("other", "u2", "responder"),
        person("driver", "u1", "operator"),
    ]
    cards = [
        Change("create", "contact", "c1", {"unit": "u1", "duty": "head", "name": "示例甲"}),
        Change(
            "create",
            "contact_phone",
            "p1",
            {"unit": "u1", "contact": "c1", "kind": "mobile", "number": "1000000001"},
        ),
        Change(
            "create",
            "equipment",
            "e1",
            {
                "unit": "u1",
                "kind": "crane",
                "name": "示例吊车",
                "status": "available",
                "operator_person": "driver",
            },
        ),
    ]
    return [*units, *people, *cards]


class World:
    """One centre, and the ways in which tests act on it."""

    def __init__(self, engine: Engine, time: Time, client: httpx.AsyncClient) -> None:
        self.engine = engine
        self.time = time
        self.client = client
        self.lead = WebUser("lead", "示例lead", None, frozenset(), "web", "csrf")

    async def device(self, actor: str, kind: str) -> "Phone":
        """A newly enrolled device of this person."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = Node("", key)
        code = await new_code(self.engine, actor, kind)
        reply = await enrol(self.engine, EnrolRequest(code, signer.public))
        return Phone(self, reply, signer)

    async def order(self, *units: str, id: str = "d1") -> None:
        """An incident, and an order to these units."""
        await self.engine.act(
            self.lead,
            "incident.open",
            [
                Change("create", "incident", f"i-{id}", {"state": "open"}),
                Change("create", "incident_summary", f"i-{id}", {"title": "示例事件"}),
            ],
        )
        directive = {
            "incident": f"i-{id}",
            "kind": "dispatch",
            "urgency": "urgent",
            "version": 1,
            "text": "示例指令",
            "clocks": CLOCKS,
            "at": self.time(),
        }
        changes = [Change("create", "directive", id, directive)]
        for unit in units:
            fields = {"directive": id, "incident": f"i-{id}", "unit": unit, "lead": False}
            changes.append(Change("create", "target", f"{id}-{unit}", fields))
        verdict = await self.engine.act(self.lead, "directive.issue", changes)
        assert verdict.verdict == "applied", verdict

    async def reopened_without_indexes(self) -> None:
        """The engine once more, on a database that does not say which indexes it has."""
        store = self.engine.store
        await store.write(lambda txn: txn.delete("node", "indexes"))
        self.engine = await Engine.open(store, self.time, self.engine.config)

    async def row(self, entity: str, id: str):
        found = await self.engine.store.read(lambda txn: txn.rows([(entity, id)]))
        stored = found.get((entity, id))
        return stored.row if stored else None


class Phone:
    """A reference device that speaks to the application over HTTP."""

    def __init__(self, world: World, reply: EnrolReply, signer: Node) -> None:
        self.world = world
        self.reply = reply
        self.signer = signer
        me = Identity(
            reply.realm, reply.centre, reply.epoch, reply.replica, reply.session, reply.actor
        )
        self.replica = Replica(me)

    def write(self, intent: str, lane: int, *changes: Change) -> str:
        return self.replica.write(intent, lane, changes, self.world.time())

    def step(self, name: str, target: str = "d1-u1", round: int = 1, at: int | None = None) -> str:
        fields = {
            "target": target,
            "directive": target.rsplit("-", 1)[0],
            "unit": self.reply.unit,
            "round": round,
            "at": self.world.time() if at is None else at,
            "step": name,
            "version": 1,
            "route": "device",
        }
        id = uuid7(self.world.time())
        return self.write("target.step", 0, Change("create", "step", id, fields))

    def step_dated(self, name: str, wall_ms: int) -> None:
        """A step whose stamp claims this time."""
        self.step(name)
        saved = self.replica.outbox.pop()
        self.put(replace(saved.mutation, stamp=f"{wall_ms:012x}-0000-{self.reply.replica}"))

    def put(self, mutation: Mutation) -> None:
        """Put a mutation into the outbox as it is."""
        raw = encode_mutation(mutation)
        hash = hash_of(raw)
        self.replica.outbox.append(Saved(mutation.lane, mutation.n, raw, hash, mutation))
        self.replica.tips[mutation.lane] = Tip(mutation.n, hash)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.reply.token}"}

    async def post(self, body: bytes) -> httpx.Response:
        return await self.world.client.post("/v1/sync", content=body, headers=self.headers)

    def body(self) -> bytes:
        return msgspec.json.encode(self.replica.request(self.signer.sign, self.world.time()))

    async def sync(self) -> SyncReply:
        """One round trip, taken by the replica."""
        request = self.replica.request(self.signer.sign, self.world.time())
        response = await self.post(msgspec.json.encode(request))
        assert response.status_code == 200, response.text
        reply = msgspec.json.decode(response.content, type=SyncReply)
        for snapshot in self.replica.receive(reply, request, self.world.time()):
            lacking = self.replica.lacking(snapshot)
            self.replica.fetched(snapshot, {one.sha256: await self.part(one) for one in lacking})
        return reply

    async def part(self, part: SnapshotPart) -> SnapshotFile:
        """The rows of one part of a snapshot, its bytes checked against its name."""
        response = await self.world.client.get(f"/v1/snap/{part.sha256}", headers=self.headers)
        assert response.status_code == 200, response.text
        assert hashlib.sha256(response.content).hexdigest() == part.sha256
        return msgspec.json.decode(gzip.decompress(response.content), type=SnapshotFile)

    async def settle(self, rounds: int = 9) -> SyncReply:
        """Sync until nothing is left to give or get; what is held stays in the outbox."""
        device = self.replica
        for _ in range(rounds):
            reply = await self.sync()
            held = {one.dot for one in reply.verdicts if one.verdict == "held"}
            told = not any((device.offers, device.unseen, device.bad, device.restarting))
            whole = all(
                device.cursors[scope].get(str(lane)) == reply.upto
                for scope in device.cursors
                for lane in LANES
            )
            if told and whole and {one.dot for one in device.outbox} <= held:
                return reply
        raise AssertionError("not complete")

    def sees(self, entity: str) -> set[str]:
        return {id for of, id in self.replica.rows if of == entity}


@asynccontextmanager
async def small_centre(folder: Path) -> AsyncIterator[World]:
    """A centre with two units and five people, and a client of its application."""
    time = Time()
    config = Config(data=folder)
    store = await open_store(config.database, config.centre)
    engine = await Engine.open(store, time, config)
    verdict = await engine.load(register())
    assert verdict.verdict == "applied", verdict
    transport = httpx.ASGITransport(build_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield World(engine, time, client)
    await engine.close()


def enrolled_at(centre: LiveCentre, kind: str) -> EnrolReply:
    """The enrolment of a new device at a centre that serves."""
    key = Node("", ec.generate_private_key(ec.SECP256R1())).public
    return centre.call(enrol(centre.engine, EnrolRequest(centre.code(kind), key)))

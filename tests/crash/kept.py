"""A centre with some of everything in it, closed or cut off, and all that it serves once opened."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
from msgspec import Struct

from schema.entities import ENTITIES
from schema.wire import Change, Page, SyncReply, SyncRequest
from server.app import build_app
from server.config import Config
from server.engine import Engine
from server.ids import uuid7
from server.store.sqlite import open_store
from server.store.sqlite.inspect import SqliteInspector
from server.store.wal import check_log
from tests.server.test_blob import create, send
from tests.server.world import Phone, Time, World, small_centre

ROUNDS = 48
IDS = 7
PHOTO_BYTES = (700, 5_000, 20_000, 60_000)
PULL_BYTES = 2**20


class Refused(Struct, frozen=True):
    """Not answered; by which name."""

    why: str


Answers = dict[str, Any]
"""What is served, by what was asked for: `pull`, `rows`, `blob`, `verdict`, `words`, `side` …"""


class Kept(Struct, frozen=True):
    """Two folders of one centre, closed in order and cut off, and what there is to ask for."""

    closed: Path
    cut_off: Path
    devices: list[tuple[SyncRequest, str]]
    photos: list[str]
    dots: list[str]
    kinds: list[str]


def kept(folder: Path) -> Kept:
    """A centre that lived for a while, made below this folder.

    Its ids are the same each time, so that every seed damages the same thing.
    """
    with patch("server.ids.secrets.randbits", Random(IDS).getrandbits):
        return asyncio.run(_kept(folder))


async def _kept(folder: Path) -> Kept:
    closed, cut_off = folder / "closed", folder / "cut_off"
    async with small_centre(closed) as world:
        devices = [_asking(device) for device in await _lived(world)]
        shutil.copytree(closed, cut_off, ignore=shutil.ignore_patterns("*-shm"))
    inspector = SqliteInspector(Config(closed).database)
    upto = inspector.head()[1]
    dots = sorted({line.dot for line in inspector.lines(0, upto)})
    kinds = sorted({one.kind for one in inspector.side()})
    inspector.close()
    assert len(dots) > 150
    return Kept(closed, cut_off, devices, [sha256 for _, sha256 in photos()], dots, kinds)


def photos() -> list[tuple[bytes, str]]:
    """Invented photos and their hashes."""
    made = [Random(size).randbytes(size) for size in PHOTO_BYTES]
    return [(data, hashlib.sha256(data).hexdigest()) for data in made]


def _asking(device: Phone) -> tuple[SyncRequest, str]:
    me = device.reply
    asks = SyncRequest(me.centre, me.epoch, me.replica, max_bytes=PULL_BYTES)
    return asks, f"Bearer {me.token}"


async def _lived(world: World) -> list[Phone]:
    """Orders, steps, words with photos, edits at two places, lost and refused words."""
    await world.order("u1", "u2")
    who = {"phone": "phone", "other": "phone", "duty": "tablet"}
    phone, other, duty = [await world.device(name, kind) for name, kind in who.items()]
    for device in (phone, other, duty):
        await device.settle()
    for data, sha256 in photos():
        location = (await create(phone, sha256, len(data))).headers["location"]
        await send(phone, location, 0, data)
    for step in ("received", "read", "signed"):
        phone.step(step)
        other.step(step, "d1-u2")
    phone.step("depart", round=9)
    phone.step("departed")
    phone.replica.damage(0, 4, world.time())
    for n in range(ROUNDS):
        world.time.now += 60_000
        _feedback(phone, "d1-u1", n)
        _feedback(other, "d1-u2", n)
        fields = {"name": f"示例{n}", "unit": "u1", "duty": "head"}
        duty.write("contact.edit", 2, Change("create", "contact", f"c-{n}", fields))
        duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": f"示例{n}"}))
        if n % 3 == 0:
            change = Change("set", "contact_phone", "p1", {"number": f"100000{n:04d}"})
            await world.engine.load([change])
        if n % 4 == 3:
            await world.order("u1", id=f"d{n}")
            for device in (phone, other, duty):
                await device.settle()
    await world.engine.load([Change("remove", "contact", "c-3")])
    for device in (phone, other, duty):
        await device.settle()
    return [phone, other, duty]


def _feedback(phone: Phone, target: str, n: int) -> None:
    named = [
        {"sha256": sha256, "size": len(data), "type": "image/jpeg", "thumb": ""}
        for data, sha256 in photos()[n % 5 :][:1]
    ]
    fields = {
        "target": target,
        "directive": "d1",
        "unit": phone.reply.unit,
        "round": 1,
        "at": phone.world.time(),
        "kind": "progress",
        "text": f"示例反馈{n}",
        "photos": named,
    }
    id = uuid7(phone.world.time())
    phone.write("feedback.add", 1, Change("create", "feedback", id, fields))


async def served(folder: Path, kept: Kept) -> Answers:
    """Open the centre as the product does and ask it for everything it has.

    Raises what it refuses to open with.
    """
    config = Config(data=folder)
    check_log(config.database)
    store = await open_store(config.database, config.centre)
    try:
        engine = await Engine.open(store, Time(), config)
    except BaseException:
        await store.close()
        raise
    transport = httpx.ASGITransport(build_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answers: Answers = {}
        for request, token in kept.devices:
            answers |= await _pulled(client, request, token)
        token = kept.devices[0][1]
        for sha256 in kept.photos:
            answers[f"blob {sha256}"] = await _bytes(client, f"/v1/blob/{sha256}", token)
        answers |= await _stored(engine, kept)
    await engine.close()
    return answers


async def _pulled(client: httpx.AsyncClient, request: SyncRequest, token: str) -> Answers:
    """What one device is told that has nothing, each pair by itself."""
    whose = f"pull {request.replica[-6:]}"
    body, headers = msgspec.json.encode(request), {"Authorization": token}
    answer = await client.post("/v1/sync", content=body, headers=headers)
    if answer.status_code != 200:
        return {whose: Refused(answer.json()["code"])}
    reply = msgspec.json.decode(answer.content, type=SyncReply)
    told: Answers = {f"{whose} {page.scope} {page.lane}": page for page in reply.pages}
    for snapshot in reply.snapshots:
        for part in snapshot.parts:
            path = f"/v1/snap/{part.sha256}"
            told[f"{whose} {path}"] = await _bytes(client, path, token)
    told[whose] = (reply.epoch, reply.upto, reply.durable, reply.complete, reply.digests)
    told[f"{whose} scopes"] = (reply.gained, reply.revoked, reply.restart, reply.snapshots)
    return told


async def _bytes(client: httpx.AsyncClient, path: str, token: str) -> bytes | Refused:
    answer = await client.get(path, headers={"Authorization": token})
    return answer.content if answer.status_code == 200 else Refused(answer.json()["code"])


async def _stored(engine: Engine, kept: Kept) -> Answers:
    """What the web view reads, and what the log answers a device that sends its words again."""

    async def ask(work: Callable[[Any], Any]) -> Any:
        try:
            return await engine.store.read(work)
        except Exception as error:
            return Refused(type(error).__name__)

    answers: Answers = {}
    for name in ENTITIES:
        answers[f"rows {name}"] = await ask(lambda txn, of=name: txn.children(of, None))
    for dot in kept.dots:
        answers[f"verdict {dot}"] = await ask(lambda txn, of=dot: txn.logged([of]).get(of))
        answers[f"words {dot}"] = await ask(lambda txn, of=dot: txn.words([of]).get(of))
    for kind in kept.kinds:
        answers[f"side {kind}"] = await ask(lambda txn, of=kind: txn.find(of))
    answers["head"] = await ask(lambda txn: txn.head())
    return answers


def wrong(answers: Answers, right: Answers) -> list[str]:
    """What was answered otherwise than is right. What was refused by name is not wrong."""
    refused = {name for name, answer in answers.items() if isinstance(answer, Refused)}
    return [
        name
        for name, answer in right.items()
        if answers.get(name) != answer and not _was_refused(name, refused)
    ]


def altered(answers: Answers, right: Answers) -> list[str]:
    """The wrong answers that say something which was never written, and do not only lack some.

    A damaged index hides what it should lead to: an audit names it, and a device misses a row that
    is left out of a pull, because the sums do not agree.
    """
    return [
        name
        for name in wrong(answers, right)
        if name in answers and not _lacks(answers[name], right[name])
    ]


def _lacks(answer: Any, right: Any) -> bool:
    """True when the answer says nothing that the right one does not say."""
    if isinstance(answer, Page):
        parts = ((answer.rows, right.rows), (answer.proofs, right.proofs), (answer.out, right.out))
        return answer.next <= right.next and all(
            one in all_ for some, all_ in parts for one in some
        )
    if isinstance(answer, list):
        return all(one in right for one in answer)
    if isinstance(answer, dict):
        return all(name in right and right[name] == one for name, one in answer.items())
    return answer is None


def _was_refused(name: str, refused: set[str]) -> bool:
    """A pull that is refused as a whole answers none of its pairs."""
    return name in refused or " ".join(name.split()[:2]) in refused

"""A server process under a recorded job, and what any power cut in it may leave."""

import asyncio
import re
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import httpx
import msgspec
from msgspec import Struct

from server.clock import system_clock
from server.config import Config
from server.data_folder import read_settings
from server.engine import Engine
from server.store.protocol import Read
from server.store.sqlite import open_store
from tests.crash import truth
from tests.crash.client import Device, Line, Photo, Told
from tests.crash.disk import BROKEN, SYNCS, Disk, lines_of
from tests.crash.images import Model
from tests.crash.process import ROOT, Server
from tests.crash.town import LEAD, PASSWORD, Enrolled
from tests.server.world import Phone, World

DEVICES, ORDERS = 8, 6
ROUNDS = 12
"""How often each device says some things and waits for the answer."""

CALLED = "示例指挥部"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')
INCIDENT = re.compile(r'name="id" value="([^"]+)"')


class Job(Struct):
    """What was done, and what all devices know of it."""

    disk: Disk
    town: list[Enrolled]
    devices: list[Device]
    uploads: dict[str, bytes]
    server: Server
    failing: bool = False

    @property
    def data(self) -> Path:
        return self.disk.under / "data"


async def job(
    folder: Path, seed: int, module: Sequence[str] = ("server.cli",), failing: bool = False
) -> Job:
    """Do it: a centre is made, serves, is killed, serves again and stops.

    When it is `failing`, some syncs of its disk fail, once each.
    """
    random = Random(seed)
    disk = Disk(folder / "disk", folder / "beside")
    town = await _made(disk, folder / "beside" / "town.json")

    def heard(told: Told) -> None:
        disk.acknowledge(msgspec.json.encode(told))

    for one in town:
        heard(Told(row=("person", one.reply.actor)))
    devices = [Device(one, heard) for one in town]
    more, log = ("--centre-name", CALLED), folder / "beside" / "server.log"
    server = Server(disk.under / "data", disk.env, module, more, log)
    done = Job(disk, town, devices, {}, server, failing)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        line = Line(done.server, client)
        await done.server.start()
        heard(Told(called=CALLED))
        await _busy(done, line, random)
        await done.server.kill()
        await done.server.start()
        await _busy(done, line, random)
        assert await done.server.stop() == 0
    return done


async def _made(disk: Disk, out: Path) -> list[Enrolled]:
    """The town, made on the recorded disk by a process of its own."""
    command = ["-m", "tests.crash.town", str(disk.under / "data"), str(out)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, str(DEVICES), str(ORDERS), cwd=ROOT, env={**disk.env}
    )
    assert await process.wait() == 0
    return msgspec.json.decode(out.read_bytes(), type=list[Enrolled])


async def _busy(done: Job, line: Line, random: Random) -> None:
    """All devices say and send things; photos go up; somebody pulls, and somebody commands."""
    async with asyncio.TaskGroup() as group:
        for device in done.devices:
            group.create_task(_speak(done, device, line, Random(random.random())))
        if not done.failing:
            group.create_task(_command(done, line))
    done.disk.heal()
    await pulled(done.town[0], line)


async def _speak(done: Job, device: Device, line: Line, random: Random) -> None:
    for turn in range(ROUNDS):
        for _ in range(random.randint(1, 5)):
            device.say_something(random)
        if turn and done.failing and not done.disk.failing:
            done.disk.fail(BROKEN, at=random.randint(1, 9), on=SYNCS, times=1)
        await line.empty(device, also=(507,) if done.failing else ())
        if turn % 6 == 0:
            await _photo(done, device, line, random.randbytes(random.randint(5_000, 60_000)))


async def _photo(done: Job, device: Device, line: Line, data: bytes) -> None:
    photo = Photo(device, data, chunk=20_000)
    while not photo.done:
        await photo.go_on(line)
        done.uploads[photo.upload] = data


async def pulled(town: Enrolled, line: Line) -> Phone:
    """A new device's first sync, to the end: pages, snapshots and digests."""
    line.client.base_url = line.server.origin
    phone = Phone(World(None, system_clock, line.client), town.reply, town.signer())
    await phone.settle()
    return phone


async def _command(done: Job, line: Line) -> None:
    """An incident opened at the desk: words of the node's own."""
    server, client = line.server.origin, httpx.AsyncClient(timeout=60, trust_env=False)
    async with client:
        form = await client.get(f"{server}/desk/login")
        typed = {"login": LEAD, "password": PASSWORD, "csrf": CSRF.search(form.text)[1]}
        assert (await client.post(f"{server}/desk/login", data=typed)).status_code == 303
        for _ in range(3):
            form = await client.get(f"{server}/desk/incidents/new")
            named = INCIDENT.search(form.text)[1]
            typed = {"csrf": CSRF.search(form.text)[1], "id": named, "title": "示例事件"}
            opened = await client.post(f"{server}/desk/incidents/new", data=typed)
            assert opened.status_code == 303, opened.text
            done.devices[0].heard(Told(row=("incident", named)))


KINDS = ("broken", "verdict", "photo", "upload", "row", "settings", "key")


class Survey(Struct):
    """What was wrong with the images that were looked at."""

    images: int = 0
    promises: int = 0
    syncs: int = 0
    served: int = 0
    unseen: list[Path] = []
    wrong: list[tuple[int, list[str]]] = []

    def of(self, kind: str) -> int:
        """In how many images something of this kind was lost."""
        return sum(any(one.startswith(kind) for one in found) for _, found in self.wrong)

    def __str__(self) -> str:
        kinds = {kind: n for kind in KINDS if (n := self.of(kind))}
        bad = f"{len(self.wrong)} with losses {kinds or ''}"
        return f"{self.images} images after {self.syncs} syncs, {self.promises} promises, {bad}"


def cuts(record: Path, images: int, random: Random) -> list[int]:
    """After how many lines of the record the power goes, in order."""
    length = sum(1 for _ in lines_of(record))
    return sorted(random.randint(1, length) for _ in range(images))


async def survey(done: Job, images: int, seed: int, folder: Path, serve: int = 0) -> Survey:
    """Look at so many images, each opened as a server opens it, and serve some of them."""
    found, random = Survey(images=images), Random(seed)
    every = images // serve if serve else images + 1
    wanted = cuts(done.disk.record, images, random)
    told: list[Told] = []
    model = Model(done.disk.under)
    for number, line in enumerate(lines_of(done.disk.record), 1):
        if line.kind == "a":
            told.append(msgspec.json.decode(line.second, type=Told))
        else:
            model.take(line)
        while wanted and wanted[0] == number:
            wanted.pop(0)
            image = folder / f"image-{len(wanted)}"
            model.image(image, random)
            found.promises += len(told)
            if wrong := await lost(image / "data", done, told):
                found.wrong.append((number, wrong))
            elif told and len(wanted) % every == 0:
                await serves(image / "data", done, told)
                found.served += 1
            shutil.rmtree(image)
    found.syncs = model.syncs
    found.unseen = unseen(model)
    return found


def unseen(model: Model) -> list[Path]:
    """Files of which the record does not tell all. SQLite maps its index of its log into memory."""
    real = {path: path.read_bytes() for path in model.under.rglob("*") if path.is_file()}
    told = model.seen()
    paths = [path for path in real.keys() | told.keys() if path.suffix != ".db-shm"]
    return [path for path in paths if real.get(path) != told.get(path)]


async def serves(data: Path, done: Job, told: list[Told]) -> None:
    """A server on an image takes all that devices say again, and tells them what it told them."""
    before = {one.verdict.dot: one.verdict for one in told if one.verdict}
    heard: list[Told] = []
    server = Server(data)
    await server.start()
    try:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            line = Line(server, client)
            for was in done.devices:
                device = Device(was.enrolled, heard.append)
                device.said, device.outbox = was.said, list(was.said.values())
                device.told = {dot: before[dot] for dot in was.said if dot in before}
                await line.empty(device)
            await pulled(done.town[0], line)
    finally:
        await server.kill()
    assert {one.verdict.verdict for one in heard if one.verdict} <= {"applied", "merged"}
    await truth.check(data, [dot for one in done.devices for dot in one.said], heard)


async def lost(data: Path, done: Job, told: list[Told]) -> list[str]:
    """What an image does not keep of what was told. It must open also where nothing was."""
    if not told and not data.exists():
        return []
    try:
        return await _lost(data, done, told)
    except Exception as error:
        return [f"broken: {error!r}"]


async def _lost(data: Path, done: Job, told: list[Told]) -> list[str]:
    config, settings = Config(data=data), read_settings(data)
    wrong = [f"broken: {one}" for one in damage(config.database)]
    is_called = settings is not None and settings.centre_name == CALLED
    if any(one.called for one in told) and not is_called:
        wrong.append("settings: gone")
    store = await open_store(config.database, config.centre)
    said = [dot for device in done.devices for dot in device.said]
    wrong += await store.read(lambda read: _read(read, config, said, told))
    wrong += await store.read(lambda read: truth.lost_photos(data, read, told, done.uploads))
    engine = await Engine.open(store, system_clock, config)
    await engine.close()
    return wrong


def damage(database: Path) -> list[str]:
    """What SQLite itself finds wrong with its file."""
    with closing(sqlite3.connect(database)) as db:
        found = [line[0] for line in db.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


def _read(read: Read, config: Config, said: list[str], told: list[Told]) -> list[str]:
    truth.check_chain(read, truth.lines_of(read, said))
    rows = read.rows([one.row for one in told if one.row])
    gone = [f"row {one.row}" for one in told if one.row and one.row not in rows]
    return truth.lost_words(read, told) + truth.lost_key(config, read) + gone

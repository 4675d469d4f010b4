"""Devices that say much and remember everything: what they said, and what they were told of it."""

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import Callable
from random import Random

import httpx
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.wire import Change, Mutation, OutboxReport, SyncReply, SyncRequest, Verdict
from server.clock import system_clock
from sync.mutation import encode_mutation, hash_of
from sync.outbox import Saved, Tip, runs_to_send, settled
from sync.stamp import Stamp, next_stamp
from tests.crash.process import Server
from tests.crash.town import Enrolled, feedback, step

STEPS = ("received", "read", "signed", "departed", "arrived", "acting", "reported")
WAITING_MAX = 60
"""A device with so many words unsent says no more until some are taken."""

LONG = 50
"""Feedback of at most so many times four characters: what a person types."""

PATIENCE_S = 180


class Told(Struct, frozen=True):
    """What somebody was told and may rely on: one of these.

    A verdict, with the words it is of; that a photo is whole, or how much of its upload is there;
    that a row is there; that the server serves, under this name.
    """

    verdict: Verdict | None = None
    raw: bytes = b""
    photo: str = ""
    upload: str = ""
    offset: int = 0
    row: tuple[str, str] | None = None
    called: str = ""


class Contradiction(AssertionError):
    """A server told two different things of the same words."""


class Device:
    """A device without a screen: its outbox, its lanes, and what it was told.

    Nothing is forgotten here: `said` holds every mutation, `told` each final verdict.
    """

    def __init__(self, enrolled: Enrolled, heard: Callable[[Told], None] | None = None) -> None:
        self.enrolled = enrolled
        self.me = enrolled.reply
        self.signer = enrolled.signer()
        self.targets = enrolled.targets
        self.heard = heard or (lambda told: None)
        self.outbox: list[Saved] = []
        self.said: dict[str, Saved] = {}
        self.told: dict[str, Verdict] = {}
        self.tips: dict[int, Tip] = {}
        self.seen: dict[str, str] = {}
        self.stamp = Stamp(0, 0, self.me.replica)
        self.orders = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.me.token}"}

    def write(self, intent: str, lane: int, change: Change) -> Saved:
        """Say one thing. It waits in the outbox until a final verdict names it."""
        tip = self.tips.get(lane, Tip())
        self.stamp = next_stamp(self.stamp, system_clock())
        key = f"{change.entity}/{change.id}"
        base = {}
        if change.op == "set":
            base = {key: {name: (self.seen[key],) for name in change.fields if key in self.seen}}
        mutation = Mutation(
            self.me.replica,
            lane,
            tip.n + 1,
            tip.hash,
            self.me.realm,
            self.stamp.encode(),
            self.me.session,
            self.me.actor,
            intent,
            (change,),
            base,
        )
        raw = encode_mutation(mutation)
        saved = Saved(lane, mutation.n, raw, hash_of(raw), mutation)
        self.outbox.append(saved)
        self.said[saved.dot] = saved
        self.tips[lane] = Tip(saved.n, saved.hash)
        self.seen[key] = saved.dot
        return saved

    def say_something(self, random: Random) -> None:
        """A step, some feedback, or a change of a row that others change, too."""
        target = self.targets[self.orders % len(self.targets)]
        unit = self.me.unit
        match random.choices(("step", "feedback", "edit"), (6, 3, 1))[0]:
            case "step":
                self.write("target.step", 0, step(target, unit, random.choice(STEPS)))
            case "feedback":
                text = "示例反馈" * random.randint(1, LONG)
                self.write("feedback.add", 1, feedback(target, unit, text))
            case "edit":
                base = {"base": f"示例地点{random.randrange(1000)}"}
                self.write("equipment.edit", 2, Change("set", "equipment", f"e-{unit}", base))
        self.orders += random.random() < 0.05

    def request(self) -> bytes:
        """What waits, in signed runs. Nothing is pulled."""
        waiting = OutboxReport(len(self.outbox), None)
        runs = runs_to_send(self.outbox, self.signer.sign)
        me = self.me
        request = SyncRequest(me.centre, me.epoch, me.replica, runs=runs, outbox=waiting)
        return msgspec.json.encode(replace(request, lanes=[], clock=system_clock()))

    def question(self) -> bytes:
        """A first sync that says nothing: all that this device may hold."""
        return msgspec.json.encode(SyncRequest(self.me.centre, self.me.epoch, self.me.replica))

    def take(self, reply: SyncReply) -> None:
        """Believe a verdict, and hold it against whoever tells another one of the same words."""
        for verdict in reply.verdicts:
            saved = self.said[verdict.dot]
            plain = replace(verdict, repeat=False)
            before = self.told.setdefault(verdict.dot, plain)
            if not settled(saved, verdict) or before != plain:
                raise Contradiction(f"{before} and then {verdict}")
            self.outbox = [one for one in self.outbox if one.dot != verdict.dot]
            self.heard(Told(plain, saved.raw))


class Line:
    """The way to a server that comes and goes, and what became of the requests."""

    def __init__(self, server: Server, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client
        self.answers: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()

    async def ask(self, method: str, path: str, **more) -> httpx.Response | None:
        """An answer, or None for a connection that broke; waits for a server to be there."""
        async with asyncio.timeout(PATIENCE_S):
            await self.server.up.wait()
        try:
            answer = await self.client.request(method, self.server.origin + path, **more)
        except httpx.TransportError:
            self.answers["broken"] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        if answer.status_code >= 400 and answer.content:
            self.problems[answer.json()["code"]] += 1
        return answer

    async def push(self, device: Device) -> int:
        """One round trip. The status of the answer; 0 for none."""
        answer = await self.ask(
            "POST", "/v1/sync", content=device.request(), headers=device.headers
        )
        if answer is None:
            return 0
        if answer.status_code == 200:
            device.take(msgspec.json.decode(answer.content, type=SyncReply))
        return answer.status_code

    async def pull(self, device: Device) -> SyncReply:
        """What a first sync is answered. Any other answer fails the test."""
        body = device.question()
        answer = await self.ask("POST", "/v1/sync", content=body, headers=device.headers)
        assert answer is not None and answer.status_code == 200, self.problems
        reply = msgspec.json.decode(answer.content, type=SyncReply)
        assert reply.pages or reply.snapshots
        return reply

    async def empty(self, device: Device, also: tuple[int, ...] = ()) -> None:
        """Until nothing waits. An answer of another status than 200 and `also` fails the test."""
        async with asyncio.timeout(PATIENCE_S):
            while device.outbox:
                status = await self.push(device)
                assert status in (0, 200, *also), (status, self.problems)


class Photo:
    """A photo on its way from one device, in chunks, from wherever the server says it stands."""

    def __init__(self, device: Device, data: bytes, chunk: int) -> None:
        self.device = device
        self.data = data
        self.chunk = chunk
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.upload = ""
        self.offset = 0

    @property
    def done(self) -> bool:
        return self.offset == len(self.data)

    async def go_on(self, line: Line) -> int:
        """One request further. The status of its answer; 0 for none."""
        if not self.upload:
            return await self._begin(line)
        chunk = self.data[self.offset : self.offset + self.chunk]
        sum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
        headers = {
            **self.device.headers,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(self.offset),
            "Upload-Checksum": f"sha256 {sum}",
        }
        path = f"/v1/blob/u/{self.upload}"
        answer = await line.ask("PATCH", path, content=chunk, headers=headers)
        if answer is not None and answer.status_code == 204:
            self._stands(int(answer.headers["upload-offset"]))
        else:
            self.upload = ""
        return answer.status_code if answer is not None else 0

    async def _begin(self, line: Line) -> int:
        named = f"sha256 {_b64(self.sha256)},type {_b64('image/jpeg')}"
        headers = {**self.device.headers, "Upload-Length": str(len(self.data))}
        answer = await line.ask("POST", "/v1/blob", headers=headers | {"Upload-Metadata": named})
        if answer is not None and answer.status_code == 201:
            self.upload = answer.headers["location"].rpartition("/")[2]
            self._stands(int(answer.headers["upload-offset"]))
        return answer.status_code if answer is not None else 0

    def _stands(self, offset: int) -> None:
        self.offset = offset
        if self.done:
            self.device.heard(Told(photo=self.sha256))
        else:
            self.device.heard(Told(upload=self.upload, offset=offset))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Load:
    """Devices that together say so many mutations a second, until they are told to stop."""

    def __init__(self, line: Line, devices: list[Device], per_second: float, random: Random):
        self.line = line
        self.devices = devices
        self.random = random
        self.every_s = 2 * len(devices) / per_second
        self.stopping = asyncio.Event()
        self.said = 0
        self.moved = asyncio.Condition()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for device in self.devices:
                group.create_task(self._speak(device))

    async def _speak(self, device: Device) -> None:
        await self._pause(self.random.uniform(0, self.every_s))
        while not self.stopping.is_set():
            if len(device.outbox) < WAITING_MAX:
                count = self.random.randint(1, 3)
                for _ in range(count):
                    device.say_something(self.random)
                await self._note(count)
            await self.line.push(device)
            await self._pause(self.every_s)
        await self.line.empty(device)

    async def _note(self, count: int) -> None:
        async with self.moved:
            self.said += count
            self.moved.notify_all()

    async def _pause(self, seconds: float) -> None:
        """The pace of a person; over at once when the load stops."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def reached(self, said: int) -> None:
        """Until so many mutations were said in all."""
        async with asyncio.timeout(PATIENCE_S), self.moved:
            await self.moved.wait_for(lambda: self.said >= said)

"""The examples of `docs/protocol.md`: a small story that is played against the real server.

`python -m tests.protocol_page` writes them into the page; a test compares. Clock, ids, keys, tokens
and signatures (RFC 6979) are fixed, so that the same code tells the same story.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from schema.wire import (
    Change,
    EnrolReply,
    EnrolRequest,
    LateRequest,
    Run,
    SnapshotFile,
    SyncReply,
)
from server.accounts import enrol, new_code
from server.app import build_app
from server.config import Config
from server.device import WebUser
from server.engine import Engine
from server.epoch import begin_epoch
from server.node import Node, b64url
from server.store.sqlite import SqliteDatabase, open_store
from sync.canonical import canonical
from sync.digest import as_text, row_digest, total
from sync.mutation import signing_bytes
from sync.outbox import Saved
from sync.replica import Identity, Replica

PAGE = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"
BLOCK = re.compile(r"(<!-- example: ([\w-]+) -->\n```)(\w+)\n(.*?)```", re.DOTALL)
WIDTH = 100
RAW_CHARS_SHOWN = 60

START_MS = 1_760_000_000_000
MINUTE_MS = 60_000
UNIT = "unit/u-07"
PHOTO = b"\xff\xd8 a photo of 24 bytes \xff\xd9"
CLOCKS = {"receipt": 60_000, "sign": 180_000}


# --- What is left to chance elsewhere ---------------------------------------------------------


class SteadyNode(Node):
    """A key whose signature of the same bytes is always the same one."""

    def sign(self, data: bytes) -> str:
        once = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self.key.sign(data, once))
        return b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def steady_key(name: str) -> ec.EllipticCurvePrivateKey:
    """The example key of this name: the SHA-256 of the name as the private number."""
    return ec.derive_private_key(secret_of(name), ec.SECP256R1())


def secret_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")


class Ids:
    """UUIDv7 whose random bits count up."""

    def __init__(self) -> None:
        self._n = 0

    def __call__(self, now_ms: int) -> str:
        self._n += 1
        text = f"{now_ms:012x}7000b{self._n:015x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def steady_bytes(count: int) -> bytes:
    return (hashlib.sha256(b"chance").digest() * (count // 32 + 1))[:count]


def stored_gzip(data: bytes, mtime: int = 0) -> bytes:
    """Gzip without packing: every version of zlib writes these bytes alike."""
    length = struct.pack("<HH", len(data), len(data) ^ 0xFFFF)
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return head + b"\x01" + length + data + struct.pack("<II", zlib.crc32(data), len(data))


@contextmanager
def nothing_by_chance() -> Iterator[None]:
    """Inside, the server draws nothing, and snapshots are made of small pairs too."""
    ids = Ids()
    places: dict[str, Any] = {
        "server.engine.uuid7": ids,
        "server.accounts.enrolment.uuid7": ids,
        "server.routes.blob.uuid7": ids,
        "server.routes.enrol.enrol": partial(enrol, random=steady_bytes),
        "server.store.sqlite.database.SqliteDatabase": partial(SqliteDatabase, random=steady_bytes),
        "server.engine.load_node": lambda path, replica: SteadyNode(replica, steady_key("node")),
        "server.snapshots.gzip.compress": stored_gzip,
        "server.pull.SNAPSHOT_FROM_BYTES": 1_500,
    }
    with ExitStack() as stack:
        for place, stand_in in places.items():
            stack.enter_context(patch(place, stand_in))
        yield


# --- How an example is laid out ---------------------------------------------------------------


def laid_out(value: Any, indent: int = 0, column: int = 0) -> str:
    """JSON on one line where it fits, else as many parts a line as fit. It begins at `column`."""
    line = json.dumps(value, ensure_ascii=False)
    if max(indent, column) + len(line) < WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + 1
    if isinstance(value, list):
        parts = [laid_out(one, inner) for one in value]
        opened, closed = "[", "]"
    else:
        names = [f"{json.dumps(name)}: " for name in value]
        parts = [
            name + laid_out(one, inner, inner + len(name))
            for name, one in zip(names, value.values(), strict=True)
        ]
        opened, closed = "{", "}"
    lines = ",\n".join(" " * inner + one for one in _packed(parts, WIDTH - inner))
    return f"{opened}\n{lines}\n{' ' * indent}{closed}"


def _packed(parts: list[str], room: int) -> list[str]:
    """Parts side by side while they fit; what takes several lines stands alone."""
    rows: list[str] = []
    for part in parts:
        fits = rows and "\n" not in rows[-1] + part and len(rows[-1]) + len(part) + 3 < room
        if fits:
            rows[-1] += ", " + part
        else:
            rows.append(part)
    return rows


def shown(text: str | bytes, *names: str) -> str:
    """A message as the page shows it: whole, or only these parts of it."""
    value = json.loads(text)
    if names:
        value = {name: value[name] for name in names}
    return laid_out(_cut(value))


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _cut(one) for name, one in value.items()}
    if isinstance(found.get("raw"), str) and len(found["raw"]) > RAW_CHARS_SHOWN:
        found["raw"] = found["raw"][:RAW_CHARS_SHOWN] + "…"
    return found


def page_with(text: str, examples: dict[str, str]) -> str:
    """The page with each marked block replaced by its example. KeyError for one never told."""
    return BLOCK.sub(lambda block: f"{block[1]}{block[3]}\n{examples[block[2]]}\n```", text)


# --- The story --------------------------------------------------------------------------------


class Phone:
    """A reference device of the story."""

    def __init__(self, story: "Story", reply: EnrolReply, key: str) -> None:
        self.story = story
        self.reply = reply
        self.signer = SteadyNode(reply.replica, steady_key(key))
        me = Identity(
            reply.realm, reply.centre, reply.epoch, reply.replica, reply.session, reply.actor
        )
        self.replica = Replica(me)
        self.asked = b""
        self.told = b""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.reply.token}"}

    def saved(self, n: int, lane: int = 0) -> Saved:
        return next(one for one in self.replica.outbox if (one.lane, one.n) == (lane, n))

    def write(self, intent: str, lane: int, change: Change) -> Saved:
        self.replica.write(intent, lane, [change], self.story.now)
        return self.replica.outbox[-1]

    def step(self, name: str, round: int = 1) -> Saved:
        fields = {"target": "t-1", "directive": "d-1", "unit": "u-07", "round": round}
        fields |= {"at": self.story.now, "step": name, "version": 1, "route": "device"}
        return self.write("target.step", 0, Change("create", "step", f"s-{name}-{round}", fields))

    async def sync(self, lanes: list[int] | None = None) -> None:
        """One round trip, perhaps of some lanes only; its two messages stay to be shown."""
        request = self.replica.request(self.signer.sign, self.story.now)
        request = msgspec.structs.replace(request, lanes=lanes, app="0.2.0")
        self.asked = msgspec.json.encode(request)
        response = await self.story.client.post(
            "/v1/sync", content=self.asked, headers=self.headers
        )
        assert response.status_code == 200, response.text
        self.told = response.content
        reply = msgspec.json.decode(self.told, type=SyncReply)
        for snapshot in self.replica.receive(reply, request, self.story.now):
            files = {}
            for part in self.replica.lacking(snapshot):
                path = f"/v1/snap/{part.sha256}"
                data = (await self.story.client.get(path, headers=self.headers)).content
                file = msgspec.json.decode(gzip.decompress(data), type=SnapshotFile)
                files[part.sha256] = file
            self.replica.fetched(snapshot, files)
        self.story.now += MINUTE_MS

    def row(self, entity: str, id: str = "") -> bytes:
        """A row that the device holds, as it came."""
        found = [row for (of, name), row in self.replica.rows.items() if of == entity]
        [row] = [row for row in found if id in ("", row.id)]
        return msgspec.json.encode(row)


class Story:
    """A centre with one unit, and what is said to it. `examples` fills as it goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = START_MS
        self.examples: dict[str, str] = {}
        self.lead = WebUser("p-9", "示例值班长", None, frozenset(), "web", "csrf")

    async def open(self) -> None:
        config = Config(data=self.folder, centre="c1", centre_name="示例市中心")
        store = await open_store(config.database, config.centre)
        self.engine = await Engine.open(store, lambda: self.now, config)
        self.app = build_app(self.engine)
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def close(self) -> None:
        await self.client.aclose()
        await self.engine.close()

    async def enrol(self, actor: str, kind: str, key: str) -> Phone:
        code = await new_code(self.engine, actor, kind, random=steady_bytes)
        public = SteadyNode("", steady_key(key)).public
        body = msgspec.json.encode(EnrolRequest(code, public, "示例手机", "0.2.0"))
        response = await self.client.post("/v1/enrol", content=body)
        assert response.status_code == 200, response.text
        self.examples.setdefault("enrol-request", shown(body))
        self.examples.setdefault("enrol-reply", shown(response.text))
        return Phone(self, msgspec.json.decode(response.content, type=EnrolReply), key)

    async def act(self, intent: str, *changes: Change, **more: Any) -> None:
        self.now += MINUTE_MS
        verdict = await self.engine.act(self.lead, intent, changes, **more)
        assert verdict.verdict in ("applied", "merged"), verdict

    async def play(self) -> dict[str, str]:
        await self.open()
        for part in _register():
            await self.engine.load(part)
        phone = await self.enrol("p-1", "phone", "phone")
        await self.an_incident_is_opened()
        await self.the_database_is_copied()
        await self.an_order_is_given()
        await self.a_device_reads_it(phone)
        await self.a_step_is_signed(phone)
        self.digests_are_summed(phone)
        await self.words_are_lost(phone)
        await self.words_wait_and_are_refused(phone)
        await self.two_people_edit_one_number()
        await self.a_photo_is_sent(phone)
        await self.a_line_is_open(phone)
        await self.others_ask(phone)
        await self.the_centre_is_restored(phone)
        await self.close()
        return self.examples

    async def an_incident_is_opened(self) -> None:
        summary = {"title": "示例积水", "level": "III"}
        await self.act(
            "incident.open",
            Change("create", "incident", "i-1", {"state": "open"}),
            Change("create", "incident_summary", "i-1", summary),
        )

    async def the_database_is_copied(self) -> None:
        await self.close()
        shutil.copy(self.engine.config.database, self.folder / "backup")
        await self.open()

    async def an_order_is_given(self) -> None:
        order = {"incident": "i-1", "kind": "dispatch", "urgency": "urgent", "version": 1}
        order |= {"text": "示例指令", "clocks": CLOCKS, "at": self.now}
        target = {"directive": "d-1", "incident": "i-1", "unit": "u-07", "lead": True}
        await self.act(
            "directive.issue",
            Change("create", "directive", "d-1", order),
            Change("create", "target", "t-1", target),
        )

    async def a_device_reads_it(self, phone: Phone) -> None:
        await phone.sync(lanes=[0])
        self.examples["first-request"] = shown(phone.asked)
        self.examples["first-reply"] = shown(phone.told)
        await phone.sync()
        offered = json.loads(phone.told)
        self.examples["snapshot"] = shown(phone.told, "restart", "complete", "snapshots")
        [snapshot] = offered["snapshots"]
        path = f"/v1/snap/{snapshot['parts'][0]['sha256']}"
        part = (await self.client.get(path, headers=phone.headers)).content
        file = json.loads(gzip.decompress(part))
        file["rows"] = file["rows"][:1]
        self.examples["snapshot-file"] = shown(json.dumps(file))
        await phone.sync()

    async def a_step_is_signed(self, phone: Phone) -> None:
        first, second = phone.step("received"), phone.step("signed")
        self.examples["mutation"] = shown(second.raw)
        self.examples["chain"] = "\n".join([first.raw.decode(), second.raw.decode()])
        signed = signing_bytes(
            phone.reply.realm, phone.reply.replica, 0, second.n, second.hash
        ).decode()
        lines = [
            f"private key  {secret_of('phone'):064x}",
            f"public key   {phone.signer.public}",
            f"hash of n=1  {first.hash}",
            f"hash of n=2  {second.hash}",
            "text         " + json.dumps(signed),
            f"signature    {phone.signer.sign(signed.encode())}",
        ]
        self.examples["signature"] = "\n".join(lines)
        await phone.sync()
        self.examples["push-request"] = shown(phone.asked)
        self.examples["push-reply"] = shown(phone.told)

    def digests_are_summed(self, phone: Phone) -> None:
        held = sorted(phone.replica.holds[UNIT, 0])
        rows = [phone.replica.rows[key] for key in held]
        step = next(row for row in rows if row.id == "s-signed-1")
        doc = msgspec.json.decode(msgspec.json.encode(step))
        names = ("actor", "dot", "fields", "home", "open", "stamp", "writes")
        text = canonical([step.entity, step.id, {name: doc[name] for name in names}])
        assert hashlib.sha256(text.encode()).digest()[:8].hex() == f"{row_digest(step):016x}"
        self.examples["digest-row"] = text
        lines = [f"{row_digest(row):016x}  {row.entity}/{row.id}" for row in rows]
        sum = as_text(total(map(row_digest, rows)))
        assert json.loads(phone.told)["digests"][UNIT]["0"] == sum
        self.examples["digest-sum"] = "\n".join([*lines, f"{sum:>16}  sum mod 2^64"])

    async def words_are_lost(self, phone: Phone) -> None:
        lost = phone.step("departed")
        phone.replica.outbox.remove(lost)
        phone.step("arrived")
        await phone.sync()
        self.examples["missing"] = shown(phone.told, "verdicts", "missing")
        void = phone.saved(lost.n)
        self.examples["void"] = shown(void.raw)
        await phone.sync()
        assert json.loads(phone.told)["verdicts"][0]["verdict"] == "applied"
        broken = phone.step("departed", round=1)
        phone.replica.damage(0, broken.n, self.now)
        self.examples["void-corrupt"] = shown(phone.saved(broken.n).raw, "prev", "changes")
        await phone.sync()

    async def words_wait_and_are_refused(self, phone: Phone) -> None:
        said = {"target": "t-2", "directive": "d-2", "unit": "u-07", "round": 1, "at": self.now}
        said |= {"kind": "progress", "text": "示例进展"}
        phone.write("feedback.add", 1, Change("create", "feedback", "f-1", said))
        phone.step("read", round=9)
        await phone.sync()
        self.examples["held-and-refused"] = shown(phone.told, "verdicts")
        order = {"incident": "i-1", "kind": "dispatch", "urgency": "urgent", "version": 1}
        order |= {"text": "示例指令二", "clocks": CLOCKS, "at": self.now}
        target = {"directive": "d-2", "incident": "i-1", "unit": "u-07", "lead": True}
        await self.act(
            "directive.issue",
            Change("create", "directive", "d-2", order),
            Change("create", "target", "t-2", target),
        )
        await phone.sync()
        self.examples["verdict-row"] = shown(phone.row("verdict"))
        self.examples["quarantine-row"] = shown(phone.row("quarantine"))

    async def two_people_edit_one_number(self) -> None:
        duty = await self.enrol("p-3", "tablet", "tablet")
        await duty.sync()
        await duty.sync()
        duty.step("acting")
        mine = Change("set", "contact_phone", "n-1", {"number": "1000000002"})
        written = duty.write("contact.edit", 2, mine)
        self.examples["base"] = shown(written.raw, "changes", "base")
        base = {"contact_phone/n-1": {"number": (duty.replica.rows["contact_phone", "n-1"].dot,)}}
        theirs = Change("set", "contact_phone", "n-1", {"number": "1000000003"})
        await self.act("contact.edit_any", theirs, base=base)
        await duty.sync()
        self.examples["merged"] = shown(duty.told, "verdicts")
        self.examples["disputed-row"] = shown(duty.row("contact_phone"))
        self.examples["conflict-row"] = shown(duty.row("conflict"))
        decided = duty.write("conflict.decide_own", 1, mine)
        self.examples["decision"] = shown(decided.raw, "intent", "changes", "base")
        await duty.sync()
        [conflict] = [row for (of, _), row in duty.replica.rows.items() if of == "conflict"]
        assert conflict.fields["state"] == "decided"

    async def a_photo_is_sent(self, phone: Phone) -> None:
        sha256 = hashlib.sha256(PHOTO).hexdigest()
        lines: list[str] = []

        async def say(method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            every = phone.headers | named
            response = await self.client.request(method, path, content=body, headers=every)
            lines.append(f"{method} {path}")
            lines.extend(f"  {name}: {value}" for name, value in named.items())
            lines.append(f"→ {response.status_code}")
            for name in ("Location", "Upload-Offset", "Upload-Length"):
                if name in response.headers:
                    lines.append(f"  {name}: {response.headers[name]}")
            return response

        told = f"sha256 {_b64(sha256.encode())},type {_b64(b'image/jpeg')}"
        begun = await say("POST", "/v1/blob", Upload_Length=str(len(PHOTO)), Upload_Metadata=told)
        path = begun.headers["Location"]
        for offset in (0, 16):
            chunk = PHOTO[offset : offset + 16]
            sum = f"sha256 {_b64(hashlib.sha256(chunk).digest())}"
            kind = "application/offset+octet-stream"
            await say(
                "PATCH",
                path,
                chunk,
                Content_Type=kind,
                Upload_Offset=str(offset),
                Upload_Checksum=sum,
            )
        await say("HEAD", path)
        self.examples["blob"] = "\n".join(lines)

    async def a_line_is_open(self, phone: Phone) -> None:
        frames = await _spoken_on(self, phone)
        self.examples["live"] = "\n".join(frames)

    async def others_ask(self, phone: Phone) -> None:
        response = await self.client.post("/v1/sync", content=b"{}")
        self.examples["problem"] = shown(response.text)
        self.examples["hello"] = (await self.client.get("/v1/hello")).text
        fleet = msgspec.json.encode(self.engine.fleet()[-1:])
        self.examples["fleet"] = shown(fleet)
        replica, key = "0199c82c-0000-7000-b000-00000000dead", SteadyNode("", steady_key("lost"))
        identity = phone.replica.identity
        lost = Phone(self, msgspec.structs.replace(phone.reply, replica=replica), "lost")
        lost.replica = Replica(msgspec.structs.replace(identity, replica=replica))
        said = lost.step("signed")
        signed = signing_bytes(identity.realm, replica, 0, said.n, said.hash)
        run = Run(0, key.sign(signed), [msgspec.Raw(said.raw)])
        body = msgspec.json.encode(LateRequest("c1", replica, key.public, [run]))
        self.examples["late-request"] = shown(body)
        response = await self.client.post("/v1/late", content=body)
        assert response.status_code == 200, response.text
        self.examples["late-reply"] = shown(response.text)

    async def the_centre_is_restored(self, phone: Phone) -> None:
        await phone.sync()
        await self.close()
        for old in self.folder.glob("lingda.db*"):
            old.unlink()
        shutil.copy(self.folder / "backup", self.engine.config.database)
        await self.open()
        new_node = "0199c83b-0000-7000-b000-0000000000aa"
        await self.engine.store.write(lambda txn: begin_epoch(txn, new_node, 1, steady_bytes))
        await self.close()
        await self.open()
        await phone.sync()
        self.examples["epoch-reply"] = shown(phone.told, "epoch", "fork", "restart", "upto")
        await phone.sync()
        again = json.loads(phone.asked)
        again["runs"] = [{**run, "mutations": ["…"]} for run in again["runs"]]
        again["runs"] = again["runs"][:1]
        again["offers"], again["seen"] = again["offers"][:1], again["seen"][:1]
        self.examples["offers-request"] = shown(
            json.dumps(again), "epoch", "runs", "cursors", "offers", "seen"
        )
        reply = json.loads(phone.told)
        offered = [one for one in reply["verdicts"] if "reoffered" in one["tags"]]
        assert len(offered) > 3
        self.examples["offers-reply"] = shown(json.dumps({"verdicts": offered[:2]}))
        for _ in range(3):
            await phone.sync()
        [waits] = phone.replica.outbox
        assert waits.mutation.changes[0].fields["round"] == 9, "a round that may come back yet"
        assert not phone.replica.offers


def _register() -> list[list[Change]]:
    unit = {"code": "1.2-01", "name": "示例中队", "tier": "T1", "category": "1.2"}
    card = {"unit": "u-07", "duty": "head", "name": "示例乙"}
    number = {"unit": "u-07", "contact": "k-1", "kind": "mobile", "number": "1000000001"}
    people = [
        _person("p-9", None, "dispatcher", "shift_lead"),
        _person("p-1", "u-07", "responder"),
        _person("p-3", "u-07", "duty"),
    ]
    return [
        [Change("create", "unit", "u-07", unit), *people],
        [_person(f"p-{n}", "u-07", "responder") for n in range(20, 24)],
        [
            _person("p-24", "u-07", "responder"),
            Change("create", "contact", "k-1", card),
            Change("create", "contact_phone", "n-1", number),
        ],
    ]


def _person(id: str, unit: str | None, *roles: str) -> Change:
    fields = {"name": f"示例{id}", "unit": unit, "roles": list(roles)}
    return Change("create", "person", id, fields)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def _spoken_on(story: Story, phone: Phone) -> list[str]:
    """The frames of a live connection: the greeting, a ping, and a poke about an edit."""
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {
        "type": "websocket",
        "path": "/v1/live",
        "raw_path": b"/v1/live",
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
    }
    line = asyncio.create_task(story.app(scope, said.get, heard.put))
    frames = []

    async def say(text: str) -> None:
        frames.append("device → " + text)
        await said.put({"type": "websocket.receive", "text": text})

    async def hear() -> None:
        frames.append("centre → " + (await heard.get())["text"])

    await said.put({"type": "websocket.connect"})
    await heard.get()
    await say(json.dumps({"token": phone.reply.token, "replica": phone.reply.replica}))
    await hear()
    await say("ping")
    await hear()
    level = Change("set", "incident_summary", "i-1", {"level": "II"})
    base = {"incident_summary/i-1": {"level": (json.loads(phone.row("incident_summary"))["dot"],)}}
    await story.act("incident.edit", level, base=base)
    await hear()
    await said.put({"type": "websocket.disconnect", "code": 1000})
    await line
    return frames


def tell() -> dict[str, str]:
    """Every example by name, from a story that is played now."""
    with tempfile.TemporaryDirectory() as folder, nothing_by_chance():
        return asyncio.run(Story(Path(folder)).play())


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page_with(text, tell()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

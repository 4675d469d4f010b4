"""Record what the code it runs with leaves behind: a database, and all that its devices said.

`python -m tests.upgrade.record tests/upgrade/v2` before a release that changes the protocol. The
story tells every kind of verdict; keys, tokens and the password belong to nobody.
"""

import argparse
import asyncio
import json
import re
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schema.versions import PROTOCOL_VERSION
from schema.wire import Change, EnrolReply, EnrolRequest, SyncReply, SyncRequest, Verdict
from server.accounts import new_code, new_login, sign_in
from server.node import Node, b64url
from sync.outbox import Tip
from tests.server.world import Phone, World, small_centre

LOGIN, PASSWORD = "lead", "upgrade-password"
MINUTE_MS = 60_000
DEVICES = {
    "phone": "phone",
    "spare": "phone",
    "other": "phone",
    "duty": "tablet",
    "driver": "operator",
}
"""Each device's name and kind. It is its person's name, but for the second phone's."""

PHOTO = {"sha256": "5a" * 32, "size": 1_000, "type": "image/jpeg", "thumb": ""}
BLOB = re.compile(r"X'([0-9A-F]+)'")


class Witness(Phone):
    """A device that keeps each push and its reply as text."""

    def __init__(self, world: World, enrolled: dict[str, str], signer: Node) -> None:
        super().__init__(world, msgspec.json.decode(enrolled["reply"], type=EnrolReply), signer)
        self.own = signer
        self.enrolled = enrolled
        self.said: list[dict[str, str]] = []

    async def post(self, body: bytes) -> httpx.Response:
        response = await super().post(body)
        if self.replica.outbox:
            self.said.append({"request": body.decode(), "reply": response.text})
        return response

    async def told(self) -> list[Verdict]:
        """Sync, and say only what became of the words sent."""
        self.world.time.now += MINUTE_MS
        return (await self.sync()).verdicts

    def create(self, intent: str, lane: int, entity: str, id: str, **fields: Any) -> None:
        self.write(intent, lane, Change("create", entity, id, fields))


class Story:
    """A centre, its devices by name, and what happens to them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.devices: dict[str, Witness] = {}

    async def enrol(self, name: str, kind: str) -> None:
        """Over HTTP, and a first pull."""
        signer = Node("", ec.generate_private_key(ec.SECP256R1()))
        code = await new_code(self.world.engine, "phone" if name == "spare" else name, kind)
        body = msgspec.json.encode(EnrolRequest(code, signer.public, "示例手机", "1"))
        response = await self.world.client.post("/v1/enrol", content=body)
        assert response.status_code == 200, response.text
        enrolled = {"request": body.decode(), "reply": response.text}
        self.devices[name] = Witness(self.world, enrolled, signer)
        await self.devices[name].sync()

    async def act(self, intent: str, *changes: Change, **more: Any) -> None:
        """The lead does something at the centre."""
        self.world.time.now += MINUTE_MS
        verdict = await self.world.engine.act(self.world.lead, intent, changes, **more)
        assert verdict.verdict in ("applied", "merged"), verdict

    async def load(self, *changes: Change) -> None:
        """The centre fills its register."""
        verdict = await self.world.engine.load(changes)
        assert verdict.verdict in ("applied", "merged"), verdict

    def fact(self, target: str, round: int = 1, **fields: Any) -> dict[str, Any]:
        directive, _, unit = target.rpartition("-")
        at = self.world.time()
        of = {"target": target, "directive": directive, "unit": unit, "round": round, "at": at}
        return of | fields

    async def play(self) -> None:
        for name, kind in DEVICES.items():
            await self.enrol(name, kind)
        await self.an_order_is_carried_out_and_sent_back()
        await self.a_recall_meets_work()
        await self.a_register_is_edited_at_two_places()
        await self.machines_move()
        await self.words_are_not_taken()

    async def an_order_is_carried_out_and_sent_back(self) -> None:
        phone, other = self.devices["phone"], self.devices["other"]
        await self.world.order("u1", "u2", id="d1")
        await phone.told()
        await other.told()
        for step in ("received", "read", "signed"):
            phone.step(step)
        await phone.told()
        other.step("signed", "d1-u2")
        await other.told()
        for step in ("departed", "arrived", "reported"):
            phone.step(step)
        said = {"kind": "progress", "text": "示例进展", "photos": [PHOTO], "place": "示例大桥"}
        weather = {"weather_of_later": {"rain_mm": 12, "words": ["示例小雨"]}}
        phone.create("feedback.add", 1, "feedback", "f1", **self.fact("d1-u1", **said | weather))
        assert {one.verdict for one in await phone.told()} == {"applied"}
        back = self.fact("d1-u1", 2, reason="sent_back", note="示例补充")
        await self.act("target.send_back", Change("create", "round", "ro1", back))
        await phone.told()
        phone.step("signed", round=2)
        await phone.told()
        closed = self.fact("d1-u2", step="closed", version=1, route="centre")
        await self.act("target.close", Change("create", "step", "st1", closed))
        title = Change("set", "incident_summary", "i-d1", {"title": "示例事件（续）"})
        await self.act("incident.edit", title)

    async def a_recall_meets_work(self) -> None:
        phone, other = self.devices["phone"], self.devices["other"]
        await self.world.order("u1", "u2", id="d2")
        await phone.told()
        await other.told()
        for unit in ("u1", "u2"):
            fields = self.fact(f"d2-{unit}", reason="误发", rank_seen=0)
            await self.act("directive.recall", Change("create", "recall", f"re-{unit}", fields))
        phone.step("signed", "d2-u1")
        other.step("signed", "d2-u2")
        other.step("arrived", "d2-u2")
        assert (await phone.told())[0].verdict == "merged"
        assert (await other.told())[1].verdict == "merged"
        phone.create("target.stop", 0, "stop", "so1", **self.fact("d2-u1", recall="re-u1"))
        await phone.told()
        ruling = self.fact("d2-u2", recall="re-u2", verdict="accept_result", note="示例裁定")
        await self.act("recall.rule", Change("create", "ruling", "ru1", ruling))
        await other.told()

    async def a_register_is_edited_at_two_places(self) -> None:
        duty = self.devices["duty"]
        card = {"unit": "u1", "contact": "c1", "kind": "mobile", "number": "1000000002"}
        await self.load(*(Change("create", "contact_phone", id, card) for id in ("p2", "p3")))
        await duty.told()
        for id in ("p1", "p2"):
            duty.write("contact.edit", 2, Change("set", "contact_phone", id, {"number": "111"}))
            row = await self.world.row("contact_phone", id)
            change = Change("set", "contact_phone", id, {"number": "222"})
            base = {f"contact_phone/{id}": {"number": (row.dot,)}}
            await self.act("contact.edit_any", change, base=base)
        assert [one.verdict for one in await duty.told()] == ["merged", "merged"]
        chosen = Change("set", "contact_phone", "p2", {"number": "222"})
        duty.write("conflict.decide_own", 1, chosen)
        duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": "示例新名"}))
        await duty.told()
        duty.write("contact.edit", 2, Change("set", "contact_phone", "p3", {"number": "333"}))
        await self.act("contact.edit_any", Change("remove", "contact_phone", "p3"))
        told = await duty.told()
        assert (told[0].verdict, told[0].code) == ("quarantined", "removed")
        await self.load(Change("set", "person", "phone", {"post": "示例班长"}))

    def machine(self, id: str) -> Change:
        fields = {"unit": "u1", "kind": "crane", "name": "示例吊车", "status": "available"}
        return Change("create", "equipment", id, fields | {"operator_person": "driver"})

    def moved(self, id: str, equipment: str) -> None:
        fields = {
            "equipment": equipment,
            "unit": "u1",
            "kind": "move",
            "at": self.world.time(),
            "place": "示例路口",
            "lat_e6": 44_550_000,
            "lon_e6": 129_600_000,
            "accuracy_m": 12,
            "manager": "示例乙",
            "operator": "示例丙",
            "operator_phone": "100 0000 0003",
        }
        self.devices["driver"].create("move.file", 1, "equipment_move", id, **fields)

    async def machines_move(self) -> None:
        driver, duty = self.devices["driver"], self.devices["duty"]
        await self.load(self.machine("e2"))
        await driver.told()
        for id, equipment in (("m1", "e1"), ("m2", "e3"), ("m3", "e4")):
            self.moved(id, equipment)
        assert [one.verdict for one in await driver.told()] == ["applied", "held", "held"]
        duty.write("equipment.edit", 2, self.machine("e3"))
        away = Change("set", "equipment", "e2", {"operator_person": None})
        duty.write("equipment.edit", 2, away)
        await duty.told()
        call = {"unit": "u1", "text": "示例求助", "at": self.world.time()}
        driver.create("help.call", 0, "help_call", "h1", **call)
        await driver.told()
        answer = call | {"help_call": "h1", "caller": "driver", "text": "示例答复"}
        await self.act("help.answer", Change("create", "help_answer", "ha1", answer))
        await driver.told()

    async def words_are_not_taken(self) -> None:
        other, spare = self.devices["other"], self.devices["spare"]
        other.step("read", "d1-u2", round=9)
        other.step("closed", "d1-u2")
        assert {one.verdict for one in await other.told()} == {"refused"}
        spare.step("received")
        await spare.told()
        spare.replica.tips[0] = Tip(spare.replica.tips[0].n, "0" * 64)
        spare.step("read")
        spare.step("signed")
        assert (await spare.told())[0].code == "chain_broken"
        spare.signer = other.own
        spare.step("departed")
        assert (await spare.told())[0].code == "signature"
        spare.signer = spare.own
        replica = spare.reply.replica

        def revoke(txn):
            gone = {"revoked_at": self.world.time()}
            txn.put("replica", replica, txn.get("replica", replica) | gone)

        await self.world.engine.store.write(revoke)
        spare.step("arrived")
        assert (await spare.told())[0].code == "revoked"

    def write_offline(self) -> None:
        """What waits on each device when the centre is brought up to date."""
        phone, other = self.devices["phone"], self.devices["other"]
        duty, spare = self.devices["duty"], self.devices["spare"]
        phone.step("departed", round=2)
        said = self.fact("d1-u1", 2, kind="result", text="示例结果")
        phone.create("feedback.add", 1, "feedback", "f2", **said)
        other.step("reported", "d2-u2")
        other.step("read", "d1-u2", round=9)
        duty.write("contact.edit", 2, Change("set", "contact", "c1", {"post": "示例职务"}))
        duty.write("equipment.edit", 2, self.machine("e4"))
        chosen = Change("set", "contact_phone", "p1", {"number": "111"})
        duty.write("conflict.decide_own", 1, chosen)
        self.moved("m4", "e1")
        spare.step("reported")

    async def close(self) -> list[dict[str, Any]]:
        """Everybody reads on to the end. What each holds then, pulled from nothing."""
        found = []
        for device in [*self.devices.values()] * 2:
            await device.told()
        for name, device in self.devices.items():
            me = device.replica.identity
            body = msgspec.json.encode(SyncRequest(me.centre, me.epoch, me.replica))
            response = await Phone.post(device, body)
            reply = msgspec.json.decode(response.content, type=SyncReply)
            assert {scope: 5 for scope in reply.gained} == {
                scope: len(lanes) for scope, lanes in reply.complete.items()
            }
            found.append(
                {
                    "name": name,
                    "private_key": private_text(device.own.key),
                    "enrolled": device.enrolled,
                    "said": device.said,
                    "all": {"request": body.decode(), "reply": response.text},
                }
            )
        return found


def private_text(key: ec.EllipticCurvePrivateKey) -> str:
    return b64url(key.private_numbers().private_value.to_bytes(32, "big"))


def private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def dump(path: Path) -> str:
    """The database as SQL, its words readable, its schema's number last."""
    db = sqlite3.connect(path)
    lines = [BLOB.sub(_readable, line) for line in db.iterdump()]
    number = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return "\n".join([*lines, f"PRAGMA user_version={number};"]) + "\n"


def _readable(blob: re.Match[str]) -> str:
    words = bytes.fromhex(blob[1]).decode().replace("'", "''")
    return f"CAST('{words}' AS BLOB)"


async def record(folder: Path) -> None:
    """Play the story; `folder` then holds `database.sql` and `session.json`.

    The unsent words are sent once the database is written: `unsent` is what was still waiting, and
    what this code would have answered.
    """
    with tempfile.TemporaryDirectory() as data:
        async with small_centre(Path(data)) as world:
            await new_login(world.engine, LOGIN, PASSWORD, "lead")
            cookie = await sign_in(world.engine, LOGIN, PASSWORD, "127.0.0.1")
            story = Story(world)
            await story.play()
            devices = await story.close()
            story.write_offline()
            database, config = dump(world.engine.config.database), world.engine.config
            now = world.time()
            for one, device in zip(devices, story.devices.values(), strict=True):
                body = device.body()
                response = await Phone.post(device, body)
                one["unsent"] = {"request": body.decode(), "reply": response.text}
            session = {
                "protocol": PROTOCOL_VERSION,
                "now": now,
                "node_key": private_text(private_key(config.node_key)),
                "login": LOGIN,
                "password": PASSWORD,
                "cookie": cookie,
                "devices": devices,
            }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "database.sql").write_text(database, encoding="utf-8")
    text = json.dumps(session, ensure_ascii=False, indent=1)
    (folder / "session.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    asyncio.run(record(parser.parse_args().folder))


if __name__ == "__main__":
    main()

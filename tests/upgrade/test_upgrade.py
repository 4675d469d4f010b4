"""A database and the devices of every released version go on with today's code.

Each folder `v*` here was written by `record.py` of that version; `today` is recorded anew.
"""

import asyncio
import hashlib
import json
import sqlite3
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schema.entities import ENTITIES
from schema.versions import LANES, PROTOCOL_VERSION
from schema.wire import EnrolReply, SyncRequest
from server.accounts import COOKIE, sign_in
from server.app import build_app
from server.config import Config
from server.engine import Engine
from server.node import Node, from_b64url, public_key, verifies
from server.store.sqlite import open_store
from server.store.sqlite.schema import MIGRATIONS
from sync.mutation import hash_of, signing_bytes, split_dot
from sync.outbox import FINAL, Tip
from tests.server.world import Phone, Time, World
from tests.upgrade.record import MINUTE_MS, record

HERE = Path(__file__).parent
TAKEN = {"applied", "merged"}
IN_NAMES = {"member": "membership", "digest": "digest"}
"""The views that say in names what these tables of version 3 and before said."""


@pytest.fixture(scope="module", params=[*sorted(path.name for path in HERE.glob("v*")), "today"])
def folder(request, tmp_path_factory):
    if request.param != "today":
        return HERE / request.param
    made = tmp_path_factory.mktemp("today")
    asyncio.run(record(made))
    return made


class Old(Phone):
    """A device as it was recorded, speaking to the centre of today."""

    def __init__(self, world, recorded):
        reply = msgspec.json.decode(recorded["enrolled"]["reply"], type=EnrolReply)
        super().__init__(world, reply, Node("", private_key(recorded["private_key"])))
        self.recorded = recorded
        self.had = json.loads(recorded["all"]["reply"])

    async def answer(self, body):
        response = await self.post(body.encode() if isinstance(body, str) else body)
        assert response.status_code == 200, response.text
        return response.json()

    async def unsent(self):
        return await self.answer(self.recorded["unsent"]["request"])

    async def everything(self, protocol):
        """All that it may hold, pulled from nothing."""
        request = json.loads(self.recorded["all"]["request"]) | {"protocol": protocol}
        return await self.answer(json.dumps(request))

    def go_on(self):
        """Take up each lane where the recorded words end."""
        for one in [*self.recorded["said"], self.recorded["unsent"]]:
            for run in msgspec.json.decode(one["request"], type=SyncRequest).runs:
                last = bytes(run.mutations[-1])
                self.replica.tips[run.lane] = Tip(json.loads(last)["n"], hash_of(last))


def last_told(recorded):
    """The newest recorded verdict of each mutation that a device sent, by dot and hash."""
    replies = [json.loads(one["reply"]) for one in recorded["said"]]
    told = [verdict for reply in replies for verdict in reply["verdicts"]]
    return {(one["dot"], one["hash"]): one for one in told}


class Centre:
    """The recorded centre, opened by today's code, and its devices."""

    def __init__(self, world, session):
        self.world = world
        self.session = session
        self.devices = {one["name"]: Old(world, one) for one in session["devices"]}
        self.living = [one for one in self.devices.values() if one.had["complete"]]

    def sql(self, query):
        db = sqlite3.connect(self.world.engine.config.database)
        found = db.execute(query).fetchall()
        db.close()
        return found


def private_key(text):
    return ec.derive_private_key(int.from_bytes(from_b64url(text), "big"), ec.SECP256R1())


def loaded(folder, path):
    """The dump as a database again."""
    db = sqlite3.connect(path)
    db.executescript((folder / "database.sql").read_text(encoding="utf-8"))
    return db


def restore(folder, config, node_key):
    """The data folder as the old version left it."""
    loaded(folder, config.database).close()
    pem = private_key(node_key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    config.node_key.write_bytes(pem)


@pytest.fixture
async def centre(folder, tmp_path):
    session = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    config, time = Config(data=tmp_path), Time()
    time.now = session["now"]
    restore(folder, config, session["node_key"])
    engine = await Engine.open(await open_store(config.database, config.centre), time, config)
    transport = httpx.ASGITransport(build_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield Centre(World(engine, time, client), session)
    await engine.close()


# --- The database -------------------------------------------------------------------------------


def columns(db):
    tables = db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    return {
        name: sorted(line[1:3] for line in db.execute(f"PRAGMA table_info('{name}')"))
        for (name,) in tables
    }


async def test_an_old_database_becomes_what_a_new_one_is(centre, tmp_path):
    new = await open_store(tmp_path / "new.db", "centre")
    await new.close()
    dbs = [sqlite3.connect(path) for path in (tmp_path / "new.db", tmp_path / "lingda.db")]
    assert columns(dbs[0]) == columns(dbs[1])
    for db in dbs:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


async def test_no_line_of_an_old_database_is_lost_or_altered(centre, folder):
    old = loaded(folder, ":memory:")
    for table, of in columns(old).items():
        names = ", ".join(f"{table}.{name}" for name, _ in of)
        lines = old.execute(f"SELECT {names} FROM {table}").fetchall()
        seen_as = IN_NAMES[table] if ("scope", "TEXT") in of else table
        now = f"SELECT {names} FROM {seen_as} AS {table}"
        assert lines and set(lines) <= set(centre.sql(now)), table
    old.close()


async def test_the_old_log_s_chain_and_words_are_unbroken(centre):
    lines = centre.sql(
        "SELECT seq, replica, lane, n, hash, verdict, code, raw, chain FROM log ORDER BY seq"
    )
    past = ""
    for nth, (seq, replica, lane, n, hash, verdict, code, raw, chain) in enumerate(lines, 1):
        told = [past, seq, f"{replica}/{lane}/{n}", hash, verdict, code]
        assert (seq, chain) == (nth, hash_of(compact(told))), seq
        assert raw is None or hash_of(raw) == hash, seq
        past = chain
    assert centre.sql("SELECT seq, chain FROM head") == [(len(lines), past)]


async def test_every_signature_that_was_kept_still_proves_its_run(centre):
    store = centre.world.engine.store
    head = await store.read(lambda txn: txn.head())
    runs = await store.read(lambda txn: txn.find("run"))
    logged = await store.read(lambda txn: txn.logged(runs))
    keys = {one.reply.replica: one.signer.public for one in centre.devices.values()}
    keys[centre.world.engine.node.replica] = centre.world.engine.node.public
    assert {split_dot(dot)[0] for dot in runs} == set(keys)
    for dot, run in runs.items():
        signed = signing_bytes(head.realm, *split_dot(dot), logged[dot].hash)
        assert verifies(public_key(keys[split_dot(dot)[0]]), run["sig"], signed), dot


# --- Who comes back -----------------------------------------------------------------------------


async def test_old_tokens_still_authenticate(centre):
    for device in centre.devices.values():
        reply = await device.everything(centre.session["protocol"])
        assert bool(reply["complete"]) == (device in centre.living)
        wrong = {"Authorization": f"Bearer {device.reply.token}x"}
        body = device.recorded["all"]["request"]
        response = await centre.world.client.post("/v1/sync", content=body, headers=wrong)
        assert response.status_code == 401


async def test_an_old_password_and_an_old_web_session_still_open_the_desk(centre):
    session, client = centre.session, centre.world.client
    new = await sign_in(centre.world.engine, session["login"], session["password"], "127.0.0.1")
    assert (await client.get("/desk/directives/d1")).status_code in (302, 303, 401)
    for token in (session["cookie"], new):
        client.cookies.set(COOKIE, token)
        for path in ("/desk", "/desk/directives/d1", "/desk/directives/d2", "/desk/incidents/i-d1"):
            assert (await client.get(path)).status_code == 200, path


# --- What a device holds ------------------------------------------------------------------------


def held(reply):
    """The living rows of each (scope, lane) of an answer."""
    return {
        (page["scope"], page["lane"], row["entity"], row["id"]): row
        for page in reply["pages"]
        for row in page["rows"]
        if not row["removed"]
    }


@pytest.mark.parametrize("speaks", ["its own version", "today's"])
async def test_a_device_that_pulls_from_nothing_gets_the_rows_that_it_had(centre, speaks):
    for device in centre.devices.values():
        had = held(device.had)
        own = speaks == "its own version"
        reply = await device.everything(centre.session["protocol"] if own else PROTOCOL_VERSION)
        got = held(reply)
        assert set(got) == set(had)
        for key, row in had.items():
            assert {name: got[key][name] for name in row} == row
        scopes = device.reply.scopes if device in centre.living else []
        assert reply["complete"] == {scope: list(LANES) for scope in scopes}


async def test_a_field_that_nobody_here_knows_comes_back_as_it_was_written(centre):
    phone = centre.devices["phone"]
    got = held(await phone.everything(centre.session["protocol"]))
    unknown = {
        key: {name: row["fields"][name] for name in row["fields"] if name not in known(row)}
        for key, row in got.items()
    }
    assert {key[2:]: fields for key, fields in unknown.items() if fields} == {
        ("feedback", "f1"): {"weather_of_later": {"rain_mm": 12, "words": ["示例小雨"]}}
    }


def known(row):
    return ENTITIES[row["entity"]].fields


async def test_a_device_goes_on_from_its_cursors_and_starts_nothing_anew(centre):
    for device in centre.living:
        request = json.loads(device.recorded["unsent"]["request"]) | {"runs": []}
        assert request["cursors"]
        reply = await device.answer(json.dumps(request))
        assert (reply["pages"], reply["restart"]) == ([], [])
        assert (reply["gained"], reply["revoked"], reply["fork"]) == ([], [], None)


# --- Digests ------------------------------------------------------------------------------------


def compact(value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def digest(rows):
    """The digest of a pair, as a device of another make would compute it."""
    total = 0
    for row in rows:
        names = ("actor", "dot", "fields", "home", "open", "stamp", "writes")
        doc = {name: row.get(name, "") for name in names}
        hash = hashlib.sha256(compact([row["entity"], row["id"], doc])).digest()
        total += int.from_bytes(hash[:8], "big")
    return f"{total % 2**64:x}"


def digests(reply):
    """What the rows of an answer that began from nothing come to, for each pair complete."""
    rows = held(reply)
    return {
        scope: {
            str(lane): digest(row for key, row in rows.items() if key[:2] == (scope, lane))
            for lane in lanes
        }
        for scope, lanes in reply["complete"].items()
    }


async def test_a_migrated_database_tells_the_digests_of_its_old_rows(centre):
    for device in centre.living:
        reply = await device.everything(PROTOCOL_VERSION)
        assert reply["digests"] == digests(reply)
        assert any(one != "0" for lanes in reply["digests"].values() for one in lanes.values())


async def test_digests_stay_true_when_work_of_before_and_after_meets(centre):
    for device in centre.devices.values():
        await device.unsent()
    await centre.world.order("u1", "u2", id="d9")
    for device in centre.living:
        reply = await device.everything(PROTOCOL_VERSION)
        assert reply["digests"] == digests(reply)


# --- What a device said -------------------------------------------------------------------------


async def test_every_recorded_push_gets_the_recorded_verdict_again(centre):
    for device in centre.devices.values():
        told, again = last_told(device.recorded), {}
        for push in device.recorded["said"]:
            for verdict in (await device.answer(push["request"]))["verdicts"]:
                again[verdict["dot"], verdict["hash"]] = verdict
                assert verdict["repeat"] == (verdict["seq"] > 0), "what has a seq is in the log"
        assert set(again) == set(told)
        for key, was in told.items():
            for name in ("verdict", "code", "detail", "seq"):
                assert again[key][name] == was[name], was


async def test_a_push_that_comes_again_changes_nothing(centre):
    before = centre.sql("SELECT seq, chain FROM head") + centre.sql("SELECT * FROM row")
    for device in centre.devices.values():
        for push in device.recorded["said"]:
            await device.answer(push["request"])
    assert centre.sql("SELECT seq, chain FROM head") + centre.sql("SELECT * FROM row") == before


def test_the_recording_tells_of_every_kind_of_verdict(folder):
    session = json.loads((folder / "session.json").read_text(encoding="utf-8"))
    told = {one["verdict"] for device in session["devices"] for one in last_told(device).values()}
    assert told == {"applied", "merged", "held", "refused", "quarantined"}


async def test_work_that_was_saved_before_the_upgrade_is_taken_after_it(centre):
    for device in centre.devices.values():
        before = json.loads(device.recorded["unsent"]["reply"])["verdicts"]
        first = (await device.unsent())["verdicts"]
        assert first and [one["dot"] for one in first] == [one["dot"] for one in before]
        for was, now in zip(before, first, strict=True):
            assert now["verdict"] in FINAL, now
            assert now["verdict"] in TAKEN or was["verdict"] not in TAKEN, (was, now)
        again = (await device.unsent())["verdicts"]
        assert again == [one | {"repeat": True} for one in first]


async def test_what_waited_before_the_upgrade_is_released_by_work_after_it(centre):
    waiting = {
        dot
        for device in centre.devices.values()
        for (dot, _), one in last_told(device.recorded).items()
        if one["verdict"] == "held"
    }
    assert waiting
    for device in centre.devices.values():
        await device.unsent()
    logged = await centre.world.engine.store.read(lambda txn: txn.logged(waiting))
    assert {dot: one.verdict.verdict for dot, one in logged.items()} == dict.fromkeys(
        waiting, "applied"
    )


async def test_an_old_device_signs_an_order_that_was_given_after_the_upgrade(centre):
    phone, world = centre.devices["phone"], centre.world
    await phone.unsent()
    phone.go_on()
    world.time.now += MINUTE_MS
    await world.order("u1", id="d9")
    await phone.sync()
    assert "d9-u1" in phone.sees("target")
    phone.step("signed", "d9-u1")
    reply = await phone.sync()
    assert [one.verdict for one in reply.verdicts] == ["applied"]
    assert (reply.missing, phone.replica.outbox) == ({}, [])

"""What lies at the edges: absurd times, endless bodies, full disks, hostile names, closed doors."""

import asyncio
import errno
import json
import sqlite3
from html.parser import HTMLParser

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from schema.wire import Change
from schema.words import say
from server.accounts import COOKIE, new_login, sign_in
from server.app import SECURITY, SWEEP_MS, build_app
from server.blobs import (
    UNFINISHED_BYTES_MAX,
    UNFINISHED_MAX,
    UNFINISHED_MS_MAX,
    Blobs,
    Upload,
    begin,
    drop_stale,
)
from server.errors import Fault
from server.fleet import DeviceSeen
from server.guests import CHECK_AFTER_MS
from server.ids import uuid7
from server.serving import LOOPBACK, WS_BYTES_MAX, Listener, _config, bind
from server.serving import Ports as At
from server.web.render import degrees, dialable, exact, iso, when
from tests.e2e.centre import PASSWORD, UNIT, LiveCentre
from tests.server.test_blob import PHOTO, SHA, create, feedback, ready, send, upload
from tests.server.test_web import token
from tests.server.world import enrolled_at, small_centre
from tests.sync.builders import NOW

ABSURD = (2**53 - 1, -(2**53) + 1, -1, 253_402_300_800_000, 10**30)


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as world:
        keeper = {"name": "示例管理", "unit": None, "roles": ["admin"]}
        await world.engine.load([Change("create", "person", "keeper", keeper)])
        for actor in ("lead", "keeper"):
            await new_login(world.engine, actor, PASSWORD, actor)
        yield world


async def enter(world, login="lead"):
    """Sign in without the form."""
    cookie = await sign_in(world.engine, login, PASSWORD, "test")
    world.client.cookies.set(COOKIE, cookie)


# --- Times that cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize("ms", [*ABSURD, None])
def test_a_time_that_cannot_be_is_a_dash(ms):
    assert (iso(ms), exact(ms), when(ms, NOW)) == ("", "—", "—")


def test_times_that_can_be_are_told():
    assert (iso(0)[:10], exact(NOW)[:4]) == ("1970-01-01", "2027")
    assert when(NOW, NOW) == exact(NOW)[11:16]
    assert degrees(10**400) == "—"


@pytest.mark.parametrize("ms", ABSURD)
async def test_a_device_with_an_absurd_clock_takes_no_page_down(world, ms):
    await enter(world)
    phone = await world.device("phone", "phone")
    seen = DeviceSeen(phone.reply.replica, "phone", "phone", "u1", ms, outbox_count=3)
    seen.outbox_oldest, seen.offset_ms = ms, NOW - ms
    world.engine._fleet._seen[seen.replica] = seen
    for path in ("/desk/fleet", "/desk/devices", "/desk/units"):
        assert (await world.client.get(path)).status_code == 200, path


async def test_an_order_with_absurd_times_takes_no_page_down(world):
    await enter(world)
    await world.order("u1")
    absurd = {"close_due": 2**53 - 1, "at": -(2**53) + 1}

    def spoil(txn):
        stored = txn.rows([("directive", "d1")])["directive", "d1"]
        stored.row.fields.update(absurd)
        return stored

    stored = await world.engine.store.read(spoil)
    read = type(world.engine.store)._read

    def spoiled(store, work):
        return read(store, lambda txn: work(Spoiled(txn, stored)))

    world.engine.store._read = spoiled.__get__(world.engine.store)
    for path in ("/desk", "/desk/directives/d1", "/desk/incidents/i-d1"):
        response = await world.client.get(path)
        assert response.status_code == 200 and "示例指令" in response.text, path


class Spoiled:
    """A read in which one row holds what no sane device would write."""

    def __init__(self, txn, stored):
        self.txn, self.stored = txn, stored

    def __getattr__(self, name):
        return getattr(self.txn, name)

    def rows(self, keys):
        found = self.txn.rows(keys)
        key = ("directive", self.stored.row.id)
        return {**found, key: self.stored} if key in found else found

    def children(self, entity, parent):
        same = self.stored.row.id
        return [
            self.stored if entity == "directive" and one.row.id == same else one
            for one in self.txn.children(entity, parent)
        ]


# --- Faults of the machine ----------------------------------------------------------------------

FULL = sqlite3.OperationalError("database or disk is full")
IO = sqlite3.OperationalError("disk I/O error")
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def failing(world, error, monkeypatch, what="read"):
    async def fail(work):
        raise error

    for name in ("read", "look") if what == "read" else (what,):
        monkeypatch.setattr(world.engine.store, name, fail)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FULL, 507, "storage"),
        (IO, 507, "storage"),
        (NO_SPACE, 507, "storage"),
        (sqlite3.OperationalError("no such table: x"), 500, "internal"),
        (OSError(errno.ENOENT, "gone"), 500, "internal"),
        (KeyError("x"), 500, "internal"),
    ],
)
async def test_a_full_disk_is_told_as_such_and_every_answer_is_guarded(
    world, monkeypatch, error, status, code
):
    await enter(world)
    phone = await world.device("phone", "phone")
    failing(world, error, monkeypatch)
    response = await phone.post(b"{}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    page = await world.client.get("/desk")
    assert page.status_code == status and say("zh-CN", f"error.{code}") in page.text
    for name, value in SECURITY.items():
        assert response.headers[name] == page.headers[name] == value


async def test_a_photo_that_finds_no_room_is_answered_with_storage(world, monkeypatch):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]

    def fail(*args):
        raise NO_SPACE

    monkeypatch.setattr(Blobs, "append", fail)
    response = await send(phone, location, 0, PHOTO)
    assert (response.status_code, response.json()["code"]) == (507, "storage")


async def test_an_answer_that_broke_off_is_not_finished_as_if_it_were_whole(world):
    app = build_app(world.engine)
    sent = []

    async def breaks():
        yield b"x" * 5000
        raise KeyError("half way")

    async def half(request: Request):
        return StreamingResponse(breaks())

    app.router.routes.insert(0, Route("/half", half))

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/half", "headers": [], "query_string": b""}
    await app(scope | {"state": {}, "server": ("x", 80), "scheme": "http"}, receive, send)
    assert [one["type"] for one in sent if one["type"].endswith("start")] == ["http.response.start"]
    assert all(one.get("more_body", True) for one in sent)


async def test_an_address_that_is_not_there_is_a_page_at_the_desk_and_json_elsewhere(world):
    page, json_ = await world.client.get("/desk/nothing"), await world.client.get("/v1/nothing")
    assert page.status_code == json_.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert json_.json()["code"] == "not_found"


# --- Bodies -------------------------------------------------------------------------------------


async def endless(most):
    """A form whose length nobody announced; it fails the test when it is read to the end."""
    yield b"login="
    for _ in range(most // 1024):
        yield b"x" * 1024
    raise AssertionError("read to the end")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_stranger_s_form_is_not_read_beyond_its_room(world):
    body = endless(200 * 1024)
    response = await world.client.post("/desk/login", content=body, headers=FORM)
    assert response.status_code == 413
    assert say("zh-CN", "error.too_large") in response.text


@pytest.mark.parametrize(
    ("path", "room_kb"), [("/desk/incidents/new", 64), ("/desk/directives/new", 256)]
)
async def test_a_form_has_a_room_of_its_own(world, path, room_kb):
    await enter(world)
    csrf = token(await world.client.get("/desk"))
    fits = {"csrf": csrf, "text": "x" * (room_kb - 1) * 1024}
    assert (await world.client.post(path, data=fits)).status_code == 422
    body = endless((room_kb + 100) * 1024)
    assert (await world.client.post(path, content=body, headers=FORM)).status_code == 413


async def test_a_form_of_countless_fields_is_refused(world):
    fields = "&".join(f"f{n}=" for n in range(300))
    response = await world.client.post("/desk/login", content=fields.encode(), headers=FORM)
    assert response.status_code == 413


# --- Sockets ------------------------------------------------------------------------------------


@pytest.fixture
def centre(tmp_path):
    live = LiveCentre(tmp_path)
    yield live
    live.stop()


def at(centre, path="/v1/live", **more):
    return connect(f"ws://127.0.0.1:{centre.port}{path}", **more)


async def greet(socket, reply):
    await socket.send(json.dumps({"token": reply.token, "replica": reply.replica}))
    assert "hello" in json.loads(await socket.recv())


async def ended(socket):
    """The code with which the centre closes."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await socket.recv()
    return closed.value.rcvd.code


def revoke(centre, reply):
    def work(txn):
        doc = txn.get("replica", reply.replica)
        txn.put("replica", reply.replica, {**doc, "revoked_at": 1})

    centre.call(centre.engine.store.write(work))


async def test_a_binary_frame_closes_the_line_before_and_after_the_greeting(centre):
    async with at(centre) as socket:
        await socket.send(b"\x00")
        assert await ended(socket) == 1003
    async with at(centre) as socket:
        await greet(socket, enrolled_at(centre, "phone"))
        await socket.send(b"\x00")
        assert await ended(socket) == 1003


async def test_a_greeting_is_short(centre):
    reply = enrolled_at(centre, "phone")
    long = {"token": reply.token, "replica": reply.replica, "more": "x" * 1024}
    async with at(centre) as socket:
        await socket.send(json.dumps(long))
        assert await ended(socket) == 1008


def test_a_frame_is_bounded():
    sockets = bind(At(LOOPBACK, 0))
    assert _config(Listener(build_app, sockets.http)).ws_max_size == WS_BYTES_MAX == 65_536
    sockets.close()


async def test_a_revoked_device_is_sent_away_at_its_next_ping(centre):
    reply = enrolled_at(centre, "phone")
    async with at(centre) as socket:
        await greet(socket, reply)
        await socket.send("ping")
        assert await socket.recv() == "pong"
        revoke(centre, reply)
        await socket.send("ping")
        assert await ended(socket) == 1008


async def test_a_revoked_device_is_not_poked_once_its_right_is_looked_up_again(centre):
    reply = enrolled_at(centre, "phone")
    async with at(centre) as socket:
        await greet(socket, reply)
        revoke(centre, reply)
        true = centre.engine.clock
        centre.engine.clock = lambda: true() + CHECK_AFTER_MS
        centre.order("示例", UNIT)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1008


async def poke(centre, scope):
    """Say, in the centre's own loop, that a scope moved."""
    centre.engine.hub.publish({(scope, 0): 99_999})


async def test_a_desk_whose_session_ended_is_not_poked_any_more(centre):
    cookie = centre.call(sign_in(centre.engine, "demo", PASSWORD, "test"))
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    async with at(centre, "/desk/live", origin=centre.origin, additional_headers=headers) as socket:
        await socket.recv()
        true = centre.engine.clock
        centre.engine.clock = lambda: true() + 25 * 3_600_000
        centre.call(poke(centre, "centre"))
        assert await ended(socket) == 4401


# --- Photos -------------------------------------------------------------------------------------


async def test_photos_are_for_those_who_command_not_for_administrators(world):
    phone = await ready(world)
    feedback(phone)
    await phone.sync()
    await upload(phone)
    await enter(world, "keeper")
    assert (await world.client.get(f"/v1/blob/{SHA}")).status_code == 404
    await enter(world)
    assert (await world.client.get(f"/v1/blob/{SHA}")).status_code == 200


def sha(n):
    return f"{n:064x}"


def begun(replica, n, size, now=NOW):
    return Upload(uuid7(now), replica, sha(n), size, "image/jpeg", 0)


async def start(world, *uploads):
    lacks = Blobs(world.engine.config.blobs).lacks
    await world.engine.store.write(lambda txn: [begin(txn, one, lacks) for one in uploads])


async def test_a_device_begins_only_so_many_uploads_at_once(world):
    phone = await ready(world)
    mine = phone.reply.replica
    await start(world, *(begun(mine, n, 1) for n in range(UNFINISHED_MAX)))
    refused = await create(phone)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert (await create(phone, sha=sha(7), size=1)).status_code == 201, "one of those begun"
    other = await world.device("other", "phone")
    assert (await create(other)).status_code == 201


async def test_a_device_announces_only_so_many_bytes_at_once(world):
    phone = await ready(world)
    await start(world, begun(phone.reply.replica, 1, UNFINISHED_BYTES_MAX - len(PHOTO)))
    await upload(phone)
    assert (await create(phone, sha=sha(2), size=len(PHOTO))).status_code == 201, "one is finished"
    with pytest.raises(Fault):
        await start(world, begun(phone.reply.replica, 3, 1))


async def test_an_upload_that_nobody_went_on_with_is_dropped_and_can_begin_again(world, tmp_path):
    phone = await ready(world)
    await upload(phone)
    old = begun(phone.reply.replica, 1, 10)
    await start(world, old)
    blobs = Blobs(world.engine.config.blobs)
    blobs.append(old, 0, b"12345")
    orphan = replace(old, id=uuid7(NOW))
    blobs.append(orphan, 0, b"12345")
    (world.engine.config.blobs / "parts" / "stray").touch()
    store = world.engine.store
    assert await drop_stale(store, blobs, NOW + UNFINISHED_MS_MAX) == 0
    assert blobs.size_of_part(old.id) == 5
    assert await drop_stale(store, blobs, NOW + UNFINISHED_MS_MAX + 1) == 1
    assert blobs.parts() == [] and blobs.has(SHA)
    location = f"/v1/blob/u/{old.id}"
    assert (await world.client.head(location, headers=phone.headers)).status_code == 404
    again = await create(phone, sha=sha(1), size=10)
    assert again.headers["location"] != location
    pending = await store.read(lambda txn: txn.get("uploads", phone.reply.replica))
    assert list(pending["pending"].values()) == [10]


async def test_stale_uploads_are_looked_for_when_uploads_begin_and_then_daily(world):
    phone = await ready(world)
    old = begun(phone.reply.replica, 1, 10, NOW - UNFINISHED_MS_MAX - 1)
    await start(world, old)

    async def known(id):
        return await world.engine.store.read(lambda txn: txn.get("upload", id))

    await create(phone)
    assert await known(old.id) is None
    await start(world, old)
    await create(phone, sha=sha(2))
    assert await known(old.id) == to_builtins(old)
    world.time.now += SWEEP_MS
    await create(phone, sha=sha(3))
    assert await known(old.id) is None


# --- Names --------------------------------------------------------------------------------------

HOSTILE = "<img src=x onerror=alert(1)>\"'\u202eeman"
NUMBER = '１00 0000" onclick="alert(1)'
OWN_LINE = {"bdi", "option", "title", "textarea"}
"""Elements out of which writing direction does not leak."""


class Names(HTMLParser):
    """Where a page shows the hostile name, and which links and elements it has."""

    def __init__(self):
        super().__init__()
        self.open, self.leaks, self.shown, self.tels, self.images = [], [], 0, [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.images += tag == "img" and attrs.get("src") == "x"
        assert not any(name.startswith("on") for name in attrs)
        if attrs.get("href", "").startswith("tel:"):
            self.tels.append(attrs["href"])
        if tag not in {"meta", "link", "input", "img", "br"}:
            self.open.append("bdi" if attrs.get("class") == "sr" else tag)

    def handle_endtag(self, tag):
        if self.open:
            self.open.pop()

    def handle_data(self, data):
        if "\u202e" in data and "script" not in self.open:
            self.shown += 1
            if not OWN_LINE & set(self.open):
                self.leaks.append((tuple(self.open), data))


def test_a_phone_dials_only_what_can_be_dialled():
    assert dialable("１00-0000 转 8") == "10000008"
    assert dialable("+86*#1") == "+86*%231"
    assert dialable("javascript:alert(1)") == "1"


async def hostile(world):
    """Names as somebody would choose them who means ill."""
    driven = {"name": HOSTILE, "operator": HOSTILE, "operator_phone": NUMBER}
    verdict = await world.engine.load(
        [
            Change("set", "unit", "u1", {"name": HOSTILE}),
            Change("set", "person", "phone", {"name": HOSTILE}),
            Change("set", "contact", "c1", {"name": HOSTILE, "post": HOSTILE}),
            Change("set", "contact_phone", "p1", {"number": NUMBER}),
            Change("set", "equipment", "e1", driven),
        ]
    )
    assert verdict.verdict in ("applied", "merged"), verdict


async def test_a_hostile_name_stays_a_name_and_keeps_to_itself(world):
    await enter(world)
    await hostile(world)
    await world.order("u1")
    phone = await world.device("phone", "phone")
    phone.step("signed")
    call = {"unit": "u1", "target": "d1-u1", "text": "示例", "at": NOW}
    phone.write("help.call", 0, Change("create", "help_call", "h1", call))
    await phone.sync()
    paths = ("/desk/contacts?unit=u1", "/desk/equipment", "/desk/units", "/desk/devices", "/desk")
    more = ("/desk/directives/d1", "/desk/incidents/i-d1", "/desk/directives/new", "/desk/fleet")
    for path in (*paths, *more):
        response = await world.client.get(path)
        names = Names()
        names.feed(response.text)
        assert names.shown and names.leaks == [] and names.images == 0, (path, names.leaks)
        assert set(names.tels) <= {"tel:10000001"}, path
        if path in paths[:2]:
            assert names.tels, path

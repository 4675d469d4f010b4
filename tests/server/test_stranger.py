"""The protocol page is enough: a client written from it alone speaks to the real server."""

import ast
import shutil
import sqlite3
from pathlib import Path

import httpx
import pytest

from schema.wire import Change
from server.accounts import new_code
from server.app import build_app
from server.engine import Engine
from server.epoch import begin_epoch
from server.ids import uuid7
from server.store.sqlite import open_store
from tests.server.world import person, small_centre
from tests.stranger import Stranger, digest, sha256
from tests.stranger_restored import CarefulStranger

CLIENTS = ("stranger.py", "stranger_restored.py")
LINES_MAX = 250
MAY_IMPORT = {"base64", "gzip", "hashlib", "json", "cryptography", "httpx", "tests.stranger"}
DAY_MS = 24 * 60 * 60_000


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as world:
        yield world


async def stranger(world, actor="phone", kind="phone", client=Stranger, ahead_ms=0):
    one = client(world.client, lambda: world.time() + ahead_ms)
    await one.enrol(await new_code(world.engine, actor, kind))
    return one


def step(name, at, round=1):
    fields = {"target": "d1-u1", "directive": "d1", "unit": "u1", "round": round, "at": at}
    fields |= {"step": name, "version": 1, "route": "device"}
    return {"op": "create", "entity": "step", "id": uuid7(at), "fields": fields}


def feedback(id, at, **more):
    fields = {"target": "d1-u1", "directive": "d1", "unit": "u1", "round": 1, "at": at}
    fields |= {"kind": "progress", "text": "示例进展"}
    return {"op": "create", "entity": "feedback", "id": id, "fields": fields | more}


async def told(one):
    await one.sync()
    return [(verdict["verdict"], verdict["code"]) for verdict in one.reply["verdicts"]]


async def settled(one):
    """Ask until every pair is complete."""
    for _ in range(30):
        await one.sync(max_bytes=4_096)
        if all(len(one.reply["complete"].get(scope, ())) == 5 for scope in one.cursors):
            return
    raise AssertionError("never complete")


async def holds_what_the_centre_has(world, one):
    assert one.bad == set()
    for (entity, id), row in one.rows.items():
        kept = await world.row(entity, id)
        assert (row["seq"], row["fields"]) == (kept.seq, kept.fields)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("name", CLIENTS)
def test_the_client_is_small_and_takes_nothing_of_ours(name):
    path = Path(__file__).parents[1] / name
    of_ours = set(imported(path)) - MAY_IMPORT
    assert {module for module in of_ours if module.partition(".")[0] != "cryptography"} == set()
    assert path.read_text(encoding="utf-8").count("\n") <= LINES_MAX


async def test_an_order_arrives_and_is_signed_in_one_proven_run(world):
    one = await stranger(world)
    await world.order("u1")
    await one.sync()
    assert {("directive", "d1"), ("target", "d1-u1")} <= set(one.rows)
    first = one.write("target.step", 0, step("received", world.time()))
    second = one.write("target.step", 0, step("signed", world.time()))
    assert second.prev == first.hash and len(one.runs()) == 1
    assert await told(one) == [("applied", None), ("applied", None)]
    assert one.outbox == [] and sum(entity == "step" for entity, _ in one.rows) == 2
    await holds_what_the_centre_has(world, one)


async def test_the_same_bytes_again_get_the_recorded_verdict(world):
    one = await stranger(world)
    await world.order("u1")
    saved = one.write("target.step", 0, step("signed", world.time()))
    await one.sync()
    first = one.reply["verdicts"][0]
    one.outbox = [saved]
    await one.sync()
    assert one.reply["verdicts"][0] == first | {"repeat": True}


async def test_a_signature_by_another_key_proves_nothing_and_takes_no_number(world):
    one, other = await stranger(world), await stranger(world, "other")
    await world.order("u1")
    one.write("target.step", 0, step("signed", world.time()))
    one.key, own = other.key, one.key
    assert await told(one) == [("quarantined", "signature")]
    one.key = own
    one.again([saved for saved, _ in one.refused])
    assert await told(one) == [("applied", None)]


async def test_a_large_scope_comes_as_a_snapshot_whose_parts_are_what_they_are_called(
    world, monkeypatch
):
    monkeypatch.setattr("server.pull.SNAPSHOT_FROM_BYTES", 1_000)
    monkeypatch.setattr("server.snapshots.PART_BYTES", 1_000)
    for n in range(9):
        await world.engine.load([person(f"extra{n}", "u1", "responder")])
    one = await stranger(world)
    await one.sync()
    [snapshot] = [two for two in one.reply["snapshots"] if two["scope"] == "unit/u1"]
    assert len(snapshot["parts"]) > 1
    await settled(one)
    assert sum(entity == "person" for entity, _ in one.rows) == 12
    await holds_what_the_centre_has(world, one)


async def test_what_does_not_fit_is_staged_and_shows_when_its_pair_is_complete(world):
    for n in range(40):
        await world.engine.load([person(f"extra{n}", "u1", "responder")])
    one = await stranger(world)
    await one.sync(max_bytes=4_096)
    assert one.staged and not any(entity == "person" for entity, _ in one.rows)
    await settled(one)
    assert not one.staged and sum(entity == "person" for entity, _ in one.rows) == 43
    await holds_what_the_centre_has(world, one)


async def test_a_damaged_row_is_found_by_its_digest_and_told_again(world):
    one = await stranger(world)
    await settled(one)
    row = one.rows["person", "phone"]
    one.rows["person", "phone"] = row | {"fields": row["fields"] | {"name": "示例别名"}}
    await one.sync()
    assert one.bad == {("unit/u1", 2)}
    await one.sync()
    assert one.reply["restart"] == [["unit/u1", 2]]
    assert one.rows["person", "phone"] == row
    await holds_what_the_centre_has(world, one)


@pytest.mark.parametrize("snapshot_from", [1_000, 1_000_000])
async def test_a_device_below_the_horizon_begins_anew_and_forgets_what_was_removed(
    world, monkeypatch, snapshot_from
):
    monkeypatch.setattr("server.pull.SNAPSHOT_FROM_BYTES", snapshot_from)
    one = await stranger(world, "duty", "tablet")
    await settled(one)
    assert ("contact", "c1") in one.rows
    gone = [Change("remove", "contact_phone", "p1"), Change("remove", "contact", "c1")]
    await world.engine.load(gone)
    world.time.now += 100 * DAY_MS
    await world.engine.load([person("late", "u1", "responder")])
    assert await world.engine.forget_old() > 0
    await settled(one)
    assert ("contact", "c1") not in one.rows and ("person", "late") in one.rows
    await holds_what_the_centre_has(world, one)


async def test_a_lost_scope_takes_its_rows_along(world):
    one = await stranger(world)
    await world.order("u1")
    await settled(one)
    await world.engine.load([Change("set", "person", "phone", {"unit": "u2"})])
    await settled(one)
    assert "unit/u1" not in one.cursors and "unit/u2" in one.cursors
    assert ("directive", "d1") not in one.rows
    await holds_what_the_centre_has(world, one)


async def test_a_number_that_never_came_is_sent_again_or_taken_by_a_void(world):
    one = await stranger(world)
    await world.order("u1")
    for name in ("received", "read", "signed"):
        one.write("target.step", 0, step(name, world.time()))
    lost = one.outbox.pop(1)
    await one.sync()
    assert one.reply["missing"] == {"0": [2]}
    [void] = one.outbox
    assert (void.dot, void.prev) == (lost.dot, "")
    assert await told(one) == [("applied", None)]
    assert one.reply["missing"] == {}
    one.write("target.step", 0, step("departed", world.time()))
    assert await told(one) == [("applied", None)]


async def test_corrupt_words_are_replaced_by_a_void_and_the_chain_goes_on(world):
    one = await stranger(world)
    await world.order("u1")
    for name in ("received", "read", "signed"):
        one.write("target.step", 0, step(name, world.time()))
    broken = one.outbox.pop(1)
    one.void(0, broken.n, "corrupt", broken.hash)
    assert [len(run) for run in one.runs()] == [1, 1, 1]
    assert await told(one) == [("applied", None)] * 3


async def test_what_was_held_is_settled_by_a_row(world):
    one = await stranger(world)
    one.write("feedback.add", 1, feedback("f1", world.time()))
    assert await told(one) == [("held", "parent_unknown")]
    assert len(one.outbox) == 1
    await world.order("u1")
    await one.sync()
    assert one.outbox == [] and one.sent[0][1]["verdict"] == "applied"


async def test_an_edit_that_names_what_it_saw_is_no_conflict(world):
    one = await stranger(world, "duty", "tablet")
    await settled(one)
    for number in ("1000000008", "1000000009"):
        row = one.rows["contact_phone", "p1"]
        known = row["writes"].get("number")
        base = {"contact_phone/p1": {"number": known[1:] if known else [row["dot"]]}}
        change = {"op": "set", "entity": "contact_phone", "id": "p1", "fields": {"number": number}}
        one.write("contact.edit", 2, change, base=base)
        assert await told(one) == [("applied", None)]
    assert (await world.row("contact_phone", "p1")).fields["number"] == "1000000009"


async def test_a_clock_that_runs_ahead_is_told_so_and_set_back(world):
    one = await stranger(world, ahead_ms=3_600_000)
    await world.order("u1")
    one.write("target.step", 0, step("received", world.time()))
    await one.sync()
    assert one.reply["verdicts"][0]["tags"] == ["clock_ahead"]
    assert one.stamp == (world.time(), 0)
    one.write("target.step", 0, step("signed", world.time()))
    await one.sync()
    assert one.reply["verdicts"][0]["tags"] == [] and one.refused == []


async def test_a_photo_goes_in_chunks_and_is_read_by_whoever_reads_its_row(world):
    one = await stranger(world)
    await world.order("u1")
    data = b"\xff\xd8" + bytes(range(256)) * 40
    photo = {"sha256": sha256(data), "size": len(data), "type": "image/jpeg"}
    one.write("feedback.add", 1, feedback("f1", world.time(), photos=[photo]))
    assert await told(one) == [("applied", None)]
    assert await one.upload(data, 4_096) == photo["sha256"]
    other = await stranger(world, "other")
    path = f"/v1/blob/{photo['sha256']}"
    assert (await one.ask("GET", path)).content == data
    assert (await other.ask("GET", path)).status_code == 404


async def test_after_a_restore_orders_and_answers_come_back_from_the_device(world, tmp_path):
    await world.order("u1", id="d0")
    one = await stranger(world, client=CarefulStranger)
    colleague = await stranger(world, "duty", "tablet")
    await settled(one)
    copy = sqlite3.connect(tmp_path / "copy")
    with sqlite3.connect(world.engine.config.database) as whole:
        whole.backup(copy)
    copy.close()
    await world.engine.act(world.lead, "directive.issue", second_order(world.time()))
    await one.sync()
    one.write("target.step", 0, step("signed", world.time()))
    colleague.write("target.step", 0, step("departed", world.time()))
    assert await told(colleague) == [("applied", None)]
    assert await told(one) == [("applied", None)]
    await restored(world, tmp_path / "copy")
    one.http = world.client
    await one.sync()
    assert one.reply["fork"] > 0 and len(one.outbox) == 1
    assert [row["fields"]["step"] for row in one.unseen] == ["departed"]
    assert ("directive", "d1") in one.rows, "what it held stays visible"
    for _ in range(4):
        await one.sync()
    assert one.outbox == [] and one.offers == [] and one.unseen == []
    assert await world.row("directive", "d1") and await world.row("target", "d1-u1")
    assert await world.row(*next(key for key in one.rows if key[0] == "step"))
    await settled(one)
    await holds_what_the_centre_has(world, one)


def second_order(at):
    order = {"incident": "i-d0", "kind": "dispatch", "urgency": "urgent", "version": 1}
    order |= {"text": "示例指令", "clocks": {"sign": 180_000}, "at": at}
    target = {"directive": "d1", "incident": "i-d0", "unit": "u1", "lead": False}
    return [
        Change("create", "directive", "d1", order),
        Change("create", "target", "d1-u1", target),
    ]


async def restored(world, copy):
    """The centre's machine is lost; its backup is put back and begins a new epoch."""
    config = world.engine.config
    await world.engine.close()
    for old in config.data.glob("lingda.db*"):
        old.unlink()
    shutil.copy(copy, config.database)
    store = await open_store(config.database, config.centre)
    await store.write(lambda txn: begin_epoch(txn, uuid7(world.time()), 1))
    world.engine = await Engine.open(store, world.time, config)
    transport = httpx.ASGITransport(build_app(world.engine))
    world.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def test_the_digest_of_another_hand_wraps_at_64_bits_and_leaves_out_what_is_removed():
    row = {"entity": "e", "id": "i", "removed": False, "provisional": False, "actor": "", "dot": ""}
    row |= {"fields": {"字": "\u2028"}, "home": "", "open": {}, "stamp": "", "writes": {}}
    assert 0 < digest(row) < 2**64 and digest(row | {"removed": True}) == 0

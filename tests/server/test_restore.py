"""A centre restored from an old backup: devices give back what it lost, and nobody is wiped."""

import json
import shutil

import msgspec
import pytest
from msgspec.structs import replace

from schema.tags import Tag
from schema.versions import DAY_MS, SENT_MS
from schema.wire import Change, OutboxReport, SyncReply
from server.accounts import device_of
from server.device import WebUser
from server.engine import Engine
from server.epoch import begin_epoch
from server.ids import uuid7
from server.store.sqlite import open_store
from sync.rows import base_of
from tests.server.world import World, person, small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def backup(world):
    """A copy of the database as it stands."""
    store = world.engine.store
    target = world.engine.config.data / "backup.db"
    await store.write(lambda txn: None)

    def copy():
        source = store._database.db
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(store.path, target)

    copy()
    return target


async def restored(world: World, target) -> None:
    """The centre goes on from the backup, as a new epoch."""
    old = world.engine
    await old.store.close()
    for name in ("", "-wal", "-shm"):
        path = old.config.database.with_name(old.config.database.name + name)
        path.unlink(missing_ok=True)
    shutil.copy(target, old.config.database)
    store = await open_store(old.config.database, old.config.centre)
    world.restores = getattr(world, "restores", 0) + 1
    await store.write(lambda txn: begin_epoch(txn, uuid7(world.time()), world.restores))
    world.engine = await Engine.open(store, world.time, old.config)
    app = world.client._transport.app
    app.state.engine = world.engine


async def steps(world, target="d1-u1"):
    found = await world.engine.store.read(lambda txn: txn.children("step", target))
    return {stored.row.fields["step"] for stored in found}


async def test_own_work_that_the_backup_lacks_is_offered_again(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    await phone.settle()
    copy = await backup(world)
    phone.step("read")
    phone.step("signed")
    await phone.settle()
    assert phone.replica.outbox == []
    await restored(world, copy)
    assert await steps(world) == {"received"}
    await phone.settle()
    assert await steps(world) == {"received", "read", "signed"}
    shown = {row.fields["step"] for (e, _), row in phone.replica.rows.items() if e == "step"}
    assert shown == {"received", "read", "signed"}
    assert phone.replica.refused == []


async def test_an_order_issued_after_the_backup_comes_back_from_a_phone_that_has_it(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    copy = await backup(world)
    await world.order("u1", "u2")
    await phone.settle()
    phone.step("received")
    await phone.settle()
    await restored(world, copy)
    assert await world.row("directive", "d1") is None
    await phone.settle()
    order, mine = await world.row("directive", "d1"), await world.row("target", "d1-u1")
    assert order is not None and mine is not None
    assert await world.row("incident_summary", "i-d1") is not None
    assert await world.row("target", "d1-u2") is None, "nobody who has it has called yet"
    assert await steps(world) == {"received"}
    found = await world.engine.store.read(lambda txn: txn.logged([order.dot]))
    assert Tag.REOFFERED in found[order.dot].verdict.tags
    assert phone.replica.offers == phone.replica.unseen == []
    assert phone.sees("directive") == {"d1"}


async def test_what_another_unit_holds_comes_back_when_it_calls(world):
    phone, other = await world.device("phone", "phone"), await world.device("other", "phone")
    await phone.settle()
    await other.settle()
    copy = await backup(world)
    await world.order("u1", "u2")
    await phone.settle()
    await other.settle()
    await restored(world, copy)
    await phone.settle()
    await other.settle()
    assert await world.row("target", "d1-u2") is not None
    assert (phone.sees("target"), other.sees("target")) == ({"d1-u1"}, {"d1-u2"})


async def test_a_unit_s_device_cannot_tell_who_else_got_the_order(world):
    phone = await world.device("phone", "phone")
    await world.order("u1", "u2")
    await phone.settle()
    words = "".join(proof.raw for proof, _ in phone.replica.proofs.values())
    assert phone.replica.proofs and "d1-u2" not in words and '"u2"' not in words


async def test_the_words_behind_an_edit_say_what_was_seen_of_their_own_row_alone(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    keys = [("incident", "i-d1"), ("incident_summary", "i-d1")]
    rows = [await world.row(*key) for key in keys]
    wishes = [Change("set", *keys[0], {"no": "示例号"}), Change("set", *keys[1], {"title": "新"})]
    base = {
        "/".join(key): {name: (row.dot,) for name in change.fields}
        for key, row, change in zip(keys, rows, wishes, strict=True)
    }
    verdict = await world.engine.act(world.lead, "incident.edit", wishes, base)
    assert verdict.verdict == "applied"
    await phone.settle()
    [proof] = [one for one, _ in phone.replica.proofs.values() if '"incident.edit"' in one.raw]
    assert "新" in proof.raw and "incident/i-d1" not in proof.raw
    assert json.loads(proof.raw)["base"] == {"incident_summary/i-d1": {"title": [rows[1].dot]}}


async def test_rows_that_nobody_can_prove_are_reported_not_purged(world):
    duty = await world.device("duty", "tablet")
    other = await world.device("duty", "tablet")
    await duty.settle()
    copy = await backup(world)
    fields = {"unit": "u1", "duty": "head", "name": "示例戊"}
    other.write("contact.edit", 2, Change("create", "contact", "c9", fields))
    await other.settle()
    await duty.settle()
    assert "c9" in duty.sees("contact")
    await restored(world, copy)
    await duty.sync()
    assert [row.id for row in duty.replica.unseen] == ["c9"]
    assert "c9" in duty.sees("contact"), "it stays until the centre has been told"
    await duty.settle()
    kept = await world.engine.store.read(lambda txn: txn.find("seen_only"))
    assert kept["contact/c9"]["row"]["fields"]["name"] == "示例戊"
    assert "c9" not in duty.sees("contact")
    await other.settle()
    await duty.settle()
    assert "c9" in duty.sees("contact"), "its author had kept it"


async def test_a_forged_offer_is_refused_and_changes_nothing(world):
    phone = await world.device("phone", "phone")
    copy = await backup(world)
    await world.order("u1")
    await phone.settle()
    await restored(world, copy)
    await phone.sync()
    phone.replica.offers = [
        replace(one, raw=one.raw.replace("示例指令", "假的指令")) for one in phone.replica.offers
    ]
    reply = await phone.sync()
    assert "signature" in {str(one.code) for one in reply.verdicts}
    assert await world.row("directive", "d1") is None


async def test_sent_work_is_let_go_once_it_is_durable_or_old(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    await phone.settle()
    assert [one.saved.n for one in phone.replica.sent] == [1]
    await world.engine.mark_durable((await world.engine.head()).seq)
    await phone.settle()
    assert phone.replica.sent == [] and phone.replica.proofs == {}
    phone.step("read")
    await phone.settle()
    world.time.now += SENT_MS + 1
    await phone.settle()
    assert phone.replica.sent == []


async def test_human_numbers_given_after_the_backup_are_not_given_again(world):
    await world.order("u1")
    copy = await backup(world)
    await world.order("u1", id="d2")
    lost = (await world.row("directive", "d2")).fields["no"]
    await restored(world, copy)
    await world.order("u1", id="d3")
    assert (await world.row("directive", "d3")).fields["no"] > lost


async def test_no_time_of_a_lost_log_is_held_against_what_comes_again(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    copy = await backup(world)
    noon = world.time()
    world.time.now += 3_600_000  # The centre's clock runs fast for a while.
    phone.step("received")
    await phone.settle()
    world.time.now = noon + 60_000
    phone.step_dated("read", world.time())
    world.time.now += 3_600_000
    await restored(world, copy)
    await phone.settle()
    assert await steps(world) == {"received", "read"}
    phone.step("signed")
    assert [one.code for one in (await phone.sync()).verdicts] == [None]
    phone.step_dated("departed", world.time() - 1_800_000)
    assert [one.code for one in (await phone.sync()).verdicts] == ["backdated"]


async def set_level(world, level):
    base = base_of(await world.row("incident_summary", "i-d1"), "level")
    change = Change("set", "incident_summary", "i-d1", {"level": level})
    seen = {"incident_summary/i-d1": {"level": base}}
    verdict = await world.engine.act(world.lead, "incident.edit", [change], seen)
    assert verdict.verdict == "applied", verdict


async def test_what_the_centre_let_in_is_not_judged_by_the_level_or_the_roles_of_its_backup(world):
    await world.order("u1")
    await set_level(world, "II")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("signed")
    await phone.settle()
    copy = await backup(world)
    world.time.now += 60_000
    await set_level(world, "III")
    await world.engine.load([person("disp", None, "dispatcher")])
    step = {"target": "d1-u1", "directive": "d1", "unit": "u1", "round": 1, "at": world.time()}
    step |= {"step": "closed", "version": 1, "route": "centre"}
    who = WebUser("disp", "示例disp", None, frozenset(), "web2", "csrf")
    closed = [Change("create", "step", uuid7(world.time()), step)]
    assert (await world.engine.act(who, "target.close", closed)).verdict == "applied"
    await phone.settle()
    await restored(world, copy)
    await phone.settle()
    assert await steps(world) == {"signed", "closed"}


async def test_a_restore_lets_no_device_date_its_later_work_as_it_likes(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    idle = await world.device("phone", "phone")
    for device in (phone, idle):
        await device.settle()
    await restored(world, await backup(world))
    for device in (phone, idle):
        await device.settle()
    world.time.now += 3_600_000
    idle.step("received")
    idle.step_dated("read", world.time() - 1_800_000)
    assert [one.code for one in (await idle.sync()).verdicts] == [None, "backdated"]


async def claiming(phone, waiting):
    """A sync of a device that says that so many words still wait, whatever it sends."""
    request = phone.replica.request(phone.signer.sign, phone.world.time())
    request = replace(request, outbox=OutboxReport(waiting))
    taken = msgspec.json.decode(
        (await phone.post(msgspec.json.encode(request))).content, type=SyncReply
    )
    phone.replica.receive(taken, request, phone.world.time())
    return [one.code for one in taken.verdicts]


async def test_what_a_device_says_still_waits_is_believed_for_a_day(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    await restored(world, await backup(world))
    assert await claiming(phone, 9_999) == await claiming(phone, 9_999) == []
    phone.step_dated("received", world.time() - 3_600_000)
    assert await claiming(phone, 9_999) == [None]
    world.time.now += DAY_MS
    phone.step("read")
    phone.step_dated("signed", world.time() - 3_600_000)
    assert await claiming(phone, 9_999) == [None, "backdated"]


async def test_two_restores_of_one_backup_give_no_number_twice(world):
    copy = await backup(world)
    numbers = set()
    for id in ("d1", "d2"):
        await restored(world, copy)
        await world.order("u1", id=id)
        numbers.add((await world.row("directive", id)).fields["no"])
    assert len(numbers) == 2


async def test_an_epoch_that_nobody_remembers_parted_at_nothing(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    request = phone.replica.request(phone.signer.sign, world.time())
    device = replace(request, epoch="9-unknown")
    reply = await world.engine.sync(await held_by(world, phone), device)
    assert reply.fork == 0 and reply.epoch == phone.replica.identity.epoch


async def held_by(world, phone):
    return await device_of(world.engine, phone.reply.token)


async def test_an_empty_centre_of_the_same_name_wipes_nobody(world, tmp_path):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    held = dict(phone.replica.rows)
    phone.step("received")
    async with small_centre(tmp_path / "empty") as empty:
        response = await empty.client.post("/v1/sync", content=phone.body(), headers=phone.headers)
        assert response.status_code == 401
    assert phone.replica.rows == held and len(phone.replica.outbox) == 1


async def test_a_second_restore_to_an_older_backup_forks_lower(world):
    early = await backup(world)
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    first = phone.replica.identity.epoch
    await restored(world, early)
    head = await world.engine.head()
    doc = await world.engine.store.read(lambda txn: txn.get("epoch", first))
    assert doc["fork"] == head.seq and head.epoch.startswith("2-")


async def later_orders(world, count):
    """The log grows by orders of no concern to unit u1."""
    for n in range(count):
        await world.order("u2", id=f"later{n}")


async def holder_of_a_lost_order(world):
    """A phone with an order that the centre lost by a restore; it has not called since."""
    phone = await world.device("phone", "phone")
    await phone.settle()
    copy = await backup(world)
    await world.order("u1")
    await phone.settle()
    await restored(world, copy)
    return phone


async def test_what_was_not_yet_given_back_is_not_forgotten_by_a_second_restore(world):
    phone = await holder_of_a_lost_order(world)
    await phone.sync()  # It learns of the new log, and has offered nothing yet.
    await later_orders(world, 9)
    await restored(world, await backup(world))
    await phone.settle()
    assert await world.row("target", "d1-u1") is not None


async def answered_only(phone):
    """A sync whose answer settles what was sent, and tells nothing anew yet."""
    request = phone.replica.request(phone.signer.sign, phone.world.time())
    answer = (await phone.post(msgspec.json.encode(request))).content
    told = replace(msgspec.json.decode(answer, type=SyncReply), pages=[], complete={}, snapshots=[])
    phone.replica.receive(told, request, phone.world.time())


async def test_what_was_given_back_is_given_back_again_where_the_second_log_lost_it_too(world):
    phone = await holder_of_a_lost_order(world)
    await later_orders(world, 9)
    second = await backup(world)
    await phone.sync()
    await answered_only(phone)
    assert phone.replica.offers == []
    await restored(world, second)
    await phone.settle()
    assert await world.row("target", "d1-u1") is not None


async def seen_only(world):
    return await world.engine.store.read(lambda txn: [*txn.find("seen_only")])


async def test_a_row_that_was_reported_is_reported_again_where_the_report_is_lost_too(world):
    phone, mate = await world.device("phone", "phone"), await world.device("phone", "phone")
    await world.order("u1")
    await phone.settle()
    await mate.settle()
    copy = await backup(world)
    mate.step("signed")
    await mate.settle()
    await phone.settle()
    await restored(world, copy)
    await later_orders(world, 9)
    second = await backup(world)
    await phone.sync()
    await answered_only(phone)
    assert len(await seen_only(world)) == 1
    await restored(world, second)
    assert await seen_only(world) == []
    await phone.settle()
    assert len(await seen_only(world)) == 1

"""The protocol over HTTP, with the reference device on the other end."""

import asyncio
import gzip

import msgspec
import pytest

from schema.wire import Change, SyncReply
from tests.server.world import small_centre
from tests.sync.builders import NOW


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as centre:
        yield centre


async def test_an_order_reaches_the_units_own_devices_with_all_it_needs(world):
    phone, other = await world.device("phone", "phone"), await world.device("other", "phone")
    await world.order("u1")
    await phone.sync()
    await other.sync()
    assert (phone.sees("target"), phone.sees("directive")) == ({"d1-u1"}, {"d1"})
    assert phone.sees("incident_summary") == {"i-d1"}
    assert phone.sees("incident") == set()
    assert other.sees("target") == set()


async def test_an_order_has_a_number_that_is_never_given_twice(world):
    await world.order("u1", id="d1")
    await world.order("u1", id="d2")
    numbers = {(await world.row("directive", id)).fields["no"] for id in ("d1", "d2")}
    assert len(numbers) == 2


async def test_what_was_signed_offline_arrives_once_and_in_order(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    phone.step("read")
    phone.step("signed")
    reply = await phone.sync()
    assert [v.verdict for v in reply.verdicts] == ["applied", "applied"]
    assert phone.replica.outbox == []
    steps = await world.engine.store.read(lambda txn: txn.children("step", "d1-u1"))
    steps.sort(key=lambda one: one.row.dot)
    assert [one.row.fields["step"] for one in steps] == ["read", "signed"]
    assert {one.row.actor for one in steps} == {"phone"}


async def test_the_overlay_shows_work_until_its_confirmed_row_is_there(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    phone.step("signed")
    key = next((c.entity, c.id) for s in phone.replica.outbox for c in s.mutation.changes)
    assert phone.replica.view(key).arrived == 0
    await phone.sync()
    assert phone.replica.view(key).arrived == world.time()
    assert phone.replica.awaiting == []


async def test_a_lost_reply_costs_nothing_the_recorded_verdict_comes_again(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    phone.step("signed")
    body = phone.body()
    first = msgspec.json.decode((await phone.post(body)).content, type=SyncReply).verdicts[0]
    again = msgspec.json.decode((await phone.post(body)).content, type=SyncReply).verdicts[0]
    assert (again.verdict, again.seq, again.repeat) == (first.verdict, first.seq, True)
    steps = await world.engine.store.read(lambda txn: txn.children("step", "d1-u1"))
    assert len(steps) == 1


async def test_many_devices_at_once_each_get_their_own_verdicts(world):
    phones = [await world.device("phone", "phone") for _ in range(12)]
    await world.order("u1")
    for phone in phones:
        await phone.sync()
        phone.step("received")
    replies = await asyncio.gather(*(phone.sync() for phone in phones))
    assert [[v.verdict for v in r.verdicts] for r in replies] == [["applied"]] * 12
    assert len({r.verdicts[0].seq for r in replies}) == 12


async def test_a_forged_signature_is_quarantined_and_nothing_applied(world):
    phone, other = await world.device("phone", "phone"), await world.device("other", "phone")
    await world.order("u1")
    await phone.sync()
    phone.step("signed")
    phone.signer = other.signer
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "signature")
    assert await world.engine.store.read(lambda txn: txn.children("step", "d1-u1")) == []


async def test_a_chain_that_does_not_follow_its_own_past_is_quarantined(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    phone.step("read")
    await phone.sync()
    tip = phone.replica.tips[0]
    phone.replica.tips[0] = type(tip)(tip.n, "0" * 64)
    phone.step("signed")
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "chain_broken")


async def test_a_lane_0_mutation_of_more_than_2_kb_is_refused_and_kept(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    phone.write("help.call", 0, *[_help(n) for n in range(12)])
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("refused", "too_large")
    assert len(phone.replica.refused) == 1


def _help(n):
    return Change("create", "help_call", f"h{n}", {"unit": "u1", "text": "求" * 60, "at": NOW})


async def test_an_edit_on_the_tablet_and_one_at_the_centre_open_a_conflict_at_both(world):
    tablet = await world.device("duty", "tablet")
    await tablet.sync()
    tablet.write("contact.edit", 2, Change("set", "contact_phone", "p1", {"number": "111"}))
    base = {"contact_phone/p1": {"number": ((await world.row("contact_phone", "p1")).dot,)}}
    change = Change("set", "contact_phone", "p1", {"number": "222"})
    await world.engine.act(world.lead, "contact.edit_any", [change], base)
    reply = await tablet.sync()
    assert reply.verdicts[0].verdict == "merged"
    phone = tablet.replica.view(("contact_phone", "p1"))
    assert {side["value"] for side in phone.open["number"]} == {"111", "222"}
    assert len(tablet.sees("conflict")) == 1
    tablet.write("conflict.decide_own", 1, Change("set", "contact_phone", "p1", {"number": "222"}))
    await tablet.sync()
    assert (await world.row("contact_phone", "p1")).open == {}
    conflict = await world.row("conflict", next(iter(tablet.sees("conflict"))))
    assert (conflict.fields["state"], conflict.fields["decided_by"]) == ("decided", "duty")


async def test_each_kind_of_device_holds_only_its_scopes(world):
    phone, tablet = await world.device("phone", "phone"), await world.device("duty", "tablet")
    driver = await world.device("driver", "operator")
    for device in (phone, tablet, driver):
        await device.sync()
    assert (phone.sees("contact_phone"), phone.sees("equipment")) == (set(), set())
    assert (tablet.sees("contact_phone"), tablet.sees("equipment")) == ({"p1"}, {"e1"})
    assert (driver.sees("contact_phone"), driver.sees("equipment")) == (set(), {"e1"})


async def test_a_machine_that_changes_hands_leaves_the_first_operators_device(world):
    driver = await world.device("driver", "operator")
    await driver.sync()
    tablet = await world.device("duty", "tablet")
    await tablet.sync()
    change = Change("set", "equipment", "e1", {"operator_person": None})
    tablet.write("equipment.edit", 2, change)
    await tablet.sync()
    assert tablet.sees("equipment") == {"e1"}
    await driver.sync()
    assert driver.sees("equipment") == set()


async def test_a_move_filed_offline_is_the_machines_place(world):
    driver = await world.device("driver", "operator")
    await driver.sync()
    fields = {
        "equipment": "e1",
        "unit": "u1",
        "kind": "move",
        "at": world.time(),
        "place": "示例大桥",
        "lat_e6": 44_550_000,
        "lon_e6": 129_600_000,
        "accuracy_m": 12,
        "manager": "示例乙",
        "operator": "示例丙",
        "operator_phone": "100 0000 0003",
    }
    driver.write("move.file", 1, Change("create", "equipment_move", "m1", fields))
    assert (await driver.sync()).verdicts[0].verdict == "applied"
    assert (await world.row("equipment_move", "m1")).fields["place"] == "示例大桥"


async def test_a_small_budget_sends_urgent_lanes_first_and_nothing_is_half_shown(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    request = phone.replica.request(phone.signer.sign, 0)
    body = msgspec.to_builtins(request) | {"max_bytes": 1}
    response = await phone.post(msgspec.json.encode(body))
    reply = msgspec.json.decode(response.content, type=SyncReply)
    assert reply.pages[0].lane == 0
    await phone.sync()
    assert phone.sees("unit") == {"u1", "u2"}


async def test_a_cursor_of_another_epoch_is_not_believed(world):
    phone = await world.device("phone", "phone")
    await phone.sync()
    me = phone.replica.identity
    phone.replica.identity = type(me)(
        me.realm, me.centre, "0-other", me.replica, me.session, me.actor
    )
    reply = await phone.sync()
    assert sum(len(page.rows) for page in reply.pages) > 0


async def test_gzip_is_understood_and_a_bomb_is_refused(world):
    phone = await world.device("phone", "phone")
    headers = {**phone.headers, "Content-Encoding": "gzip"}
    good = await world.client.post("/v1/sync", content=gzip.compress(phone.body()), headers=headers)
    assert good.status_code == 200
    bomb = gzip.compress(b" " * 50_000_000)
    bad = await world.client.post("/v1/sync", content=bomb, headers=headers)
    assert (bad.status_code, bad.json()["code"]) == (413, "too_large")
    torn = await world.client.post("/v1/sync", content=b"not gzip", headers=headers)
    assert (torn.status_code, torn.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}]
)
async def test_without_a_token_nothing_is_told(world, header):
    response = await world.client.post("/v1/sync", content=b"{}", headers=header)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.json()["zh"] and response.json()["en"]


async def test_a_device_cannot_speak_for_another(world):
    phone, other = await world.device("phone", "phone"), await world.device("other", "phone")
    response = await world.client.post("/v1/sync", content=phone.body(), headers=other.headers)
    assert response.json()["code"] == "wrong_replica"


async def test_a_revoked_device_pulls_nothing_and_its_words_are_quarantined(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()

    def revoke(txn):
        doc = txn.get("replica", phone.reply.replica)
        txn.put("replica", phone.reply.replica, {**doc, "revoked_at": world.time()})

    await world.engine.store.write(revoke)
    phone.step("signed")
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "revoked")
    assert (reply.pages, phone.sees("target")) == ([], set())


async def test_the_fleet_tells_who_is_behind(world):
    phone = await world.device("phone", "phone")
    await phone.sync()
    await phone.sync()
    await world.order("u1")
    seen = {one.replica: one for one in world.engine.fleet()}[phone.reply.replica]
    assert seen.behind == 0
    world.time.now += 60_000
    seen = {one.replica: one for one in world.engine.fleet()}[phone.reply.replica]
    assert seen.behind > 0
    await phone.sync()
    await phone.sync()
    seen = {one.replica: one for one in world.engine.fleet()}[phone.reply.replica]
    assert seen.behind == 0

"""An enrolled device, or a stranger, that means harm: it costs nobody else anything."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from schema.codes import Code
from schema.versions import HELD_MS
from schema.wire import Change, LateRequest, Proof, Run
from server.accounts import device_of
from server.offers import note_seen
from server.shelves import UNPROVEN_ROOM
from sync.judge import HELD_PER_REPLICA_MAX
from sync.mutation import hash_of, signing_bytes
from tests.server.test_pull import filled, moved
from tests.server.world import small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def test_a_stranger_s_long_name_is_not_repeated_in_every_answer(world):
    body = msgspec.json.encode(LateRequest("centre", "x" * 100_000, "k", []))
    answer = await world.client.post("/v1/late", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert len(answer.content) < 2_000


async def test_what_waits_for_something_else_is_not_read_by_a_commit(world):
    await world.order("u1")
    duty, phone = await world.device("duty", "tablet"), await world.device("phone", "phone")
    for device in (duty, phone):
        await device.settle()
    duty.write("contact.edit", 2, Change("set", "contact", "later", {"name": "示例丙"}))
    assert (await duty.sync()).verdicts[0].verdict == "held"
    read = []

    def spy(txn):
        wrapped = txn.get
        txn.get = lambda kind, key: read.append(kind) or wrapped(kind, key)
        return txn

    phone.step("received")
    write = world.engine.store.write
    world.engine.store.write = lambda work: write(lambda txn: work(spy(txn)))
    assert (await phone.sync()).verdicts[0].verdict == "applied"
    world.engine.store.write = write
    assert "held" not in read
    fields = {"unit": "u1", "duty": "head", "name": "示例丁"}
    await world.engine.load([Change("create", "contact", "later", fields)])
    assert (await world.row("contact", "later")).fields["name"] in ("示例丙", "示例丁")
    await duty.settle()
    assert duty.replica.outbox == []


async def test_one_push_cannot_make_more_wait_than_a_device_may(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    for n in range(HELD_PER_REPLICA_MAX + 5):
        duty.write("contact.edit", 2, Change("set", "contact", f"no{n}", {"name": "示例"}))
    verdicts = [one.verdict for one in (await duty.sync()).verdicts]
    assert verdicts == ["held"] * HELD_PER_REPLICA_MAX + ["refused"] * 5
    world.time.now += HELD_MS + 1
    await world.engine.load([Change("set", "contact", "c1", {"post": "示例"})])
    await duty.settle()
    assert {verdict.verdict for _, verdict in duty.replica.refused} == {"quarantined", "refused"}
    assert await world.engine.store.read(lambda txn: txn.count("held", "")) == 0


async def test_one_backdated_word_opens_no_door_for_the_next(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 3_600_000
    phone.step("received")
    await phone.sync()
    for name in ("read", "signed"):
        phone.step_dated(name, world.time() - 1_800_000)
        reply = await phone.sync()
        assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "backdated")


async def test_within_one_push_time_does_not_go_back_either(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 3_600_000
    phone.step("received")
    phone.step_dated("read", world.time() - 1_800_000)
    assert [one.code for one in (await phone.sync()).verdicts] == [None, "backdated"]


async def test_a_device_can_offer_no_words_but_the_centre_s(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    saved = phone.replica.outbox[0]
    m = saved.mutation
    sig = phone.replica.request(phone.signer.sign, 0).runs[0].sig
    phone.replica.outbox.clear()
    strange = [
        Proof(m.replica, m.lane, m.n, saved.raw.decode(), sig),
        Proof(m.replica, 77, m.n, saved.raw.decode(), sig),
        Proof(m.replica, 0, 2**70, saved.raw.decode(), sig),
        Proof("x" * 5_000, 0, 1, "{}", "?"),
    ]
    request = phone.replica.request(phone.signer.sign, world.time())
    device = await device_of(world.engine, phone.reply.token)
    reply = await world.engine.sync(device, replace(request, offers=strange))
    assert {(one.verdict, one.seq) for one in reply.verdicts} == {("refused", 0)}
    assert len(reply.verdicts) == 4 and max(len(one.dot) for one in reply.verdicts) <= 80


async def test_words_nested_too_deep_are_named_and_break_no_page(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    deep = "[" * 400 + "]" * 400
    duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": "示例"}))
    saved = duty.replica.outbox.pop()
    raw = saved.raw.replace('"示例"'.encode(), deep.encode())
    request = duty.replica.request(duty.signer.sign, world.time())
    m = saved.mutation
    signed = signing_bytes(m.realm, m.replica, 2, m.n, hash_of(raw))
    run = Run(2, duty.signer.sign(signed), [msgspec.Raw(raw)])
    device = await device_of(world.engine, duty.reply.token)
    reply = await world.engine.sync(device, replace(request, runs=[run]))
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("refused", Code.MUTATION)


async def test_first_syncs_at_once_all_get_their_snapshot(world):
    await filled(world)
    tablets = [await world.device("duty", "tablet") for _ in range(6)]
    await asyncio.gather(*(tablet.settle() for tablet in tablets))
    assert len({len(tablet.sees("contact")) for tablet in tablets}) == 1


async def test_who_loses_the_role_of_a_tablet_loses_what_a_tablet_sees(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    assert duty.sees("contact_phone")
    await moved(world, "duty", "u1", "responder")
    await duty.settle()
    assert duty.sees("contact_phone") == set()
    await moved(world, "duty", "u1", "duty")
    await duty.settle()
    assert duty.sees("contact_phone") == {"p1"}


async def test_nobody_wins_in_advance_by_naming_what_is_not_written_yet(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    node = world.engine.node.replica
    duty.write("contact.edit", 2, Change("set", "contact_phone", "p1", {"number": "111"}))
    saved = duty.replica.outbox.pop()
    seen = saved.mutation.base["contact_phone/p1"]["number"]
    ahead = (*seen, *(f"{node}/2/{n}" for n in range(1, 15)))
    stamp = f"{world.time() + 299_000:012x}-0000-{duty.reply.replica}"
    base = {"contact_phone/p1": {"number": ahead}}
    duty.put(replace(saved.mutation, base=base, stamp=stamp))
    assert (await duty.sync()).verdicts[0].verdict == "applied"
    change = Change("set", "contact_phone", "p1", {"number": "222"})
    base = {"contact_phone/p1": {"number": tuple(seen)}}
    verdict = await world.engine.act(world.lead, "contact.edit_any", [change], base)
    assert verdict.verdict == "merged" and (await world.row("contact_phone", "p1")).open


async def test_another_s_void_cannot_be_taken_in_advance(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    fields = {"replica": duty.reply.replica, "of_lane": 2, "n": 1, "lost": None}
    fields |= {"reason": "corrupt", "at": world.time()}
    duty.write("lane.void", 2, Change("create", "void", "of-somebody-else", fields))
    reply = await duty.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("refused", Code.VOID)


async def test_rows_are_reported_only_where_a_log_was_lost_and_not_without_end(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    row = replace(phone.replica.rows["unit", "u1"], id="invented", dot="x/0/1")
    store = world.engine.store
    await store.write(lambda txn: note_seen(txn, [row], phone.reply.replica, 1))
    assert await store.read(lambda txn: txn.count("seen_only", "")) == 0
    await store.write(lambda txn: txn.put("epoch", "1-lost", {"fork": 1}))
    huge = replace(row, id="huge", fields={"name": "x" * 200_000})
    await store.write(lambda txn: note_seen(txn, [row, huge], phone.reply.replica, 1))
    assert list(await store.read(lambda txn: txn.find("seen_only"))) == ["unit/invented"]


async def test_a_device_that_proves_nothing_fills_no_shelf(world):
    phone, thief = await world.device("phone", "phone"), await world.device("other", "phone")
    await phone.settle()
    for _ in range(UNPROVEN_ROOM + 10):
        phone.step("received", target="d1-u1")
    for start in range(0, len(phone.replica.outbox), 400):
        part = phone.replica.outbox[start : start + 400]
        whole, phone.replica.outbox = phone.replica.outbox, part
        request = phone.replica.request(thief.signer.sign, world.time())
        phone.replica.outbox = whole
        await phone.post(msgspec.json.encode(request))
    kept = await world.engine.store.read(lambda txn: txn.count("kept", ""))
    assert kept == UNPROVEN_ROOM


async def test_words_that_do_not_follow_their_chain_still_name_their_author(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    await phone.sync()
    phone.step("read")
    saved = phone.replica.outbox.pop()
    phone.put(replace(saved.mutation, prev="0" * 64))
    reply = await phone.sync()
    assert reply.verdicts[0].code == Code.CHAIN
    await phone.settle()
    rows = [row for (entity, _), row in phone.replica.rows.items() if entity == "quarantine"]
    assert [row.fields["author"] for row in rows] == ["phone"]

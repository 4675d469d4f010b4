"""Words kept beside the log: nobody is told that they are kept when there was no room for them."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from schema.versions import MUTATIONS_PER_PUSH_MAX
from schema.wire import LateReply, LateRequest, Run, SyncReply
from server.ids import uuid7
from server.node import Node
from server.shelves import Shelf
from server.waiting import WORDS, waiting_count
from server.web.views_beside import close_beside
from sync.outbox import settled
from sync.quarantine import row_id
from tests.server.world import Phone, small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        await made.order("u1")
        yield made


async def last_words(world, n, name="phone"):
    """A device that this centre knows, with so much to say."""
    phone = await world.device(name, "phone")
    await phone.settle()
    said(world, phone, n)
    return phone


def said(world, phone, n):
    for _ in range(n):
        world.time.now += 1
        phone.step("read")


def stranger(world, like, n, replica=None):
    """Somebody with a key of their own, who calls themselves so, with so much to say."""
    signer = Node("", ec.generate_private_key(ec.SECP256R1()))
    made = Phone(world, replace(like.reply, replica=replica or uuid7(world.time())), signer)
    said(world, made, n)
    return made


async def hand_over(phone):
    """One request, and its answer taken: status, and how many had a verdict."""
    world, outbox = phone.world, phone.replica.outbox
    request = phone.replica.request(phone.signer.sign, world.time())
    late = LateRequest("centre", request.replica, phone.signer.public, request.runs)
    world.time.now += 3_600_000
    answer = await world.client.post("/v1/late", content=msgspec.json.encode(late))
    if answer.status_code != 200:
        return answer.status_code, answer.json()["code"]
    verdicts = {
        one.hash: one for one in msgspec.json.decode(answer.content, type=LateReply).verdicts
    }
    kept = await world.engine.store.read(lambda txn: txn.find(WORDS))
    assert all(f"{one.dot} {one.hash}" in kept for one in verdicts.values())
    phone.replica.outbox = [
        one for one in outbox if one.hash not in verdicts or not settled(one, verdicts[one.hash])
    ]
    return 200, len(verdicts)


async def close(world, *dots):
    """A person deals with what these devices said."""

    def work(txn):
        for key in txn.find(WORDS):
            if key.startswith(dots):
                assert close_beside(txn, WORDS, row_id(key), {"closed_by": "lead", "closed_at": 1})

    await world.engine.store.write(work)


async def test_a_whole_outbox_is_kept_however_many_requests_it_takes(world):
    phone = await last_words(world, 620)
    assert await hand_over(phone) == (200, MUTATIONS_PER_PUSH_MAX)
    assert await hand_over(phone) == (200, 620 - MUTATIONS_PER_PUSH_MAX)
    assert phone.replica.outbox == []
    assert await world.engine.store.read(lambda txn: waiting_count(txn, WORDS)) == 620


async def test_what_finds_no_room_gets_no_verdict_and_stays_on_the_device(world, monkeypatch):
    monkeypatch.setattr("server.shelves.OWN_ROOM", 3)
    phone = await last_words(world, 5)
    assert await hand_over(phone) == (200, 3)
    assert await hand_over(phone) == (503, "shelf_full")
    assert len(phone.replica.outbox) == 2
    await close(world, phone.reply.replica)
    assert await hand_over(phone) == (200, 2)


async def test_what_is_kept_already_is_said_to_be_kept_again_though_the_shelf_is_full(
    world, monkeypatch
):
    monkeypatch.setattr("server.shelves.OWN_ROOM", 2)
    phone = await last_words(world, 2)
    again = list(phone.replica.outbox)
    assert await hand_over(phone) == (200, 2)
    phone.replica.outbox = again
    assert await hand_over(phone) == (200, 2)


async def test_a_stranger_under_a_device_s_name_takes_none_of_its_room(world, monkeypatch):
    monkeypatch.setattr("server.shelves.OWN_ROOM", 3)
    phone = await last_words(world, 3)
    assert await hand_over(stranger(world, phone, 8, phone.reply.replica)) == (200, 8)
    assert await hand_over(phone) == (200, 3)


async def test_strangers_share_one_shelf_and_known_devices_have_their_own(world, monkeypatch):
    monkeypatch.setattr("server.late.STRANGERS", Shelf("?", 4))
    phone = await last_words(world, 3)
    first, second = stranger(world, phone, 3), stranger(world, phone, 3)
    assert await hand_over(first) == (200, 3)
    assert await hand_over(second) == (200, 1)
    assert await hand_over(second) == (503, "shelf_full")
    assert await hand_over(phone) == (200, 3)


async def test_a_shelf_is_free_again_once_a_person_dealt_with_what_was_on_it(world, monkeypatch):
    monkeypatch.setattr("server.late.STRANGERS", Shelf("?", 3))
    phone = await last_words(world, 0)
    for _ in range(3):
        one = stranger(world, phone, 3)
        assert await hand_over(one) == (200, 3)
        assert await hand_over(stranger(world, phone, 1)) == (503, "shelf_full")
        await close(world, one.reply.replica)


async def pushed(phone, run):
    request = replace(phone.replica.request(phone.signer.sign, phone.world.time()), runs=[run])
    answer = await phone.post(msgspec.json.encode(request))
    return msgspec.json.decode(answer.content, type=SyncReply).verdicts


async def test_a_sync_names_no_unproven_words_that_found_no_room(world, monkeypatch):
    monkeypatch.setattr("server.shelves.UNPROVEN_ROOM", 3)
    phone = await last_words(world, 5)
    run = Run(0, "A" * 86, [msgspec.Raw(one.raw) for one in phone.replica.outbox])
    told = await pushed(phone, run)
    assert [one.code for one in told] == ["signature"] * 3
    kept = await world.engine.store.read(lambda txn: txn.find(WORDS))
    assert {f"{one.dot} {one.hash}" for one in told} == set(kept)
    assert {one.verdict for one in (await phone.sync()).verdicts} == {"applied"}


async def test_a_sync_names_no_unreadable_words_that_found_no_room(world, monkeypatch):
    monkeypatch.setattr("server.shelves.UNPROVEN_ROOM", 2)
    phone, mate = await last_words(world, 0), await last_words(world, 0)
    junk = Run(0, "A" * 86, [msgspec.Raw(f'{{"x":{n}}}'.encode()) for n in range(5)])
    assert len(await pushed(phone, junk)) == 2
    other = Run(0, "A" * 86, [msgspec.Raw(b'{"y":1}')])
    assert len(await pushed(mate, other)) == 1, "nobody fills another's shelf"


async def test_words_under_a_used_number_count_on_the_shelf_of_the_device_that_signed(
    world, monkeypatch
):
    monkeypatch.setattr("server.shelves.OWN_ROOM", 1)
    phone = await last_words(world, 1)
    saved = phone.replica.outbox[0]
    await phone.sync()
    told = []
    for id in ("first", "second"):
        [change] = saved.mutation.changes
        phone.put(replace(saved.mutation, changes=(replace(change, id=id),)))
        told.append([one.code for one in (await phone.sync()).verdicts])
        phone.replica.outbox.clear()
    assert told == [["identity_reused"], []]

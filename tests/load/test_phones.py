"""The load itself can fail: it waits for nobody, and names what is not there afterwards."""

import asyncio
import json

import msgspec
import pytest
from msgspec.structs import replace

from schema.wire import SyncReply, Verdict
from sync.mutation import hash_of
from tests.bench.crowd import Ear
from tests.bench.harness import BenchFailed
from tests.bench.line import Answer
from tests.load.amounts import Amount
from tests.load.everything import LATE_MS_MAX, Outcome, centre_for
from tests.load.kept import lost
from tests.load.phones import Phones
from tests.load.words import script

FEW = Amount(
    sockets=8,
    units=2,
    seconds=0.1,
    signs_per_s=60,
    photos_per_s=20,
    photo_bytes=70_000,
    ordered_s=0,
)


@pytest.fixture(scope="module")
async def made(tmp_path_factory):
    return await centre_for(tmp_path_factory.mktemp("load") / "data", FEW)


async def test_phones_send_what_is_due_though_nobody_was_answered_yet(made):
    told = script(made, replace(FEW, photos_per_s=1), seed=1)
    assert len({one.writer.reply.replica for one in told.words}) == len(told.signs) > 2
    everybody = asyncio.Barrier(len(told.words))

    async def answers(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await everybody.wait()
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    async with server, asyncio.timeout(30):
        phones = Phones(server.sockets[0].getsockname()[1], told)
        await phones.speak([])
    assert {one.answer.status for one in phones.words.values()} == {503}
    assert len(phones.late_s) == len(told.words)


async def test_the_same_seed_makes_the_same_load(made):
    again = [script(made, FEW, seed=3) for _ in range(2)]
    assert [one.due_s for one in again[0].words] == [one.due_s for one in again[1].words]
    assert [one.sha256 for one in again[0].photos] == [one.sha256 for one in again[1].photos]


async def test_whatever_was_not_answered_is_named(made):
    told = script(made, FEW, seed=1)
    assert told.signs and told.photos
    named = [one.dot for one in told.words] + [one.sha256 for one in told.photos]
    found = await lost(made, told, Phones(0, told))
    assert found == [f"{one}: no answer" for one in named]


async def test_whatever_was_answered_and_is_not_there_is_named(made):
    told = script(made, FEW, seed=1)
    phones = Phones(0, told)
    for words in told.words:
        sent = phones.words[words.dot]
        sent.answer, sent.done = taken(Verdict(words.dot, hash_of(words.raw), "applied", 1)), True
    for sent in phones.photos.values():
        sent.done = True
    found = await lost(made, told, phones)
    assert [one.partition(":")[0] for one in found] == [
        *(f"verdict {one.dot}" for one in told.words),
        *(f"photo {one.sha256}" for one in told.photos),
    ]


def taken(verdict):
    reply = SyncReply("centre", "1", [verdict], {}, [], {}, [], [], 1, 0, 0)
    return Answer(200, b"", msgspec.json.encode(reply))


async def test_a_socket_has_heard_of_an_order_once_its_own_unit_stands_there():
    ear = Ear(b"")
    for at, (scope, lane, seq) in enumerate(
        [("unit/a", 0, 8), ("unit/b", 0, 9), ("unit/a", 1, 9), ("unit/a", 0, 9)], start=1
    ):
        poke = {"scope": scope, "lane": lane, "seq": seq, "prev": 0}
        ear.heard.append((float(at), json.dumps(poke).encode()))
    assert ear.reached({"unit/a": 9, "unit/c": 1}) == 4.0
    assert ear.reached({"unit/a": 10}) == 0.0


def test_phones_that_were_late_themselves_have_measured_nothing():
    outcome = Outcome(FEW, [1.0], [1.0], [1.0], [1.0], [LATE_MS_MAX] * 100, 1.0, 0.1, [])
    outcome.must_be_measured()
    with pytest.raises(BenchFailed, match="late"):
        replace(outcome, late=[LATE_MS_MAX + 1.0] * 100).must_be_measured()

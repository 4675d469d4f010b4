"""Snapshots in parts: what changes one of them, what takes it back, and who gets on anyway."""

import asyncio
import gzip
import threading

import msgspec
import pytest

from schema.wire import Change, SnapshotFile, SyncReply
from server import snapshots
from server.snapshots import PART_BYTES, MemoryShelf, Snapshots, _cut
from tests.server.test_pull import as_told, filled, holds
from tests.server.world import small_centre

ROWS = 330
ALL = ROWS + 3
PAIR = ("register/u1", 2)
SCOPES = (PAIR[0],)


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr("server.pull.SNAPSHOT_FROM_BYTES", 8_000)
    monkeypatch.setattr("server.snapshots.PART_BYTES", 8_000)
    async with small_centre(tmp_path) as made:
        await filled(made, ROWS)
        yield made


async def offered(world):
    return await world.engine.store.read(
        lambda txn: world.engine.snapshots.of(txn, *PAIR, world.engine._puller._proofs)
    )


async def given(world, part):
    return await world.engine.store.read(
        lambda txn: world.engine.snapshots.get(txn, part.sha256, SCOPES)
    )


async def ids(world, part):
    file = msgspec.json.decode(gzip.decompress(await given(world, part)), type=SnapshotFile)
    return [row.id for row in file.rows]


async def made_and_removed(world, n):
    fields = {"unit": "u1", "duty": "head", "name": "示例"}
    await world.engine.load([Change("create", "contact", f"z{n}", fields)])
    await removed(world, f"z{n}")


async def removed(world, id):
    await world.engine.load([Change("remove", "contact", id)])


async def edited(world, id, name):
    await world.engine.load([Change("set", "contact", id, {"name": name})])


async def test_a_row_that_came_and_went_leaves_every_part_as_it_is(world):
    first = await offered(world)
    await made_and_removed(world, 1)
    assert all([await given(world, part) for part in first.parts])
    again = await offered(world)
    assert again.parts == first.parts and len(first.parts) > 4


async def test_a_row_that_was_removed_takes_back_its_own_part_alone(world):
    first = await offered(world)
    at = [n for n, part in enumerate(first.parts) if "x150" in await ids(world, part)]
    await removed(world, "x150")
    assert [n for n, part in enumerate(first.parts) if not await given(world, part)] == at
    again = await offered(world)
    assert len(set(first.parts) - set(again.parts)) == 1
    assert not [part for part in again.parts if "x150" in await ids(world, part)]
    assert sum([len(await ids(world, part)) for part in again.parts]) == ALL - 1


async def test_a_part_that_is_offered_again_need_not_be_told_of_from_so_long_ago(world):
    first = await offered(world)
    await world.engine.load([Change("create", "contact", "far", {"unit": "u2", "duty": "head"})])
    assert (await offered(world)).seq == first.seq + 1


async def told_of_one_part(device):
    """A round trip, and one part more of what is offered."""
    request = device.replica.request(device.signer.sign, device.world.time())
    response = await device.post(msgspec.json.encode(request))
    reply = msgspec.json.decode(response.content, type=SyncReply)
    for snapshot in device.replica.receive(reply, request, device.world.time()):
        part = device.replica.lacking(snapshot)[0]
        device.replica.fetched(snapshot, {part.sha256: await device.part(part)})


@pytest.mark.parametrize("goes", [None, "x150"])
async def test_a_slow_device_ends_however_much_comes_and_goes(world, goes):
    duty = await world.device("duty", "tablet")
    parts = len((await offered(world)).parts)
    rounds = 0
    while PAIR in duty.replica.restarting or not rounds:
        await told_of_one_part(duty)
        rounds += 1
        assert rounds <= parts + 3
        await made_and_removed(world, rounds)
        if goes:
            await removed(world, f"x15{rounds % 10}" if rounds < 10 else f"x16{rounds % 10}")
    await duty.settle()
    assert holds(duty) == await as_told(world, duty)


async def test_what_only_changed_is_given_on_until_a_row_of_it_goes(world, monkeypatch):
    first = await offered(world)
    [old] = [part for part in first.parts if "x150" in await ids(world, part)]
    await edited(world, "x150", "示例新")
    monkeypatch.setattr(snapshots, "TAIL_BYTES", 0)
    monkeypatch.setattr(snapshots, "TAIL_SHARE", 2**40)
    again = await offered(world)
    assert set(first.parts) - set(again.parts) == {old}
    assert "x150" in await ids(world, old)
    await removed(world, "x150")
    assert await given(world, old) is None


async def test_a_look_at_an_earlier_moment_gives_nobody_what_has_gone_since(world):
    shelf = Snapshots(MemoryShelf())
    store, proofs = world.engine.store, world.engine._puller._proofs
    began, go = threading.Event(), threading.Event()

    def earlier(txn):
        txn.head()
        began.set()
        go.wait(9)
        return shelf.of(txn, *PAIR, proofs)

    async def got(part):
        return await store.read(lambda txn: shelf.get(txn, part.sha256, SCOPES))

    first = await store.read(lambda txn: shelf.of(txn, *PAIR, proofs))
    await removed(world, "x10")
    late = asyncio.create_task(store.read(earlier))
    await asyncio.to_thread(began.wait)
    await removed(world, "x150")
    gone = [await got(part) for part in first.parts].count(None)
    go.set()
    assert gone == 2
    for part in (await late).parts:
        data = await got(part)
        assert data is None or b'"x150"' not in gzip.decompress(data)
    final = await store.read(lambda txn: shelf.of(txn, *PAIR, proofs))
    rows = 0
    for part in final.parts:
        rows += len(msgspec.json.decode(gzip.decompress(await got(part)))["rows"])
    assert rows == ALL - 2


async def test_nothing_is_made_anew_but_the_part_that_lost_a_row(world, monkeypatch):
    await offered(world)
    put = []
    monkeypatch.setattr(
        world.engine.snapshots._shelf, "put", lambda sha256, data, put=put: put.append(sha256)
    )
    await made_and_removed(world, 1)
    await offered(world)
    assert put == []


def lines(ids, size=1_000):
    return [(("contact", id), b" " * size) for id in ids]


IDS = [f"{n:05}" for n in range(3_000)]


def test_a_row_more_moves_no_cut_of_another_part():
    before = list(_cut(lines(IDS), []))
    after = list(_cut(lines(sorted([*IDS, "01500a"])), []))
    assert len(before) == len(after) > 5
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_no_part_grows_beyond_measure_whatever_its_keys_are(monkeypatch):
    monkeypatch.setattr(snapshots, "_name", lambda key: PART_BYTES - 1)
    pieces = list(_cut(lines(IDS), []))
    assert [line for piece in pieces for line in piece] == lines(IDS)
    sizes = [1_000 * len(piece) for piece in pieces]
    assert max(sizes) <= 4 * PART_BYTES + 1_000 and min(sizes) >= PART_BYTES // 4


def test_a_part_that_became_small_takes_the_next_along_and_a_large_one_ends_where_it_ended():
    small = [("contact", "00003"), ("contact", "02000")]
    [*_, last] = _cut(lines(IDS), small)
    assert small == [("contact", "02000")] and last[-1][0] == ("contact", "01999")
    gone = [("contact", "x")]
    assert list(_cut([], gone)) == [[]] and gone == []

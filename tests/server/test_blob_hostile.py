"""What one enrolled device can do to others' photos, and to the disk: not much."""

import asyncio

import pytest

from schema.versions import DAY_MS
from server.blobs import (
    BEGUN_BYTES_PER_DAY_MAX,
    BEGUN_PER_DAY_MAX,
    NAMES,
    ROWS_PER_PHOTO_MAX,
    UNFINISHED_MS_MAX,
    Blobs,
    Uploads,
    begin,
    drop_stale,
    note_whole,
)
from server.errors import Fault
from server.store.sqlite import SqliteTxn
from tests.server.test_blob import PHOTO, SHA, SIZE, create, feedback, ready, send, upload
from tests.server.test_blob_exact import asked
from tests.server.test_edges import begun
from tests.server.world import small_centre
from tests.sync.builders import NOW


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def test_naming_another_s_photo_without_end_hides_it_from_nobody(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    thief = await world.device("phone", "phone")
    for _ in range(4 * ROWS_PER_PHOTO_MAX + 1):
        feedback(thief)
    await thief.sync()
    feedback(phone)
    await phone.sync()
    await upload(phone)
    assert (await asked(mate)).content == PHOTO
    named = await world.engine.store.read(lambda txn: txn.find(NAMES, f"{SHA} "))
    assert sorted(len(doc["rows"]) for doc in named.values()) == [1, ROWS_PER_PHOTO_MAX]


def finish_each(world, uploads):
    """Begin each of these and get it done."""
    lacks = Blobs(world.engine.config.blobs).lacks

    def work(txn):
        for one in uploads:
            begin(txn, one, lacks)
            note_whole(txn, one)

    return world.engine.store.write(work)


async def test_a_device_begins_only_so_many_uploads_a_day_though_it_finishes_each(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    mine = phone.reply.replica
    await finish_each(world, [begun(mine, n, 1) for n in range(BEGUN_PER_DAY_MAX)])
    with pytest.raises(Fault):
        await finish_each(world, [begun(mine, BEGUN_PER_DAY_MAX, 1)])
    await finish_each(world, [begun(mate.reply.replica, 1, 1)])
    await finish_each(world, [begun(mine, BEGUN_PER_DAY_MAX, 1, NOW + DAY_MS)])


async def test_a_device_sends_only_so_many_bytes_a_day(world):
    phone = await ready(world)
    mine, half = phone.reply.replica, BEGUN_BYTES_PER_DAY_MAX // 4
    await finish_each(world, [begun(mine, n, half) for n in range(4)])
    with pytest.raises(Fault):
        await finish_each(world, [begun(mine, 4, 1)])
    await finish_each(world, [begun(mine, 4, half, NOW + DAY_MS)])


async def test_a_refused_upload_counts_for_nothing(world):
    phone = await ready(world)
    mine = phone.reply.replica
    with pytest.raises(Fault):
        await finish_each(world, [begun(mine, 1, BEGUN_BYTES_PER_DAY_MAX + 1)])
    assert await world.engine.store.read(lambda txn: txn.get("uploads", mine)) is None


async def test_finished_uploads_are_not_read_when_stale_ones_are_looked_for(world, monkeypatch):
    phone = await ready(world)
    mine = phone.reply.replica
    await finish_each(world, [begun(mine, n, 1) for n in range(20)])
    stale = begun(mine, 99, 1)
    blobs = Blobs(world.engine.config.blobs)
    await world.engine.store.write(lambda txn: begin(txn, stale, blobs.lacks))
    read = set()
    get, find = SqliteTxn.get, SqliteTxn.find
    monkeypatch.setattr(
        SqliteTxn, "get", lambda self, kind, key: read.add((kind, key)) or get(self, kind, key)
    )
    monkeypatch.setattr(
        SqliteTxn, "find", lambda self, *asked: read.add((asked[0], "all")) or find(self, *asked)
    )
    assert await drop_stale(world.engine.store, blobs, NOW + UNFINISHED_MS_MAX + 1) == 1
    assert [key for kind, key in read if kind == "upload"] == [stale.id]
    left = await world.engine.store.read(lambda txn: txn.get("uploads", mine))
    assert left["pending"] == Uploads().pending


async def test_a_photo_sent_again_to_a_restored_centre_is_not_taken_for_an_old_upload(world):
    phone = await ready(world)
    before = (await create(phone)).headers["location"]
    await send(phone, before, 0, PHOTO)
    blobs = Blobs(world.engine.config.blobs)
    blobs.path(SHA).unlink()  # The backup came without the photos.
    now = world.time.now = NOW + 2 * UNFINISHED_MS_MAX
    assert (await world.client.head(before, headers=phone.headers)).status_code == 404
    location = (await create(phone)).headers["location"]
    await send(phone, location, 0, PHOTO[: SIZE // 2])
    await drop_stale(world.engine.store, blobs, now)
    assert (await send(phone, location, SIZE // 2, PHOTO[SIZE // 2 :])).status_code == 204
    assert (await asked(phone)).content == PHOTO


async def test_an_old_part_is_not_thrown_away_while_it_is_written(world):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]
    await send(phone, location, 0, PHOTO[: SIZE // 2])
    store, blobs = world.engine.store, Blobs(world.engine.config.blobs)
    async with blobs.lock_of(location[-36:]):
        sweep = asyncio.create_task(drop_stale(store, blobs, NOW + 2 * UNFINISHED_MS_MAX))
        while await store.read(lambda txn: txn.get("upload", location[-36:])):
            await asyncio.sleep(0)
        assert not sweep.done() and blobs.parts() == [location[-36:]]
    assert await sweep == 1 and blobs.parts() == []


async def test_photos_of_an_earlier_version_are_still_read_by_who_may(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    feedback(phone)
    await phone.sync()
    await upload(phone)

    def as_before(txn):
        for key, doc in txn.find(NAMES).items():
            txn.put("photo", key.partition(" ")[0], doc)
            txn.delete(NAMES, key)

    await world.engine.store.write(as_before)
    assert (await asked(mate)).status_code == 404
    await world.reopened_without_indexes()
    assert (await asked(mate)).content == PHOTO

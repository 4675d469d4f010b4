"""Files that the disk has altered: no photo or part of a snapshot is sent with other bytes."""

import pytest

from server.blobs import Holding
from tests.server.test_blob import PHOTO, SHA, SIZE, create, feedback, ready, send, upload
from tests.server.test_snapshots import given, offered, world

__all__ = ["world"]


@pytest.fixture
async def phone(world):
    phone = await ready(world)
    await upload(phone)
    feedback(phone)
    await phone.settle()
    return phone


def blobs_of(phone):
    return phone.world.client._transport.app.state.blobs


def flip(path, at=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


async def fetched(phone):
    return await phone.world.client.get(f"/v1/blob/{SHA}", headers=phone.headers)


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
async def test_of_a_damaged_photo_not_a_byte_is_sent_and_why_is_said(phone, at):
    assert (await fetched(phone)).content == PHOTO
    flip(blobs_of(phone).path(SHA), at)
    for _ in range(2):
        told = await fetched(phone)
        assert (told.status_code, told.json()["code"]) == (503, "blob_damaged")
        assert told.json()["zh"] and told.json()["en"]


@pytest.mark.parametrize("left", [b"", PHOTO[:-1], PHOTO + b"\0"], ids=["none", "less", "more"])
async def test_a_photo_of_another_length_is_a_damaged_one(phone, left):
    blobs_of(phone).path(SHA).write_bytes(left)
    assert (await fetched(phone)).status_code == 503


async def test_a_damaged_photo_is_set_aside_with_the_bytes_that_are_left(phone):
    blobs = blobs_of(phone)
    flip(blobs.path(SHA))
    damaged = blobs.path(SHA).read_bytes()
    await fetched(phone)
    assert not blobs.has(SHA)
    assert (blobs._damaged / SHA).read_bytes() == damaged


async def test_a_photo_that_is_not_there_is_not_called_damaged(phone):
    blobs_of(phone).path(SHA).unlink()
    told = await fetched(phone)
    assert (told.status_code, told.json()["code"]) == (404, "not_found")


async def test_whoever_may_not_see_a_photo_does_not_learn_that_it_is_damaged(phone):
    other = await phone.world.device("other", "phone")
    flip(blobs_of(phone).path(SHA))
    assert (await fetched(other)).status_code == 404
    assert blobs_of(phone).has(SHA)


async def test_a_damaged_photo_is_taken_again_from_whoever_uploaded_it(phone):
    flip(blobs_of(phone).path(SHA))
    await fetched(phone)
    await upload(phone)
    assert (await fetched(phone)).content == PHOTO
    assert blobs_of(phone).look(SHA) is Holding.SOUND
    assert list(blobs_of(phone)._damaged.iterdir()) == []


async def test_a_photo_that_is_announced_again_is_looked_at_before_it_is_called_whole(phone):
    whole = await create(phone)
    assert whole.headers["upload-offset"] == str(SIZE)
    flip(blobs_of(phone).path(SHA))
    begun = await create(phone)
    assert begun.headers["upload-offset"] == "0"
    await create(phone)
    await upload(phone)
    assert (await fetched(phone)).content == PHOTO


async def test_an_upload_of_a_photo_found_damaged_meanwhile_begins_again(phone):
    location = (await create(phone)).headers["location"]
    flip(blobs_of(phone).path(SHA))
    assert (await phone.world.client.head(location, headers=phone.headers)).headers[
        "upload-offset"
    ] == "0"
    assert (await send(phone, location, 0, PHOTO)).status_code == 404
    await upload(phone)
    assert (await fetched(phone)).content == PHOTO


async def test_a_damaged_part_of_a_snapshot_is_given_to_nobody_and_made_again(world):
    first = await offered(world)
    shelf = world.engine.snapshots._shelf
    flip(shelf._folder / first.parts[0].sha256, 40)
    assert await given(world, first.parts[0]) is None
    again = await offered(world)
    assert again.parts == first.parts
    assert all([await given(world, part) for part in again.parts])

"""Photos: resumable, checked, bound to who uploaded and who may read."""

import base64
import hashlib
import os
import stat

import pytest

from schema.wire import Change
from server.blobs import Blobs
from server.config import Config
from server.ids import uuid7
from tests.server.world import small_centre
from tests.sync.builders import NOW

PHOTO = bytes(range(256)) * 500
SIZE = len(PHOTO)
SHA = hashlib.sha256(PHOTO).hexdigest()


@pytest.fixture
def open_umask():
    """A machine on which new folders are everybody's, unless their maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_photos_lie_where_their_folder_s_owner_alone_may_look(tmp_path, open_umask):
    shared = tmp_path / "shared" / "photos"
    for config in (Config(tmp_path / "data"), Config(tmp_path / "other", shared_blobs=shared)):
        Blobs(config.blobs)
        assert stat.S_IMODE(config.blobs.stat().st_mode) == 0o700
    assert config.blobs == shared


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as centre:
        yield centre


def b64(text):
    return base64.b64encode(text.encode()).decode()


async def create(phone, sha=SHA, size=SIZE, type="image/jpeg"):
    return await phone.world.client.post(
        "/v1/blob",
        headers={
            **phone.headers,
            "Upload-Length": str(size),
            "Upload-Metadata": f"sha256 {b64(sha)},type {b64(type)}",
        },
    )


async def send(phone, location, offset, chunk, checksum=None):
    digest = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
    return await phone.world.client.patch(
        location,
        content=chunk,
        headers={
            **phone.headers,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {checksum or digest}",
        },
    )


async def upload(phone, data=PHOTO):
    location = (await create(phone)).headers["location"]
    assert (await send(phone, location, 0, data)).status_code == 204


def feedback(phone, sha=SHA):
    fields = {
        "target": "d1-u1",
        "directive": "d1",
        "unit": phone.reply.unit,
        "round": 1,
        "at": phone.world.time(),
        "kind": "progress",
        "text": "示例反馈",
        "photos": [{"sha256": sha, "size": len(PHOTO), "type": "image/jpeg", "thumb": ""}],
    }
    id = uuid7(phone.world.time())
    phone.write("feedback.add", 1, Change("create", "feedback", id, fields))


async def ready(world):
    phone = await world.device("phone", "phone")
    await world.order("u1", "u2")
    await phone.sync()
    return phone


async def test_an_interrupted_upload_goes_on_where_it_stopped(world):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]
    await send(phone, location, 0, PHOTO[:50_000])
    stand = await world.client.head(location, headers=phone.headers)
    assert stand.headers["upload-offset"] == "50000"
    done = await send(phone, location, 50_000, PHOTO[50_000:])
    assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(PHOTO)))


async def test_a_wrong_offset_changes_nothing_and_says_so(world):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]
    wrong = await send(phone, location, 10, PHOTO[10:])
    assert (wrong.status_code, wrong.json()["code"]) == (409, "upload_offset")
    assert (await world.client.head(location, headers=phone.headers)).headers[
        "upload-offset"
    ] == "0"


async def test_a_damaged_chunk_is_refused(world):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]
    bad = await send(phone, location, 0, PHOTO, checksum=b64("nonsense"))
    assert (bad.status_code, bad.json()["code"]) == (460, "upload_checksum")


async def test_bytes_that_are_not_what_was_announced_are_dropped(world):
    phone = await ready(world)
    location = (await create(phone)).headers["location"]
    other = bytes(len(PHOTO))
    assert (await send(phone, location, 0, other)).json()["code"] == "upload_checksum"
    assert (await world.client.head(location, headers=phone.headers)).headers[
        "upload-offset"
    ] == "0"


async def test_uploading_the_same_photo_again_is_harmless(world):
    phone = await ready(world)
    await upload(phone)
    again = await create(phone)
    assert (again.status_code, again.headers["upload-offset"]) == (201, str(len(PHOTO)))


async def test_a_photo_is_read_by_whoever_may_read_its_row_and_nobody_else(world):
    phone, other = await ready(world), await world.device("other", "phone")
    mate = await world.device("phone", "phone")
    feedback(phone)
    await phone.sync()
    await upload(phone)
    got = await world.client.get(f"/v1/blob/{SHA}", headers=mate.headers)
    assert (got.status_code, got.content) == (200, PHOTO)
    assert got.headers["content-type"] == "image/jpeg"
    denied = await world.client.get(f"/v1/blob/{SHA}", headers=other.headers)
    unknown = await world.client.get(f"/v1/blob/{'0' * 64}", headers=other.headers)
    assert (denied.status_code, denied.json()) == (404, unknown.json())


async def test_knowing_a_hash_is_not_enough(world):
    phone, other = await ready(world), await world.device("other", "phone")
    feedback(phone)
    await phone.sync()
    await upload(phone)
    await other.sync()
    fields = {"target": "d1-u2", "directive": "d1", "unit": "u2", "round": 1, "at": NOW}
    photo = [{"sha256": SHA, "size": len(PHOTO), "type": "image/jpeg", "thumb": ""}]
    fields |= {"kind": "progress", "text": "", "photos": photo}
    other.write("feedback.add", 1, Change("create", "feedback", "f2", fields))
    assert (await other.sync()).verdicts[0].verdict == "applied"
    denied = await world.client.get(f"/v1/blob/{SHA}", headers=other.headers)
    assert denied.status_code == 404


async def test_an_upload_belongs_to_its_device(world):
    phone, other = await ready(world), await world.device("other", "phone")
    location = (await create(phone)).headers["location"]
    assert (await world.client.head(location, headers=other.headers)).status_code == 404
    assert (await send(other, location, 0, PHOTO)).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [({"type": "text/html"}, 415), ({"size": 10**9}, 413), ({"sha": "zz"}, 400)],
)
async def test_what_can_be_no_photo_is_refused(world, change, status):
    assert (await create(await ready(world), **change)).status_code == status

"""An upload is exact: nothing is lost, doubled or told to others, whatever goes wrong."""

import asyncio
import base64
import errno
import hashlib
import os
import sqlite3
import stat
from contextlib import closing

import pytest
from msgspec.structs import replace

from schema.versions import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES_MAX
from schema.wire import Change
from server.accounts import COOKIE, new_login, sign_in
from server.blobs import NAMED_MAX, NAMES, Blobs
from server.routes import blob
from server.store.checksums import row_crc
from server.store.sqlite import SqliteTxn
from tests.server.test_blob import PHOTO, SHA, SIZE, b64, create, feedback, ready, send, upload
from tests.server.world import small_centre

HALF = SIZE // 2
ELSEWHERE = "0199c000-0000-7000-b000-000000000000"


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as centre:
        yield centre


async def begun(phone, **more):
    return (await create(phone, **more)).headers["location"]


async def standing(phone, location):
    answer = await phone.world.client.head(location, headers=phone.headers)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


async def asked(phone, sha=SHA):
    return await phone.world.client.get(f"/v1/blob/{sha}", headers=phone.headers)


def told(answer):
    """All that an answer says, but for the name of the upload, which is fresh each time."""
    headers = {name: value for name, value in answer.headers.items() if name != "location"}
    return (answer.status_code, headers, answer.content)


def parts(world):
    """The bytes of everything that lies among the unfinished uploads."""
    folder = world.engine.config.blobs / "parts"
    return [path.read_bytes() for path in sorted(folder.iterdir())]


# --- Offsets and sums ---------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, HALF - 1, HALF + 1, SIZE, 10**14])
async def test_a_chunk_at_any_other_offset_changes_nothing(world, offset):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])
    wrong = await send(phone, location, offset, PHOTO[HALF : HALF + 100])
    assert (wrong.status_code, wrong.json()["code"]) == (409, "upload_offset")
    assert wrong.json()["detail"] == str(HALF)
    assert await standing(phone, location) == HALF and parts(world) == [PHOTO[:HALF]]


async def test_a_chunk_that_reaches_past_the_end_changes_nothing(world):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])
    wrong = await send(phone, location, HALF, PHOTO[HALF:] + b"!")
    assert wrong.status_code == 409 and parts(world) == [PHOTO[:HALF]]


async def test_a_damaged_chunk_changes_nothing_and_the_good_one_is_taken_after_it(world):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])
    good = base64.b64encode(hashlib.sha256(PHOTO[HALF:]).digest()).decode()
    bad = await send(phone, location, HALF, PHOTO[HALF:-1] + b"!", checksum=good)
    assert (bad.status_code, bad.json()["code"]) == (460, "upload_checksum")
    assert await standing(phone, location) == HALF and parts(world) == [PHOTO[:HALF]]
    assert (await send(phone, location, HALF, PHOTO[HALF:])).status_code == 204


async def test_a_chunk_to_what_is_whole_is_told_where_it_stands(world):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO)
    for offset, chunk in ((0, PHOTO), (SIZE, b"")):
        again = await send(phone, location, offset, chunk)
        assert (again.status_code, again.json()["detail"]) == (409, str(SIZE))
    assert parts(world) == []


# --- Two tabs -----------------------------------------------------------------------------------


async def test_of_two_tabs_one_wins_each_chunk_and_the_digest_is_equal(world):
    phone = await ready(world)
    location = await begun(phone)
    for offset in range(0, SIZE, 4096):
        chunk = PHOTO[offset : offset + 4096]
        both = await asyncio.gather(*(send(phone, location, offset, chunk) for _ in range(2)))
        assert sorted(one.status_code for one in both) == [204, 409], offset
    assert (await asked(phone)).content == PHOTO
    assert parts(world) == []


async def test_a_tab_whose_chunk_comes_after_the_other_one_s_end_leaves_nothing_behind(world):
    phone = await ready(world)
    location = await begun(phone)
    waits, go_on = asyncio.Event(), asyncio.Event()

    async def late():
        yield PHOTO[:10]
        waits.set()
        await go_on.wait()
        yield PHOTO[10:HALF]

    sum = base64.b64encode(hashlib.sha256(PHOTO[:HALF]).digest()).decode()
    headers = {
        **phone.headers,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "0",
        "Upload-Checksum": f"sha256 {sum}",
    }
    slow = asyncio.create_task(world.client.patch(location, content=late(), headers=headers))
    await waits.wait()
    assert (await send(phone, location, 0, PHOTO)).status_code == 204
    go_on.set()
    answer = await slow
    assert (answer.status_code, answer.json()["detail"]) == (409, str(SIZE))
    assert parts(world) == [] and await standing(phone, location) == SIZE


# --- What fails at the last moment --------------------------------------------------------------


async def test_a_last_chunk_whose_record_fails_is_made_good_by_the_next_question(
    world, monkeypatch
):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])

    def fail(*args):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(blob, "note_whole", fail)
        assert (await send(phone, location, HALF, PHOTO[HALF:])).status_code == 507
        unknown = await world.client.head(location, headers=phone.headers)
        assert unknown.status_code == 507, "not yet recorded, so not yet said to be whole"
    assert await standing(phone, location) == SIZE
    assert (await asked(phone)).content == PHOTO and parts(world) == []


@pytest.mark.parametrize("ask", ["head", "post", "patch"])
async def test_a_server_killed_before_the_check_of_the_whole_checks_it_later(world, ask):
    phone = await ready(world)
    location = await begun(phone)
    doc = await world.engine.store.read(lambda txn: txn.get("upload", location[-36:]))
    Blobs(world.engine.config.blobs).append(blob.Upload(**doc), 0, PHOTO)
    if ask == "head":
        assert await standing(phone, location) == SIZE
    elif ask == "post":
        assert (await create(phone)).headers["upload-offset"] == str(SIZE)
    else:
        assert (await send(phone, location, HALF, PHOTO[HALF:])).json()["detail"] == str(SIZE)
    assert (await asked(phone)).content == PHOTO and parts(world) == []


async def test_a_server_killed_before_the_check_of_other_bytes_begins_again(world):
    phone = await ready(world)
    location = await begun(phone)
    doc = await world.engine.store.read(lambda txn: txn.get("upload", location[-36:]))
    Blobs(world.engine.config.blobs).append(blob.Upload(**doc), 0, bytes(SIZE))
    assert await standing(phone, location) == 0 and parts(world) == []
    assert (await send(phone, location, 0, PHOTO)).status_code == 204


async def test_bytes_that_the_disk_did_not_take_are_taken_back(world, monkeypatch):
    phone = await ready(world)
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])

    def fail(handle):
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr("server.blobs.os.fsync", fail)
        assert (await send(phone, location, HALF, PHOTO[HALF:])).status_code == 507
    assert parts(world) == [PHOTO[:HALF]] and await standing(phone, location) == HALF
    assert (await send(phone, location, HALF, PHOTO[HALF:])).status_code == 204
    assert (await asked(phone)).content == PHOTO


async def test_what_a_killed_server_left_is_synced_before_anybody_is_told_of_it(world, monkeypatch):
    phone = await ready(world)
    location = await begun(phone)
    (world.engine.config.blobs / "parts" / location[-36:]).write_bytes(PHOTO[:HALF])
    synced, real = [], os.fsync

    def count(handle):
        synced.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr("server.blobs.os.fsync", count)
    assert await standing(phone, location) == HALF and HALF in synced
    before = len(synced)
    assert await standing(phone, location) == HALF and len(synced) == before


async def test_a_server_killed_after_the_record_drops_the_part_when_asked(world, monkeypatch):
    phone = await ready(world)
    location = await begun(phone)

    def killed(*args):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(Blobs, "drop_part", killed)
        assert (await send(phone, location, 0, PHOTO)).status_code == 500
    assert parts(world) == [PHOTO]
    assert await standing(phone, location) == SIZE and parts(world) == []


async def test_a_whole_photo_that_the_disk_has_lost_is_asked_for_again(world):
    phone = await ready(world)
    await upload(phone)
    Blobs(world.engine.config.blobs).path(SHA).unlink()
    location = await begun(phone)
    assert await standing(phone, location) == 0
    assert (await send(phone, location, 0, PHOTO)).status_code == 204
    assert (await asked(phone)).content == PHOTO


async def test_whatever_is_acknowledged_was_synced_before(world, monkeypatch):
    """For every path, its size when it was last synced: also of the folders that name new files."""
    phone, synced, real = await ready(world), {}, os.fsync
    folder = world.engine.config.blobs

    def fsync(handle):
        real(handle)
        found = os.fstat(handle)
        synced[found.st_ino] = (
            set(os.listdir(handle)) if stat.S_ISDIR(found.st_mode) else (found.st_size)
        )

    monkeypatch.setattr("server.blobs.os.fsync", fsync)
    location = await begun(phone)
    part = folder / "parts" / location[-36:]
    for offset in (0, 50_000):
        await send(phone, location, offset, PHOTO[offset : offset + 50_000])
        assert synced[part.stat().st_ino] == offset + 50_000
        assert synced[part.parent.stat().st_ino] == {part.name}
    await send(phone, location, 100_000, PHOTO[100_000:])
    whole = Blobs(folder).path(SHA)
    assert synced[whole.stat().st_ino] == SIZE
    assert synced[whole.parent.stat().st_ino] == {SHA}
    assert synced[whole.parent.parent.stat().st_ino] == {SHA[:2]}


# --- What others learn --------------------------------------------------------------------------


async def test_another_replica_s_upload_looks_like_one_that_is_not_there(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    location = await begun(phone)
    await send(phone, location, 0, PHOTO[:HALF])
    nowhere = f"/v1/blob/u/{ELSEWHERE}"
    heads = [await world.client.head(at, headers=mate.headers) for at in (location, nowhere)]
    assert heads[0].status_code == 404 and told(heads[0]) == told(heads[1])
    chunks = [await send(mate, at, HALF, PHOTO[HALF:]) for at in (location, nowhere)]
    assert chunks[0].status_code == 404 and told(chunks[0]) == told(chunks[1])
    assert parts(world) == [PHOTO[:HALF]]


async def test_announcing_what_somebody_has_uploaded_looks_like_announcing_what_nobody_has(
    world, monkeypatch
):
    phone, other = await ready(world), await world.device("other", "phone")
    await upload(phone)
    news = PHOTO[::-1]
    asked_for = []

    def noting(name, real):
        def noted(txn, kind, *rest):
            asked_for.append((name, kind))
            return real(txn, kind, *rest)

        return noted

    for name in ("get", "find", "put", "delete"):
        monkeypatch.setattr(SqliteTxn, name, noting(name, getattr(SqliteTxn, name)))
    await create(other, sha="1" * 64)  # The first upload after a start looks for old ones.
    seen = []
    for data in (PHOTO, news):
        asked_for.clear()
        began = await create(other, sha=hashlib.sha256(data).hexdigest())
        stood = await world.client.head(began.headers["location"], headers=other.headers)
        some = await send(other, began.headers["location"], 0, data[:HALF])
        last = await send(other, began.headers["location"], HALF, data[HALF:])
        assert (began.headers["upload-offset"], last.status_code) == ("0", 204)
        seen.append(([told(one) for one in (began, stood, some, last)], list(asked_for)))
    assert seen[0] == seen[1]


async def test_half_a_photo_gives_nobody_the_other_half(world):
    """Somebody who names the hash in a row of their own must send every byte to read any."""
    phone, other = await ready(world), await world.device("other", "phone")
    await upload(phone)
    location = await begun(other)
    await send(other, location, 0, PHOTO[: SIZE - 1])
    unknown = await asked(other, "0" * 64)
    assert unknown.status_code == 404 and told(await asked(other)) == told(unknown)
    await send(other, location, SIZE - 1, b"!")
    assert told(await asked(other)) == told(unknown)


async def test_a_photo_that_no_visible_row_names_looks_like_one_that_is_not_there(world):
    phone, other = await ready(world), await world.device("other", "phone")
    await upload(phone)
    await new_login(world.engine, "lead", "a long password", "lead")
    unknown = await asked(other, "0" * 64)
    assert unknown.status_code == 404 and told(await asked(other)) == told(unknown)
    world.client.cookies.set(COOKIE, await sign_in(world.engine, "lead", "a long password", ""))
    desk = [await world.client.get(f"/v1/blob/{sha}") for sha in (SHA, "0" * 64)]
    assert desk[0].status_code == 404 and told(desk[0]) == told(desk[1])


async def test_its_device_reads_a_photo_whatever_became_of_the_words(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    await upload(phone)
    assert (await asked(phone)).content == PHOTO
    fields = {"target": "later", "directive": "d1", "unit": "u1", "round": 1}
    fields |= {"at": world.time(), "kind": "progress", "text": "", "photos": named(SHA)}
    phone.write("feedback.add", 1, Change("create", "feedback", "f1", fields))
    assert (await phone.sync()).verdicts[0].verdict == "held"
    assert (await asked(phone)).content == PHOTO
    assert (await asked(mate)).status_code == 404


def named(*hashes):
    return [{"sha256": sha, "size": SIZE, "type": "image/jpeg", "thumb": ""} for sha in hashes]


async def quarantined(phone, photos):
    """Feedback of a newer app, which this centre keeps for a person to judge."""
    feedback(phone)
    saved = phone.replica.outbox.pop()
    change = saved.mutation.changes[0]
    change = replace(change, fields={**change.fields, "photos": photos})
    newer = replace(saved.mutation, intent="weather.report", schema=99, changes=(change,))
    phone.put(newer)
    verdict = (await phone.sync()).verdicts[0]
    assert (verdict.verdict, verdict.code) == ("quarantined", "newer_version")


async def test_a_photo_of_quarantined_words_is_read_by_their_author_and_those_who_judge(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    other = await world.device("other", "phone")
    await quarantined(phone, named(SHA))
    await upload(phone)
    assert (await asked(mate)).content == PHOTO
    assert (await asked(other)).status_code == 404
    await new_login(world.engine, "lead", "a long password", "lead")
    world.client.cookies.set(COOKIE, await sign_in(world.engine, "lead", "a long password", ""))
    assert (await world.client.get(f"/v1/blob/{SHA}")).content == PHOTO


async def test_quarantined_words_open_no_photo_that_their_own_device_did_not_upload(world):
    phone, other = await ready(world), await world.device("other", "phone")
    mate = await world.device("other", "phone")
    await upload(phone)
    await quarantined(other, named(SHA))
    assert [(await asked(one)).status_code for one in (other, mate)] == [404, 404]


@pytest.mark.parametrize(
    "photos",
    [None, 7, "x", {"sha256": SHA}, [None, 7, SHA, [], {}], [{"sha256": 7}, {"sha256": "\u0000"}]],
)
async def test_words_that_nobody_can_read_name_no_photo_and_break_nothing(world, photos):
    phone, mate = await ready(world), await world.device("phone", "phone")
    await upload(phone)
    await quarantined(phone, photos)
    assert (await asked(mate)).status_code == 404


async def test_unread_words_make_the_centre_look_after_only_so_many_photos(world):
    phone = await ready(world)
    await quarantined(phone, [{"sha256": f"{n:064x}"} for n in range(NAMED_MAX + 1)])
    assert len(await world.engine.store.read(lambda txn: txn.find(NAMES))) == NAMED_MAX


async def test_a_row_whose_words_were_purged_shows_its_photo_to_nobody(world):
    phone, mate = await ready(world), await world.device("phone", "phone")
    feedback(phone)
    await phone.sync()
    await upload(phone)
    assert (await asked(mate)).status_code == 200
    with closing(sqlite3.connect(world.engine.config.database)) as database, database:
        database.create_function("crc", 2, lambda doc, by: row_crc(doc.encode(), None, by, 0))
        database.execute("UPDATE row SET doc=json_remove(doc, '$.fields.photos')")
        edited = "history IS NULL AND doc IS NOT NULL"
        database.execute(f"UPDATE row SET crc=crc(doc, authority) WHERE {edited}")
    assert (await asked(mate)).status_code == 404


# --- The wire -----------------------------------------------------------------------------------


async def test_everybody_is_told_what_this_server_speaks(world):
    answer = await world.client.options("/v1/blob", headers={"Tus-Resumable": "0.2.0"})
    assert answer.status_code == 204 and answer.content == b""
    assert answer.headers["tus-resumable"] == answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,checksum"
    assert answer.headers["tus-checksum-algorithm"] == "sha256"
    assert answer.headers["tus-max-size"] == str(BLOB_BYTES_MAX)


async def test_every_answer_names_the_version_and_is_kept_by_no_cache(world):
    phone = await ready(world)
    began = await create(phone)
    location = began.headers["location"]
    answers = [
        (201, began),
        (200, await world.client.head(location, headers=phone.headers)),
        (204, await send(phone, location, 0, PHOTO[:HALF])),
        (409, await send(phone, location, 0, PHOTO)),
        (460, await send(phone, location, HALF, PHOTO, checksum=b64("nonsense"))),
        (404, await send(phone, f"/v1/blob/u/{ELSEWHERE}", 0, PHOTO)),
        (401, await world.client.head(location)),
        (413, await create(phone, size=BLOB_BYTES_MAX + 1)),
    ]
    for status, answer in answers:
        assert answer.status_code == status
        assert (answer.headers["tus-resumable"], answer.headers["cache-control"]) == (
            "1.0.0",
            "no-store",
        ), status


async def test_another_version_is_refused_before_anything_is_done(world):
    phone = await ready(world)
    location = await begun(phone)
    for method, at in (("POST", "/v1/blob"), ("HEAD", location), ("PATCH", location)):
        headers = {**phone.headers, "Tus-Resumable": "0.2.2"}
        answer = await world.client.request(method, at, headers=headers)
        assert answer.status_code == 412
        assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"


def announced(**headers):
    """The headers of an announcement that would do, with these instead."""
    usual = {
        "Upload-Length": str(SIZE),
        "Upload-Metadata": f"sha256 {b64(SHA)},type {b64('image/jpeg')}",
    }
    given = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    return {name: value for name, value in given.items() if value is not None}


TYPE = f"type {b64('image/jpeg')}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Upload_Length": "1"}, 201),
        ({"Upload_Length": str(BLOB_BYTES_MAX)}, 201),
        ({"Upload_Length": str(BLOB_BYTES_MAX + 1)}, 413),
        ({"Upload_Length": "0"}, 400),
        ({"Upload_Length": None}, 400),
        ({"Upload_Length": None, "Upload_Defer_Length": "1"}, 400),
        *(({"Upload_Length": text}, 400) for text in ("", "-1", "+1", "1.0", "0x10", "1e3", "١")),
        ({"Upload_Length": "9" * 10_000}, 400),
        ({"Upload_Metadata": None}, 400),
        ({"Upload_Metadata": ""}, 400),
        ({"Upload_Metadata": ",,,"}, 400),
        ({"Upload_Metadata": TYPE}, 400),
        ({"Upload_Metadata": f"sha256 {SHA},{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64(SHA)}!,{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64(SHA)[:-1]},{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 照片,{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 /w==,{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64(SHA.upper())},{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64(SHA + chr(10))},{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64('../' * 21 + 'a')},{TYPE}"}, 400),
        ({"Upload_Metadata": f"sha256 {b64(SHA)}"}, 415),
        ({"Upload_Metadata": f"sha256 {b64(SHA)},type {b64('image/svg+xml')}"}, 415),
        ({"Upload_Metadata": f"sha256 {b64(SHA)},{TYPE},filename {b64('x')},empty"}, 201),
        ({"Upload_Metadata": f"sha256 {b64(SHA)},{TYPE},filename {'A' * 100_000}"}, 400),
    ],
)
async def test_an_announcement_is_understood_or_refused_and_never_a_bug(world, headers, status):
    phone = await ready(world)
    given = {name: value.encode() for name, value in announced(**headers).items()}
    answer = await world.client.post("/v1/blob", headers={**phone.headers, **given})
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 1_000
    begun = await world.engine.store.read(lambda txn: txn.find("upload"))
    assert len(begun) == (status == 201)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Content-Type": None}, 415),
        ({"Upload-Offset": None}, 400),
        ({"Upload-Offset": "-0"}, 400),
        ({"Upload-Offset": "9" * 10_000}, 400),
        ({"Upload-Checksum": None}, 400),
        ({"Upload-Checksum": "sha256"}, 460),
        ({"Upload-Checksum": "sha256 照片"}, 460),
        ({"Upload-Checksum": f"sha1 {b64('x')}"}, 400),
        ({"Upload-Checksum": "x" * 100_000}, 400),
    ],
)
async def test_a_chunk_without_what_it_needs_changes_nothing(world, headers, status):
    phone = await ready(world)
    location = await begun(phone)
    digest = base64.b64encode(hashlib.sha256(PHOTO).digest()).decode()
    usual = {
        **phone.headers,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "0",
        "Upload-Checksum": f"sha256 {digest}",
    }
    given = {name: value.encode() for name, value in (usual | headers).items() if value is not None}
    answer = await world.client.patch(location, content=PHOTO, headers=given)
    assert answer.status_code == status, answer.text
    assert await standing(phone, location) == 0 and parts(world) == []


async def test_a_chunk_is_at_most_a_mebibyte(world):
    phone, data = await ready(world), bytes(BLOB_CHUNK_BYTES_MAX + 1)
    location = await begun(phone, sha=hashlib.sha256(data).hexdigest(), size=len(data))
    assert (await send(phone, location, 0, data)).status_code == 413
    assert await standing(phone, location) == 0
    assert (await send(phone, location, 0, data[:-1])).status_code == 204
    assert (await send(phone, location, len(data) - 1, data[-1:])).status_code == 204

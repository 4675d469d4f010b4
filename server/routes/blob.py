"""`/v1/blob`: photos in resumable chunks, on the wire of tus 1.0 (core, creation, checksum)."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from schema.codes import Code
from schema.versions import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES_MAX
from server.accounts import COMMAND, current_user
from server.blobs import (
    Blobs,
    Holding,
    Reader,
    Upload,
    begin,
    check_upload,
    note_whole,
    readable,
)
from server.device import Device
from server.errors import Fault
from server.ids import uuid7
from server.routes.auth import device_from, living_device
from server.routes.problems import tell
from server.wire import read_body

VERSION = "1.0.0"
TUS = {"Tus-Resumable": VERSION, "Cache-Control": "no-store"}
CHUNK_TYPE = "application/offset+octet-stream"
METADATA_LENGTH_MAX = 4096
PRECONDITION_FAILED = 412

Endpoint = Callable[[Request], Awaitable[Response]]


def tus(endpoint: Endpoint) -> Endpoint:
    """The endpoint on the wire of tus, whose refusals name the version as its answers do."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        if request.headers.get("tus-resumable", VERSION) != VERSION:
            refused = tell(request, Fault(Code.PROTOCOL, VERSION), PRECONDITION_FAILED)
            refused.headers["Tus-Version"] = VERSION
        else:
            try:
                return await endpoint(request)
            except Fault as fault:
                refused = tell(request, fault)
        refused.headers.update(TUS)
        return refused

    return answer


async def options(request: Request) -> Response:
    """OPTIONS /v1/blob: what this server speaks."""
    return Response(
        status_code=204,
        headers={
            **TUS,
            "Tus-Version": VERSION,
            "Tus-Extension": "creation,checksum",
            "Tus-Checksum-Algorithm": "sha256",
            "Tus-Max-Size": str(BLOB_BYTES_MAX),
        },
    )


@tus
async def create(request: Request) -> Response:
    """POST /v1/blob: an upload bound to this device. Uploading the same photo again is harmless."""
    device = await living_device(request)
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    size = _number(request.headers.get("upload-length"), "upload-length")
    sha256, type = metadata.get("sha256", ""), metadata.get("type", "")
    check_upload(sha256, size, type)
    engine = request.app.state.engine
    fresh = Upload(uuid7(engine.clock()), device.replica, sha256, size, type, 0)
    await request.app.state.upload_sweep.now_and_then()
    lacks = request.app.state.blobs.lacks
    mine = await request.app.state.blob_records.write(lambda txn: begin(txn, fresh, lacks))
    async with request.app.state.blobs.lock_of(mine.id):
        offset = await _reached(request, await _own_upload(request, device, mine.id))
    headers = {**TUS, "Location": f"/v1/blob/u/{mine.id}", "Upload-Offset": str(offset)}
    return Response(status_code=201, headers=headers)


@tus
async def stand(request: Request) -> Response:
    """HEAD /v1/blob/u/{id}: how much of the upload is here. All of it: the hash has agreed."""
    device, id = await device_from(request), request.path_params["id"]
    async with request.app.state.blobs.lock_of(id):
        upload = await _own_upload(request, device, id)
        offset = await _reached(request, upload)
    headers = {**TUS, "Upload-Offset": str(offset), "Upload-Length": str(upload.size)}
    return Response(status_code=200, headers=headers)


@tus
async def append(request: Request) -> Response:
    """PATCH /v1/blob/u/{id}: one chunk at its offset. At the full length the hash has agreed."""
    device, id = await device_from(request), request.path_params["id"]
    await _own_upload(request, device, id)
    if request.headers.get("content-type") != CHUNK_TYPE:
        raise Fault(Code.UNSUPPORTED, CHUNK_TYPE)
    offset = _number(request.headers.get("upload-offset"), "upload-offset")
    chunk = await read_body(request, BLOB_CHUNK_BYTES_MAX)
    _check_sum(request.headers.get("upload-checksum", ""), chunk)
    async with request.app.state.blobs.lock_of(id):
        upload = await _own_upload(request, device, id)  # Another tab may have ended it meanwhile.
        reached = await _reached(request, upload)
        if reached == upload.size:
            raise Fault(Code.UPLOAD_OFFSET, str(reached))
        reached = await asyncio.to_thread(request.app.state.blobs.append, upload, offset, chunk)
        if reached == upload.size:
            await _finish(request, upload)
    return Response(status_code=204, headers={**TUS, "Upload-Offset": str(reached)})


async def _reached(request: Request, upload: Upload) -> int:
    """The upload's offset. Bytes that were complete when something failed are made a blob now."""
    blobs: Blobs = request.app.state.blobs
    if upload.offset == upload.size and await _is_sound(request, upload.sha256):
        await asyncio.to_thread(blobs.drop_part, upload.id)
        return upload.size
    reached = await asyncio.to_thread(blobs.stands, upload.id)
    if reached < upload.size:
        return reached
    try:
        await _finish(request, upload)
    except Fault:
        return 0
    return upload.size


async def _is_sound(request: Request, sha256: str) -> bool:
    return await asyncio.to_thread(request.app.state.blobs.look, sha256) is Holding.SOUND


async def _finish(request: Request, upload: Upload) -> None:
    """The blob is whole on disk first; only then does a record name it, and the part goes."""
    blobs: Blobs = request.app.state.blobs
    await asyncio.to_thread(blobs.finish, upload)
    await request.app.state.blob_records.write(lambda txn: note_whole(txn, upload))
    await asyncio.to_thread(blobs.drop_part, upload.id)


async def fetch(request: Request) -> Response:
    """GET /v1/blob/{sha256}: a photo, for devices and people who may read a row that names it.

    Fault `not_found` alike for what is not there and for what they may not see; `blob_damaged` for
    bytes that the disk has altered, of which none is sent.
    """
    reader = await _reader(request)
    sha256 = request.path_params["sha256"]
    blob = await request.app.state.engine.store.read(lambda txn: readable(txn, sha256, reader))
    blobs: Blobs = request.app.state.blobs
    if blob is None:
        raise Fault(Code.NOT_FOUND)
    holding = await asyncio.to_thread(blobs.look, sha256)
    if holding is Holding.ABSENT:
        raise Fault(Code.NOT_FOUND)
    if holding is Holding.DAMAGED:
        raise Fault(Code.BLOB_DAMAGED, sha256)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(blobs.path(sha256), media_type=blob["type"], headers=headers)


async def _reader(request: Request) -> Reader:
    if "authorization" in request.headers:
        device = await living_device(request)
        return Reader(device.granted, device.replica)
    user = await current_user(request.app.state.engine, request)
    if user is None:
        raise Fault(Code.UNAUTHENTICATED)
    return Reader(None if user.roles & COMMAND else ())


async def _own_upload(request: Request, device: Device, id: str) -> Upload:
    """The device's own upload as it is recorded. Fault `not_found` for anybody else's.

    Also for one that was whole and is not here any more: it begins anew.
    """
    doc = await request.app.state.engine.store.look(lambda txn: txn.get("upload", id))
    if doc is None or doc["replica"] != device.replica:
        raise Fault(Code.NOT_FOUND)
    upload = Upload(**doc)
    if request.app.state.blobs.lacks(upload):
        raise Fault(Code.NOT_FOUND)
    return upload


def _metadata(header: str) -> dict[str, str]:
    found = {}
    try:
        if len(header) > METADATA_LENGTH_MAX:
            raise ValueError
        for pair in filter(None, header.split(",")):
            key, _, value = pair.strip().partition(" ")
            found[key] = base64.b64decode(value, validate=True).decode()
    except ValueError:
        raise Fault(Code.BAD_REQUEST, "upload-metadata") from None
    return found


def _number(text: str | None, name: str) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Fault(Code.BAD_REQUEST, name)
    return int(text)


def _check_sum(header: str, chunk: bytes) -> None:
    algorithm, _, value = header.partition(" ")
    if algorithm != "sha256":
        raise Fault(Code.BAD_REQUEST, "upload-checksum")
    if base64.b64encode(hashlib.sha256(chunk).digest()).decode() != value.strip():
        raise Fault(Code.UPLOAD_CHECKSUM)


routes = [
    Route("/v1/blob", create, methods=["POST"]),
    Route("/v1/blob", options, methods=["OPTIONS"]),
    Route("/v1/blob/u/{id}", stand, methods=["HEAD"]),
    Route("/v1/blob/u/{id}", append, methods=["PATCH"]),
    Route("/v1/blob/{sha256}", fetch, methods=["GET"]),
]

"""`/v1/blob`: photos in resumable chunks, on the wire of tus 1.0 (core, creation, checksum)."""

import asyncio
import base64
import binascii
import hashlib

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from schema.codes import Code
from schema.versions import BLOB_BYTES_MAX, BLOB_CHUNK_BYTES_MAX
from server.accounts import COMMAND, current_user
from server.blobs import Blobs, Upload, begin, check_upload, note_whole, readable
from server.errors import Fault
from server.ids import uuid7
from server.routes.auth import device_from, living_device
from server.wire import read_body

TUS = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}
CHUNK_TYPE = "application/offset+octet-stream"


async def options(request: Request) -> Response:
    """OPTIONS /v1/blob: what this server speaks."""
    return Response(
        status_code=204,
        headers={
            **TUS,
            "Tus-Version": "1.0.0",
            "Tus-Extension": "creation,checksum",
            "Tus-Checksum-Algorithm": "sha256",
            "Tus-Max-Size": str(BLOB_BYTES_MAX),
        },
    )


async def create(request: Request) -> Response:
    """POST /v1/blob: an upload bound to this device. Uploading the same photo again is harmless."""
    device = await living_device(request)
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    size = _number(request.headers.get("upload-length"), "upload-length")
    sha256, type = metadata.get("sha256", ""), metadata.get("type", "")
    check_upload(sha256, size, type)
    engine = request.app.state.engine
    upload = Upload(uuid7(engine.clock()), device.replica, sha256, size, type, 0)
    await request.app.state.upload_sweep.now_and_then()
    mine = await engine.store.write(lambda txn: begin(txn, upload))
    location = f"/v1/blob/u/{mine.id}"
    offset = str(_offset(request.app.state.blobs, mine))
    return Response(status_code=201, headers={**TUS, "Location": location, "Upload-Offset": offset})


def _offset(blobs: Blobs, upload: Upload) -> int:
    return upload.size if upload.offset == upload.size else blobs.size_of_part(upload.id)


async def stand(request: Request) -> Response:
    """HEAD /v1/blob/u/{id}: how much of the upload is here."""
    upload = await _own_upload(request)
    offset = _offset(request.app.state.blobs, upload)
    headers = {**TUS, "Upload-Offset": str(offset), "Upload-Length": str(upload.size)}
    return Response(status_code=200, headers=headers)


async def append(request: Request) -> Response:
    """PATCH /v1/blob/u/{id}: one chunk at its offset. At the full length the hash has agreed."""
    upload = await _own_upload(request)
    if request.headers.get("content-type") != CHUNK_TYPE:
        raise Fault(Code.UNSUPPORTED, CHUNK_TYPE)
    offset = _number(request.headers.get("upload-offset"), "upload-offset")
    chunk = await read_body(request, BLOB_CHUNK_BYTES_MAX)
    _check_sum(request.headers.get("upload-checksum", ""), chunk)
    blobs: Blobs = request.app.state.blobs
    async with request.app.state.upload_locks.of(upload.id):
        if upload.offset == upload.size:
            raise Fault(Code.UPLOAD_OFFSET, str(upload.size))
        reached = await asyncio.to_thread(blobs.append, upload, offset, chunk)
        if reached == upload.size:
            await _finish(request, blobs, upload)
    return Response(status_code=204, headers={**TUS, "Upload-Offset": str(reached)})


async def _finish(request: Request, blobs: Blobs, upload: Upload) -> None:
    """The blob is whole on disk first; only then does a record name it."""
    await asyncio.to_thread(blobs.finish, upload)
    await request.app.state.engine.store.write(lambda txn: note_whole(txn, upload))


async def fetch(request: Request) -> Response:
    """GET /v1/blob/{sha256}: a photo, for devices and people who may read a row that names it.

    Fault `not_found` alike for what is not there and for what they may not see.
    """
    scopes = await _scopes(request)
    sha256 = request.path_params["sha256"]
    blob = await request.app.state.engine.store.read(lambda txn: readable(txn, sha256, scopes))
    blobs: Blobs = request.app.state.blobs
    if blob is None or not blobs.has(sha256):
        raise Fault(Code.NOT_FOUND)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(blobs.path(sha256), media_type=blob["type"], headers=headers)


async def _scopes(request: Request) -> tuple[str, ...] | None:
    if "authorization" in request.headers:
        return (await living_device(request)).scopes
    user = await current_user(request.app.state.engine, request)
    if user is None:
        raise Fault(Code.UNAUTHENTICATED)
    return None if user.roles & COMMAND else ()


async def _own_upload(request: Request) -> Upload:
    device = await device_from(request)
    id = request.path_params["id"]
    doc = await request.app.state.engine.store.read(lambda txn: txn.get("upload", id))
    if doc is None or doc["replica"] != device.replica:
        raise Fault(Code.NOT_FOUND)
    return Upload(**doc)


def _metadata(header: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, header.split(",")):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
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

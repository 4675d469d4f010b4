"""`/v1/sync`, what belongs to it, and `/v1/fleet`: who is behind."""

import gzip

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schema.codes import Code
from schema.roles import CENTRE_ROLES
from schema.versions import PUSH_BYTES_MAX
from schema.wire import LateRequest, SyncRequest
from server.accounts import current_user
from server.errors import Fault
from server.late import take_late
from server.routes.auth import device_from, living_device
from server.wire import json_response, read_message

GZIP = "application/gzip"
IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}


async def sync(request: Request) -> Response:
    """POST /v1/sync: verdicts for what was pushed, pages of what is new.

    A revoked device may still push: its words are quarantined, and it pulls nothing.
    """
    device = await device_from(request)
    message = await read_message(request, SyncRequest, PUSH_BYTES_MAX)
    return json_response(await request.app.state.engine.sync(device, message))


async def snapshot(request: Request) -> Response:
    """GET /v1/snap/{sha256}: one part of a snapshot, as gzip whose hash is its name.

    With `Accept: application/json`, the rows unpacked, for devices that cannot unpack them.
    """
    device = await living_device(request)
    data = await request.app.state.engine.snapshot(device, request.path_params["sha256"])
    plain = request.headers.get("accept") == "application/json"
    body, kind = (gzip.decompress(data), "application/json") if plain else (data, GZIP)
    return Response(body, headers=IMMUTABLE, media_type=kind)


async def late(request: Request) -> Response:
    """POST /v1/late: the last words of a device that may not sign in; a person judges them."""
    message = await read_message(request, LateRequest, PUSH_BYTES_MAX)
    address = request.client.host if request.client else ""
    return json_response(await take_late(request.app.state.engine, message, address))


async def fleet(request: Request) -> Response:
    """GET /v1/fleet: every device's last contact, outbox and lag, for people at the centre."""
    user = await current_user(request.app.state.engine, request)
    if user is None:
        raise Fault(Code.UNAUTHENTICATED)
    if not user.roles & CENTRE_ROLES:
        raise Fault(Code.FORBIDDEN)
    return json_response(request.app.state.engine.fleet())


routes = [
    Route("/v1/sync", sync, methods=["POST"]),
    Route("/v1/snap/{sha256}", snapshot, methods=["GET"]),
    Route("/v1/late", late, methods=["POST"]),
    Route("/v1/fleet", fleet, methods=["GET"]),
]

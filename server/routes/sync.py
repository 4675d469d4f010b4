"""`/v1/sync` and `/v1/fleet`: one round trip of push and pull, and who is behind."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schema.codes import Code
from schema.roles import CENTRE_ROLES
from schema.versions import PROTOCOL_VERSION, PUSH_BYTES_MAX
from schema.wire import SyncRequest
from server.accounts import current_user
from server.errors import Fault
from server.routes.auth import device_from
from server.wire import json_response, read_message


async def sync(request: Request) -> Response:
    """POST /v1/sync: verdicts for what was pushed, pages of what is new.

    A revoked device may still push: its words are quarantined, and it pulls nothing.
    """
    device = await device_from(request)
    message = await read_message(request, SyncRequest, PUSH_BYTES_MAX)
    if message.protocol > PROTOCOL_VERSION:
        raise Fault(Code.PROTOCOL, str(PROTOCOL_VERSION))
    return json_response(await request.app.state.engine.sync(device, message))


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
    Route("/v1/fleet", fleet, methods=["GET"]),
]

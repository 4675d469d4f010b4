"""How a device becomes a replica, and the one constant answer that tells it TLS is trusted."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schema.versions import PROTOCOL_VERSION
from schema.wire import EnrolRequest
from server.accounts import enrol
from server.wire import json_response, read_message

ENROL_BYTES_MAX = 4_096


async def enrol_device(request: Request) -> Response:
    """POST /v1/enrol: a code and a key for a replica id and a token."""
    message = await read_message(request, EnrolRequest, ENROL_BYTES_MAX)
    address = request.client.host if request.client else ""
    return json_response(await enrol(request.app.state.engine, message, address))


async def hello(request: Request) -> Response:
    """GET /v1/hello: the same few bytes for everyone, readable from the trust page."""
    answer = json_response({"lingda": PROTOCOL_VERSION})
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


routes = [
    Route("/v1/enrol", enrol_device, methods=["POST"]),
    Route("/v1/hello", hello, methods=["GET"]),
]

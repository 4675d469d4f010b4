"""Bytes in, messages out: bounded bodies, gzip both ways, one JSON encoder."""

import zlib
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from server.errors import Fault

T = TypeVar("T")

encode = msgspec.json.encode


def json_response(message: Any, status: int = 200) -> Response:
    """A message as JSON that no cache keeps."""
    return Response(
        encode(message), status, {"Cache-Control": "no-store"}, media_type="application/json"
    )


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, unpacked when it is gzip. Fault `too_large` above `bytes_max`."""
    packed = request.headers.get("content-encoding") == "gzip"
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
    parts, size = [], 0
    async for chunk in request.stream():
        try:
            part = unpack.decompress(chunk, bytes_max + 1 - size) if unpack else chunk
        except zlib.error:
            raise Fault(Code.BAD_REQUEST, "gzip") from None
        size += len(part)
        if size > bytes_max:
            raise Fault(Code.TOO_LARGE, str(bytes_max))
        parts.append(part)
    return b"".join(parts)


async def read_message(request: Request, kind: type[T], bytes_max: int) -> T:
    """The body as a message of this kind. Fault `bad_request` names what is wrong with it."""
    body = await read_body(request, bytes_max)
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise Fault(Code.BAD_REQUEST, str(error)[:200]) from None

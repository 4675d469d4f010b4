"""How faults are told to devices: status, code and both sentences, as JSON."""

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from server.errors import Fault, problem
from server.wire import json_response

log = structlog.get_logger()

BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD, 413: Code.TOO_LARGE, 403: Code.FORBIDDEN}


async def on_fault(request: Request, error: Exception) -> Response:
    """Answer a Fault with its status, code and both sentences."""
    assert isinstance(error, Fault)
    return json_response(problem(error.code, error.detail), error.status)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such path, method or size."""
    assert isinstance(error, HTTPException)
    code = BY_STATUS.get(error.status_code, Code.BAD_REQUEST)
    return json_response(problem(code), error.status_code)


async def on_bug(request: Request, error: Exception) -> Response:
    """Log what we did not expect, once; tell the person only that it was not their fault."""
    log.error("bug", path=request.url.path, exc_info=error)
    return json_response(problem(Code.INTERNAL), 500)

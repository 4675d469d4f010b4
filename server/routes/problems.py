"""How faults are told: as JSON with a code and both sentences, as a page below `/desk`."""

import errno
import sqlite3

import psycopg
import structlog
from psycopg.errors import DiskFull
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from server.errors import Fault, problem
from server.store.protocol import Damaged
from server.web.session import problem_page
from server.wire import json_response

log = structlog.get_logger()

BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD, 413: Code.TOO_LARGE, 403: Code.FORBIDDEN}
DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
SQLITE_TROUBLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
SQLITE_SAYS = ("database or disk is full", "disk i/o error")
PRIMARY_CODE = 0xFF
"""SQLite tells in the higher bits which of several ways it failed."""


async def on_fault(request: Request, error: Exception) -> Response:
    """Answer a Fault with its status, code and both sentences."""
    assert isinstance(error, Fault)
    return tell(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such path, method or size."""
    assert isinstance(error, HTTPException)
    fault = Fault(BY_STATUS.get(error.status_code, Code.BAD_REQUEST))
    return tell(request, fault, error.status_code)


def on_bug(request: Request, error: Exception) -> Response:
    """Log what we did not expect, once; tell the person only that it was not their fault."""
    log.error("bug", path=request.url.path, exc_info=error)
    return tell(request, fault_of(error))


def fault_of(error: Exception) -> Fault:
    """What a person is told of an error that is none of theirs."""
    if isinstance(error, Damaged):
        return Fault(Code.DAMAGED, error.args[0])
    if is_disk_trouble(error):
        return Fault(Code.STORAGE)
    return Fault(Code.STORE_DOWN if isinstance(error, psycopg.OperationalError) else Code.INTERNAL)


def is_disk_trouble(error: Exception) -> bool:
    """True when the disk is full or cannot be written: an administrator can mend that."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
        return code in SQLITE_TROUBLE or str(error).lower().startswith(SQLITE_SAYS)
    if isinstance(error, DiskFull | psycopg.errors.IoError):
        return True
    return isinstance(error, OSError) and error.errno in DISK_TROUBLE


def tell(request: Request, fault: Fault, status: int = 0) -> Response:
    """The fault in the form that who asked can read."""
    path = request.url.path
    if path == "/desk" or path.startswith("/desk/"):
        return problem_page(request, fault, status)
    return json_response(problem(fault.code, fault.detail), status or fault.status)

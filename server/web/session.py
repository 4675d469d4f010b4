"""Who may see the web view: sign-in, sign-out, language, and the guard round every page."""

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import wraps
from urllib.parse import quote, urlsplit

from msgspec import Struct
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from schema.codes import Code
from schema.roles import CENTRE_ROLES, Role
from schema.words import LANGUAGES
from server.accounts import (
    COMMAND,
    COOKIE,
    bake_cookie,
    check_csrf,
    clear_cookie,
    current_user,
    sign_in,
    sign_out,
)
from server.errors import Fault
from server.web.render import HEADERS, LANGUAGE_COOKIE, back_to, is_fragment, page

Handler = Callable[[Request], Awaitable[Response]]

LOGIN_COOKIE = "lingda_form"
YEAR_S = 365 * 86_400
ORDERS = "/desk/directives/"
TOO_MUCH = re.compile("Too many|exceeded")
"""What Starlette says of forms that have more fields than they may, or longer ones."""


class Room(Struct, frozen=True):
    """How large a form may be. A stranger's is read too, so it is bounded before all else."""

    bytes_max: int
    fields_max: int


ROOM = Room(64 * 1024, 200)
ORDER_ROOM = Room(256 * 1024, 1_000)
"""An order may go to every unit of the register, and its recall tells two things of each."""


def desk(roles: frozenset[Role] = COMMAND) -> Callable[[Handler], Handler]:
    """A page for these roles: sign-in first, CSRF on every POST, faults said in words."""

    def guard(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: Request) -> Response:
            user = await current_user(request.app.state.engine, request)
            if user is None:
                return _to_login(request)
            request.state.user = user
            try:
                if not user.roles & roles:
                    raise Fault(Code.FORBIDDEN)
                if request.method == "POST":
                    check_csrf(user, str((await form_of(request)).get("csrf", "")))
                return await handler(request)
            except Fault as fault:
                return problem_page(request, fault)

        return guarded

    return guard


async def form_of(request: Request) -> FormData:
    """The form of this request, read once. Fault `too_large` beyond its room, however it comes."""
    if not hasattr(request.state, "form"):
        orders = request.url.path.startswith(ORDERS)
        request.state.form = await _read_form(request, ORDER_ROOM if orders else ROOM)
    form: FormData = request.state.form
    return form


async def _read_form(request: Request, room: Room) -> FormData:
    bounded = Request(request.scope, _bounded(request.receive, room.bytes_max))
    try:
        return await bounded.form(
            max_files=0, max_fields=room.fields_max, max_part_size=room.bytes_max
        )
    except HTTPException as error:
        too_much = TOO_MUCH.search(error.detail)
        raise Fault(Code.TOO_LARGE if too_much else Code.BAD_REQUEST) from None


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    """The same body, until it is longer than it may be."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > bytes_max:
            raise Fault(Code.TOO_LARGE, f"{bytes_max // 1024} KB")
        return message

    return counted


def _to_login(request: Request) -> Response:
    if is_fragment(request) or request.method != "GET":
        return problem_page(request, Fault(Code.UNAUTHENTICATED))
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return back_to(f"/desk/login?next={quote(path, safe='')}")


def problem_page(request: Request, fault: Fault, status: int = 0) -> Response:
    """What went wrong and what to do, in the reader's words. Needs neither a session nor a disk."""
    view = {"code": str(fault.code), "detail": fault.detail}
    return page(request, "problem.html", status or fault.status, **view)


def safe_next(target: str) -> str:
    """Where to go after sign-in: only a page of our own."""
    parts = urlsplit(target)
    own = not parts.scheme and not parts.netloc and target.startswith("/desk")
    return target if own and "\\" not in target else "/desk"


async def login(request: Request) -> Response:
    """The form; a POST with the right name and password opens a session."""
    if request.method == "GET":
        return _login_form(request, safe_next(request.query_params.get("next", "")))
    try:
        form = await form_of(request)
    except Fault as fault:
        return _login_form(request, safe_next(""), fault)
    target = safe_next(str(form.get("next", "")))
    name = str(form.get("login", ""))
    try:
        _check_login_form(request, str(form.get("csrf", "")))
        address = request.client.host if request.client else ""
        token = await sign_in(
            request.app.state.engine, name, str(form.get("password", "")), address
        )
    except Fault as fault:
        return _login_form(request, target, fault, name)
    response = back_to(target)
    bake_cookie(response, token, secure=request.url.scheme == "https")
    response.delete_cookie(LOGIN_COOKIE)
    return response


def _check_login_form(request: Request, token: str) -> None:
    """No session yet: the form must carry what this browser's own cookie carries."""
    kept = request.cookies.get(LOGIN_COOKIE, "")
    if not kept or not hmac.compare_digest(kept.encode(), token.encode()):
        raise Fault(Code.CSRF)


def _login_form(
    request: Request, target: str, fault: Fault | None = None, name: str = ""
) -> Response:
    token = request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(24)
    view = {"csrf": token, "next": target, "fault": fault, "login": name}
    response = page(request, "login.html", fault.status if fault else 200, **view)
    secure = request.url.scheme == "https"
    response.set_cookie(LOGIN_COOKIE, token, httponly=True, samesite="strict", secure=secure)
    if fault and fault.code == Code.RATE_LIMITED:
        response.headers["Retry-After"] = str(fault.detail)
    return response


@desk(CENTRE_ROLES)
async def logout(request: Request) -> Response:
    """End the session here and in the browser."""
    await sign_out(request.app.state.engine, request.cookies.get(COOKIE, ""))
    response = back_to("/desk/login")
    clear_cookie(response)
    return response


async def set_language(request: Request) -> Response:
    """Remember the language and go back to the page; harmless to anyone, so a plain link."""
    chosen = request.query_params.get("to", "")
    response = back_to(safe_next(request.query_params.get("next", "")))
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR_S, samesite="lax")
    response.headers.update(HEADERS)
    return response

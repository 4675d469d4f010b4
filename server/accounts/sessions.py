"""Passwords and server-side sessions of the web view, and what guards its forms."""

import hmac
import secrets
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from schema.codes import Code
from schema.versions import MINUTE_MS
from server.accounts.limits import Limits, limits_of
from server.accounts.people import person_row, roles_of, unit_of
from server.accounts.tokens import Random, digest, new_secret
from server.device import WebUser
from server.errors import Fault
from server.ids import uuid7
from server.store.protocol import Doc, Read, Txn

if TYPE_CHECKING:
    from server.engine import Engine

COOKIE = "lingda_session"
SESSION_MS = 24 * 60 * MINUTE_MS
"""A whole duty shift with its hand-over."""

PASSWORD_CHARS_MAX = 256
LOGIN_CHARS_MAX = 64

_hasher = PasswordHasher()


@cache
def _nobody() -> str:
    """What a password is compared with when there is no such login, so that it takes as long."""
    return _hasher.hash(secrets.token_hex(16))


def plain_login(login: str) -> str:
    return login.strip().casefold()[:LOGIN_CHARS_MAX]


async def new_login(engine: "Engine", login: str, password: str, actor: str) -> None:
    """Afterwards `login` and this password alone sign in as `actor`; older sessions have ended."""
    hashed = await anyio.to_thread.run_sync(
        _hasher.hash, password, limiter=limits_of(engine).hashing
    )
    now = engine.clock()

    def work(txn: Txn) -> None:
        txn.put("login", plain_login(login), {"actor": actor, "hash": hashed, "created": now})
        for key, session in txn.find("session").items():
            if session["actor"] == actor:
                txn.delete("session", key)

    await engine.store.write(work)


async def sign_in(
    engine: "Engine",
    login: str,
    password: str,
    address: str,
    random: Random = secrets.token_bytes,
) -> str:
    """A new session's cookie token. Fault `login` for a wrong name and a wrong password alike."""
    name, limits, now = plain_login(login), limits_of(engine), engine.clock()
    _take_turn(limits, f"{name} {address}", address, now)
    doc = await engine.store.read(lambda read: read.get("login", name))
    right = await anyio.to_thread.run_sync(_matches, doc, password, limiter=limits.hashing)
    if doc is None or not right:
        raise Fault(Code.LOGIN)
    limits.login.forget(f"{name} {address}")
    limits.login_address.give_back(address)
    token = new_secret(random)
    session = {
        "id": uuid7(now),
        "actor": doc["actor"],
        "csrf": new_secret(random),
        "created": now,
        "expires": now + SESSION_MS,
    }
    await engine.store.write(lambda txn: _begin(txn, digest(token), session))
    return token


def _take_turn(limits: Limits, key: str, address: str, now: int) -> None:
    """Count one try. One that is refused here costs neither the login nor its neighbours a try."""
    limits.login.take(key, now)
    try:
        limits.login_address.take(address, now)
    except Fault:
        limits.login.give_back(key)
        raise


def _matches(doc: Doc | None, password: str) -> bool:
    try:
        return _hasher.verify(doc["hash"] if doc else _nobody(), password[:PASSWORD_CHARS_MAX])
    except (VerificationError, InvalidHashError):
        return False


def _begin(txn: Txn, key: str, session: Doc) -> None:
    """Store the session, and drop those that have ended."""
    for old, doc in txn.find("session").items():
        if doc["expires"] <= session["created"]:
            txn.delete("session", old)
    txn.put("session", key, session)


async def sign_out(engine: "Engine", token: str) -> None:
    """Afterwards the token is worth nothing. Signing out twice is harmless."""
    await engine.store.write(lambda txn: txn.delete("session", digest(token)))


async def current_user(engine: "Engine", connection: HTTPConnection) -> WebUser | None:
    """The person behind the cookie of a request or WebSocket; None without a living session."""
    token = connection.cookies.get(COOKIE, "")
    if not token:
        return None
    now = engine.clock()
    return await engine.store.look(lambda read: _user(read, digest(token), now))


def _user(read: Read, key: str, now: int) -> WebUser | None:
    session = read.get("session", key)
    if session is None or session["expires"] <= now:
        return None
    person = person_row(read, session["actor"])
    if person is None:
        return None
    return WebUser(
        person.id,
        person.fields["name"],
        unit_of(person),
        roles_of(person),
        session["id"],
        session["csrf"],
    )


def bake_cookie(response: Response, token: str, secure: bool) -> None:
    """Hand the token to the browser: no script reads it, no other site sends it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_MS // 1000,
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def clear_cookie(response: Response) -> None:
    """Take the token from the browser."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def check_csrf(user: WebUser, value: str | None) -> None:
    """Fault `csrf` unless the form carries the token of this session."""
    if not hmac.compare_digest(user.csrf.encode(), (value or "").encode()):
        raise Fault(Code.CSRF)


def check_origin(connection: HTTPConnection) -> None:
    """Fault `origin` unless a page of this very host and port sent the request or WebSocket."""
    origin = urlsplit(connection.headers.get("origin", ""))
    host = connection.headers.get("host", "")
    if origin.scheme not in ("http", "https") or not host or origin.netloc != host:
        raise Fault(Code.ORIGIN)

"""Sign-in, sessions and their guards; enrolment codes and the devices they make."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import Type, extract_parameters
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.roles import Role
from schema.wire import Change, EnrolReply, EnrolRequest
from server.accounts import (
    COOKIE,
    bake_cookie,
    check_csrf,
    check_origin,
    current_user,
    device_of,
    enrol,
    new_code,
    new_login,
    sign_in,
    sign_out,
)
from server.accounts.enrolment import CODE_MS
from server.accounts.limits import KEYS_MAX, RateLimit, Slowdown
from server.accounts.sessions import SESSION_MS
from server.accounts.tokens import CODE_ALPHABET, new_code_text
from server.app import build_app
from server.config import Config
from server.engine import Engine
from server.errors import Fault
from server.node import b64url
from server.store.sqlite import open_store
from tests.passwords import AS_SERVED, checked_by


class TestClock:
    """A clock that moves only when told to."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="module", autouse=True)
def passwords_as_served() -> Iterator[None]:
    """Here, and in no other test, a password costs what it costs in earnest."""
    with checked_by(AS_SERVED):
        yield


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def engine(tmp_path: Path, clock: TestClock) -> AsyncIterator[Engine]:
    config = Config(data=tmp_path, centre="test", centre_name="Test centre")
    engine = await Engine.open(await open_store(config.database, config.centre), clock, config)
    unit = {"code": "U", "name": "Unit", "tier": "T1", "category": "1.2"}
    people = [
        person("lead", None, ["dispatcher", "shift_lead"]),
        person("field", "U", ["responder"]),
        person("desk", "U", ["duty"]),
    ]
    verdict = await engine.load([Change("create", "unit", "U", unit), *people])
    assert verdict.verdict == "applied", verdict
    await new_login(engine, "Lead", "correct horse", "lead")
    yield engine
    await engine.close()


def person(id: str, unit: str | None, roles: list[str]) -> Change:
    return Change("create", "person", id, {"name": id, "unit": unit, "roles": roles})


def new_key() -> str:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.UncompressedPoint
    return b64url(point.public_bytes(serialization.Encoding.X962, form))


def asking(**headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


def with_cookie(token: str) -> Request:
    return asking(cookie=f"{COOKIE}={token}")


async def code_of(awaitable: object) -> Code:
    with pytest.raises(Fault) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.code


# --- Passwords and sessions ---------------------------------------------------------------------


async def test_the_right_password_opens_a_session_of_that_person(engine):
    token = await sign_in(engine, " lead ", "correct horse", "10.0.0.1")
    user = await current_user(engine, with_cookie(token))
    assert (user.actor, user.unit) == ("lead", None)
    assert user.roles == {Role.DISPATCHER, Role.SHIFT_LEAD}
    assert token not in (user.session, user.csrf)


async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(engine):
    wrong_password = await code_of(sign_in(engine, "lead", "nope", "10.0.0.1"))
    wrong_name = await code_of(sign_in(engine, "nobody", "nope", "10.0.0.1"))
    assert wrong_password == wrong_name == Code.LOGIN


async def test_an_unknown_login_costs_a_full_password_check(engine, monkeypatch):
    from server.accounts import sessions

    checked = []
    verify = type(sessions._hasher).verify
    monkeypatch.setattr(
        type(sessions._hasher),
        "verify",
        lambda self, hash, password: checked.append(hash) or verify(self, hash, password),
    )
    await code_of(sign_in(engine, "nobody", "nope", "10.0.0.1"))
    await code_of(sign_in(engine, "lead", "nope", "10.0.0.1"))
    stored = await engine.store.read(lambda read: read.get("login", "lead"))
    unknown, known = checked
    assert known == stored["hash"]
    assert unknown.rsplit("$", 2)[0] == known.rsplit("$", 2)[0]  # The same cost parameters.


async def test_guessing_is_slowed_per_login_and_address_and_ends_with_time(engine, clock):
    for _ in range(5):
        assert await code_of(sign_in(engine, "lead", "nope", "10.0.0.1")) == Code.LOGIN
    right = sign_in(engine, "lead", "correct horse", "10.0.0.1")
    assert await code_of(right) == Code.RATE_LIMITED
    assert await sign_in(engine, "lead", "correct horse", "10.0.0.2")
    clock.now += 15_000
    assert await sign_in(engine, "lead", "correct horse", "10.0.0.1")


async def test_a_stolen_database_makes_each_guess_of_a_password_costly(engine):
    """RFC 9106, section 4: the second recommended choice, for where memory is scarce."""
    login = await engine.store.read(lambda read: read.get("login", "lead"))
    kept = extract_parameters(login["hash"])
    assert kept.type is Type.ID
    assert kept.time_cost >= 3 and kept.memory_cost >= 64 * 1024 and kept.salt_len >= 16


def waits(limit, key, now):
    """The seconds that a further try is told to wait."""
    with pytest.raises(Fault) as refused:
        limit.take(key, now)
    return int(refused.value.detail)


def test_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour():
    limit, now, told = Slowdown(), 0, []
    for _ in range(4):
        limit.take("x", now)
    for _ in range(9):
        limit.take("x", now)
        told.append(waits(limit, "x", now))
        now += told[-1] * 1000
    assert told == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    limit.take("x", now + 60 * 60_000)
    limit.take("x", now + 60 * 60_000)


def test_a_try_that_comes_too_early_does_not_make_the_wait_longer():
    limit = Slowdown()
    for _ in range(5):
        limit.take("x", 0)
    assert [waits(limit, "x", at) for at in (0, 5_000, 14_001)] == [15, 10, 1]


async def test_a_login_that_waits_costs_its_neighbours_no_try(engine):
    for _ in range(5):
        await code_of(sign_in(engine, "lead", "nope", "10.0.0.1"))
    for _ in range(60):
        assert await code_of(sign_in(engine, "lead", "nope", "10.0.0.1")) == Code.RATE_LIMITED
    assert await code_of(sign_in(engine, "other", "nope", "10.0.0.1")) == Code.LOGIN


async def test_guesses_made_at_once_are_all_counted(engine):
    tries = [code_of(sign_in(engine, "lead", "nope", "10.0.0.1")) for _ in range(8)]
    assert sorted(await asyncio.gather(*tries)) == [Code.LOGIN] * 5 + [Code.RATE_LIMITED] * 3


def test_the_memory_of_guesses_is_bounded():
    limit = RateLimit(5, 1000)
    for n in range(KEYS_MAX + 10):
        limit.take(str(n), 0)
    assert len(limit._tries) == KEYS_MAX
    slow = Slowdown()
    for n in range(KEYS_MAX + 10):
        slow.take(str(n), 0)
    assert len(slow._failures) == KEYS_MAX


async def test_a_session_ends_by_itself(engine, clock):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    clock.now += SESSION_MS - 1
    assert await current_user(engine, with_cookie(token))
    clock.now += 1
    assert await current_user(engine, with_cookie(token)) is None


async def test_signing_out_ends_the_session_and_may_be_repeated(engine):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    await sign_out(engine, token)
    await sign_out(engine, token)
    assert await current_user(engine, with_cookie(token)) is None


async def test_a_new_password_ends_older_sessions(engine):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    await new_login(engine, "lead", "battery staple", "lead")
    assert await current_user(engine, with_cookie(token)) is None
    assert await code_of(sign_in(engine, "lead", "correct horse", "10.0.0.1")) == Code.LOGIN


async def test_a_changed_role_holds_at_once(engine):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    await engine.load([Change("set", "person", "lead", {"roles": ["admin", "of_tomorrow"]})])
    assert (await current_user(engine, with_cookie(token))).roles == {Role.ADMIN}


async def test_a_removed_person_is_signed_out(engine):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    await engine.load([Change("remove", "person", "lead")])
    assert await current_user(engine, with_cookie(token)) is None


async def test_no_secret_is_stored(engine):
    token = await sign_in(engine, "lead", "correct horse", "10.0.0.1")
    code = await new_code(engine, "field", "phone")
    reply = await enrol(engine, EnrolRequest(code, new_key()))
    kept = await engine.store.read(
        lambda read: str([read.find(kind) for kind in ("login", "session", "code", "replica")])
    )
    secret = reply.token.partition(".")[2]
    for one in (token, code, code.replace("-", ""), secret, "correct horse"):
        assert one not in kept


# --- Guards of forms ----------------------------------------------------------------------------


async def test_a_form_needs_the_token_of_its_own_session(engine):
    mine, other = [
        await current_user(
            engine, with_cookie(await sign_in(engine, "lead", "correct horse", "10.0.0.1"))
        )
        for _ in range(2)
    ]
    check_csrf(mine, mine.csrf)
    for value in (other.csrf, "", None):
        with pytest.raises(Fault) as caught:
            check_csrf(mine, value)
        assert caught.value.code == Code.CSRF


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://10.0.0.9:81"])
def test_another_site_s_request_is_refused(origin):
    with pytest.raises(Fault) as caught:
        check_origin(asking(host="10.0.0.9:80", origin=origin))
    assert caught.value.code == Code.ORIGIN


def test_the_own_page_s_request_is_taken():
    check_origin(asking(host="10.0.0.9:8081", origin="https://10.0.0.9:8081"))


@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_for_this_server_only(secure):
    response = Response()
    bake_cookie(response, "token", secure)
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert ("secure" in cookie.split("; ")) is secure


# --- Enrolment ----------------------------------------------------------------------------------


def test_codes_have_no_look_alikes_and_every_letter_is_as_likely():
    assert not set(CODE_ALPHABET) & set("0O1IL2Z5S8BU")
    assert len(CODE_ALPHABET) ** 10 > 2**45
    every = bytes(range(256))
    drawn = new_code_text(lambda n: every[:n])
    assert drawn == f"{CODE_ALPHABET[:5]}-{CODE_ALPHABET[5:10]}"
    unfair_first = iter([b"\xff" * 10, every])
    assert new_code_text(lambda n: next(unfair_first)[:n]) == drawn


async def test_a_code_makes_a_replica_with_its_scopes(engine):
    code = await new_code(engine, "field", "phone")
    reply = await enrol(engine, EnrolRequest(code.lower().replace("-", " "), new_key(), "Pixel"))
    assert reply.unit_name == "Unit" and reply.centre_name == "Test centre"
    assert reply.roles == ["responder"]
    assert reply.scopes[:3] == ["directory", "unit/U", "actor/field"]
    device = await device_of(engine, reply.token)
    assert (device.replica, device.actor, device.kind) == (reply.replica, "field", "phone")
    assert device.session == reply.session and list(device.scopes) == reply.scopes
    assert device.roles == {Role.RESPONDER} and not device.revoked


async def test_of_two_devices_with_one_code_exactly_one_is_enrolled(engine):
    code = await new_code(engine, "field", "phone")
    both = await asyncio.gather(
        *(enrol(engine, EnrolRequest(code, new_key())) for _ in range(2)), return_exceptions=True
    )
    won = [one for one in both if isinstance(one, EnrolReply)]
    lost = [one for one in both if isinstance(one, Fault)]
    assert len(won) == 1 and [fault.code for fault in lost] == [Code.CODE_USED]
    assert len(await engine.store.read(lambda read: read.find("replica"))) == 1


async def test_a_code_expires(engine, clock):
    code = await new_code(engine, "field", "phone")
    clock.now += CODE_MS
    assert await code_of(enrol(engine, EnrolRequest(code, new_key()))) == Code.CODE_EXPIRED


WRONG_KEYS = {
    "empty": "",
    "short": "AAAA",
    "not ascii": "é",
    "no point": "BP" + "A" * 85,
    "cut": new_key()[:-4],
    "long": new_key() + "A",
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
async def test_a_wrong_key_spends_no_code(engine, key):
    code = await new_code(engine, "field", "phone")
    assert await code_of(enrol(engine, EnrolRequest(code, key))) == Code.KEY
    assert await enrol(engine, EnrolRequest(code, new_key()))


async def test_unknown_codes_are_limited_per_address(engine):
    guess = EnrolRequest("AAAAA-AAAAA", new_key())
    for _ in range(10):
        assert await code_of(enrol(engine, guess, "10.0.0.1")) == Code.CODE_UNKNOWN
    assert await code_of(enrol(engine, guess, "10.0.0.1")) == Code.RATE_LIMITED
    assert await code_of(enrol(engine, guess, "10.0.0.2")) == Code.CODE_UNKNOWN


async def test_a_fleet_behind_one_address_is_not_limited(engine):
    for _ in range(12):
        code = await new_code(engine, "field", "phone")
        assert await enrol(engine, EnrolRequest(code, new_key()), "10.0.0.1")


@pytest.mark.parametrize(
    ("actor", "kind", "why"),
    [
        ("field", "tablet", Code.NO_RIGHT),
        ("lead", "phone", Code.NO_RIGHT),
        ("nobody", "phone", Code.NOT_FOUND),
        ("field", "fridge", Code.BAD_REQUEST),
    ],
)
async def test_a_code_is_only_for_a_device_that_the_role_uses(engine, actor, kind, why):
    assert await code_of(new_code(engine, actor, kind)) == why


async def test_a_role_lost_meanwhile_enrols_nothing(engine):
    code = await new_code(engine, "field", "phone")
    await engine.load([Change("set", "person", "field", {"roles": []})])
    assert await code_of(enrol(engine, EnrolRequest(code, new_key()))) == Code.NO_RIGHT


@pytest.fixture
async def browser(engine) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre.test") as client:
        yield client


async def test_a_device_enrols_over_http(engine, browser):
    asked = {"code": await new_code(engine, "field", "phone"), "key": new_key()}
    answer = await browser.post("/v1/enrol", json=asked)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert (await device_of(engine, answer.json()["token"])).actor == "field"
    again = await browser.post("/v1/enrol", json=asked)
    assert (again.status_code, again.json()["code"]) == (409, "code_used")


async def test_an_enrolment_is_small(browser):
    answer = await browser.post("/v1/enrol", json={"code": "A" * 5_000, "key": "k"})
    assert answer.json()["code"] == "too_large"


async def test_the_greeting_is_the_same_for_every_origin_and_tells_nothing(browser):
    answers = [await browser.get("/v1/hello", headers=h) for h in ({}, {"cookie": f"{COOKIE}=x"})]
    assert answers[0].content == answers[1].content == b'{"lingda":2}'
    assert answers[0].headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answers[0].headers


async def test_only_the_token_itself_proves_a_device(engine):
    reply = await enrol(engine, EnrolRequest(await new_code(engine, "field", "phone"), new_key()))
    for token in ("", ".", reply.replica, f"{reply.replica}.", reply.token + "x", "a.b"):
        assert await code_of(device_of(engine, token)) == Code.UNAUTHENTICATED


async def test_a_revoked_device_is_known_as_revoked(engine):
    reply = await enrol(engine, EnrolRequest(await new_code(engine, "desk", "tablet"), new_key()))

    def revoke(txn):
        doc = txn.get("replica", reply.replica)
        txn.put("replica", reply.replica, {**doc, "revoked_at": 1})

    await engine.store.write(revoke)
    assert (await device_of(engine, reply.token)).revoked

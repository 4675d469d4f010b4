"""One-time codes, and the devices that they turn into replicas."""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.scopes import DEVICE_KINDS
from schema.versions import MINUTE_MS
from schema.wire import EnrolReply, EnrolRequest, Row
from server.accounts.limits import limits_of
from server.accounts.people import person_row, roles_of, unit_of
from server.accounts.tokens import Random, digest, new_code_text, new_secret, plain_code, same
from server.device import Device
from server.errors import Fault
from server.holders import note_holder, regranted, standing
from server.ids import uuid7
from server.node import POINT_BYTES, from_b64url, public_key
from server.store.protocol import Doc, Read, Txn

if TYPE_CHECKING:
    from server.engine import Engine

CODE_MS = 24 * 60 * MINUTE_MS
CODE_KEPT_MS = 30 * CODE_MS
"""A used or expired code is remembered this long, so that its holder is told which it is."""

NO_TOKEN = digest("")
DEVICE_CHARS_MAX = 120


class Fresh(Struct, frozen=True):
    """What a new device is given, drawn before the transaction. The token is never stored."""

    replica: str
    session: str
    token: str
    now: int
    centre_name: str


async def new_code(
    engine: "Engine",
    actor: str,
    kind: str,
    lasts_ms: int = CODE_MS,
    random: Random = secrets.token_bytes,
) -> str:
    """A code that enrols one device of this kind for `actor`, once. It is shown only here.

    Fault `not_found` for an unknown person, `no_right` when no role of theirs uses such a device.
    """
    if kind not in DEVICE_KINDS:
        raise Fault(Code.BAD_REQUEST, "kind")
    code, now = new_code_text(random), engine.clock()
    doc = {
        "actor": actor,
        "kind": kind,
        "created": now,
        "expires": now + lasts_ms,
        "used_at": None,
        "replica": None,
    }

    def work(txn: Txn) -> None:
        _entitled(txn, actor, kind)
        for key, old in txn.find("code").items():
            if old["expires"] + CODE_KEPT_MS < now:
                txn.delete("code", key)
        txn.put("code", digest(plain_code(code)), doc)

    await engine.store.write(work)
    return code


def _entitled(read: Read, actor: str, kind: str) -> tuple[Row, str]:
    """The person and their unit. A device belongs to a unit, so the centre's people have none."""
    person = person_row(read, actor)
    if person is None:
        raise Fault(Code.NOT_FOUND, actor)
    unit = unit_of(person)
    if unit is None or not roles_of(person) & set(DEVICE_KINDS[kind].roles):
        raise Fault(Code.NO_RIGHT, kind)
    return person, unit


async def enrol(
    engine: "Engine",
    request: EnrolRequest,
    address: str = "",
    random: Random = secrets.token_bytes,
) -> EnrolReply:
    """Spend the code and make the device a replica, in one transaction; the token is told once.

    Fault `bad_key`, `code_unknown`, `code_used`, `code_expired` or `rate_limited`: nothing is
    spent. `no_right` when the person has lost the role since the code was made.
    """
    limit, now = limits_of(engine).enrol_address, engine.clock()
    limit.take(address, now)
    check_key(request.key)
    replica = uuid7(now)
    token = f"{replica}.{new_secret(random)}"
    fresh = Fresh(replica, uuid7(now), token, now, engine.config.centre_name)
    reply = await engine.store.write(lambda txn: _enrol(txn, request, fresh))
    limit.give_back(address)
    return reply


def check_key(key: str) -> None:
    """Fault `bad_key` unless `key` is the uncompressed point of a P-256 key, in base64url."""
    public_key(key)
    if len(from_b64url(key)) != POINT_BYTES:
        raise Fault(Code.KEY)


def _enrol(txn: Txn, request: EnrolRequest, fresh: Fresh) -> EnrolReply:
    key = digest(plain_code(request.code))
    code = _unspent(txn.get("code", key), fresh.now)
    kind = code["kind"]
    person, unit = _entitled(txn, code["actor"], kind)
    head, of_unit = txn.head(), txn.rows([("unit", unit)]).get(("unit", unit))
    holder = {"actor": person.id, "unit": unit, "kind": kind, "grants": []}
    doc = regranted(holder | _unheard(request, fresh), fresh.replica, unit, head.seq)
    txn.put("code", key, {**code, "used_at": fresh.now, "replica": fresh.replica})
    txn.put("replica", fresh.replica, doc)
    note_holder(txn, person.id, fresh.replica)
    return EnrolReply(
        realm=head.realm,
        centre=head.centre,
        centre_name=fresh.centre_name,
        epoch=head.epoch,
        replica=fresh.replica,
        token=fresh.token,
        session=fresh.session,
        actor=person.id,
        actor_name=person.fields["name"],
        unit=unit,
        unit_name=of_unit.row.fields["name"] if of_unit else unit,
        kind=kind,
        roles=sorted(roles_of(person)),
        scopes=list(standing(doc)),
        now=fresh.now,
    )


def _unspent(code: Doc | None, now: int) -> Doc:
    if code is None:
        raise Fault(Code.CODE_UNKNOWN)
    if code["used_at"] is not None:
        raise Fault(Code.CODE_USED)
    if code["expires"] <= now:
        raise Fault(Code.CODE_EXPIRED)
    return code


def _unheard(request: EnrolRequest, fresh: Fresh) -> Doc:
    """What is known of a device before its first sync."""
    return {
        "key": request.key,
        "token_hash": digest(fresh.token),
        "session": fresh.session,
        "created": fresh.now,
        "device": request.device[:DEVICE_CHARS_MAX],
        "app": request.app[:DEVICE_CHARS_MAX],
        "lanes": {},
        "cursors": {},
        "last_seen": fresh.now,
        "outbox": None,
        "offset_ms": None,
        "revoked_at": None,
    }


async def device_of(engine: "Engine", token: str) -> Device:
    """The device that a token belongs to, also when it is revoked: the caller decides then.

    Fault `unauthenticated` for any other token, after the same work.
    """
    [device] = await devices_of(engine, [token])
    if device is None:
        raise Fault(Code.UNAUTHENTICATED)
    return device


async def devices_of(engine: "Engine", tokens: Sequence[str]) -> list[Device | None]:
    """The device of each token, as they all are at one moment; None for a token of none."""
    return await engine.store.look(lambda read: [_device(read, one) for one in tokens])


def _device(read: Read, token: str) -> Device | None:
    replica = token.partition(".")[0]
    doc = read.get("replica", replica)
    right = same(token, doc["token_hash"] if doc else NO_TOKEN)
    if doc is None or not right:
        return None
    return _device_of(read, replica, doc)


def device_now(read: Read, device: Device) -> Device:
    """The same device as it is at this moment: it may have been revoked, or moved, since."""
    doc = read.get("replica", device.replica)
    return _device_of(read, device.replica, doc) if doc else replace(device, revoked=True)


def _device_of(read: Read, replica: str, doc: Doc) -> Device:
    person = person_row(read, doc["actor"])
    return Device(
        replica,
        doc["actor"],
        doc["unit"],
        doc["kind"],
        roles_of(person) if person else frozenset(),
        doc["session"],
        doc["key"],
        standing(doc),
        doc["revoked_at"] is not None,
        doc.get("returning_until", 0),
    )

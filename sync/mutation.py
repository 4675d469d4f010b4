"""Mutations as bytes: dots, hashes, the chain of one lane, and what a signature covers."""

from collections.abc import Iterable
from typing import Any

import msgspec

from schema.codes import Code
from schema.entities import CHECKS, ENTITIES, HOME_ONLY, REQUIRED, Entity
from schema.fields import is_id, is_plain
from schema.intents import INTENTS
from schema.versions import CHANGES_PER_MUTATION_MAX, LANES
from schema.wire import Change, Mutation
from sync.canonical import sha256_hex
from sync.stamp import decode_stamp

FIRST_PREV = ""
"""`prev` of the first mutation of a lane."""

VOID = "lane.void"
"""The intent of a mutation that stands in for one whose words were lost on the device."""

VOID_ID_LENGTH = 32
ID_CHARS_MAX = 64

_decoder = msgspec.json.Decoder(Mutation)
_encoder = msgspec.json.Encoder()


class Refusal(Exception):
    """Why a mutation cannot stand; `detail` names the field or row, for the person to see."""

    def __init__(self, code: Code, detail: str | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail and "".join(filter(str.isprintable, detail))


def dot_of(replica: str, lane: int, n: int) -> str:
    """`replica/lane/n`: the identity of a mutation, and of every write in it."""
    return f"{replica}/{lane}/{n}"


def split_dot(dot: str) -> tuple[str, int, int]:
    """`(replica, lane, n)` of a dot. ValueError when it is not one."""
    replica, lane, n = dot.rsplit("/", 2)
    return replica, int(lane), int(n)


def encode_mutation(mutation: Mutation) -> bytes:
    """The exact bytes that are hashed, saved and sent."""
    return _encoder.encode(mutation)


def decode_mutation(raw: bytes) -> Mutation:
    """The mutation in `raw`. Refusal `bad_mutation` when the bytes are not one."""
    try:
        mutation = _decoder.decode(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(Code.MUTATION, str(error)[:200]) from None
    if raw.count(b"{") + raw.count(b"[") > NESTING_MAX and not _is_flat(
        [[one.fields for one in mutation.changes], [g.value for g in mutation.guard]]
    ):
        raise Refusal(Code.MUTATION, "nesting")
    return mutation


NESTING_MAX = 24
"""Lists and objects within each other: far more than any field has, far less than hurts anybody."""


def _is_flat(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        inner = [one for outer in level for one in _within(outer)]
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return True
    return False


def _within(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def signing_bytes(realm: str, replica: str, lane: int, n: int, last_hash: str) -> bytes:
    """What the signature of a run covers: through `prev`, its last hash proves all before it."""
    return f"lingda-run-1\n{realm}\n{replica}\n{lane}\n{n}\n{last_hash}".encode()


def hash_of(raw: bytes) -> str:
    """The identity of a mutation's content."""
    return sha256_hex(raw)


def check_form(mutation: Mutation) -> None:
    """Raise the Refusal of the first thing that no server could ever accept. Looks at no row."""
    intent = INTENTS.get(mutation.intent)
    if intent is None:
        raise Refusal(Code.INTENT, mutation.intent)
    lane = mutation.lane if intent.any_lane else intent.lane
    if mutation.lane != lane or lane not in LANES or mutation.n < 1:
        raise Refusal(Code.LANE, str(mutation.lane))
    if not 1 <= len(mutation.changes) <= CHANGES_PER_MUTATION_MAX:
        raise Refusal(Code.MUTATION, "changes")
    try:
        stamp = decode_stamp(mutation.stamp)
    except ValueError:
        raise Refusal(Code.MUTATION, "stamp") from None
    if stamp.replica != mutation.replica:
        raise Refusal(Code.MUTATION, "stamp")
    seen: set[tuple[str, str]] = set()
    for change in mutation.changes:
        if (change.entity, change.id) in seen:
            raise Refusal(Code.MUTATION, f"{change.entity}/{change.id}"[:80])
        seen.add((change.entity, change.id))
        entity = ENTITIES.get(change.entity)
        if entity is None or change.op not in intent.writes.get(change.entity, ()):
            raise Refusal(Code.INTENT_CHANGE, f"{change.op} {change.entity}")
        _check_change(change, entity)
        for name, values in intent.only.get(change.entity, {}).items():
            if change.fields.get(name) not in values:
                raise Refusal(Code.INTENT_CHANGE, f"{change.entity}.{name}")
    if mutation.intent == VOID:
        _check_void(mutation)


def _check_void(mutation: Mutation) -> None:
    """It names the number that it takes, and nobody else's."""
    told = mutation.changes[0].fields
    named = (told.get("replica"), told.get("of_lane"), told.get("n"))
    if named != (mutation.replica, mutation.lane, mutation.n):
        raise Refusal(Code.VOID)
    if mutation.changes[0].id != void_id(mutation.replica, mutation.lane, mutation.n):
        raise Refusal(Code.VOID, "id")


def void_id(replica: str, lane: int, n: int) -> str:
    """The id of the row of a void: nobody else's number makes the same."""
    return hash_of(dot_of(replica, lane, n).encode())[:VOID_ID_LENGTH]


def _check_change(change: Change, entity: Entity) -> None:
    if not (is_id(change.id, ID_CHARS_MAX) and "/" not in change.id):
        raise Refusal(Code.FIELD, f"{entity.name}.id")
    if entity.fact and change.op != "create":
        raise Refusal(Code.FACT_EDIT, entity.name)
    checks, fields = CHECKS[entity.name], change.fields
    for name, value in fields.items():
        if not checks.get(name, is_plain)(value):
            raise Refusal(Code.FIELD, f"{entity.name}.{name}")
    if change.op == "create":
        for name in REQUIRED[entity.name]:
            if fields.get(name) is None:
                raise Refusal(Code.FIELD, f"{entity.name}.{name}")


def server_only_fields(change: Change) -> list[str]:
    """The fields of a change that only the row's home may write."""
    own = HOME_ONLY[change.entity]
    return [] if own.isdisjoint(change.fields) else [name for name in change.fields if name in own]

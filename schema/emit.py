"""The TypeScript that the PWA gets from schema/. Returns text; `run.py emit` writes it."""

import hashlib
import json
import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw, Struct

from schema import clocks, intents, roles, scopes, steps, versions, wire
from schema.codes import Code
from schema.emit_docs import REFERENCE, reference
from schema.entities import ENTITIES, Entity
from schema.fields import KINDS
from schema.policies import Policy
from schema.tags import Tag

CONTRACT = "pwa/src/core/contract.ts"
ROWS = "pwa/src/core/entities.ts"
ACTS = "pwa/src/core/intents.ts"
WIDTH = 120

OF_THE_CENTRE = {
    *("PROTOCOL_OLDEST", "CONTRACT_HASH", "SECOND_MS", "BLOB_BYTES_MAX", "N_MAX"),
    *("DRIFT_MS_MAX", "CLOCK_OFF_MS_MAX", "HELD_MS", "GONE_MS"),
}
"""Limits that no app asks for."""

WordSet = tuple[str, str, Iterable[str]]

HEAD = """\
/** Emitted from schema/ by `python3 run.py emit`; never edit it by hand, a test would tell. */
"""
VALUE = """\
/** Null, boolean, string, whole number, list or object; `fields.ts` checks it, not the compiler. */
export type Value = any;

/** `{scope: {lane: seq}}`; a lane that is not named starts at 0. */
export type Cursors = Record<string, Record<string, number>>;
"""
ROW_TYPES = """\
export interface FieldSpec {
  policy: Policy;
  kind: Kind;
  required: boolean;
  /** Characters (code points) of a text, values of a list. */
  max: number;
  choices: readonly string[];
}

export interface EntitySpec {
  lane: number;
  /** Created once, never edited. */
  fact: boolean;
  parent: string | null;
  scopes: readonly string[];
  carries: readonly (readonly string[])[];
  safety: boolean;
  fields: Readonly<Record<string, FieldSpec>>;
}
"""
ACT_TYPES = """\
export interface IntentSpec {
  lane: number;
  roles: readonly Role[];
  writes: Readonly<Record<string, readonly string[]>>;
  reach: string;
  /** `{entity: {field: values}}` where the intent allows less than the entity does. */
  only: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** It has the lane of the lost mutation that it stands in for, not one of its own. */
  any_lane: boolean;
}
"""


def emit_all() -> dict[str, str]:
    """Every emitted file: path from the repository's root → text. The same text every time."""
    return {CONTRACT: contract(), ROWS: rows(), ACTS: acts(), REFERENCE: reference()}


def contract() -> str:
    """What travels, and its limits."""
    return "\n".join([HEAD, limits(), VALUE, *map(interface, structs())])


def rows() -> str:
    """What rows there are, what their fields may hold, and who is shown them."""
    sets: list[WordSet] = [
        ("POLICIES", "Policy", Policy),
        ("KINDS", "Kind", KINDS),
        ("ENTITY_NAMES", "EntityName", ENTITIES),
        ("DEVICE_KIND_NAMES", "DeviceKindName", scopes.DEVICE_KINDS),
    ]
    entities = constant(
        "ENTITIES",
        {name: entity_table(entity) for name, entity in ENTITIES.items()},
        type_name="Readonly<Record<string, EntitySpec>>",
    )
    return "\n".join([HEAD, *closed_sets(sets), ROW_TYPES, entities])


def acts() -> str:
    """What people may do, and what they may be told of it."""
    sets: list[WordSet] = [
        ("CODES", "Code", Code),
        ("TAGS", "Tag", Tag),
        ("ROLES", "Role", roles.Role),
        ("INTENT_NAMES", "IntentName", intents.INTENTS),
        ("STEPS", "StepName", steps.STEPS),
        ("ROUTES", "Route", steps.ROUTES),
        ("URGENCIES", "Urgency", clocks.URGENCIES),
    ]
    table = {
        name: {"lane": one.lane, "roles": one.roles, "writes": one.writes}
        | {"reach": one.reach, "only": one.only, "any_lane": one.any_lane}
        for name, one in intents.INTENTS.items()
    }
    ranks = constant("RANKS", steps.RANKS, type_name="Readonly<Record<string, number>>")
    every = constant("INTENTS", table, type_name="Readonly<Record<string, IntentSpec>>")
    return "\n".join([HEAD, *closed_sets(sets), ACT_TYPES, ranks, every])


def limits() -> str:
    """The constants of `schema.versions` that an app asks for."""
    public = {name: value for name, value in vars(versions).items() if name.isupper()}
    return "".join(
        constant(name, value) for name, value in public.items() if name not in OF_THE_CENTRE
    )


def closed_sets(sets: Iterable[WordSet]) -> list[str]:
    """Each as a list and as a union type."""
    return [closed_set(name, type_name, list(words)) for name, type_name, words in sets]


def closed_set(name: str, type_name: str, words: list[str]) -> str:
    listed = constant(name, [str(word) for word in words], " as const")
    return f"{listed}export type {type_name} = (typeof {name})[number];\n"


def entity_table(entity: Entity) -> dict[str, Any]:
    return {
        "lane": entity.lane,
        "fact": entity.fact,
        "parent": entity.parent,
        "scopes": entity.scopes,
        "carries": entity.carries,
        "safety": entity.safety,
        "fields": {
            name: {
                "policy": field.policy,
                "kind": field.kind,
                "required": field.required,
                "max": field.max,
                "choices": field.choices,
            }
            for name, field in entity.fields.items()
        },
    }


# --- Wire messages ----------------------------------------------------------------------------


def structs() -> list[type[Struct]]:
    """The messages of the wire, in the order of `schema.wire`."""
    every = [one for one in vars(wire).values() if isinstance(one, type)]
    return [one for one in every if issubclass(one, Struct) and one.__module__ == wire.__name__]


def interface(struct: type[Struct]) -> str:
    hints = get_type_hints(struct)
    fields = "".join(
        f"  {one.encode_name}: {ts_type(hints[one.name])};\n"
        for one in msgspec.structs.fields(struct)
    )
    return f"{comment(struct.__doc__ or '')}export interface {struct.__name__} {{\n{fields}}}\n"


def comment(doc: str) -> str:
    lines = [line.strip() for line in doc.strip().splitlines()]
    if len(lines) == 1 and len(lines[0]) < WIDTH - 8:
        return f"/** {lines[0]} */\n"
    return "/**\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def ts_type(hint: Any) -> str:
    """The TypeScript of one annotation. KeyError for a kind that the wire has not used so far."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(ts_type(one) for one in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(ts_type(one) for one in arguments)}]"
    if origin in (list, tuple):
        item = ts_type(arguments[0])
        return f"({item})[]" if "|" in item else f"{item}[]"
    if hint == wire.Cursors:
        return "Cursors"
    if origin is dict:
        return f"Record<{ts_type(arguments[0])}, {ts_type(arguments[1])}>"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint.__name__
    plain = {str: "string", int: "number", bool: "boolean", Any: "Value", Raw: "Mutation"}
    return "null" if hint is type(None) else plain[hint]


# --- Data as TypeScript, laid out as prettier would --------------------------------------------


def constant(name: str, value: Any, after: str = "", type_name: str = "") -> str:
    start = f"export const {name}{': ' + type_name if type_name else ''} = "
    plain = json.loads(json.dumps(value))
    return f"{start}{laid_out(plain, len(start), 0, len(after) + 1)}{after};\n"


def laid_out(value: Any, column: int, indent: int, tail: int) -> str:
    """On one line when it fits, else one element a line; objects of objects never on one line."""
    line = one_line(value)
    if column + len(line) + tail <= WIDTH and not must_break(value):
        return line
    inner, pad = indent + 2, " " * (indent + 2)
    if isinstance(value, dict):
        rows = [
            f"{pad}{key(name)}: " + laid_out(one, inner + len(key(name)) + 2, inner, 1) + ",\n"
            for name, one in value.items()
        ]
        return "{\n" + "".join(rows) + " " * indent + "}"
    if isinstance(value, list):
        rows = [f"{pad}{laid_out(one, inner, inner, 1)},\n" for one in value]
        return "[\n" + "".join(rows) + " " * indent + "]"
    return line


def must_break(value: Any) -> bool:
    if isinstance(value, dict):
        return any(isinstance(one, dict) for one in value.values())
    many = isinstance(value, list) and len(value) > 1
    return many and all(isinstance(one, dict | list) and len(one) > 1 for one in value)


def one_line(value: Any) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{key(name)}: {one_line(one)}" for name, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(one_line(one) for one in value)}]"
    if isinstance(value, str):
        return "'" + json.dumps(value, ensure_ascii=False)[1:-1].replace("'", "\\'") + "'"
    return json.dumps(value)


def key(name: str) -> str:
    return name if name.isidentifier() else one_line(name)


# --- The pin ----------------------------------------------------------------------------------


def contract_hash() -> str:
    """SHA-256 of the shape of every wire message: names, types, which may be left out."""
    shape = {
        struct.__name__: [
            [one.encode_name, ts_type(get_type_hints(struct)[one.name]), one.required]
            for one in msgspec.structs.fields(struct)
        ]
        for struct in structs()
    }
    text = json.dumps([versions.PROTOCOL_VERSION, shape], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

"""The schema as pages for people who write another client: emitted, so that it cannot be wrong."""

from collections.abc import Sequence

from schema.codes import HTTP_STATUS, Code
from schema.entities import ENTITIES, Entity
from schema.fields import Field
from schema.intents import INTENTS, Intent
from schema.scopes import DEVICE_KINDS
from schema.words import say

REFERENCE = "docs/schema.md"

HEAD = """\
# Intents, entities and codes

Emitted from `schema/` by `python3 run.py emit`; edit it there. `docs/protocol.md` says how they
travel. A required field must be there at `create`. `max` counts characters of a text and items of
a list. A photo is `{"sha256": hex, "size": bytes, "type": "image/jpeg", "thumb": data URL}`, the
thumb left out or ≤ 8 KB; `clocks` is `{name: ms}`. Kinds `time` (ms since 1970, years 2000 to
2100), `lat` and `lon` (micro-degrees) and `metres` are whole numbers.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, _intents(), _devices(), *map(_entity, ENTITIES.values()), _codes()]
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _intents() -> str:
    head = ("intent", "lane", "roles", "reach", "writes", "only", "at level II or I")
    return "## Intents\n\n" + _table(head, [_intent(one) for one in INTENTS.values()])


def _intent(intent: Intent) -> tuple[str, ...]:
    writes = ", ".join(f"{entity} ({'/'.join(ops)})" for entity, ops in intent.writes.items())
    only = "; ".join(
        f"{entity}.{field}: {' '.join(values)}"
        for entity, fields in intent.only.items()
        for field, values in fields.items()
    )
    roles, grave = " ".join(intent.roles), " ".join(intent.grave)
    return (intent.name, str(intent.lane), roles, intent.reach, writes, only, grave)


def _devices() -> str:
    rows = [(one.name, " ".join(one.roles), " ".join(one.scopes)) for one in DEVICE_KINDS.values()]
    return "## Devices\n\n" + _table(("kind", "roles", "scopes"), rows)


def _entity(entity: Entity) -> str:
    what = "a fact: created once, never edited" if entity.fact else "merged field by field"
    carries = ", ".join(f"{name}/{{{by}}}" for name, by in entity.carries)
    carried = f" It carries {carries} into its unit's scope." if carries else ""
    intro = f"Lane {entity.lane}, {what}. Scopes: {' '.join(entity.scopes)}.{carried}"
    rows = [_field(name, field) for name, field in entity.fields.items()]
    table = _table(("field", "kind", "policy", "required", "max or values"), rows)
    return f"## {entity.name}\n\n{intro}\n\n{table}"


def _field(name: str, field: Field) -> tuple[str, ...]:
    bounds = " ".join(field.choices)
    if field.kind in ("text", "texts", "photos", "ref", "clocks"):
        bounds = str(field.max)
    kind = f"ref to {field.to}" if field.to else field.kind
    return (name, kind, str(field.policy), "yes" if field.required else "", bounds)


def _codes() -> str:
    rows = [
        (str(code), str(HTTP_STATUS.get(code, 400)), say("en", f"error.{code}")) for code in Code
    ]
    return "## Codes\n\n" + _table(("code", "status of an answer", "what it says"), rows)

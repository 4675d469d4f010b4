"""Every entity: its lane, the scopes its rows live in, its parent and its fields.

A scope template names a field of the row in braces, `{@actor}` the row's author, and is left out
when that field is null; `{*field}` names a field that lists scopes. `carries` brings a parent row
into the child's unit scope, so that an order arrives with all that it needs.
"""

from msgspec import Struct

from schema.clocks import CLOCKS, URGENCIES
from schema.fields import Check, Field, check_of, choice, of, ref, text, time, whole
from schema.policies import Policy
from schema.steps import ROUTES, STEPS

CENTRE = "centre"
DIRECTORY = "directory"
UNIT = "unit/{unit}"
REGISTER = "register/{unit}"

_FACT = Policy.APPEND_ONLY
_ONCE = Policy.FIXED_ONCE
_LATEST = Policy.LATEST
_AUTH = Policy.AUTHORITY
_HIGHEST = Policy.HIGHEST
_HOME = Policy.SERVER_ONLY


QUARANTINE_STATES = ("open", "released", "rejected", "closed")


class Entity(Struct, frozen=True):
    """`fact` rows are created once and never edited; the others merge field by field."""

    name: str
    lane: int
    scopes: tuple[str, ...]
    fields: dict[str, Field]
    fact: bool = False
    parent: str | None = None
    carries: tuple[tuple[str, str], ...] = ()
    safety: bool = False


def _place(policy: Policy) -> dict[str, Field]:
    """Where, in WGS-84 micro-degrees and metres, with the words a person typed."""
    return {
        "place": text(policy, 120),
        "lat_e6": of("lat", policy),
        "lon_e6": of("lon", policy),
        "accuracy_m": of("metres", policy),
    }


def _of_target(**fields: Field) -> dict[str, Field]:
    return {
        "target": ref(_FACT),
        "directive": ref(_FACT),
        "unit": ref(_FACT),
        "round": whole(_FACT, required=True),
        "at": time(_FACT, required=True),
    } | fields


_ENTITIES = (
    Entity(
        "unit",
        2,
        (DIRECTORY,),
        {
            "code": text(_HOME, 20, required=True),
            "name": text(_AUTH, 60, required=True),
            "tier": choice(_HOME, "T1", "T2", "T3"),
            "category": text(_HOME, 10, required=True),
            "category_name": text(_HOME, 40),
            "gateway": text(_HOME, 10),
            "terminal": of("bool", _HOME),
            "initials": text(_HOME, 60),
        },
    ),
    Entity(
        "person",
        2,
        (CENTRE, UNIT, "{*shown_in}"),
        {
            "name": text(_AUTH, 40, required=True),
            "post": text(_AUTH, 40),
            "unit": ref(_HOME, required=False),
            "roles": of("texts", _HOME),
            "shown_in": of("texts", _HOME),
        },
        parent="unit",
    ),
    Entity(
        "incident",
        1,
        (CENTRE,),
        {
            "no": text(_HOME, 40),
            "source": text(_LATEST, 60),
            "state": choice(_LATEST, "open", "closed"),
            "note": text(_LATEST, 2000),
        },
    ),
    Entity(
        "incident_summary",
        0,
        (CENTRE,),
        {
            "title": text(_LATEST, 80, required=True),
            "category": choice(
                _LATEST, "natural", "accident", "health", "security", "help", required=False
            ),
            "level": choice(_HIGHEST, "I", "II", "III", "IV", required=False),
            **_place(_LATEST),
        },
    ),
    Entity(
        "directive",
        0,
        (CENTRE,),
        {
            "no": text(_HOME, 40),
            "incident": ref(_ONCE),
            "kind": choice(_ONCE, "dispatch", "help", "requisition", "notice", "assigned"),
            "urgency": choice(_ONCE, *URGENCIES),
            "version": whole(_ONCE, required=True),
            "text": text(_ONCE, 1000, required=True),
            "clocks": of("clocks", _ONCE, required=True, max=len(CLOCKS) + 4),
            "close_due": time(_ONCE),
            "at": time(_ONCE, required=True),
        },
        fact=True,
        parent="incident",
    ),
    Entity(
        "target",
        0,
        (CENTRE, UNIT),
        {
            "directive": ref(_FACT),
            "incident": ref(_FACT),
            "unit": ref(_FACT),
            "lead": of("bool", _FACT),
        },
        fact=True,
        parent="directive",
        carries=(("directive", "directive"), ("incident_summary", "incident")),
    ),
    Entity(
        "step",
        0,
        (CENTRE, UNIT),
        _of_target(
            step=choice(_FACT, *STEPS[1:]),
            version=whole(_FACT, required=True),
            route=choice(_FACT, *ROUTES),
            note=text(_FACT, 200),
        ),
        fact=True,
        parent="target",
    ),
    Entity(
        "round",
        0,
        (CENTRE, UNIT),
        _of_target(
            reason=choice(_FACT, "sent_back", "redo", "reopened", "new_version"),
            note=text(_FACT, 500, required=True),
        ),
        fact=True,
        parent="target",
    ),
    Entity(
        "recall",
        0,
        (CENTRE, UNIT),
        _of_target(
            reason=text(_FACT, 500, required=True),
            rank_seen=whole(_FACT, required=True),
            call=text(_FACT, 200),
        ),
        fact=True,
        parent="target",
    ),
    Entity(
        "stop",
        0,
        (CENTRE, UNIT),
        _of_target(recall=ref(_FACT)),
        fact=True,
        parent="target",
    ),
    Entity(
        "ruling",
        0,
        (CENTRE, UNIT),
        _of_target(
            recall=ref(_FACT),
            verdict=choice(_FACT, "accept_result", "stand_by_recall"),
            note=text(_FACT, 500),
        ),
        fact=True,
        parent="target",
    ),
    Entity(
        "feedback",
        1,
        (CENTRE, UNIT),
        _of_target(
            kind=choice(_FACT, "progress", "arrive", "result", "halt"),
            text=text(_FACT, 2000),
            photos=of("photos", _FACT, max=9),
            **_place(_FACT),
        ),
        fact=True,
        parent="target",
    ),
    Entity(
        "help_call",
        0,
        (CENTRE, UNIT, "actor/{@actor}"),
        {
            "unit": ref(_FACT),
            "target": ref(_FACT, required=False),
            "text": text(_FACT, 200),
            "at": time(_FACT, required=True),
            **_place(_FACT),
        },
        fact=True,
        parent="target",
    ),
    Entity(
        "help_answer",
        0,
        (CENTRE, UNIT, "actor/{caller}"),
        {
            "help_call": ref(_FACT),
            "unit": ref(_FACT),
            "caller": ref(_FACT, to="person"),
            "text": text(_FACT, 200),
            "at": time(_FACT, required=True),
        },
        fact=True,
        parent="help_call",
    ),
    Entity(
        "contact",
        2,
        (CENTRE, REGISTER),
        {
            "unit": ref(_ONCE),
            "duty": choice(_LATEST, "head", "liaison", "duty_room"),
            "n": whole(_LATEST),
            "name": text(_LATEST, 40, required=True),
            "post": text(_LATEST, 40),
        },
        parent="unit",
    ),
    Entity(
        "contact_phone",
        2,
        (CENTRE, REGISTER),
        {
            "unit": ref(_ONCE),
            "contact": ref(_ONCE),
            "kind": choice(_LATEST, "mobile", "landline"),
            "number": text(Policy.MANUAL, 30, required=True),
        },
        parent="contact",
        safety=True,
    ),
    Entity(
        "equipment",
        2,
        (CENTRE, REGISTER, "actor/{operator_person}"),
        {
            "unit": ref(_ONCE),
            "kind": choice(_AUTH, "crane", "excavator", "bulldozer", "loader", "special"),
            "name": text(_AUTH, 60, required=True),
            "plate": text(_AUTH, 30),
            "tonnage_t": whole(_AUTH),
            "status": choice(_LATEST, "available", "in_use", "out_of_service"),
            "base": text(_LATEST, 120),
            "manager": text(_LATEST, 40),
            "manager_phone": text(_LATEST, 30),
            "operator": text(_LATEST, 40),
            "operator_phone": text(_LATEST, 30),
            "operator_person": ref(_AUTH, required=False, to="person"),
        },
        parent="unit",
    ),
    Entity(
        "equipment_move",
        1,
        (CENTRE, REGISTER, "actor/{@actor}"),
        {
            "equipment": ref(_FACT),
            "unit": ref(_FACT),
            "kind": choice(_FACT, "move", "hand_over", "stop", "resume"),
            "at": time(_FACT, required=True),
            "manager": text(_FACT, 40, required=True),
            "manager_phone": text(_FACT, 30),
            "operator": text(_FACT, 40, required=True),
            "operator_phone": text(_FACT, 30, required=True),
            "note": text(_FACT, 200),
            **_place(_FACT),
        },
        fact=True,
        parent="equipment",
    ),
    Entity(
        "move_ruling",
        1,
        (CENTRE, REGISTER, "{*shown_in}"),
        {
            "equipment": ref(_FACT),
            "unit": ref(_FACT),
            "filing": ref(_FACT, to="equipment_move"),
            "over": of("texts", _FACT, required=True, max=200),
            "at": time(_FACT, required=True),
            "note": text(_FACT, 200),
            "shown_in": of("texts", _HOME),
        },
        fact=True,
        parent="equipment",
    ),
    Entity(
        "conflict",
        1,
        ("{*scopes}",),
        {
            "row_entity": text(_HOME, 40, required=True),
            "row_id": ref(_HOME),
            "field": text(_HOME, 40),
            "sides": of("any", _HOME, required=True),
            "rule": text(_HOME, 40, required=True),
            "winner": text(_HOME, 120),
            "state": choice(_HOME, "open", "auto", "decided", "superseded"),
            "needs": choice(_HOME, "centre", "unit", required=False),
            "unit": ref(_HOME, required=False),
            "scopes": of("texts", _HOME),
            "decided_by": text(_HOME, 64),
            "decided_at": time(_HOME),
        },
        parent="row_id",
    ),
    Entity(
        "verdict",
        0,
        ("device/{replica}",),
        {
            "replica": ref(_HOME),
            "dot": text(_HOME, 120, required=True),
            "hash": text(_HOME, 64, required=True),
            "verdict": choice(_HOME, "applied", "merged", "held", "quarantined", "refused"),
            "code": text(_HOME, 40),
            "detail": text(_HOME, 300),
            "tags": of("texts", _HOME),
        },
    ),
    Entity(
        "quarantine",
        1,
        (CENTRE, "actor/{author}"),
        {
            "replica": text(_HOME, 64, required=True),
            "dot": text(_HOME, 120, required=True),
            "hash": text(_HOME, 64, required=True),
            "verdict": choice(_HOME, "quarantined", "refused"),
            "code": text(_HOME, 40),
            "detail": text(_HOME, 300),
            "intent": text(_HOME, 60),
            "author": ref(_HOME, required=False, to="person"),
            "unit": ref(_HOME, required=False),
            "stamp": text(_HOME, 120),
            "changes": of("any", _HOME),
            "state": choice(_LATEST, *QUARANTINE_STATES),
            "note": text(_LATEST, 500),
        },
    ),
    Entity(
        "void",
        0,
        (CENTRE, "device/{replica}"),
        {
            "replica": text(_FACT, 64, required=True),
            "of_lane": whole(_FACT, required=True),
            "n": whole(_FACT, required=True),
            "lost": text(_FACT, 64),
            "reason": choice(_FACT, "corrupt", "missing"),
            "at": time(_FACT, required=True),
        },
        fact=True,
    ),
)

ENTITIES: dict[str, Entity] = {entity.name: entity for entity in _ENTITIES}


def refers_to(field: Field | None, name: str) -> str:
    """The entity whose row a field names; empty when it names none."""
    if field is None or field.kind != "ref":
        return ""
    entity = field.to or name
    return entity if entity in ENTITIES else ""


REFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    entity.name: tuple(
        (name, refers_to(field, name))
        for name, field in entity.fields.items()
        if refers_to(field, name)
    )
    for entity in _ENTITIES
}
"""Of each entity the fields that name rows, with the entity of those."""

CHECKS: dict[str, dict[str, Check]] = {
    entity.name: {name: check_of(field) for name, field in entity.fields.items()}
    for entity in _ENTITIES
}
"""Of each entity what tells whether a value may stand in a field of it."""

REQUIRED: dict[str, tuple[str, ...]] = {
    entity.name: tuple(name for name, field in entity.fields.items() if field.required)
    for entity in _ENTITIES
}
"""The fields without which no row of an entity is made."""

HOME_ONLY: dict[str, frozenset[str]] = {
    entity.name: frozenset(n for n, field in entity.fields.items() if field.policy is _HOME)
    for entity in _ENTITIES
}
"""The fields that a row's home alone may write."""

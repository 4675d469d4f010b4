"""Every intent: its lane, who may mean it, and what it may change.

`reach` says which rows: `centre` any row, `own` rows whose `unit` is the author's unit. A cell of
the permission matrix is a role in `roles`.
"""

from msgspec import Struct

from schema.roles import Role
from schema.steps import UNIT_STEPS

_CENTRE = (Role.DISPATCHER, Role.SHIFT_LEAD, Role.CENTRE_HEAD)
_FIELD = (Role.DUTY, Role.UNIT_HEAD, Role.RESPONDER)
_DECIDERS = (Role.SHIFT_LEAD, Role.CENTRE_HEAD)
_REGISTER = (Role.DUTY, Role.UNIT_HEAD, Role.STEWARD)


class Intent(Struct, frozen=True):
    """What a person may do in one go. `writes` maps an entity to the operations allowed on it."""

    name: str
    lane: int
    roles: tuple[Role, ...]
    writes: dict[str, tuple[str, ...]]
    reach: str = "own"
    only: dict[str, dict[str, tuple[str, ...]]] = {}
    """`{entity: {field: values}}` where the intent allows less than the entity does."""

    grave: tuple[Role, ...] = ()
    """Those of the roles who may still mean it at level II or I, where not all may."""

    any_lane: bool = False
    """True for what stands in for a lost mutation: it has that one's lane, not one of its own."""


_CREATE = ("create",)
_EDIT = ("create", "set", "remove")
_DECIDED: dict[str, tuple[str, ...]] = {
    "contact": ("set",),
    "contact_phone": ("set",),
    "equipment": ("set",),
    "move_ruling": _CREATE,
}
"""What a decision writes: the field that stands, or which filing of a move does."""

_INTENTS = (
    Intent(
        "incident.open",
        0,
        _CENTRE,
        {"incident": _CREATE, "incident_summary": _CREATE},
        "centre",
        grave=_DECIDERS,
    ),
    Intent(
        "incident.edit",
        1,
        _CENTRE,
        {"incident": ("set",), "incident_summary": ("set",)},
        "centre",
        grave=_DECIDERS,
    ),
    Intent("directive.issue", 0, _CENTRE, {"directive": _CREATE, "target": _CREATE}, "centre"),
    Intent("directive.recall", 0, _CENTRE, {"recall": _CREATE}, "centre"),
    Intent("recall.rule", 0, _CENTRE, {"ruling": _CREATE}, "centre"),
    Intent(
        "target.step",
        0,
        _FIELD,
        {"step": _CREATE},
        only={"step": {"step": UNIT_STEPS, "route": ("device",)}},
    ),
    Intent("target.stop", 0, _FIELD, {"stop": _CREATE}),
    Intent(
        "target.close",
        0,
        _CENTRE,
        {"step": _CREATE},
        "centre",
        {"step": {"step": ("closed",), "route": ("centre",)}},
        grave=_DECIDERS,
    ),
    Intent("target.send_back", 0, _CENTRE, {"round": _CREATE}, "centre", grave=_DECIDERS),
    Intent("feedback.add", 1, _FIELD, {"feedback": _CREATE}),
    Intent("help.call", 0, (*_FIELD, Role.OPERATOR), {"help_call": _CREATE}),
    Intent("help.answer", 0, _CENTRE, {"help_answer": _CREATE}, "centre"),
    Intent("move.file", 1, (Role.OPERATOR, *_REGISTER), {"equipment_move": _CREATE}),
    Intent("contact.edit", 2, _REGISTER, {"contact": _EDIT, "contact_phone": _EDIT}),
    Intent(
        "contact.edit_any",
        2,
        (Role.SHIFT_LEAD,),
        {"contact": _EDIT, "contact_phone": _EDIT},
        "centre",
    ),
    Intent("equipment.edit", 2, _REGISTER, {"equipment": _EDIT}),
    Intent(
        "conflict.decide",
        1,
        (Role.SHIFT_LEAD,),
        _DECIDED,
        "centre",
    ),
    Intent(
        "conflict.decide_own",
        1,
        _REGISTER,
        _DECIDED,
    ),
    Intent(
        "quarantine.release",
        1,
        _DECIDERS,
        {"quarantine": ("set",)},
        "centre",
        {"quarantine": {"state": ("released",)}},
    ),
    Intent(
        "quarantine.reject",
        1,
        _DECIDERS,
        {"quarantine": ("set",)},
        "centre",
        {"quarantine": {"state": ("rejected",)}},
    ),
    Intent(
        "quarantine.close",
        1,
        _CENTRE,
        {"quarantine": ("set",)},
        "centre",
        {"quarantine": {"state": ("closed",)}},
    ),
    Intent(
        "lane.void", 0, (*_FIELD, Role.STEWARD, Role.OPERATOR), {"void": _CREATE}, any_lane=True
    ),
    Intent(
        "register.load",
        2,
        (Role.ADMIN,),
        {
            "unit": _EDIT,
            "person": _EDIT,
            "contact": _EDIT,
            "contact_phone": _EDIT,
            "equipment": _EDIT,
        },
        "centre",
    ),
)

INTENTS: dict[str, Intent] = {intent.name: intent for intent in _INTENTS}

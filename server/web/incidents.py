"""Incidents: open, edit, close, and the page that gathers everything about one."""

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.entities import ENTITIES
from schema.intents import INTENTS
from schema.roles import Role
from schema.wire import Change, Row
from server.errors import Fault
from server.ids import uuid7
from server.web.asks import Ask, ask_page, id_in, words_in
from server.web.cases import Case, case
from server.web.pages import show, whole
from server.web.render import back_to, user_of
from server.web.session import desk, form_of
from server.web.work import Refused, act, look_for, missing, unfit
from sync.levels import may_at
from sync.rows import base_of

SUMMARY = ENTITIES["incident_summary"].fields
CATEGORIES = SUMMARY["category"].choices
LEVELS = SUMMARY["level"].choices
EDIT = INTENTS["incident.edit"]
SUMMARY_TEXTS = ("title", "category", "level", "place")
INCIDENT_TEXTS = ("source", "note")
DEGREES_CHARS_MAX = 20
DEGREES = {"lat": ("lat_e6", 90), "lon": ("lon_e6", 180)}


@desk()
async def incident_page(request: Request) -> Response:
    id = request.path_params["id"]
    seq, view = await look_for(request, lambda txn: case(txn, id))
    can = {"close": may_at(EDIT, user_of(request).roles, view.incident.level)}
    return await show(request, "incident", seq=seq, case=view, can=can)


@desk()
async def new_incident(request: Request) -> Response:
    now = request.app.state.engine.clock()
    if request.method == "GET":
        return await _form(request, {"id": uuid7(now)})
    form = await form_of(request)
    typed = _typed(form)
    if not id_in(form):
        typed["id"] = uuid7(now)
        return await _form(request, typed, unfit(request, "desk.form.again", "entity.incident"))
    refused = _fault_in(request, typed) or await _open(request, typed)
    if refused and refused.code != Code.EXISTS:
        return await _form(request, typed, refused)
    return back_to(f"/desk/incidents/{typed['id']}")


async def _form(
    request: Request, typed: dict[str, str], refused: Refused | None = None, edits: str = ""
) -> Response:
    """The form with what was typed; `edits` is the incident that it changes."""
    typed = dict.fromkeys((*SUMMARY_TEXTS, *INCIDENT_TEXTS, *DEGREES), "") | typed
    levels = levels_for(user_of(request).roles, typed["level"])
    view = {"typed": typed, "refused": refused, "edits": edits, "levels": levels}
    status = 422 if refused else 200
    return await whole(request, "incident_form.html", status, categories=CATEGORIES, **view)


def levels_for(roles: frozenset[Role], shown: str) -> list[str]:
    """The levels that somebody may choose from: those they may set, and the one that stands."""
    return [one for one in LEVELS if one == shown or may_at(EDIT, roles, one)]


def _typed(form: FormData) -> dict[str, str]:
    return {name: words_in(form, name) for name in form if name != "csrf"}


def _fault_in(request: Request, typed: dict[str, str]) -> Refused | None:
    if not typed.get("title"):
        return missing(request, "title")
    bad = [name for name in DEGREES if typed.get(name) and micro_degrees(typed, name) is None]
    return unfit(request, "desk.form.degrees_range", f"field.{bad[0]}") if bad else None


def micro_degrees(typed: dict[str, str], name: str) -> int | None:
    """Decimal degrees as micro-degrees; None when they are none or off the globe."""
    try:
        value = Decimal(typed.get(name, "")[:DEGREES_CHARS_MAX])
    except InvalidOperation:
        return None
    bound = DEGREES[name][1]
    if not value.is_finite() or not -bound <= value <= bound:
        return None
    return int((value * 1_000_000).to_integral_value())


def _summary(typed: dict[str, str]) -> dict[str, Any]:
    texts = {name: typed.get(name) or None for name in SUMMARY_TEXTS}
    return texts | {field: micro_degrees(typed, name) for name, (field, _) in DEGREES.items()}


async def _open(request: Request, typed: dict[str, str]) -> Refused | None:
    id = typed["id"]
    incident = {name: typed.get(name) or None for name in INCIDENT_TEXTS} | {"state": "open"}
    return await act(
        request,
        "incident.open",
        [
            Change("create", "incident", id, incident),
            Change("create", "incident_summary", id, _summary(typed)),
        ],
    )


@desk()
async def edit_incident(request: Request) -> Response:
    """Only what was changed is written, based on the writes that the form showed."""
    id = request.path_params["id"]
    _, view = await look_for(request, lambda txn: case(txn, id))
    if request.method == "GET":
        return await _form(request, _shown(view), edits=id)
    typed = _typed(await form_of(request))
    refused = _fault_in(request, typed) or await _edit(request, view, typed)
    if refused:
        return await _form(request, typed, refused, id)
    return back_to(f"/desk/incidents/{id}")


def _shown(view: Case) -> dict[str, str]:
    """The form's fields, with the dots that they show, so that a change made meanwhile is seen."""
    shown: dict[str, str] = {}
    for row, names in _parts(view):
        for name in names:
            shown[name] = str(row.fields.get(name) or "")
            shown[f"base.{name}"] = " ".join(base_of(row, name))
    summary = view.incident.summary
    for name, (field, _) in DEGREES.items() if summary else ():
        value = summary.fields.get(field) if summary else None
        shown[name] = "" if value is None else str(Decimal(value) / 1_000_000)
        shown[f"base.{name}"] = " ".join(base_of(summary, field)) if summary else ""
    return shown | {f"was.{name}": value for name, value in shown.items() if "." not in name}


def _parts(view: Case) -> list[tuple[Row, tuple[str, ...]]]:
    parts: list[tuple[Row, tuple[str, ...]]] = [(view.incident.row, INCIDENT_TEXTS)]
    if view.incident.summary:
        parts.append((view.incident.summary, SUMMARY_TEXTS))
    return parts


async def _edit(request: Request, view: Case, typed: dict[str, str]) -> Refused | None:
    changes: list[Change] = []
    base: dict[str, dict[str, tuple[str, ...]]] = {}
    for row, names in _parts(view):
        wanted = _changed(row, names, typed)
        if wanted:
            fields = {field: value for field, (value, _) in wanted.items()}
            changes.append(Change("set", row.entity, row.id, fields))
            base[f"{row.entity}/{row.id}"] = {field: dots for field, (_, dots) in wanted.items()}
    return await act(request, "incident.edit", changes, base) if changes else None


def _changed(
    row: Row, names: tuple[str, ...], typed: dict[str, str]
) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """`{field: (new value, dots that the form showed)}` of what the person changed."""
    found: dict[str, tuple[Any, tuple[str, ...]]] = {}
    known = (*names, *DEGREES) if row.entity == "incident_summary" else names
    for name in known:
        if typed.get(name, "") == typed.get(f"was.{name}", ""):
            continue
        field = DEGREES[name][0] if name in DEGREES else name
        value = micro_degrees(typed, name) if name in DEGREES else typed.get(name) or None
        dots = tuple(typed.get(f"base.{name}", "").split()) or base_of(row, field)
        found[field] = (value, dots)
    return found


STATES = {"close": "closed", "reopen": "open", "keep_closed": "closed"}
"""What each verb sets. Keeping it closed answers who proposes to reopen it."""


@desk()
async def set_state(request: Request) -> Response:
    """Close an incident, open it again, or say that it stays closed."""
    id, verb = request.path_params["id"], request.path_params["verb"]
    if verb not in STATES:
        raise Fault(Code.NOT_FOUND)
    _, view = await look_for(request, lambda txn: case(txn, id))
    back = "/desk/inbox" if verb == "keep_closed" else f"/desk/incidents/{id}"
    ask = Ask(
        f"desk.incident.{verb}",
        view.incident.title,
        f"/desk/incidents/{id}/{verb}",
        back,
        f"desk.incident.{verb}",
        warning=_warning(verb, view),
    )
    if request.method == "GET":
        return ask_page(request, ask)
    row = view.incident.row
    base = {f"incident/{id}": {"state": base_of(row, "state")}}
    change = Change("set", "incident", id, {"state": STATES[verb]})
    if refused := await act(request, "incident.edit", [change], base):
        return ask_page(request, ask, refused)
    return back_to(back)


def _warning(verb: str, view: Case) -> str:
    if verb == "close":
        return "desk.incident.close_warning" if view.unfinished else ""
    return "desk.incident.keep_closed_hint" if verb == "keep_closed" else ""

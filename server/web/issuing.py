"""Issuing an order: the form with its unit picker, and the one mutation that it becomes."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.clocks import CLOCK_DEFAULTS, CLOCKS, URGENCIES
from schema.codes import Code
from schema.entities import ENTITIES
from schema.versions import MINUTE_MS
from schema.wire import Change
from server.ids import uuid7
from server.store.protocol import Read
from server.web.asks import id_in, words_in
from server.web.lookup import Lookup, UnitName, all_units, grouped
from server.web.pages import whole
from server.web.render import ZONE, back_to, minutes
from server.web.session import desk, form_of
from server.web.views import IncidentView, incident_view
from server.web.work import Refused, act, look, missing, unfit

KINDS = ENTITIES["directive"].fields["kind"].choices
TEXT_CHARS_MAX = ENTITIES["directive"].fields["text"].max
CLOCK_MINUTES_MIN = Decimal("0.01")
CLOCK_MINUTES_MAX = Decimal(90 * 24 * 60)
DUE_MS_MAX = 2 * 365 * 24 * 60 * MINUTE_MS
"""No order runs for more than two years; a date beyond is a slip of the keys."""

TYPED_CHARS_MAX = 40
"""No number or time in a form is longer; a longer one is not even read."""


class Desk(Struct, frozen=True):
    """What the form offers: open incidents and all units."""

    incidents: list[IncidentView]
    units: list[UnitName]


def _offers(txn: Read) -> Desk:
    names = Lookup(txn)
    rows = reversed(names.children("incident", None))
    opened = [incident_view(names, row) for row in rows if row.fields.get("state") != "closed"]
    return Desk(opened, all_units(names))


class Draft(Struct, frozen=True):
    """What the person typed, as it was typed."""

    id: str
    incident: str = ""
    urgency: str = "urgent"
    kind: str = "dispatch"
    text: str = ""
    close_due: str = ""
    clocks: dict[str, str] = {}
    units: tuple[str, ...] = ()
    lead: str = ""


@desk()
async def new_directive(request: Request) -> Response:
    engine = request.app.state.engine
    if request.method == "GET":
        query = request.query_params
        urgency = query.get("urgency", "urgent")
        urgency = urgency if urgency in URGENCIES else "urgent"
        clocks = default_clocks(urgency)
        draft = Draft(uuid7(engine.clock()), query.get("incident", ""), urgency, clocks=clocks)
        return await _form(request, draft)
    draft = draft_of(await form_of(request))
    if not draft.id:
        again = replace(draft, id=uuid7(engine.clock()))
        return await _form(request, again, unfit(request, "desk.form.again", "entity.directive"))
    refused = fault_in(request, draft) or await _issue(request, draft)
    if refused and refused.code != Code.EXISTS:
        return await _form(request, draft, refused)
    return back_to(f"/desk/directives/{draft.id}")


async def _form(request: Request, draft: Draft, refused: Refused | None = None) -> Response:
    seq, offers = await look(request, _offers, "issuing")
    if request.method == "GET" and not draft.incident and len(offers.incidents) == 1:
        draft = replace(draft, incident=offers.incidents[0].row.id)
    view: dict[str, Any] = {
        "draft": draft,
        "refused": refused,
        "incidents": offers.incidents,
        "units": offers.units,
        "tiers": grouped(offers.units),
        "enrolled": {seen.unit for seen in request.app.state.engine.fleet()},
        "urgencies": URGENCIES,
        "kinds": KINDS,
        "clocks": CLOCKS,
        "defaults": {urgency: default_clocks(urgency) for urgency in URGENCIES},
        "text_max": TEXT_CHARS_MAX,
    }
    return await whole(request, "directive_form.html", 422 if refused else 200, seq=seq, **view)


def default_clocks(urgency: str) -> dict[str, str]:
    """The deadlines of an urgency in minutes, as the form shows them."""
    return {name: minutes(ms) for name, ms in CLOCK_DEFAULTS[urgency].items()}


def draft_of(form: FormData) -> Draft:
    return Draft(
        id_in(form),
        words_in(form, "incident"),
        words_in(form, "urgency"),
        words_in(form, "kind"),
        words_in(form, "text"),
        words_in(form, "close_due"),
        {name: words_in(form, f"clock.{name}") for name in CLOCKS},
        tuple(dict.fromkeys(str(unit) for unit in form.getlist("unit"))),
        words_in(form, "lead"),
    )


def fault_in(request: Request, draft: Draft) -> Refused | None:
    """The first thing that is missing or cannot be read."""
    for name in ("incident", "text", "units"):
        if not getattr(draft, name):
            return missing(request, name)
    for name, typed in draft.clocks.items():
        if typed and clock_ms(typed) is None:
            return unfit(request, "desk.form.clock_range", f"clock.{name}")
    if draft.close_due and due_ms(draft.close_due, request.app.state.engine.clock()) is None:
        return unfit(request, "desk.form.due_range", "field.close_due")
    return None


def clock_ms(typed: str) -> int | None:
    """Minutes as typed, in milliseconds; None unless they are a number within the bounds."""
    try:
        value = Decimal(typed[:TYPED_CHARS_MAX])
    except InvalidOperation:
        return None
    if not value.is_finite() or not CLOCK_MINUTES_MIN <= value <= CLOCK_MINUTES_MAX:
        return None
    return int(value * MINUTE_MS)


def local_ms(typed: str) -> int | None:
    """A `datetime-local` value in the centre's zone, as ms since 1970."""
    try:
        return int(datetime.fromisoformat(typed).replace(tzinfo=ZONE).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def due_ms(typed: str, now_ms: int) -> int | None:
    """A deadline as typed; None unless it lies ahead, and not beyond two years."""
    due = local_ms(typed)
    return due if due is not None and now_ms < due <= now_ms + DUE_MS_MAX else None


def changes_of(draft: Draft, now_ms: int) -> list[Change]:
    """The order and one target per unit: all are issued, or none."""
    clocks = {name: clock_ms(typed) for name, typed in draft.clocks.items() if typed}
    directive = {
        "incident": draft.incident,
        "kind": draft.kind,
        "urgency": draft.urgency,
        "version": 1,
        "text": draft.text,
        "clocks": clocks,
        "close_due": local_ms(draft.close_due) if draft.close_due else None,
        "at": now_ms,
    }
    targets = [
        Change(
            "create",
            "target",
            uuid7(now_ms),
            {
                "directive": draft.id,
                "incident": draft.incident,
                "unit": unit,
                "lead": unit == draft.lead,
            },
        )
        for unit in draft.units
    ]
    return [Change("create", "directive", draft.id, directive), *targets]


async def _issue(request: Request, draft: Draft) -> Refused | None:
    now = request.app.state.engine.clock()
    return await act(request, "directive.issue", changes_of(draft, now))

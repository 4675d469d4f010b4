"""冲突待办: values that compete and words that were not applied, until somebody decides."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.wire import Change
from server.errors import Fault
from server.web.asks import Ask, Choice, Input, ask_page, words_in
from server.web.judging import judgements_for
from server.web.pages import show
from server.web.render import back_to, language, say_or_key
from server.web.session import desk, form_of
from server.web.views_beside import beside
from server.web.views_register import Dispute, inbox, one_dispute
from server.web.views_unapplied import kept
from server.web.work import Refused, act, look, look_for, missing
from sync.rows import base_of

OTHER = ""
"""The value of the choice 「another value」."""


@desk()
async def inbox_page(request: Request) -> Response:
    """All that waits for a decision; with `told`, what a release has just come to."""
    now, told = request.app.state.engine.clock(), request.query_params.get("told", "")
    seq, (conflicts, words) = await look(request, lambda txn: (inbox(txn), kept(txn, now)), "inbox")
    _, aside = await look(request, beside)
    released = next((one for one in words.done if one.row.id == told and one.got), None)
    return await show(
        request,
        "inbox",
        seq=seq,
        inbox=conflicts,
        kept=words,
        beside=aside,
        told=released,
        judgements=judgements_for,
    )


@desk()
async def decide_conflict(request: Request) -> Response:
    """Choose one of the values or type another; it settles exactly the ones that were shown."""
    id = request.path_params["id"]
    _, view = await look_for(request, lambda txn: one_dispute(txn, id))
    if view.subject is None:
        raise Fault(Code.NOT_FOUND, say_or_key(language(request), "desk.inbox.gone"))
    if view.directive or view.incident:
        raise Fault(Code.NOT_FOUND)
    if request.method == "GET":
        return ask_page(request, _ask(view, FormData()))
    form = await form_of(request)
    if refused := await _decide(request, view, form):
        return ask_page(request, _ask(view, form), refused)
    return back_to("/desk/inbox")


def shown_dots(view: Dispute) -> list[str]:
    """The dots that a decision settles: every open value, and what stands in the row."""
    if view.subject is None:
        return []
    open_now = [side["dot"] for side in view.subject.open.get(view.field, [])]
    return list(dict.fromkeys([*open_now, *base_of(view.subject, view.field)]))


def _ask(view: Dispute, form: FormData) -> Ask:
    choices = tuple(Choice(one.value, one.value, one.who, one.at) for one in view.sides)
    typed = form.getlist("dot") or shown_dots(view)
    return Ask(
        "desk.inbox.decide",
        " · ".join(part for part in (view.unit, view.about) if part),
        f"/desk/inbox/{view.row.id}/decide",
        "/desk/inbox",
        "desk.inbox.decide",
        (
            Input("value", "field.value", "radio", value=words_in(form, "value"), choices=choices),
            Input("other", "desk.inbox.other", max=120, value=words_in(form, "other")),
        ),
        tuple(("dot", str(dot)) for dot in typed),
    )


async def _decide(request: Request, view: Dispute, form: FormData) -> Refused | None:
    value = words_in(form, "other") or words_in(form, "value")
    if not value or view.subject is None:
        return missing(request, "value")
    row, field = view.subject, view.field
    dots = tuple(str(dot) for dot in form.getlist("dot"))
    change = Change("set", row.entity, row.id, {field: value})
    return await act(
        request, "conflict.decide", [change], {f"{row.entity}/{row.id}": {field: dots}}
    )

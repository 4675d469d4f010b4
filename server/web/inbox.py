"""冲突待办: values that compete and words that were not applied, until somebody decides."""

from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.wire import Change
from server.errors import Fault
from server.store.protocol import Read
from server.web.asks import Ask, Choice, Input, ask_page, words_in
from server.web.filings import filing_inputs, rule_filing
from server.web.judging import judgements_for
from server.web.pages import show
from server.web.paging import INBOX, INBOX_LISTS, Pages, to_inbox
from server.web.render import language, say_or_key
from server.web.session import desk, form_of
from server.web.views_beside import beside
from server.web.views_register import Dispute, inbox, one_dispute
from server.web.views_unapplied import kept, lost, one_unapplied
from server.web.work import Refused, act, look, look_for, missing
from sync.rows import base_of

OTHER = ""
"""The value of the choice 「another value」."""


@desk()
async def inbox_page(request: Request) -> Response:
    """A page of each list that waits for a decision; with `told`, what a release has come to."""
    now, told = request.app.state.engine.clock(), request.query_params.get("told", "")
    pages = Pages(request.query_params, *INBOX_LISTS)

    def of_log(txn: Read) -> dict[str, Any]:
        return {
            "inbox": inbox(txn, pages["conflicts"]),
            "kept": kept(txn, pages["kept"]),
            "lost": lost(txn, now, pages["lost"]),
        }

    seq, view = await look(request, of_log, f"inbox {pages}")
    _, aside = await look(request, lambda txn: beside(txn, pages["words"], pages["seen"]))
    _, released = await look(request, lambda txn: one_unapplied(txn, told) if told else None)
    view = view | {"beside": aside, "told": released if released and released.got else None}
    return await show(request, "inbox", seq=seq, pages=pages, judgements=judgements_for, **view)


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
    decide = rule_filing if view.is_of_filings else _decide
    if refused := await decide(request, view, form):
        return ask_page(request, _ask(view, form), refused)
    return to_inbox(request)


def shown_dots(view: Dispute) -> list[str]:
    """The dots that a decision settles: every open value, and what stands in the row."""
    if view.subject is None:
        return []
    open_now = [side["dot"] for side in view.subject.open.get(view.field, [])]
    return list(dict.fromkeys([*open_now, *base_of(view.subject, view.field)]))


def _ask(view: Dispute, form: FormData) -> Ask:
    typed = form.getlist("dot") or shown_dots(view)
    return Ask(
        "desk.inbox.decide",
        " · ".join(part for part in (view.unit, view.about) if part),
        f"/desk/inbox/{view.row.id}/decide",
        INBOX,
        "desk.inbox.decide",
        filing_inputs(view, form) if view.is_of_filings else _inputs(view, form),
        tuple(("dot", str(dot)) for dot in typed),
    )


def _inputs(view: Dispute, form: FormData) -> tuple[Input, ...]:
    choices = tuple(Choice(one.value, one.value, one.who, one.at) for one in view.sides)
    return (
        Input("value", "field.value", "radio", value=words_in(form, "value"), choices=choices),
        Input("other", "desk.inbox.other", max=120, value=words_in(form, "other")),
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

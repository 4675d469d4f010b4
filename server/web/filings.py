"""Which of several filings of one machine's move stands, where they contradict each other."""

from starlette.datastructures import FormData
from starlette.requests import Request

from schema.codes import Code
from schema.wire import Change
from server.errors import Fault
from server.ids import uuid7
from server.web.asks import Choice, Input, words_in
from server.web.render import degrees, language, say_or_key
from server.web.views_register import Dispute, Side
from server.web.work import Refused, act, missing


def filing_inputs(view: Dispute, form: FormData) -> tuple[Input, ...]:
    """Every filing with its place, who filed it and when; one of them stands."""
    choices = tuple(Choice(one.value, _place(one), one.who, one.at) for one in view.sides)
    chosen = words_in(form, "filing")
    return (
        Input("filing", "field.filing", "radio", True, value=chosen, choices=choices),
        Input("note", "field.note", "area", max=200, value=words_in(form, "note")),
    )


def _place(side: Side) -> str:
    told = side.shown[0].value
    fix = [told[name] for name in ("lat_e6", "lon_e6") if told[name] is not None]
    return " ".join(part for part in (told["place"], ", ".join(map(degrees, fix))) if part)


async def rule_filing(request: Request, view: Dispute, form: FormData) -> Refused | None:
    """Rule for the chosen filing, over those of this Conflict that say otherwise."""
    told = {one["value"]["filing"]: one["value"]["move"] for one in view.row.fields["sides"]}
    filing, note = words_in(form, "filing"), words_in(form, "note")
    if filing not in told or view.subject is None:
        return missing(request, "filing")
    if view.row.fields["state"] != "open":
        raise Fault(Code.NOT_FOUND, say_or_key(language(request), "desk.inbox.moved_on"))
    now = request.app.state.engine.clock()
    fields = {
        "equipment": view.subject.id,
        "unit": view.subject.fields["unit"],
        "filing": filing,
        "over": [one for one, move in told.items() if move != told[filing]],
        "at": now,
        "note": note or None,
    }
    return await act(
        request, "conflict.decide", [Change("create", "move_ruling", uuid7(now), fields)]
    )

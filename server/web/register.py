"""The register: units, their contacts and phones, and the machines with their places."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.roles import CENTRE_ROLES, Role
from schema.wire import Change, Row
from server.errors import Fault
from server.ids import uuid7
from server.web.asks import Ask, Choice, Input, ask_page, words_in
from server.web.board import state_of
from server.web.lookup import Lookup, grouped, text
from server.web.pages import show
from server.web.render import back_to, language, say_or_key, user_of
from server.web.session import desk, form_of
from server.web.views_register import DUTIES, STALE_AFTER_MS, actors, contacts, machines, units
from server.web.work import Refused, act, look, look_for, missing
from sync.rows import base_of

PHONE_KINDS = ("mobile", "landline")
BASE = "base."
"""Before the name of a field, in a form's hidden input for the dots that it shows."""


@desk(CENTRE_ROLES)
async def units_page(request: Request) -> Response:
    """All units by tier and category, each with the state of its devices."""
    seq, found = await look(request, units, "units")
    others = await request.app.state.engine.store.read(actors)
    states: dict[str, list[str]] = {}
    for seen in request.app.state.engine.fleet():
        states.setdefault(seen.unit, []).append(state_of(seen))
    return await show(
        request,
        "units",
        seq=seq,
        tiers=grouped(found),
        states=states,
        total=len(found),
        actors=others,
    )


@desk()
async def equipment_page(request: Request) -> Response:
    seq, found = await look(request, machines, "equipment")
    return await show(request, "equipment", seq=seq, machines=found, stale_ms=STALE_AFTER_MS)


@desk()
async def contacts_page(request: Request) -> Response:
    unit = request.query_params.get("unit", "")
    seq, view = await look(request, lambda txn: contacts(txn, unit))
    can_edit = Role.SHIFT_LEAD in user_of(request).roles
    return await show(request, "contacts", seq=seq, view=view, can_edit=can_edit)


def _contact_inputs(request: Request, row: Row | None) -> tuple[Input, ...]:
    duties = _choices(request, "duty", DUTIES)
    return (
        Input("name", "field.name", "line", True, 40, text(row, "name")),
        Input("post", "field.post", "line", False, 40, text(row, "post")),
        Input("duty", "field.duty", "radio", True, value=text(row, "duty"), choices=duties),
    )


def _phone_inputs(request: Request, row: Row | None) -> tuple[Input, ...]:
    kinds = _choices(request, "kind", PHONE_KINDS)
    return (
        Input("number", "field.number", "tel", True, 30, text(row, "number")),
        Input("kind", "field.kind", "radio", True, value=text(row, "kind"), choices=kinds),
    )


def _choices(request: Request, group: str, values: tuple[str, ...]) -> tuple[Choice, ...]:
    lang = language(request)
    return tuple(Choice(one, say_or_key(lang, f"{group}.{one}")) for one in values)


INPUTS: dict[str, Callable[[Request, Row | None], tuple[Input, ...]]] = {
    "contact": _contact_inputs,
    "contact_phone": _phone_inputs,
}


def _entity(request: Request) -> str:
    entity: str = request.path_params["entity"]
    if entity not in INPUTS:
        raise Fault(Code.NOT_FOUND)
    return entity


@desk(frozenset({Role.SHIFT_LEAD}))
async def add_card(request: Request) -> Response:
    """A new contact of a unit, or a new number of a contact."""
    entity, parent = _entity(request), request.path_params["parent"]
    owner = "unit" if entity == "contact" else "contact"
    _, row = await look_for(request, lambda txn: Lookup(txn).row(owner, parent))
    unit = row.id if owner == "unit" else row.fields["unit"]
    ask = _card_ask(request, entity, None, unit)
    fields: dict[str, Any] = {"unit": unit} | ({} if owner == "unit" else {"contact": parent})

    async def write(form: FormData) -> Refused | None:
        id = uuid7(request.app.state.engine.clock())
        typed = {one.name: words_in(form, one.name) or None for one in ask.inputs}
        change = Change("create", entity, id, fields | typed)
        return await act(request, "contact.edit_any", [change])

    return await _asked(request, ask, write, f"/desk/contacts?unit={unit}")


@desk(frozenset({Role.SHIFT_LEAD}))
async def edit_card(request: Request) -> Response:
    """Change a contact or a number; only what differs from what was shown is written."""
    entity, id = _entity(request), request.path_params["id"]
    _, row = await look_for(request, lambda txn: Lookup(txn).row(entity, id))
    unit = row.fields["unit"]
    ask = _card_ask(request, entity, row, unit)

    async def write(form: FormData) -> Refused | None:
        shown = {one.name: words_in(form, f"was.{one.name}") for one in ask.inputs}
        typed = {name: words_in(form, name) for name in shown}
        fields = {name: value or None for name, value in typed.items() if value != shown[name]}
        base = {
            name: tuple(words_in(form, f"{BASE}{name}").split()) or base_of(row, name)
            for name in fields
        }
        change = Change("set", entity, id, fields)
        if not fields:
            return None
        return await act(request, "contact.edit_any", [change], {f"{entity}/{id}": base})

    return await _asked(request, ask, write, f"/desk/contacts?unit={unit}")


@desk(frozenset({Role.SHIFT_LEAD}))
async def remove_card(request: Request) -> Response:
    """Take a contact or a number out of the register; its words stay in history."""
    entity, id = _entity(request), request.path_params["id"]
    _, row = await look_for(request, lambda txn: Lookup(txn).row(entity, id))
    unit = row.fields["unit"]
    back = f"/desk/contacts?unit={unit}"
    about = text(row, "name") or text(row, "number")
    title = f"desk.contacts.remove_{entity}"
    seen = tuple((f"{BASE}{name}", " ".join(base_of(row, name))) for name in row.writes)
    action = f"/desk/cards/{entity}/{id}/remove"
    ask = Ask(title, about, action, back, "desk.remove", hidden=seen, danger=True)

    async def write(form: FormData) -> Refused | None:
        base = {f"{entity}/{id}": _seen(form)}
        return await act(request, "contact.edit_any", [Change("remove", entity, id)], base)

    return await _asked(request, ask, write, back)


def _seen(form: FormData) -> dict[str, tuple[str, ...]]:
    """The dots of every edit that the form was made of: any other one is news to its reader."""
    named = [name for name in form if name.startswith(BASE)]
    return {name.removeprefix(BASE): tuple(words_in(form, name).split()) for name in named}


def _card_ask(request: Request, entity: str, row: Row | None, unit: str) -> Ask:
    """The form of a card, or of a new one, with the values and the dots that it shows."""
    inputs = INPUTS[entity](request, row)
    hidden = [(f"was.{one.name}", one.value) for one in inputs]
    if row:
        hidden += [(f"{BASE}{one.name}", " ".join(base_of(row, one.name))) for one in inputs]
    title = f"desk.contacts.{'edit' if row else 'add'}_{entity}"
    action, back = request.url.path, f"/desk/contacts?unit={unit}"
    return Ask(title, text(row, "name"), action, back, "desk.save", inputs, tuple(hidden))


async def _asked(
    request: Request,
    ask: Ask,
    write: Callable[[FormData], Awaitable[Refused | None]],
    back: str,
) -> Response:
    """Show the form; on POST check what is required, write, and go back or say why not."""
    if request.method == "GET":
        return ask_page(request, ask)
    form = await form_of(request)
    empty = next((i for i in ask.inputs if i.required and not words_in(form, i.name)), None)
    refused = missing(request, empty.name) if empty else await write(form)
    if refused is None:
        return back_to(back)
    return ask_page(request, retyped(ask, form), refused)


def retyped(ask: Ask, form: FormData) -> Ask:
    """The form with what the person typed in it, and with what it first showed."""
    inputs = tuple(
        Input(i.name, i.label, i.kind, i.required, i.max, words_in(form, i.name), i.choices, i.hint)
        for i in ask.inputs
    )
    hidden = tuple((name, str(form.get(name, value))) for name, value in ask.hidden)
    return Ask(
        ask.title,
        ask.about,
        ask.action,
        ask.back,
        ask.submit,
        inputs,
        hidden,
        ask.danger,
        ask.warning,
    )

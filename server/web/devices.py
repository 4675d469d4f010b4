"""Enrolment codes, shown once with a QR, and the list of devices."""

from typing import Any

import segno
from starlette.requests import Request
from starlette.responses import Response

from schema.roles import Role
from schema.scopes import DEVICE_KINDS
from server.accounts import COMMAND, new_code
from server.store.protocol import Read
from server.web.asks import words_in
from server.web.board import fleet_view
from server.web.lookup import Lookup, text
from server.web.pages import show
from server.web.paging import Pages
from server.web.render import page, user_of
from server.web.session import desk, form_of
from server.web.views_register import people
from server.web.views_unapplied import lost
from server.web.work import look

KEEPERS = frozenset({Role.ADMIN, Role.SHIFT_LEAD})
QR_SCALE = 7


@desk(KEEPERS)
async def devices_page(request: Request) -> Response:
    devices = request.app.state.engine.fleet()
    now = request.app.state.engine.clock()
    pages = Pages(request.query_params, "lost")

    def read(txn: Read) -> dict[str, Any]:
        found = lost(txn, now, pages["lost"])
        return {"fleet": fleet_view(txn, devices), "persons": enrollable(txn), "lost": found}

    seq, view = await look(request, read)
    sees_contacts = bool(user_of(request).roles & COMMAND)
    view = view | {"pages": pages, "sees_contacts": sees_contacts}
    return await show(request, "devices", seq=seq, **view)


def enrollable(txn: Read) -> list[tuple[str, str, str, str]]:
    """`(actor, name, unit, kind)` of every device that a person of the register may have."""
    return [
        (row.id, text(row, "name"), unit, kind.name)
        for row, unit in people(txn)
        for kind in DEVICE_KINDS.values()
        if row.fields.get("unit") and set(kind.roles) & set(row.fields.get("roles") or ())
    ]


@desk(KEEPERS)
async def make_code(request: Request) -> Response:
    """A code for one device of one person. It is on this page and nowhere else."""
    actor, _, kind = words_in(await form_of(request), "for").partition(" ")
    code = await new_code(request.app.state.engine, actor, kind)
    _, who = await look(request, lambda txn: Lookup(txn).person(actor))
    qr = segno.make(code, error="m", micro=False).svg_data_uri(scale=QR_SCALE, border=3)
    return page(request, "code.html", code=code, qr=qr, who=who, kind=kind)

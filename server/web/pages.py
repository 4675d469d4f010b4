"""Whole pages with their band of alerts, or only the live part that a page asks for."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import COMMAND
from server.store.protocol import Read
from server.web.lookup import Lookup
from server.web.render import fragment, is_fragment, page, user_of
from server.web.views import HelpView, unanswered
from server.web.views_beside import waiting_beside
from server.web.views_register import waiting
from server.web.views_unapplied import waiting_kept
from server.web.work import look


class Alerts(Struct, frozen=True):
    """What cries for a person, whatever page is open."""

    help: list[HelpView]
    conflicts: int
    kept: int
    """What was not applied, in the log and beside it."""


async def alerts_of(request: Request) -> Alerts:
    _, view = await look(request, _alerts, "alerts")
    _, beside = await look(request, waiting_beside)
    return replace(view, kept=view.kept + beside)


def _alerts(txn: Read) -> Alerts:
    return Alerts(unanswered(Lookup(txn)), waiting(txn), waiting_kept(txn))


async def whole(request: Request, template: str, status: int = 200, **view: Any) -> Response:
    """A whole page with the band of alerts, for those who command."""
    if user_of(request).roles & COMMAND:
        view["alerts"] = await alerts_of(request)
    return page(request, template, status, **view)


async def show(request: Request, name: str, **view: Any) -> Response:
    """Page `name.html`, or only its live part `_name.html` when the page asks for that."""
    if is_fragment(request):
        return fragment(request, f"_{name}.html", **view)
    return await whole(request, f"{name}.html", **view)

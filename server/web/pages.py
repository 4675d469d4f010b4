"""Whole pages with their band of alerts, or only the live part that a page asks for."""

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from server.accounts import COMMAND
from server.store.protocol import Read
from server.waiting import CONFLICTS, QUARANTINE, SEEN, WORDS, waiting_count
from server.web.lookup import Lookup
from server.web.render import fragment, is_fragment, page, user_of
from server.web.views import HelpView, unanswered
from server.web.work import look


class Alerts(Struct, frozen=True):
    """What cries for a person, whatever page is open."""

    help: list[HelpView]
    conflicts: int
    kept: int
    """What was not applied, in the log and beside it."""


async def alerts_of(request: Request) -> Alerts:
    _, help = await look(request, lambda txn: unanswered(Lookup(txn)), "help")
    _, counts = await look(request, _counts)
    return Alerts(help, *counts)


def _counts(txn: Read) -> tuple[int, int]:
    return waiting_count(txn, CONFLICTS), waiting_count(txn, QUARANTINE, WORDS, SEEN)


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

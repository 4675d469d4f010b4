"""The situation page, the band on top of every page, and the strip of devices."""

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from schema.versions import CLOCK_OFF_MS_MAX, MINUTE_MS
from schema.wire import Change
from server.fleet import DeviceSeen
from server.ids import uuid7
from server.store.protocol import Read
from server.waiting import CONFLICTS, waiting_count
from server.web.asks import Ask, Input, ask_page, words_in
from server.web.lookup import Lookup
from server.web.pages import alerts_of, show
from server.web.render import back_to, fragment
from server.web.session import desk, form_of
from server.web.views import Board, HelpView, board, help_view
from server.web.work import Refused, act, look, look_for

YEAR_MS = 365 * 24 * 60 * MINUTE_MS


class FleetLine(Struct, frozen=True):
    """One device with the words for who and where."""

    seen: DeviceSeen
    who: str
    unit: str
    state: str

    @property
    def wrong_by(self) -> int:
        """Minutes by which its clock is wrong, 0 when it is right enough; never beyond a year."""
        minutes = round(max(-YEAR_MS, min(self.seen.offset_ms, YEAR_MS)) / MINUTE_MS)
        return minutes if abs(self.seen.offset_ms) > CLOCK_OFF_MS_MAX else 0


class FleetView(Struct, frozen=True):
    """Every device, the troubled ones first, and how many there are of each state."""

    lines: list[FleetLine]
    counts: dict[str, int]
    unsent: int


STATES = ("offline", "behind", "online")


def fleet_view(txn: Read, devices: list[DeviceSeen]) -> FleetView:
    """Online: connected and up to date. Behind: connected, but work waits too long."""
    names = Lookup(txn)
    lines = [
        FleetLine(seen, names.person(seen.actor), names.unit(seen.unit), state_of(seen))
        for seen in devices
    ]
    lines.sort(key=lambda one: (STATES.index(one.state), -(one.seen.last_seen or 0)))
    states = [one.state for one in lines]
    counts = {state: states.count(state) for state in reversed(STATES)}
    return FleetView(lines, counts, sum(one.seen.outbox_count for one in lines))


def state_of(seen: DeviceSeen) -> str:
    if not seen.live:
        return "offline"
    return "behind" if seen.late else "online"


def _with_conflicts(closed: bool, txn: Read) -> Board:
    return board(txn, closed, waiting_count(txn, CONFLICTS))


@desk()
async def board_page(request: Request) -> Response:
    closed = request.query_params.get("show") == "closed"
    seq, view = await look(request, lambda txn: _with_conflicts(closed, txn), f"board {closed}")
    return await show(request, "board", seq=seq, board=view, closed=closed)


@desk()
async def alerts(request: Request) -> Response:
    """The band on top of every page."""
    return fragment(request, "_alerts.html", alerts=await alerts_of(request))


@desk()
async def fleet(request: Request) -> Response:
    devices = request.app.state.engine.fleet()
    _, view = await look(request, lambda txn: fleet_view(txn, devices))
    return fragment(request, "_fleet.html", fleet=view)


def _answer_ask(view: HelpView, typed: str) -> Ask:
    about = " · ".join(
        part for part in (view.unit, view.caller, view.call.fields.get("text")) if part
    )
    return Ask(
        "desk.help.answer",
        about,
        f"/desk/help/{view.call.id}/answer",
        "/desk",
        "desk.help.answer",
        (Input("text", "field.answer", "area", True, 200, typed),),
    )


@desk()
async def answer_help(request: Request) -> Response:
    """Answer a call for help; the caller sees the answer on the device at once."""
    id = request.path_params["id"]
    _, view = await look_for(request, lambda txn: _help(txn, id))
    if request.method == "GET":
        return ask_page(request, _answer_ask(view, ""))
    typed = words_in(await form_of(request), "text")
    refused = await _answer(request, view, typed)
    if refused:
        return ask_page(request, _answer_ask(view, typed), refused)
    return back_to("/desk")


def _help(txn: Read, id: str) -> HelpView | None:
    names = Lookup(txn)
    call = names.row("help_call", id)
    return help_view(names, call) if call else None


async def _answer(request: Request, view: HelpView, typed: str) -> Refused | None:
    now = request.app.state.engine.clock()
    fields: dict[str, Any] = {
        "help_call": view.call.id,
        "unit": view.call.fields["unit"],
        "caller": view.call.actor,
        "text": typed,
        "at": now,
    }
    return await act(request, "help.answer", [Change("create", "help_answer", uuid7(now), fields)])

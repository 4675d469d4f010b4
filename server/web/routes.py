"""Where each page of the web view lives."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from schema.roles import CENTRE_ROLES
from server.accounts import COMMAND
from server.web import (
    board,
    devices,
    directives,
    inbox,
    incidents,
    issuing,
    judging,
    live,
    register,
    session,
)
from server.web.render import back_to, user_of

BOTH = ["GET", "POST"]
POST = ["POST"]


@session.desk(CENTRE_ROLES)
async def home(request: Request) -> Response:
    """The situation; an administrator, who commands nothing, is shown the devices."""
    if user_of(request).roles & COMMAND:
        return await board.board_page(request)
    return back_to("/desk/devices")


routes: list[BaseRoute] = [
    Route("/desk", home),
    Route("/desk/login", session.login, methods=BOTH),
    Route("/desk/logout", session.logout, methods=POST),
    Route("/desk/language", session.set_language),
    Route("/desk/alerts", board.alerts),
    Route("/desk/fleet", board.fleet),
    Route("/desk/help/{id}/answer", board.answer_help, methods=BOTH),
    Route("/desk/incidents/new", incidents.new_incident, methods=BOTH),
    Route("/desk/incidents/{id}", incidents.incident_page),
    Route("/desk/incidents/{id}/edit", incidents.edit_incident, methods=BOTH),
    Route("/desk/incidents/{id}/{verb}", incidents.set_state, methods=BOTH),
    Route("/desk/directives/new", issuing.new_directive, methods=BOTH),
    Route("/desk/directives/{id}", directives.directive_page),
    Route("/desk/directives/{id}/{verb}", directives.decide, methods=BOTH),
    Route("/desk/inbox", inbox.inbox_page),
    Route("/desk/inbox/{id}/decide", inbox.decide_conflict, methods=BOTH),
    Route("/desk/kept/{id}/{verb}", judging.judge, methods=BOTH),
    Route("/desk/beside/{kind}/{id}/close", judging.close_words, methods=BOTH),
    Route("/desk/equipment", register.equipment_page),
    Route("/desk/contacts", register.contacts_page),
    Route("/desk/cards/{entity}/of/{parent}", register.add_card, methods=BOTH),
    Route("/desk/cards/{entity}/{id}/edit", register.edit_card, methods=BOTH),
    Route("/desk/cards/{entity}/{id}/remove", register.remove_card, methods=BOTH),
    Route("/desk/units", register.units_page),
    Route("/desk/devices", devices.devices_page),
    Route("/desk/devices/code", devices.make_code, methods=POST),
    Route("/desk/poll", live.poll),
    WebSocketRoute("/desk/live", live.live),
]

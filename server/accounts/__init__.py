"""Who asks: people at the centre by password and session, devices by enrolment and token."""

from schema.roles import COMMAND
from server.accounts.enrolment import device_of, devices_of, enrol, new_code
from server.accounts.sessions import (
    COOKIE,
    bake_cookie,
    check_csrf,
    check_origin,
    clear_cookie,
    current_user,
    new_login,
    sign_in,
    sign_out,
)

__all__ = [
    "COMMAND",
    "COOKIE",
    "bake_cookie",
    "check_csrf",
    "check_origin",
    "clear_cookie",
    "current_user",
    "device_of",
    "devices_of",
    "enrol",
    "new_code",
    "new_login",
    "sign_in",
    "sign_out",
]

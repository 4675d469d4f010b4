"""Small forms that ask for one decision: shown in a dialog, or as a page without scripts."""

import re

from msgspec import Struct
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from server.web.render import fragment, is_fragment, page
from server.web.work import Refused

WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)
ID = re.compile(r"[\w-]{1,64}", re.ASCII)


class Choice(Struct, frozen=True):
    """One option of a radio group; `note` says whose it is."""

    value: str
    label: str
    note: str = ""
    at: int | None = None


class Input(Struct, frozen=True):
    """A field. `kind` is `line area tel radio select check`; `label` is a key of the dictionary."""

    name: str
    label: str
    kind: str = "line"
    required: bool = False
    max: int = 200
    value: str = ""
    choices: tuple[Choice, ...] = ()
    hint: str = ""


class Ask(Struct, frozen=True):
    """The form. `hidden` carries what the person saw, so that the decision names exactly that."""

    title: str
    about: str
    action: str
    back: str
    submit: str
    inputs: tuple[Input, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    danger: bool = False
    warning: str = ""


def ask_page(request: Request, ask: Ask, refused: Refused | None = None) -> Response:
    """The form, as a part of a dialog when the page asks for it."""
    view = {"ask": ask, "refused": refused}
    if is_fragment(request):
        return fragment(request, "_ask.html", heading="h2", **view)
    return page(request, "ask.html", 422 if refused else 200, heading="h1", **view)


def words_in(form: FormData, name: str) -> str:
    """What was typed, without the blanks around it."""
    return str(form.get(name, "")).strip()


def whole_in(form: FormData, name: str) -> int | None:
    """A whole number that can be a round or a rank, None when there is none."""
    typed = words_in(form, name)
    return int(typed) if WHOLE.fullmatch(typed) else None


def id_in(form: FormData, name: str = "id") -> str:
    """The id that a form carries for the record to be made; empty when it can be none."""
    typed = words_in(form, name)
    return typed if ID.fullmatch(typed) else ""

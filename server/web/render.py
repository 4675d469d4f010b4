"""Templates to bytes: words, times in the centre's zone, ETags."""

import hashlib
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schema.steps import RANKS, STEPS
from schema.words import LANGUAGES, words
from server.device import WebUser

LANGUAGE_COOKIE = "lang"
ZONE = timezone(timedelta(hours=8))
"""Asia/Shanghai, which has kept this offset without summer time since 1991."""

HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Cookie, HX-Request"}
JS_WORDS = "desk.js."
NONE = "—"
MOMENT_MS_MAX = 4_102_444_800_000
"""The year 2100. A device that tells a later time does not know the time."""

E6_MAX = 180_000_000
DIALLED = {letter: letter for letter in "0123456789+*"} | {"#": "%23"}


def language(request: Request) -> str:
    """The language of the reader's cookie; Chinese without one."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else LANGUAGES[0]


def say_or_key(lang: str, key: str, /, **values: object) -> str:
    """The sentence of `key`. A code of a newer version shows as itself, never as an error."""
    sentence = words(lang).get(key)
    if sentence is None:
        return key.rpartition(".")[2]
    return sentence.format_map({name: str(value) for name, value in values.items()})


def moment(at_ms: object) -> datetime | None:
    """A time as people read it; None for what no calendar of ours has. It never fails."""
    if not isinstance(at_ms, int) or not 0 <= at_ms < MOMENT_MS_MAX:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZONE)


def iso(at_ms: object) -> str:
    """For `<time datetime>`; nothing for a time that cannot be."""
    then = moment(at_ms)
    return then.isoformat(timespec="seconds") if then else ""


def when(at_ms: object, now_ms: int) -> str:
    """Hour and minute today, with the day otherwise, with the year in other years."""
    then, now = moment(at_ms), moment(now_ms)
    if then is None or now is None:
        return NONE
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then:%m-%d %H:%M}" if then.year == now.year else f"{then:%Y-%m-%d %H:%M}"


def exact(at_ms: object) -> str:
    """To the second, for print and evidence."""
    then = moment(at_ms)
    return f"{then:%Y-%m-%d %H:%M:%S}" if then else NONE


def degrees(e6: int) -> str:
    """Micro-degrees as decimal degrees."""
    return f"{e6 / 1_000_000:.6f}" if abs(e6) <= E6_MAX else NONE


def dialable(number: str) -> str:
    """What a phone dials: digits and signs in their plain form, whatever else stands there."""
    plain = unicodedata.normalize("NFKC", number)
    return "".join(DIALLED.get(letter, "") for letter in plain)


def minutes(ms: int) -> str:
    """Milliseconds as minutes, without a needless fraction."""
    return f"{ms / 60_000:.2f}".rstrip("0").rstrip(".")


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    env = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "iso": iso,
        "exact": exact,
        "degrees": degrees,
        "minutes": minutes,
        "dialable": dialable,
    }
    env.globals |= {"STEPS": STEPS, "RANKS": RANKS}
    return env


_env = _environment()


def render(request: Request, template: str, **view: Any) -> str:
    """A template with the words, the reader and the time; the rest is in `view`."""
    lang = language(request)
    engine = request.app.state.engine
    now = engine.clock()
    return _env.get_template(template).render(
        view,
        _=partial(say_or_key, lang),
        lang=lang,
        now=now,
        when=partial(when, now_ms=now),
        user=getattr(request.state, "user", None),
        path=request.url.path,
        centre=engine.config.centre_name,
        js_words={
            key.removeprefix(JS_WORDS): text
            for key, text in words(lang).items()
            if key.startswith(JS_WORDS)
        },
    )


def page(request: Request, template: str, status: int = 200, **view: Any) -> Response:
    """A whole page. `seq` in the view tells the browser which state of the log it shows."""
    view.setdefault("seq", 0)
    html = render(request, template, **view)
    return Response(html, status, HEADERS, media_type="text/html")


def is_fragment(request: Request) -> bool:
    """True when the page asks for a part of itself."""
    return request.headers.get("hx-request") == "true"


def fragment(request: Request, template: str, **view: Any) -> Response:
    """A part of a page; 304 when the reader has these very bytes."""
    html = render(request, template, **view)
    etag = f'"{hashlib.sha256(html.encode()).hexdigest()[:24]}"'
    headers = HEADERS | {"ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(None, 304, headers)
    return Response(html, 200, headers, media_type="text/html")


def back_to(url: str) -> Response:
    """After a POST that did its work: reading again never writes again."""
    return RedirectResponse(url, 303)


def user_of(request: Request) -> WebUser:
    """The person whom `session.desk` let in."""
    user: WebUser = request.state.user
    return user

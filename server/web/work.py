"""Between a page and the engine: one read, one mutation, and words for a refusal."""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from msgspec import Struct
from starlette.requests import Request

from schema.codes import Code
from schema.wire import Change, Verdict
from server.errors import Fault
from server.store.protocol import Read
from server.web.render import language, say_or_key, user_of

T = TypeVar("T")
VIEWS_KEPT_MAX = 32

_views: "WeakKeyDictionary[Any, dict[str, tuple[int, Any]]]" = WeakKeyDictionary()


async def look(request: Request, project: Callable[[Read], T], key: str = "") -> tuple[int, T]:
    """A view and the seq that it shows. With a key, all readers of one seq share one projection."""
    engine = request.app.state.engine
    kept = _views.setdefault(engine, {})

    def work(txn: Read) -> tuple[int, T]:
        seq = txn.head().seq
        if key and key in kept and kept[key][0] == seq:
            return kept[key]
        view = project(txn)
        if key:
            if len(kept) >= VIEWS_KEPT_MAX:
                kept.clear()
            kept[key] = (seq, view)
        return seq, view

    found: tuple[int, T] = await engine.store.read(work)
    return found


async def look_for(request: Request, project: Callable[[Read], T | None]) -> tuple[int, T]:
    """As `look`. Fault `not_found` when there is nothing to show."""
    seq, view = await look(request, project)
    if view is None:
        raise Fault(Code.NOT_FOUND)
    return seq, view


class Refused(Struct, frozen=True):
    """Why the engine did not do it, in words for the form."""

    code: str
    words: str


async def act(
    request: Request,
    intent: str,
    changes: list[Change],
    base: dict[str, dict[str, tuple[str, ...]]] | None = None,
) -> Refused | None:
    """Do it as this person. None when it stands; else why not, for the form to show."""
    verdict: Verdict = await request.app.state.engine.act(user_of(request), intent, changes, base)
    if verdict.verdict in ("applied", "merged"):
        return None
    return refusal(request, str(verdict.code or verdict.verdict), verdict.detail)


def refusal(request: Request, code: str, detail: str | None = None) -> Refused:
    """The sentence of a code, with the name of what it is about."""
    lang = language(request)
    sentence = say_or_key(lang, f"error.{code}")
    return Refused(code, f"{sentence} ({detail})" if detail else sentence)


def missing(request: Request, field: str) -> Refused:
    """A field that must be filled."""
    return unfit(request, "desk.form.missing", f"field.{field}")


def unfit(request: Request, sentence: str, label: str) -> Refused:
    """A sentence about one field, by the name that stands beside it in the form."""
    lang = language(request)
    return Refused("unfit", say_or_key(lang, sentence, field=say_or_key(lang, label)))

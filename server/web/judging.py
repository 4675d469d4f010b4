"""待核内容: a duty officer lets in, turns down or closes what was not applied."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.intents import INTENTS
from schema.roles import Role
from schema.wire import Change
from server.errors import Fault
from server.waiting import SEEN, WORDS
from server.web.asks import Ask, Input, ask_page, words_in
from server.web.paging import INBOX, to_inbox
from server.web.render import language, say_or_key, user_of
from server.web.session import desk, form_of
from server.web.views_beside import Beside, close_beside, one_beside
from server.web.views_unapplied import Unapplied, Who, is_open, one_unapplied
from server.web.work import act, look, look_for
from sync.rows import base_of

NOTE = "note"
NOTE_CHARS_MAX = 500
KINDS = {"words": WORDS, "seen": SEEN}
"""What is kept beside the log, by its name in a path."""


class Judgement(Struct, frozen=True):
    """What a duty officer may say of what has one of these verdicts."""

    intent: str
    state: str
    of: str

    @property
    def roles(self) -> tuple[Role, ...]:
        return INTENTS[self.intent].roles


JUDGEMENTS = {
    "release": Judgement("quarantine.release", "released", "quarantined"),
    "reject": Judgement("quarantine.reject", "rejected", "quarantined"),
    "close": Judgement("quarantine.close", "closed", "refused"),
}


def judgements_for(one: Unapplied, roles: frozenset[Role]) -> list[str]:
    """What somebody with these roles may say of it now."""
    if not is_open(one.row):
        return []
    return [
        name
        for name, judgement in JUDGEMENTS.items()
        if judgement.of == one.row.fields["verdict"] and roles & set(judgement.roles)
    ]


@desk()
async def judge(request: Request) -> Response:
    """Let it in, turn it down or close it. What it got once let in is told on the inbox."""
    id, verb = request.path_params["id"], request.path_params["verb"]
    _, one = await look_for(request, lambda txn: one_unapplied(txn, id))
    if verb not in JUDGEMENTS:
        raise Fault(Code.NOT_FOUND)
    if not is_open(one.row):
        raise Fault(Code.NOT_QUARANTINED)
    if verb not in judgements_for(one, user_of(request).roles):
        raise Fault(Code.FORBIDDEN)
    action, about = f"/desk/kept/{id}/{verb}", _about(request, one.row.fields["intent"], one.who)
    if request.method == "GET":
        return ask_page(request, _ask(action, verb, about))
    typed = words_in(await form_of(request), NOTE)
    judgement = JUDGEMENTS[verb]
    change = Change("set", "quarantine", id, {"state": judgement.state, "note": typed or None})
    base = {f"quarantine/{id}": {name: base_of(one.row, name) for name in change.fields}}
    if refused := await act(request, judgement.intent, [change], base):
        return ask_page(request, _ask(action, verb, about, typed), refused)
    return to_inbox(request, **{"told": id} if verb == "release" else {})


def _about(request: Request, intent: str | None, who: Who) -> str:
    """Whose words they are, and what was meant."""
    meant = say_or_key(language(request), f"intent.{intent}") if intent else ""
    return " · ".join(part for part in (who.unit, who.person, meant) if part)


def _ask(action: str, verb: str, about: str, typed: str = "") -> Ask:
    return Ask(
        f"desk.kept.{verb}",
        about,
        action,
        INBOX,
        f"desk.kept.{verb}",
        (Input(NOTE, "field.note", "area", max=NOTE_CHARS_MAX, value=typed),),
        warning=f"desk.kept.{verb}_warning",
    )


@desk()
async def close_words(request: Request) -> Response:
    """Close what is kept beside the log; it stays there with who closed it."""
    name, id = request.path_params["kind"], request.path_params["id"]
    if name not in KINDS:
        raise Fault(Code.NOT_FOUND)
    _, one = await look(request, lambda txn: one_beside(txn, KINDS[name], id))
    if one is None:
        raise Fault(Code.NOT_QUARANTINED)
    if request.method == "GET":
        action = f"/desk/beside/{name}/{id}/close"
        return ask_page(request, _ask(action, "close", _about(request, one.intent, one.who)))
    note = words_in(await form_of(request), NOTE)[:NOTE_CHARS_MAX]
    await _close(request, one, note)
    return to_inbox(request)


async def _close(request: Request, one: Beside, note: str) -> None:
    engine = request.app.state.engine
    told = {"closed_by": user_of(request).actor, "closed_at": engine.clock(), "note": note}
    if not await engine.store.write(lambda txn: close_beside(txn, one.kind, one.id, told)):
        raise Fault(Code.NOT_QUARANTINED)

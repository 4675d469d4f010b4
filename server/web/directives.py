"""One order: its page, and what the centre decides about each unit."""

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from schema.codes import Code
from schema.intents import INTENTS
from schema.roles import Role
from schema.steps import RANKS
from schema.wire import Change
from server.errors import Fault
from server.ids import uuid7
from server.store.protocol import Read
from server.web.asks import Ask, Choice, Input, ask_page, whole_in, words_in
from server.web.cases import Order, order, tags_of
from server.web.pages import show
from server.web.render import back_to, language, say_or_key, user_of
from server.web.session import desk, form_of
from server.web.views import DirectiveView, TargetView, one_directive
from server.web.work import Refused, act, look_for, unfit
from sync.levels import may_at

RULINGS = ("accept_result", "stand_by_recall")
RECALLABLE = ("none", "accepted")


@desk()
async def directive_page(request: Request) -> Response:
    id = request.path_params["id"]
    seq, (view, tags) = await look_for(request, lambda txn: _with_tags(txn, id))
    can = {"recall": any(_is_open(one) for one in view.view.targets)}
    return await show(
        request,
        "directive",
        seq=seq,
        order=view,
        view=view.view,
        tags=tags,
        can=can,
        decisions=partial(decisions_for, roles=user_of(request).roles, level=view.view.level),
    )


def _with_tags(txn: Read, id: str) -> tuple[Order, dict[str, tuple[str, ...]]] | None:
    view = order(txn, id)
    return (view, tags_of(txn, view.timeline)) if view else None


class Decision(Struct, frozen=True):
    """One thing the centre may decide about targets of an order."""

    intent: str
    allows: Callable[[TargetView], bool]
    inputs: Callable[[Request, list[TargetView]], tuple[Input, ...]]
    change: Callable[[TargetView, FormData, int], Change]
    danger: bool = False


def _seen(target: TargetView, form: FormData, name: str, now: int) -> int:
    """The round or rank that the person saw when deciding; what stands now when it is not told."""
    told = whole_in(form, f"{name}.{target.target.id}")
    return now if told is None else told


def _fact(
    entity: str, target: TargetView, form: FormData, now_ms: int, fields: dict[str, Any]
) -> Change:
    """A fact about a target, in the round that the person saw."""
    common = {
        "target": target.target.id,
        "directive": target.directive.id,
        "unit": target.target.fields["unit"],
        "round": _seen(target, form, "round", target.progress.round),
        "at": now_ms,
    }
    return Change("create", entity, uuid7(now_ms), common | fields)


def _close(target: TargetView, form: FormData, now_ms: int) -> Change:
    version = target.directive.fields["version"]
    note = words_in(form, "note") or None
    fields = {"step": "closed", "version": version, "route": "centre", "note": note}
    return _fact("step", target, form, now_ms, fields)


def _send_back(target: TargetView, form: FormData, now_ms: int) -> Change:
    seen = _seen(target, form, "round", target.progress.round)
    fields = {"round": seen + 1, "reason": "sent_back", "note": words_in(form, "reason")}
    return _fact("round", target, form, now_ms, fields)


def _recall(target: TargetView, form: FormData, now_ms: int) -> Change:
    rank = _seen(target, form, "rank", target.progress.rank)
    call = words_in(form, "call") or None
    fields = {"reason": words_in(form, "reason"), "rank_seen": rank, "call": call}
    return _fact("recall", target, form, now_ms, fields)


def _rule(target: TargetView, form: FormData, now_ms: int) -> Change:
    fields = {
        "recall": target.progress.recall_id,
        "verdict": words_in(form, "verdict"),
        "note": words_in(form, "note") or None,
    }
    return _fact("ruling", target, form, now_ms, fields)


def _close_inputs(request: Request, targets: list[TargetView]) -> tuple[Input, ...]:
    """A note; it must say how the feedback came where none came in this round."""
    if all(has_feedback(one) for one in targets):
        return (Input("note", "field.note", "area", max=200),)
    hint = "desk.decide.feedback_hint"
    return (Input("note", "field.feedback_note", "area", True, 200, hint=hint),)


def has_feedback(target: TargetView) -> bool:
    """True when the unit said in this round how it went."""
    return any(row.fields["round"] == target.progress.round for row in target.facts.feedback)


def _recall_inputs(request: Request, targets: list[TargetView]) -> tuple[Input, ...]:
    reason = Input("reason", "field.reason", "area", True, 500)
    if not any(needs_call(one) for one in targets):
        return (reason,)
    return reason, Input("call", "field.call", "area", True, 200, hint="desk.recall.call_hint")


def needs_call(target: TargetView) -> bool:
    """Who is already there is called; the call is written down with the recall."""
    return target.progress.rank >= RANKS["arrived"]


def _rule_inputs(request: Request, targets: list[TargetView]) -> tuple[Input, ...]:
    lang = language(request)
    choices = tuple(Choice(one, say_or_key(lang, f"ruling.{one}")) for one in RULINGS)
    verdict = Input("verdict", "field.verdict", "radio", True, choices=choices)
    return verdict, Input("note", "field.note", "area", max=500)


def _is_open(target: TargetView) -> bool:
    return target.progress.rank < RANKS["closed"] and target.progress.recall in RECALLABLE


def _is_reported(target: TargetView) -> bool:
    return _is_open(target) and target.progress.rank >= RANKS["reported"]


DECISIONS: dict[str, Decision] = {
    "close": Decision(
        "target.close",
        _is_open,
        _close_inputs,
        _close,
    ),
    "send_back": Decision(
        "target.send_back",
        _is_reported,
        lambda request, targets: (Input("reason", "field.reason", "area", True, 500),),
        _send_back,
    ),
    "recall": Decision("directive.recall", _is_open, _recall_inputs, _recall, danger=True),
    "rule": Decision(
        "recall.rule",
        lambda target: target.progress.recall == "contested",
        _rule_inputs,
        _rule,
    ),
}


def decisions_for(target: TargetView, roles: frozenset[Role], level: str) -> list[str]:
    """What these roles may decide about a unit now at this level, the usual first."""
    return [
        name
        for name, one in DECISIONS.items()
        if one.allows(target) and may_at(INTENTS[one.intent], roles, level)
    ]


@desk()
async def decide(request: Request) -> Response:
    """Ask for one decision, then write it. Without a target it is about all units at once."""
    id, verb = request.path_params["id"], request.path_params["verb"]
    if verb not in DECISIONS:
        raise Fault(Code.NOT_FOUND)
    _, view = await look_for(request, lambda txn: one_directive(txn, id))
    posted = request.method == "POST"
    form = await form_of(request) if posted else FormData(request.query_params)
    targets = _chosen(view, verb, words_in(form, "target"))
    if not posted:
        return ask_page(request, ask_for(request, view, verb, targets, form))
    refused = await _write(request, verb, targets, form)
    if refused:
        return ask_page(request, ask_for(request, view, verb, targets, form), refused)
    return back_to(f"/desk/directives/{id}")


def _chosen(view: DirectiveView, verb: str, target: str) -> list[TargetView]:
    """The targets that the decision is about. Fault `not_found` when it fits none of them."""
    allows = DECISIONS[verb].allows
    named = [one for one in view.targets if not target or one.target.id == target]
    chosen = [one for one in named if allows(one)]
    if not chosen:
        raise Fault(Code.NOT_FOUND)
    return chosen


def ask_for(
    request: Request, view: DirectiveView, verb: str, targets: list[TargetView], form: FormData
) -> Ask:
    """The form of one decision, with round and rank of each target as they are shown now."""
    decision, lang = DECISIONS[verb], language(request)
    inputs = tuple(_filled(one, form) for one in decision.inputs(request, targets))
    hidden = [("target", words_in(form, "target"))]
    for one in targets:
        rank, round_now = one.progress.rank, one.progress.round
        hidden.append((f"rank.{one.target.id}", str(_seen(one, form, "rank", rank))))
        hidden.append((f"round.{one.target.id}", str(_seen(one, form, "round", round_now))))
    steps = [f"{one.unit.name} {say_or_key(lang, f'step.{one.progress.step}')}" for one in targets]
    home = f"/desk/directives/{view.row.id}"
    about = (
        f"{view.row.fields.get('no') or ''} · {say_or_key(lang, 'desk.list_separator').join(steps)}"
    )
    title = f"desk.decide.{verb}" if words_in(form, "target") else f"desk.decide.{verb}_all"
    action = f"{home}/{verb}"
    silent = verb == "close" and not all(has_feedback(one) for one in targets)
    warning = "desk.decide.no_feedback" if silent else ""
    return Ask(title, about, action, home, title, inputs, tuple(hidden), decision.danger, warning)


def _filled(one: Input, form: FormData) -> Input:
    return Input(
        one.name,
        one.label,
        one.kind,
        one.required,
        one.max,
        words_in(form, one.name),
        one.choices,
        one.hint,
    )


async def _write(
    request: Request, verb: str, targets: list[TargetView], form: FormData
) -> Refused | None:
    decision = DECISIONS[verb]
    for one in decision.inputs(request, targets):
        if one.required and not words_in(form, one.name):
            return unfit(request, "desk.form.missing", one.label)
    now = request.app.state.engine.clock()
    changes = [decision.change(target, form, now) for target in targets]
    return await act(request, decision.intent, changes)

"""What the pages about one incident and one order list in time: every fact with both its times."""

from msgspec import Struct

from schema.wire import Row
from server.store.protocol import Read
from server.web.lookup import Lookup
from server.web.views import (
    FINISHED,
    DirectiveView,
    HelpView,
    IncidentView,
    TargetView,
    directive_view,
    help_view,
    in_order,
    incident_view,
)


class Said(Struct, frozen=True):
    """Feedback of one unit."""

    row: Row
    who: str
    unit: str
    directive: Row


class Moment(Struct, frozen=True):
    """A line of the timeline. `kind` names the entity, `what` its step, reason or verdict."""

    at: int
    arrived: int
    kind: str
    what: str
    who: str
    unit: str
    text: str
    dot: str
    old_round: int | None = None


class Case(Struct, frozen=True):
    """One incident with its orders, calls for help and feedback."""

    incident: IncidentView
    directives: list[DirectiveView]
    help: list[HelpView]
    feedback: list[Said]

    @property
    def unfinished(self) -> int:
        """Orders that units still carry out."""
        return sum(one.state not in FINISHED for one in self.directives)


def feedback_of(look: Lookup, directives: list[DirectiveView]) -> list[Said]:
    """Feedback of these orders, the newest first."""
    said = [
        Said(row, look.person(row.actor), target.unit.name, one.row)
        for one in directives
        for target in one.targets
        for row in target.facts.feedback
    ]
    return sorted(said, key=lambda one: one.row.fields["at"], reverse=True)


def case(txn: Read, id: str) -> Case | None:
    """None when there is no such incident."""
    look = Lookup(txn)
    row = look.row("incident", id)
    if row is None:
        return None
    directives = [directive_view(look, one) for one in look.children("directive", id)]
    calls = [
        help_view(look, call)
        for one in directives
        for target in one.targets
        for call in look.children("help_call", target.target.id)
    ]
    shown = incident_view(look, row, len(directives))
    return Case(shown, in_order(directives), calls, feedback_of(look, directives))


class Order(Struct, frozen=True):
    """One order with its feedback and all of its facts in time."""

    view: DirectiveView
    feedback: list[Said]
    timeline: list[Moment]
    stamps: dict[str, str]
    """Names of the people behind the marks, by actor."""


def order(txn: Read, id: str) -> Order | None:
    """None when there is no such order."""
    look = Lookup(txn)
    row = look.row("directive", id)
    if row is None:
        return None
    view = directive_view(look, row)
    actors = {mark.actor for one in view.targets for mark in one.progress.marks.values()}
    names = {actor: look.person(actor) for actor in actors}
    return Order(view, feedback_of(look, [view]), timeline(look, view), names)


def timeline(look: Lookup, view: DirectiveView) -> list[Moment]:
    """Every fact about this order, the newest first; device time orders them."""
    row = view.row
    issued = Moment(row.fields["at"], row.arrived, "directive", "", view.issuer, "", "", row.dot)
    moments = [issued]
    for target in view.targets:
        moments += [_moment(look, target, fact) for fact in _facts(look, target)]
    return sorted(moments, key=lambda one: one.at, reverse=True)


def tags_of(txn: Read, moments: list[Moment]) -> dict[str, tuple[str, ...]]:
    """`{dot: tags}` of the facts that were taken with a remark."""
    past = txn.logged({one.dot for one in moments})
    return {dot: one.verdict.tags for dot, one in past.items() if one.verdict.tags}


def _facts(look: Lookup, target: TargetView) -> list[Row]:
    facts = target.facts
    calls = look.children("help_call", target.target.id)
    answers = [row for call in calls for row in look.children("help_answer", call.id)]
    groups = (facts.steps, facts.rounds, facts.recalls, facts.stops, facts.rulings, facts.feedback)
    return [row for group in (*groups, calls, answers) for row in group]


def _moment(look: Lookup, target: TargetView, row: Row) -> Moment:
    fields = row.fields
    what = {"step": "step", "round": "reason", "ruling": "verdict", "feedback": "kind"}
    said = [fields.get("text"), fields.get("note"), fields.get("call")]
    if row.entity == "recall":
        said.insert(0, fields["reason"])
    round_then = fields.get("round")
    return Moment(
        fields["at"],
        row.arrived,
        row.entity,
        str(fields.get(what.get(row.entity, "")) or ""),
        look.person(row.actor),
        target.unit.name,
        " · ".join(part for part in said if part),
        row.dot,
        round_then if round_then != target.progress.round else None,
    )

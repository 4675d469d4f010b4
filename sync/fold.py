"""Progress, clocks and positions: folds of facts, computed the same way on both sides."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from schema.steps import RANKS, STEPS
from schema.wire import Row
from sync.conflict import RULE_RECALL_ARRIVED, RULE_RECALL_BLIND
from sync.moves import whereabouts
from sync.recall import recall_rule

FIRST_ROUND = 1


class Mark(Struct, frozen=True):
    """One step as a fact: device time, arrival time (0 while it is only here), person and route."""

    step: str
    at: int
    arrived: int
    actor: str
    route: str
    round: int
    version: int
    dot: str


class Clock(Struct, frozen=True):
    """A deadline: when it began, when it is due, and when it was met (None while it runs)."""

    name: str
    since: int
    due: int
    met: int | None


class Progress(Struct, frozen=True):
    """Where one target stands in its current round.

    `marks` are the current round's first fact of each step; an implied step has none. `old` are
    the steps of other rounds and older versions, shown and never counted; `witnesses` are further
    facts of a step that has its mark. `recall` is one of `none recalling stopped done_before
    contested accepted`; `blind` tells that a signer did not know of it.
    """

    round: int
    step: str
    rank: int
    marks: dict[str, Mark]
    old: list[Mark]
    witnesses: list[Mark]
    recall: str
    recall_id: str | None
    blind: bool
    clocks: list[Clock]


class Facts(Struct, frozen=True):
    """All facts that name one target."""

    steps: Sequence[Row] = ()
    rounds: Sequence[Row] = ()
    recalls: Sequence[Row] = ()
    stops: Sequence[Row] = ()
    rulings: Sequence[Row] = ()
    feedback: Sequence[Row] = ()


def progress_of(directive: Row, facts: Facts) -> Progress:
    """Fold one target's facts. The order in which they came makes no difference."""
    round_now = max([FIRST_ROUND, *(row.fields["round"] for row in facts.rounds)])
    version_now = directive.fields["version"]
    marks: dict[str, Mark] = {}
    old: list[Mark] = []
    witnesses: list[Mark] = []
    for mark in sorted(map(_mark, facts.steps), key=lambda mark: (mark.at, mark.dot)):
        if mark.round != round_now or mark.version < version_now:
            old.append(mark)
        elif mark.step in marks:
            witnesses.append(mark)
        else:
            marks[mark.step] = mark
    said = [row for row in facts.feedback if row.fields["round"] == round_now]
    rank = max([0, *(RANKS[step] for step in marks)])
    if any(map(_is_progress, said)):
        rank = max(rank, RANKS["acting"])
    recall, recall_id, blind = _recall(facts, round_now, marks)
    return Progress(
        round_now,
        STEPS[rank],
        rank,
        marks,
        old,
        witnesses,
        recall,
        recall_id,
        blind,
        _clocks(directive, facts, round_now, marks),
    )


def _at(row: Row) -> int:
    """The device's time of a fact, never after it arrived."""
    at: int = row.fields["at"]
    return min(at, row.arrived) if row.arrived else at


def _mark(row: Row) -> Mark:
    fields = row.fields
    return Mark(
        fields["step"],
        _at(row),
        row.arrived,
        row.actor,
        fields["route"],
        fields["round"],
        fields["version"],
        row.dot,
    )


def _recall(facts: Facts, round_now: int, marks: dict[str, Mark]) -> tuple[str, str | None, bool]:
    """The state of the newest recall of this round, its id, and whether somebody signed blind."""
    recalls = [row for row in facts.recalls if row.fields["round"] == round_now]
    if not recalls:
        return "none", None, False
    recall = max(recalls, key=lambda row: (row.fields["at"], row.dot))
    unaware = [mark for mark in marks.values() if RANKS[mark.step] > recall.fields["rank_seen"]]
    rules = {
        recall_rule(recall.fields, {"step": mark.step, "at": mark.at})
        for mark in unaware
        if RANKS[mark.step] >= RANKS["signed"]
    }
    blind = RULE_RECALL_BLIND in rules
    return _recall_state(facts, recall, RULE_RECALL_ARRIVED in rules), recall.id, blind


def _recall_state(facts: Facts, recall: Row, contested: bool) -> str:
    rulings = [row for row in facts.rulings if row.fields["recall"] == recall.id]
    newest = max(rulings, key=lambda row: (row.fields["at"], row.dot), default=None)
    if newest and newest.fields["verdict"] == "accept_result":
        return "accepted"
    if any(row.fields["recall"] == recall.id for row in facts.stops):
        return "stopped"
    if recall.fields["rank_seen"] >= RANKS["reported"]:
        return "done_before"
    return "contested" if contested and newest is None else "recalling"


def _clocks(directive: Row, facts: Facts, round_now: int, marks: dict[str, Mark]) -> list[Clock]:
    """Deadlines of the current round, each from the event that starts it."""
    allowed: dict[str, int] = directive.fields["clocks"]
    opened = [row for row in facts.rounds if row.fields["round"] == round_now]
    start = min([row.fields["at"] for row in opened], default=directive.fields["at"])
    feedback = [row for row in facts.feedback if row.fields["round"] == round_now]
    reached = [(RANKS[mark.step], mark.at) for mark in marks.values()]
    reached += [(RANKS["acting"], _at(row)) for row in feedback if _is_progress(row)]
    done, signed = _met(reached, "reported"), marks.get("signed")
    signed_at = signed.at if signed else None
    said = sorted(map(_at, feedback))
    clocks: list[Clock] = []
    for name, since, met in (
        ("receipt", start, _met(reached, "received")),
        ("sign", start, _met(reached, "signed")),
        ("depart", signed_at, _met(reached, "departed")),
        ("arrive", signed_at, _met(reached, "arrived")),
        ("first_feedback", signed_at, said[0] if said else done),
        ("feedback_every", said[-1] if said else None, done),
    ):
        if name in allowed and since is not None:
            clocks.append(Clock(name, since, since + allowed[name], met))
    if due := directive.fields.get("close_due"):
        clocks.append(Clock("close", start, due, _met(reached, "closed")))
    return clocks


def _met(reached: list[tuple[int, int]], step: str) -> int | None:
    """When a step was reached: by its own fact, or by the first fact above it that implies it."""
    return min((at for rank, at in reached if rank >= RANKS[step]), default=None)


def _is_progress(feedback: Row) -> bool:
    """Whoever tells of progress is 处置中, whatever step they forgot to tap."""
    return bool(feedback.fields["kind"] == "progress")


def overdue(clock: Clock, now_ms: int) -> bool:
    """Late: still running past its due time, or met after it."""
    return (clock.met if clock.met is not None else now_ms) > clock.due


def directive_state(states: list[Progress]) -> str:
    """The header of an order, derived from its targets, never stored.

    It stays `recalling` while somebody may still be moving because the recall has not reached them.
    """
    live = [one for one in states if one.recall in ("none", "accepted", "contested")]
    stopping = any(one.recall == "recalling" for one in states)
    ranks = [one.rank for one in live]
    if not states:
        return "issued"
    if not ranks or min(ranks) >= RANKS["closed"]:
        return "recalling" if stopping else "closed" if ranks else "recalled"
    if min(ranks) >= RANKS["reported"]:
        return "to_review"
    if max(ranks) >= RANKS["departed"]:
        return "acting"
    if min(ranks) >= RANKS["signed"]:
        return "all_signed"
    return "part_signed" if max(ranks) >= RANKS["signed"] else "issued"


def position_of(moves: Sequence[Row], rulings: Sequence[Row] = ()) -> dict[str, Any] | None:
    """Where a machine is by its filings, who witnessed it, and which filings say otherwise."""
    return whereabouts(moves, rulings).position

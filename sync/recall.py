"""A recall meets work done without knowing of it: rules 1 to 3 of the conflict table."""

from collections.abc import Iterator
from typing import Any

from schema.steps import RANKS
from schema.wire import Row
from sync.conflict import (
    RULE_RECALL_ARRIVED,
    RULE_RECALL_BLIND,
    RULE_RECALL_SIGNED,
    conflict_row,
)
from sync.known import Known
from sync.rows import Stored

FIELD = "recall"
RECALLING = frozenset({"recall", "step", "ruling"})
"""What a recall, or a Conflict about one, may concern."""


def recall_conflicts(known: Known, made: list[Stored]) -> list[Stored]:
    """The Conflicts between recalls and steps of which one was just made, one per pair.

    Whichever came first: a dispatcher may recall without having seen a step that is here already.
    """
    found = []
    for recall, step in _pairs(known, [stored.row for stored in made]):
        if RANKS[step.fields["step"]] >= RANKS["signed"] and _unaware(recall, step):
            target = known.rows.get(("target", step.fields["target"]))
            found.append(_conflict(target.row if target else step, recall, step))
    return found


def _pairs(known: Known, made: list[Row]) -> Iterator[tuple[Row, Row]]:
    for row in made:
        if row.entity == "step":
            for recall in known.of("recall", row.fields["target"]):
                yield recall, row
        elif row.entity == "recall":
            for step in known.of("step", row.fields["target"]):
                yield row, step


def ruled(known: Known, made: list[Stored]) -> list[Stored]:
    """The open Conflicts that the rulings just made decide."""
    targets = [one.row.fields["target"] for one in made if one.row.entity == "ruling"]
    return [
        conflict
        for target in targets
        for conflict in known.children.get(("conflict", target), {}).values()
        if conflict.row.fields["field"] == FIELD and conflict.row.fields["state"] == "open"
    ]


def _unaware(recall: Row, step: Row) -> bool:
    """The dispatcher had not seen this rank when recalling, and the step is of that round."""
    same_round = recall.fields["round"] == step.fields["round"]
    return bool(same_round and RANKS[step.fields["step"]] > recall.fields["rank_seen"])


def recall_rule(recall: dict[str, Any], step: dict[str, Any]) -> str:
    """Which rule a step that the recall did not know of falls under."""
    if RANKS[step["step"]] >= RANKS["arrived"]:
        return RULE_RECALL_ARRIVED
    return RULE_RECALL_SIGNED if step["at"] <= recall["at"] else RULE_RECALL_BLIND


def _conflict(target: Row, recall: Row, step: Row) -> Stored:
    rule = recall_rule(recall.fields, step.fields)
    sides = [_side(recall, "recall"), _side(step, step.fields["step"])]
    if rule == RULE_RECALL_ARRIVED:
        verdict = {"state": "open", "needs": "centre"}
    else:
        verdict = {"state": "auto", "winner": recall.dot}
    return conflict_row(target, FIELD, sides, rule, verdict)


def _side(row: Row, value: str) -> dict[str, Any]:
    return {
        "dot": row.dot,
        "value": value,
        "actor": row.actor,
        "stamp": row.stamp,
        "at": row.fields["at"],
    }

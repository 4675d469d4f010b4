"""Filings of one machine's move that contradict each other: rule 12 of the conflict table.

Its open Conflict is at any time what the fold of its filings leaves for a person to check.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.wire import Row
from sync.conflict import RULE_MOVE, closed, conflict_row
from sync.known import Known
from sync.moves import Move, Whereabouts, observed, whereabouts
from sync.rows import Stored

FIELD = "position"
FILING = "equipment_move"
RULING = "move_ruling"
WEIGHED_MAX = 200
"""Far more than anybody files of one machine in the hours that can contradict each other."""

TOLD = ("kind", "place", "lat_e6", "lon_e6", "accuracy_m")
"""What a side repeats of its filing."""


class Weighed(Struct, frozen=True):
    """The Conflicts that the rows just made open, and those that they end."""

    opened: list[Stored]
    ended: list[Stored]


def weigh_filings(known: Known, made: list[Stored], actor: str, now_ms: int) -> Weighed:
    """What becomes of the Conflicts about machines whose moves were just filed or ruled on."""
    rows = [stored.row for stored in made if stored.row.entity in (FILING, RULING)]
    weighed = Weighed([], [])
    for machine in dict.fromkeys(row.fields["equipment"] for row in rows):
        card = known.rows.get(("equipment", machine))
        if card is not None and not card.row.removed:
            mine = [row for row in rows if row.fields["equipment"] == machine]
            _weigh(known, replace(card.row, arrived=now_ms), mine, actor, weighed)
    return weighed


def _weigh(known: Known, card: Row, made: list[Row], actor: str, weighed: Weighed) -> None:
    """`card` carries the time of receipt as its arrival, which is that of its Conflicts."""
    every = [*known.of(FILING, card.id), *(row for row in made if row.entity == FILING)]
    filings = sorted(every, key=lambda row: (observed(row), row.dot))[-WEIGHED_MAX:]
    rulings = [*known.of(RULING, card.id), *(row for row in made if row.entity == RULING)]
    found = _dispute(card, filings, whereabouts(filings, rulings))
    ruled = next((row.fields["filing"] for row in made if row.entity == RULING), None)
    for past in known.children.get(("conflict", card.id), {}).values():
        if past.row.fields["rule"] != RULE_MOVE or past.row.fields["state"] != "open":
            continue
        if found is None or past.key != found.key:
            settled = ruled and not _dots(past) & _dots(found)
            ended = closed(past, actor if settled else None, card.arrived)
            weighed.ended.append(_won_by(ended, ruled) if settled else ended)
        elif past.row.fields == found.row.fields:
            return
    if found:
        weighed.opened.append(found)


def _dots(conflict: Stored | None) -> set[str]:
    return {side["dot"] for side in conflict.row.fields["sides"]} if conflict else set()


def _won_by(conflict: Stored, filing: str | None) -> Stored:
    """With the filing that a person ruled for, where that is one of its sides."""
    won = [one["dot"] for one in conflict.row.fields["sides"] if one["value"]["filing"] == filing]
    fields = conflict.row.fields | {"winner": won[0] if won else None}
    return replace(conflict, row=replace(conflict.row, fields=fields))


def _dispute(card: Row, filings: Iterable[Row], found: Whereabouts) -> Stored | None:
    """The Conflict about where a machine is; None while nobody contradicts its position."""
    position = found.position
    if position is None or not position["to_check"]:
        return None
    named = {position["move"], *position["to_check"]}
    rows = {row.id: row for row in filings}
    moves = [move for move in found.moves if named & {one.filing for one in move.points}]
    sides = [side for move in moves for side in _sides(move, rows)]
    verdict = {"state": "open", "needs": "unit", "winner": rows[position["move"]].dot}
    return conflict_row(card, FIELD, sides, RULE_MOVE, verdict)


def _sides(move: Move, rows: dict[str, Row]) -> list[dict[str, Any]]:
    """One side per filing; `move` tells those that say the same from those that do not."""
    first, found = move.points[0].filing, []
    for point in move.points:
        row = rows[point.filing]
        told = {name: row.fields.get(name) for name in TOLD}
        found.append(
            {
                "dot": row.dot,
                "value": {"filing": row.id, "move": first} | told,
                "actor": row.actor,
                "stamp": row.stamp,
                "at": row.fields["at"],
            }
        )
    return found

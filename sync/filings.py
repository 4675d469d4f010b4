"""Filings of one machine's move that contradict each other: rule 12 of the conflict table.

Its open Conflict is at any time what the fold of its filings leaves for a person to check.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.entities import ENTITIES
from schema.scopes import scopes_of
from schema.wire import Row
from sync.conflict import RULE_MOVE, closed, conflict_id, conflict_row
from sync.known import Known
from sync.moves import (
    SAME_PLACE_M,
    Move,
    Whereabouts,
    filing_order,
    is_within,
    recent,
    ruling_order,
    whereabouts,
)
from sync.rows import Stored

FIELD = "position"
FILING = "equipment_move"
RULING = "move_ruling"
ORDERS = {FILING: filing_order, RULING: ruling_order}
"""What is newest of a machine's filings, and of the rulings on them."""

TOLD = ("kind", "place", "lat_e6", "lon_e6", "accuracy_m")
"""What a side repeats of its filing."""


class Weighed(Struct, frozen=True):
    """The Conflicts that the rows just made open or carry on, and other rows that they change."""

    opened: list[Stored]
    changed: list[Stored]
    """Conflicts that ended, and rulings with the people whom they reach."""


class _Case(Struct, frozen=True):
    """A machine's card, whose arrival is the time of receipt, and what was just said of it."""

    card: Row
    made: list[Stored]
    actor: str

    @property
    def ruled(self) -> list[Row]:
        """The rulings just made, the latest first."""
        rows = [stored.row for stored in self.made if stored.row.entity == RULING]
        return sorted(rows, key=ruling_order, reverse=True)


def weigh_filings(known: Known, made: list[Stored], actor: str, now_ms: int) -> Weighed:
    """What becomes of the Conflicts about machines whose moves were just filed or ruled on."""
    weighed = Weighed([], [])
    filed = [stored for stored in made if stored.row.entity in ORDERS]
    for machine in dict.fromkeys(stored.row.fields["equipment"] for stored in filed):
        card = known.rows.get(("equipment", machine))
        if card is not None and not card.row.removed:
            mine = [stored for stored in filed if stored.row.fields["equipment"] == machine]
            _weigh(known, _Case(replace(card.row, arrived=now_ms), mine, actor), weighed)
    return weighed


def _weigh(known: Known, case: _Case, weighed: Weighed) -> None:
    """Afterwards the one open Conflict about this machine holds what its filings leave open."""
    filings, rulings = _newest(known, case, FILING), _newest(known, case, RULING)
    weighed.changed.extend(_shown(case, filings))
    found = _dispute(case, filings, whereabouts(filings, rulings))
    for past in known.children.get(("conflict", case.card.id), {}).values():
        if past.row.fields["rule"] != RULE_MOVE or past.row.fields["state"] != "open":
            continue
        if found is None or not _goes_on(past, found):
            weighed.changed.append(_ended(past, found, case))
        elif past.row.fields == found.row.fields:
            return
        else:
            row = replace(found.row, id=past.row.id, arrived=past.row.arrived)
            found = replace(found, row=row)
    if found:
        weighed.opened.append(found)


def _newest(known: Known, case: _Case, entity: str) -> list[Row]:
    """What counts of the rows of an entity; what does not is known no more, and never counts."""
    held = known.children.get((entity, case.card.id), {})
    kept = recent([stored.row for stored in held.values()], ORDERS[entity])
    if len(held) > 2 * len(kept):
        known.children[entity, case.card.id] = {
            (entity, row.id): held[entity, row.id] for row in kept
        }
    made = [stored.row for stored in case.made if stored.row.entity == entity]
    return recent([*kept, *made], ORDERS[entity])


def _shown(case: _Case, filings: Iterable[Row]) -> list[Stored]:
    """The rulings just made, which reach whoever filed what they name, wherever they work."""
    found = []
    for stored in case.made:
        if stored.row.entity == RULING:
            fields = stored.row.fields
            named = {fields["filing"], *fields["over"]}
            people = sorted({f"actor/{row.actor}" for row in filings if row.id in named})
            shown = replace(stored.row, fields={**fields, "shown_in": people})
            found.append(replace(stored, row=shown))
    return found


def _goes_on(past: Stored, found: Stored) -> bool:
    """The same people say the same as before, however often they repeat it."""
    before, now = (
        {side["actor"]: side["value"] for side in one.row.fields["sides"]} for one in (past, found)
    )
    return before.keys() == now.keys() and all(_repeats(before[who], now[who]) for who in now)


def _repeats(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """The same words, and the same fix up to its noise."""
    here, there = _fix(before), _fix(now)
    near = here == there or bool(here and there and is_within(here, there, SAME_PLACE_M))
    return near and (before["kind"], before["place"]) == (now["kind"], now["place"])


def _fix(told: dict[str, Any]) -> tuple[int, int] | None:
    if told["lat_e6"] is None or told["lon_e6"] is None:
        return None
    return told["lat_e6"], told["lon_e6"]


def _ended(past: Stored, found: Stored | None, case: _Case) -> Stored:
    """Decided where a ruling left nothing of it, with the filing that it was for; else replaced."""
    if not case.ruled or _dots(past) & _dots(found):
        return closed(past, None, case.card.arrived)
    ended = closed(past, case.actor, case.card.arrived)
    dots = {one["value"]["filing"]: one["dot"] for one in past.row.fields["sides"]}
    won = [dots[row.fields["filing"]] for row in case.ruled if row.fields["filing"] in dots]
    fields = ended.row.fields | {"winner": won[0] if won else None}
    return replace(ended, row=replace(ended.row, fields=fields))


def _dots(conflict: Stored | None) -> set[str]:
    return {side["dot"] for side in conflict.row.fields["sides"]} if conflict else set()


def _dispute(case: _Case, filings: Iterable[Row], found: Whereabouts) -> Stored | None:
    """The Conflict about where a machine is; None while nobody contradicts its position.

    It reaches whom the rulings on it reach, not whoever holds the card. Its id is of the filings
    and of what made them contradict each other, so that none that is over ever opens again.
    """
    position, card = found.position, case.card
    if position is None or not position["to_check"]:
        return None
    named = {position["move"], *position["to_check"]}
    rows = {row.id: row for row in filings}
    moves = [move for move in found.moves if named & {one.filing for one in move.points}]
    sides = [side for move in moves for side in _sides(move, rows)]
    verdict = {
        "state": "open",
        "needs": "unit",
        "winner": rows[position["move"]].dot,
        "scopes": list(scopes_of(ENTITIES[RULING], {"unit": card.fields.get("unit")}, "")),
    }
    conflict = conflict_row(card, FIELD, sides, RULE_MOVE, verdict)
    dots = {case.made[0].row.dot, *_dots(conflict)}
    id = conflict_id("equipment", card.id, FIELD, [*dots])
    return replace(conflict, row=replace(conflict.row, id=id))


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

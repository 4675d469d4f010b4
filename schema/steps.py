"""The ranks of an order's progress. A target stands at the highest rank of its current round."""

RANKS: dict[str, int] = {
    "pending": 0,
    "received": 1,
    "read": 2,
    "signed": 3,
    "departed": 4,
    "arrived": 5,
    "acting": 6,
    "reported": 7,
    "closed": 8,
}
STEPS: tuple[str, ...] = tuple(RANKS)

UNIT_STEPS: tuple[str, ...] = STEPS[1:8]
"""Steps that the unit's own devices record; `closed` belongs to the centre."""

ROUTES: tuple[str, ...] = ("device", "centre")
"""How a step came to be known; a step that was only implied has no fact at all."""

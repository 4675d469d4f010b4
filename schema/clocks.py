"""Default deadlines. Data, never code: an order carries its own copy, which a person may edit."""

from schema.versions import MINUTE_MS, SECOND_MS

URGENCIES: tuple[str, ...] = ("flash", "urgent", "routine")

CLOCKS: tuple[str, ...] = (
    "receipt",
    "sign",
    "depart",
    "arrive",
    "first_feedback",
    "feedback_every",
    "stop",
)

CLOCK_DEFAULTS: dict[str, dict[str, int]] = {
    "flash": {
        "receipt": 15 * SECOND_MS,
        "sign": 1 * MINUTE_MS,
        "depart": 5 * MINUTE_MS,
        "arrive": 15 * MINUTE_MS,
        "first_feedback": 15 * MINUTE_MS,
        "feedback_every": 30 * MINUTE_MS,
        "stop": 2 * MINUTE_MS,
    },
    "urgent": {
        "receipt": 60 * SECOND_MS,
        "sign": 3 * MINUTE_MS,
        "depart": 15 * MINUTE_MS,
        "arrive": 30 * MINUTE_MS,
        "first_feedback": 30 * MINUTE_MS,
        "feedback_every": 60 * MINUTE_MS,
        "stop": 5 * MINUTE_MS,
    },
    "routine": {
        "receipt": 5 * MINUTE_MS,
        "sign": 30 * MINUTE_MS,
        "first_feedback": 24 * 60 * MINUTE_MS,
        "feedback_every": 72 * 60 * MINUTE_MS,
        "stop": 30 * MINUTE_MS,
    },
}
"""Milliseconds per urgency for a unit with a terminal. A missing clock is set by the order."""

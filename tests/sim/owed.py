"""What a restored centre lost of its own, and devices can give back."""

from collections.abc import Iterable

from msgspec import Struct

from tests.sim.handset import Handset

OFFERED = frozenset(
    {"directive", "target", "recall", "round", "incident_summary", "help_answer", "ruling", "step"}
)
"""Rows of the centre that devices can prove, and give back to a centre that lost them."""


class Owed(Struct):
    """A line of the centre's own that it lost, and the devices that hold its row."""

    entity: str
    id: str
    lives: list[str] = []


def owed_by(handsets: Iterable[Handset], lost: set[str]) -> dict[str, Owed]:
    """Lost lines of the centre's own that a living device shows, by dot."""
    owed: dict[str, Owed] = {}
    for handset in handsets:
        if handset.gone or handset.revoked:
            continue
        for (entity, id), row in handset.device.inspect().rows.items():
            if entity in OFFERED and row.dot in lost:
                owed.setdefault(row.dot, Owed(entity, id)).lives.append(handset.life)
    return owed


def no_longer_owed(owed: dict[str, Owed], handset: Handset) -> None:
    """A device's power went: what it had not written down it cannot give back."""
    held = handset.device.inspect().rows
    for one in owed.values():
        if handset.life in one.lives and (one.entity, one.id) not in held:
            one.lives.remove(handset.life)

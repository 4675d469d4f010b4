"""The register of linked units and actors, as the founding notice lists them. Facts, no people."""

import csv
from importlib.resources import files
from typing import Any

from msgspec import Struct


class RegisteredUnit(Struct, frozen=True):
    """One linked unit. `gateway` is the code of the local centre that it is reached through.

    `initials` are the first letters of the name's pinyin, for typing a name on any keyboard.
    """

    code: str
    name: str
    tier: str
    category: str
    category_name: str
    terminal: bool
    contacts: bool
    channel: str
    gateway: str | None
    parent: str | None
    initials: str


class RegisteredActor(Struct, frozen=True):
    """A body that takes part but is no linked unit: committee, platform, local centre."""

    code: str
    kind: str
    name: str
    gateway_of: str | None


def _table(name: str) -> list[dict[str, Any]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def actors() -> list[RegisteredActor]:
    """The ten actors, in the order of their codes."""
    return [
        RegisteredActor(row["code"], row["kind"], row["name"], row["gateway_of"] or None)
        for row in _table("actors.csv")
    ]


def units() -> list[RegisteredUnit]:
    """The 103 linked units, in the order of the notice."""
    gateways = {actor.gateway_of: actor.code for actor in actors() if actor.gateway_of}
    initials = {row["code"]: row["initials"] for row in _table("initials.csv")}
    return [
        RegisteredUnit(
            row["code"],
            row["name"],
            row["tier"],
            row["category"],
            row["category_name"],
            row["terminal_required"] == "Y",
            row["contacts_required"] not in ("", "N"),
            row["channel_by_notice"],
            gateways.get(row["code"]),
            row["parent_stated"] or None,
            initials[row["code"]],
        )
        for row in _table("units.csv")
    ]

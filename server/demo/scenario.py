"""What a scenario says, read from its file. Names and words are data; none is in the code.

A text that begins with `@` is the id of a row of the scenario; the same scenario always gives the
same id, so a seeding that was cut short goes on where it stopped.
"""

import uuid
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from schema.clocks import CLOCK_DEFAULTS
from schema.entities import ENTITIES
from schema.register import units
from schema.versions import MINUTE_MS
from schema.wire import Change

FOLDER = Path(__file__).parent / "scenarios"
DEFAULT = "default"
SPACE = uuid.UUID("6f1d4d0e-6a3b-5c61-9a52-0c7a5b1f2e11")

RowLine = tuple[str, str, dict[str, Any]]
"""Entity, id, fields."""


class Event(Struct, frozen=True):
    """What one person did, so many minutes before now."""

    minutes_ago: float
    by: str
    intent: str
    rows: list[RowLine]

    @property
    def ago_ms(self) -> int:
        return round(self.minutes_ago * MINUTE_MS)


class Scenario(Struct, frozen=True):
    """A centre's name, its register, its people's logins and device codes, and what happened."""

    centre: str
    centre_name: str
    register: bool
    rows: list[RowLine]
    logins: dict[str, str]
    codes: dict[str, str]
    events: list[Event]


def names() -> list[str]:
    """The scenarios there are, the default one first."""
    found = sorted(path.stem for path in FOLDER.glob("*.json"))
    return sorted(found, key=lambda name: name != DEFAULT)


@cache
def read_scenario(name: str) -> Scenario:
    """The scenario of this name. KeyError when there is none."""
    if name not in names():
        raise KeyError(name)
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Scenario)


def id_of(scenario: Scenario, key: str) -> str:
    """The row id that `@key` stands for; any other text is an id already."""
    return str(uuid.uuid5(SPACE, f"{scenario.centre}/{key}")) if key.startswith("@") else key


def register_changes(scenario: Scenario) -> list[Change]:
    """Units, people, contacts and machines, parents before children."""
    of_register = registered_units() if scenario.register else []
    return of_register + [change_of(scenario, line, 0) for line in scenario.rows]


def registered_units() -> list[Change]:
    """The 103 units of the register, each under its own code."""
    return [
        Change(
            "create",
            "unit",
            unit.code,
            {
                "code": unit.code,
                "name": unit.name,
                "tier": unit.tier,
                "category": unit.category,
                "category_name": unit.category_name,
                "gateway": unit.gateway,
                "terminal": unit.terminal,
                "initials": unit.initials,
            },
        )
        for unit in units()
    ]


def change_of(scenario: Scenario, line: RowLine, at: int) -> Change:
    """The row's creation at this time, ids filled in, with the clocks that its urgency implies."""
    entity, id, said = line
    fields = {name: _value(scenario, value) for name, value in said.items()}
    known = ENTITIES[entity].fields
    if "at" in known:
        fields.setdefault("at", at)
    if "clocks" in known:
        fields.setdefault("clocks", CLOCK_DEFAULTS[fields["urgency"]])
    return Change("create", entity, id_of(scenario, id), fields)


def _value(scenario: Scenario, value: Any) -> Any:
    return id_of(scenario, value) if isinstance(value, str) else value

"""What of several writes of one field must stand, by who had seen which."""

from typing import Any

from msgspec import Struct, field

from schema.entities import ENTITIES
from schema.policies import Policy


class Wrote(Struct):
    """One write of one field, as the model folds it."""

    dot: str
    stamp: str
    actor: str
    authority: int
    value: Any
    seen: frozenset[str]


class Fact(Struct):
    """A row as it must be."""

    entity: str
    id: str
    dot: str
    stamp: str
    actor: str
    authority: int
    first: dict[str, Any]
    writes: dict[str, list[Wrote]] = field(default_factory=dict)
    removed: bool = False
    claim: tuple[str, int] = ("", 0)
    """The stamp it came with, and when."""


def every_write(fact: Fact, name: str) -> list[Wrote]:
    """The writes of a field, the row's creation the first."""
    first = Wrote(
        fact.dot, fact.stamp, fact.actor, fact.authority, fact.first.get(name), frozenset()
    )
    return [first, *fact.writes.get(name, ())]


def heads(writes: list[Wrote]) -> list[Wrote]:
    """The writes that no author of another one had on the screen, and none wrote over."""
    seen = set().union(*(one.seen for one in writes))
    return [one for one in writes if one.dot not in seen and not _rewritten(one, writes)]


def fields_of(fact: Fact) -> dict[str, Any]:
    """All fields of a row as they must stand."""
    fields = dict(fact.first)
    for name in fact.writes:
        if name in ENTITIES[fact.entity].fields:
            fields[name] = _stands(fact, name)[0]
        else:
            fields[name] = fact.writes[name][-1].value
    return fields


def is_open(fact: Fact, name: str) -> bool:
    """Whether a person must decide what stands."""
    return name in ENTITIES[fact.entity].fields and _stands(fact, name)[1]


def _stands(fact: Fact, name: str) -> tuple[Any, bool]:
    """The value that must stand, and whether a person must still decide."""
    writes = every_write(fact, name)
    policy, rivals = ENTITIES[fact.entity].fields[name].policy, heads(writes)
    if policy in (Policy.FIXED_ONCE, Policy.APPEND_ONLY):
        return min(writes, key=lambda one: (one.stamp, one.dot)).value, False
    if all(one.value == rivals[0].value for one in rivals):
        return rivals[0].value, False
    if policy is Policy.MANUAL:
        return _undisputed(writes, rivals), True
    if policy is Policy.AUTHORITY:
        return max(rivals, key=lambda one: (one.authority, one.stamp, one.dot)).value, False
    if policy is Policy.HIGHEST:
        return max(rivals, key=lambda one: (_height(one.value), one.stamp, one.dot)).value, False
    return max(rivals, key=lambda one: (one.stamp, one.dot)).value, False


def _undisputed(writes: list[Wrote], rivals: list[Wrote]) -> Any:
    """The newest value that every rival's author had seen."""
    shared = frozenset.intersection(*(one.seen - {one.dot} for one in rivals))
    known = [one for one in writes if one.dot in shared]
    if known:
        return max(known, key=lambda one: (one.stamp, one.dot)).value
    return min(writes, key=lambda one: (one.stamp, one.dot)).value


def _height(level: Any) -> int:
    """How grave a level is, "I" the most; nothing is the least."""
    return {"I": 4, "II": 3, "III": 2, "IV": 1}.get(level, 0)


def _rewritten(one: Wrote, writes: list[Wrote]) -> bool:
    """True when the same person wrote it anew later on, in the same lane of the same device."""
    lane, n = one.dot.rsplit("/", 1)
    later = (other.dot.rsplit("/", 1) for other in writes if other.actor == one.actor)
    return any(where == lane and int(number) > int(n) for where, number in later)

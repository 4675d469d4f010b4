"""What one field may hold. A field's kind is checked at the server's edge and in the PWA alike."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from schema.policies import Policy
from schema.versions import (
    LAT_E6_MAX,
    LON_E6_MAX,
    METRES_MAX,
    SAFE_INT_MAX,
    THUMB_BYTES_MAX,
    TIME_MS_MAX,
    TIME_MS_MIN,
)


class Field(Struct, frozen=True):
    """A field's policy, kind and bounds. `max` is characters for text, values for lists."""

    policy: Policy
    kind: str
    required: bool = False
    max: int = 200
    choices: tuple[str, ...] = ()
    to: str = ""
    """The entity that a `ref` names, where the field's own name does not say it."""


def text(policy: Policy, max: int = 200, required: bool = False) -> Field:
    return Field(policy, "text", required, max)


def choice(policy: Policy, *choices: str, required: bool = True) -> Field:
    return Field(policy, "choice", required, 40, choices)


def whole(policy: Policy, required: bool = False) -> Field:
    return Field(policy, "int", required)


def ref(policy: Policy, required: bool = True, to: str = "") -> Field:
    """The id of another row, of the entity that the field is named after or of `to`."""
    return Field(policy, "ref", required, 64, (), to)


def time(policy: Policy, required: bool = False) -> Field:
    """Milliseconds since 1970 (UTC), within the years that any clock of ours can mean."""
    return Field(policy, "time", required)


def of(kind: str, policy: Policy, required: bool = False, max: int = 12) -> Field:
    return Field(policy, kind, required, max)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= SAFE_INT_MAX


def _is_id(value: Any, field: Field) -> bool:
    return isinstance(value, str) and 0 < len(value) <= field.max and value.isascii()


def _is_photos(value: Any, field: Field) -> bool:
    return (
        isinstance(value, list) and len(value) <= field.max and all(_is_photo(one) for one in value)
    )


def _is_photo(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"sha256", "size", "type", "thumb"}
        and isinstance(value.get("sha256"), str)
        and len(value["sha256"]) == 64
        and _is_int(value.get("size"))
        and isinstance(value.get("type"), str)
        and isinstance(value.get("thumb", ""), str)
        and len(value.get("thumb", "")) <= THUMB_BYTES_MAX * 4 // 3 + 64
    )


def _is_clocks(value: Any, field: Field) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= field.max
        and all(isinstance(k, str) and _is_int(v) and v > 0 for k, v in value.items())
    )


def _is_text(value: Any, field: Field) -> bool:
    return isinstance(value, str) and len(value) <= field.max


def _is_texts(value: Any, field: Field) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= field.max
        and all(isinstance(one, str) and len(one) <= 200 for one in value)
    )


def _is_within(low: int, high: int) -> Callable[[Any, Field], bool]:
    return lambda value, field: _is_int(value) and low <= value <= high


KINDS: dict[str, Callable[[Any, Field], bool]] = {
    "text": _is_text,
    "texts": _is_texts,
    "choice": lambda value, field: isinstance(value, str) and value in field.choices,
    "int": lambda value, field: _is_int(value),
    "time": _is_within(TIME_MS_MIN, TIME_MS_MAX),
    "lat": _is_within(-LAT_E6_MAX, LAT_E6_MAX),
    "lon": _is_within(-LON_E6_MAX, LON_E6_MAX),
    "metres": _is_within(0, METRES_MAX),
    "bool": lambda value, field: isinstance(value, bool),
    "ref": _is_id,
    "photos": _is_photos,
    "clocks": _is_clocks,
    "any": lambda value, field: True,
}


def holds(field: Field, value: Any) -> bool:
    """True when `value` may stand in `field`; null stands in every field that is not required."""
    if value is None:
        return not field.required
    return KINDS[field.kind](value, field)


def is_plain(value: Any) -> bool:
    """True for what every language keeps alike: null, bool, text, safe integers, lists, objects."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | str) or _is_int(value)

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


Check = Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= SAFE_INT_MAX


def is_id(value: str, chars_max: int) -> bool:
    """True for what may name a row: printable ASCII, so that every database can hold it."""
    return 0 < len(value) <= chars_max and value.isascii() and value.isprintable()


def _id_of(field: Field) -> Check:
    most = field.max
    return lambda value: isinstance(value, str) and is_id(value, most)


def _photos_of(field: Field) -> Check:
    most = field.max
    return lambda value: (
        isinstance(value, list) and len(value) <= most and all(map(_is_photo, value))
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


def _clocks_of(field: Field) -> Check:
    most = field.max
    return lambda value: (
        isinstance(value, dict)
        and len(value) <= most
        and all(isinstance(k, str) and _is_int(v) and v > 0 for k, v in value.items())
    )


def _text_of(field: Field) -> Check:
    most = field.max
    return lambda value: isinstance(value, str) and len(value) <= most


def _texts_of(field: Field) -> Check:
    most = field.max
    return lambda value: (
        isinstance(value, list)
        and len(value) <= most
        and all(isinstance(one, str) and len(one) <= 200 for one in value)
    )


def _choice_of(field: Field) -> Check:
    choices = frozenset(field.choices)
    return lambda value: isinstance(value, str) and value in choices


def _within(low: int, high: int) -> Callable[[Field], Check]:
    return lambda field: lambda value: _is_int(value) and low <= value <= high


KINDS: dict[str, Callable[[Field], Check]] = {
    "text": _text_of,
    "texts": _texts_of,
    "choice": _choice_of,
    "int": lambda field: _is_int,
    "time": _within(TIME_MS_MIN, TIME_MS_MAX),
    "lat": _within(-LAT_E6_MAX, LAT_E6_MAX),
    "lon": _within(-LON_E6_MAX, LON_E6_MAX),
    "metres": _within(0, METRES_MAX),
    "bool": lambda field: lambda value: isinstance(value, bool),
    "ref": _id_of,
    "photos": _photos_of,
    "clocks": _clocks_of,
    "any": lambda field: lambda value: True,
}
"""What makes the check of a field's values, by the kind of the field."""

NESTED = frozenset({"photos", "clocks", "any"})
"""The kinds whose values may hold more than their own check looks at."""


def check_of(field: Field) -> Check:
    """What tells whether a value may stand in the field.

    Null stands in every field that is not required; everything else is of the field's kind, and
    plain.
    """
    right, may_be_null = KINDS[field.kind](field), not field.required
    if field.kind in NESTED:
        return lambda value: may_be_null if value is None else right(value) and is_plain(value)
    return lambda value: may_be_null if value is None else right(value)


def is_plain(value: Any) -> bool:
    """True for what every language keeps alike: null, bool, text, safe integers, lists, objects."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | str) or _is_int(value)

"""The closed set of merge policies; every field of every entity names one."""

from enum import StrEnum


class Policy(StrEnum):
    """How concurrent writes of one field are settled. `sync.merge` holds the rule of each."""

    LATEST = "latest"
    """The greatest stamp wins; the Conflict record keeps the others."""

    FIXED_ONCE = "fixed-once"
    """The write with the earliest stamp stands for ever."""

    AUTHORITY = "authority"
    """Centre before unit before device; equal authority falls back to the greatest stamp."""

    HIGHEST = "highest"
    """Of rivals the one named first among the field's choices stands, null last; a later write that
    names them may be lower."""

    MANUAL = "manual"
    """Nobody wins until a person decides; every concurrent value stays open."""

    SERVER_ONLY = "server-only"
    """Only the row's home centre writes it; a device's write is refused."""

    APPEND_ONLY = "append-only"
    """Part of a fact: written at creation, never again."""

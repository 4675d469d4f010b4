"""Old mutations in today's words: one pure function per schema version, kept for ever."""

from collections.abc import Callable

from msgspec.structs import replace

from schema.versions import SCHEMA_VERSION
from schema.wire import Mutation

STEPS: dict[int, Callable[[Mutation], Mutation]] = {
    1: lambda mutation: mutation,
}
"""`{version: what turns its mutations into those of the next}`. 2 only added to 1."""


def upcast(mutation: Mutation) -> Mutation:
    """The mutation as today's schema says it. What is newer than today's is left as it is."""
    for version in range(max(1, mutation.schema), SCHEMA_VERSION):
        mutation = replace(STEPS[version](mutation), schema=version + 1)
    return mutation

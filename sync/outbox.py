"""The outbox: mutations saved as the bytes that will travel, until a final verdict names them."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from schema.versions import MUTATIONS_PER_PUSH_MAX
from schema.wire import Mutation, Run, Verdict
from sync.mutation import FIRST_PREV, dot_of, signing_bytes

FINAL = frozenset({"applied", "merged", "refused", "quarantined"})
"""Verdicts after which the server keeps the words; `held` is not final."""


class Saved(Struct, frozen=True):
    """One mutation in the outbox: its dot, bytes and hash."""

    lane: int
    n: int
    raw: bytes
    hash: str
    mutation: Mutation

    @property
    def dot(self) -> str:
        return dot_of(self.mutation.replica, self.lane, self.n)


class Tip(Struct, frozen=True):
    """The end of one lane's chain: the number and hash of its newest mutation."""

    n: int = 0
    hash: str = FIRST_PREV


def runs_to_send(
    outbox: Sequence[Saved], sign: Callable[[bytes], str], room: int = MUTATIONS_PER_PUSH_MAX
) -> list[Run]:
    """What waits, lane 0 first, in contiguous runs of at most `room` mutations in all."""
    runs: list[Run] = []
    waiting = sorted(outbox, key=lambda saved: (saved.lane, saved.n))[:room]
    for group in _contiguous(waiting):
        last = group[-1]
        m = last.mutation
        sig = sign(signing_bytes(m.realm, m.replica, last.lane, last.n, last.hash))
        runs.append(Run(last.lane, sig, [msgspec.Raw(saved.raw) for saved in group]))
    return runs


def _contiguous(waiting: Sequence[Saved]) -> list[list[Saved]]:
    groups: list[list[Saved]] = []
    for saved in waiting:
        if groups and _follows(groups[-1][-1], saved):
            groups[-1].append(saved)
        else:
            groups.append([saved])
    return groups


def _follows(last: Saved, saved: Saved) -> bool:
    """The next one of a chain. A void proves nothing of what was before it, so it stands alone."""
    next_dot = (last.lane, last.n + 1) == (saved.lane, saved.n)
    return next_dot and saved.mutation.prev == last.hash


def settled(saved: Saved, verdict: Verdict) -> bool:
    """An item leaves only on a final verdict that names its dot and its hash.

    Words that the server could not read say no dot of their own; their hash names them.
    """
    named = verdict.dot in (saved.dot, "")
    return verdict.verdict in FINAL and named and verdict.hash == saved.hash

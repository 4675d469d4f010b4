"""One field's state is a fold of the set of its writes: the same set gives the same answer.

Concurrency is judged by dots: a write that another one names in its base is behind it; the writes
that nobody names are the heads. One head: no dispute. More: the field's policy settles it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from schema.policies import Policy
from sync.canonical import canonical
from sync.mutation import split_dot
from sync.stamp import decode_stamp


class Write(Struct, frozen=True):
    """One write of one field: who wrote it, on what it was based, and what it says.

    `claims` are dots that its author named too, and that were not here when it was judged: a
    restored log may lack them. They count once they come, if their time lets them.
    """

    dot: str
    base: tuple[str, ...]
    stamp: str
    actor: str
    authority: int
    value: Any
    claims: tuple[str, ...] = ()


class FieldState(Struct, frozen=True):
    """What stands. `open` is empty unless a person must decide; `heads` are the rivals, if any."""

    live: Write
    open: tuple[Write, ...]
    heads: tuple[Write, ...]


def heads_of(writes: Iterable[Write]) -> list[Write]:
    """The writes that no other write follows, in the order of their dots. Never empty.

    A person's earlier edit in one lane of one replica is behind their later one, named or not; two
    people at the same replica have not seen each other's.
    """
    known = {write.dot: write for write in writes}
    behind = {dot for write in known.values() for dot in _seen(write, known) if dot != write.dot}
    newest: dict[tuple[str, int, str], int] = {}
    for write in known.values():
        chain, n = _chain(write)
        newest[chain] = max(n, newest.get(chain, 0))
    last = {write.dot for write in known.values() if _chain(write)[1] == newest[_chain(write)[0]]}
    heads = sorted(last - behind) or sorted(last)
    return [known[dot] for dot in heads]


def _seen(write: Write, known: dict[str, Write]) -> list[str]:
    """The dots that the author of a write had seen."""
    claims = (known[dot] for dot in write.claims if dot in known)
    return [*write.base, *(one.dot for one in claims if _may_have_seen(write, one))]


def _may_have_seen(write: Write, one: Write) -> bool:
    """Whoever sees a write is told the time, too: nobody's next stamp is of an earlier one."""
    return decode_stamp(one.stamp).wall_ms <= decode_stamp(write.stamp).wall_ms


def _chain(write: Write) -> tuple[tuple[str, int, str], int]:
    replica, lane, n = split_dot(write.dot)
    return (replica, lane, write.actor), n


def _latest(heads: list[Write]) -> Write:
    return max(heads, key=lambda write: (write.stamp, write.dot))


def _earliest(heads: list[Write]) -> Write:
    return min(heads, key=lambda write: (write.stamp, write.dot))


def _authority(heads: list[Write]) -> Write:
    return max(heads, key=lambda write: (write.authority, write.stamp, write.dot))


WINNERS: dict[Policy, Callable[[list[Write]], Write]] = {
    Policy.LATEST: _latest,
    Policy.AUTHORITY: _authority,
    Policy.SERVER_ONLY: _latest,
}


def _highest(heads: list[Write], choices: tuple[str, ...]) -> Write:
    """The rival whose value is named first; of equals, and of values never named, the latest."""

    def rank(write: Write) -> int:
        return len(choices) - choices.index(write.value) if write.value in choices else 0

    top = max(map(rank, heads))
    return _latest([head for head in heads if rank(head) == top])


def resolve(policy: Policy, writes: Iterable[Write], choices: tuple[str, ...] = ()) -> FieldState:
    """Fold a non-empty set of writes of one field. Any order, any repetition: the same state.

    `choices` are the field's, from the highest down; only the policy `highest` asks for them.
    """
    every = list({write.dot: write for write in writes}.values())
    heads = heads_of(every)
    if policy in (Policy.FIXED_ONCE, Policy.APPEND_ONLY):
        return FieldState(_earliest(every), (), tuple(heads))
    if not _rivals(heads):
        return FieldState(_latest(heads), (), tuple(heads))
    if policy is Policy.MANUAL:
        return FieldState(_undisputed(every, heads), tuple(heads), tuple(heads))
    if policy is Policy.HIGHEST:
        return FieldState(_highest(heads, choices), (), tuple(heads))
    return FieldState(WINNERS[policy](heads), (), tuple(heads))


def _rivals(heads: list[Write]) -> bool:
    """Two people who wrote the same value agree; only different values are a dispute.

    Their texts are compared: to Python, True is the number 1.
    """
    first = canonical(heads[0].value)
    return any(canonical(head.value) != first for head in heads)


def _undisputed(every: list[Write], heads: list[Write]) -> Write:
    """The newest write that every head follows; the earliest of all when there is none."""
    by_dot = {write.dot: write for write in every}
    shared = set.intersection(*(_behind(head, by_dot) for head in heads))
    return _latest([by_dot[dot] for dot in shared]) if shared else _earliest(every)


def _behind(head: Write, by_dot: dict[str, Write]) -> set[str]:
    found: set[str] = set()
    ahead = [head]
    while ahead:
        for dot in _seen(ahead.pop(), by_dot):
            if dot in by_dot and dot not in found:
                found.add(dot)
                ahead.append(by_dot[dot])
    return found


def is_disputed(state: FieldState) -> bool:
    """True when rivals with different values stand side by side."""
    return _rivals(list(state.heads))


HISTORY_MAX = 64
"""Writes of one field that a home keeps; what is older than all of them settles nothing more."""


def trimmed(policy: Policy, writes: list[Write]) -> list[Write]:
    """The writes still worth keeping: what stands and its rivals, and the newest of those behind.

    The state of what is kept is the state of all.
    """
    if len(writes) <= HISTORY_MAX:
        return writes
    if policy in (Policy.FIXED_ONCE, Policy.APPEND_ONLY):
        return [_earliest(writes)]
    heads = {head.dot for head in heads_of(writes)}
    keep = heads | {write.dot for write in writes[-HISTORY_MAX // 2 :]}
    kept = [write for write in writes if write.dot in keep]
    while bare := {head.dot for head in heads_of(kept)} - heads:
        kept = [write for write in kept if write.dot not in bare]
    return kept

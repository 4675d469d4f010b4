"""What judging a batch starts from, and what it comes to."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import force_setattr

from schema.codes import Code
from schema.entities import ENTITIES, REFERENCES
from schema.roles import Role
from schema.wire import Mutation, Row, Verdict
from sync.mutation import dot_of
from sync.rows import Key, Stored

Pair = tuple[str, str]
"""`(entity, parent id)`: a list of rows under one parent."""


class Arrival(Struct, frozen=True):
    """One mutation with the bytes it came as, their hash, and the fault its run has, if any.

    `sig` stands on the last of a run and proves all of it. `trusted` is the centre's own node,
    which may write server-only fields. `released` was quarantined and is let in by a person;
    `reoffered` came back from a device that is not its author, after a restore. `clock_off` came in
    a push of a device whose own clock was wrong, `returning` one of a device that sends again what
    a restored log may have lost. The form of a `well_formed` one was looked at before the lock.
    """

    mutation: Mutation
    raw: bytes
    hash: str
    fault: Code | None = None
    trusted: bool = False
    sig: str = ""
    released: bool = False
    reoffered: bool = False
    clock_off: bool = False
    returning: bool = False
    well_formed: bool = False
    whole: Mutation | None = None
    """What this is a part of: all parts of it stand, or none does."""

    dot: str = ""
    """The mutation's identity; worked out when it is not given."""

    def __post_init__(self) -> None:
        if not self.dot:
            m = self.mutation
            force_setattr(self, "dot", dot_of(m.replica, m.lane, m.n))


class Logged(Struct, frozen=True):
    """What the log says of a dot: the hash it came with and the verdict it got."""

    hash: str
    verdict: Verdict


class Held(Struct, frozen=True):
    """A mutation that waits for `need`: a dot, or a row as `entity/id`; since when."""

    arrival: Arrival
    need: str
    since: int


class Rights(Struct, frozen=True):
    """What a person might do, until `until` (ms): a role or unit that they have no more."""

    until: int
    unit: str
    roles: frozenset[Role]


class Session(Struct, frozen=True):
    """The person behind a session of a replica, as the server knows them now.

    `past` are the rights that they had before, oldest first.
    """

    actor: str
    unit: str
    roles: frozenset[Role]
    revoked: bool = False
    past: tuple[Rights, ...] = ()


class Lane(Struct, frozen=True):
    """How far one lane of a replica has come: its newest number here, and that one's time.

    Nothing later in the lane can be of an earlier time than `floor`: the device has said itself
    what it had not sent yet. No time is held against a replica before `returning_until`: after a
    restore it sends again what an older log knew, by the clocks of that time.
    """

    top: int = 0
    top_ms: int = 0
    floor_ms: int = 0
    returning_until: int = 0


class Known(Struct):
    """All that judging one batch needs. `rows` and `children` grow as the batch is judged."""

    sessions: dict[tuple[str, str], Session]
    """`(replica, session id)` → who that is."""
    logged: dict[str, Logged]
    rows: dict[Key, Stored]
    children: dict[Pair, dict[Key, Stored]]
    held: list[Held] = []
    """Mutations that wait for what this batch may bring, or have waited too long."""

    waiting: dict[str, int] = {}
    """How many mutations of a replica wait in all."""

    lanes: dict[tuple[str, int], Lane] = {}
    """`(replica, lane)` → how far it has come."""

    twice: list[list[int]] = []
    """The hours that our clock told twice because it was set back: see `surely_ms`."""

    words: dict[str, Arrival] = {}
    """Quarantined mutations that this batch may release, by dot."""

    centre: str = ""
    node: str = ""
    """The replica by which the centre writes since its log was cut by a restore; else "".

    What that log lost may still come back. Of this replica nobody can have seen a word in it.
    """

    def of(self, entity: str, parent: str) -> list[Row]:
        """The rows of an entity under one parent."""
        return [stored.row for stored in self.children.get((entity, parent), {}).values()]

    def remember(self, rows: Iterable[Stored]) -> None:
        """Rows just made are known to whatever is judged after them."""
        for stored in rows:
            self.rows[stored.key] = stored
            if stored.parent:
                pair = (stored.row.entity, stored.parent)
                self.children.setdefault(pair, {})[stored.key] = stored


class Entry(Struct, frozen=True):
    """A line for the log: the mutation as it came, and its verdict (seq 0 until committed)."""

    arrival: Arrival
    verdict: Verdict
    wrote: tuple[tuple[Row | None, Stored], ...] = ()
    """Each row as it was, and as it is now."""


class Plan(Struct):
    """What to commit, in order, and one verdict per arrival. A repeat has no entry.

    `kept` are words that get no number of their own, because they do not prove whose they are or
    their dot is taken: kept beside the log for a person to see.
    """

    entries: list[Entry]
    verdicts: list[Verdict]
    released: list[Entry]
    """Mutations held or quarantined before whose verdict this batch changed."""
    kept: list[Entry]


def keys_needed(mutation: Mutation) -> set[Key]:
    """The rows that judging this mutation reads."""
    keys: set[Key] = set()
    for change in mutation.changes:
        keys.add((change.entity, change.id))
        if change.entity == "incident_summary":
            keys.add(("incident", change.id))
        for name, parent in REFERENCES.get(change.entity, ()):
            if isinstance(value := change.fields.get(name), str):
                keys.add((parent, value))
    for guard in mutation.guard:
        name, _, id = guard.row.partition("/")
        keys.add((name, id))
    keys |= {("incident_summary", id) for entity, id in keys if entity == "incident"}
    return {(entity, id) for entity, id in keys if entity in ENTITIES}


def keys_beyond(stored: Stored) -> set[Key]:
    """What must be known of a row's own parents: the incident of a target, and its level."""
    incident = stored.row.fields.get("incident")
    if stored.row.entity != "target" or not incident:
        return set()
    return {("incident", incident), ("incident_summary", incident)}


_NO_LISTS: tuple[str, tuple[str, ...]] = ("", ())
_MOVES = ("equipment", ("equipment_move", "move_ruling", "conflict"))

LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: ("target", ("round",)) for name, one in ENTITIES.items() if "round" in one.fields},
    "step": ("target", ("round", "recall")),
    "recall": ("target", ("round", "step")),
    "ruling": ("target", ("round", "conflict")),
    "equipment_move": _MOVES,
    "move_ruling": _MOVES,
}
"""What else is read of the row that a field names, where something new is said of it."""


def children_needed(mutation: Mutation) -> set[Pair]:
    """The lists that judging this mutation reads."""
    wanted: set[Pair] = set()
    for change in mutation.changes:
        field, lists = LISTS.get(change.entity, _NO_LISTS)
        if isinstance(parent := change.fields.get(field), str):
            wanted |= {(name, parent) for name in lists}
        if change.op != "create":
            wanted.add(("conflict", change.id))
    return wanted

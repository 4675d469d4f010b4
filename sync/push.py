"""What a push does, decided from what the engine loaded. Reads and writes nothing."""

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.entities import ENTITIES
from schema.intents import INTENTS, Intent
from schema.roles import Role, authority_of
from schema.wire import Change, Guard, Mutation, Row, Verdict
from sync.canonical import sha256_hex
from sync.conflict import ID_LENGTH, closed, found_by_write, ids_before
from sync.merge import Write
from sync.mutation import Refusal, check_form, dot_of, server_only_fields
from sync.recall import recall_conflicts, ruled
from sync.rows import Author, Key, Stored, created, removed, set_fields
from sync.stamp import Stamp, decode_stamp, restamp


class Arrival(Struct, frozen=True):
    """One mutation with the bytes it came as, their hash, and the fault its run has, if any."""

    mutation: Mutation
    raw: bytes
    hash: str
    fault: Code | None = None
    trusted: bool = False
    """True for the centre's own node, which may write server-only fields."""


class Logged(Struct, frozen=True):
    """What the log says of a dot: the hash it came with and the verdict it got."""

    hash: str
    verdict: Verdict


class Session(Struct, frozen=True):
    """The person behind a session of a replica, as the server knows them now."""

    actor: str
    unit: str
    roles: frozenset[Role]
    revoked: bool = False


class Known(Struct):
    """All that judging one batch needs. `rows` and `children` grow as the batch is judged."""

    sessions: dict[tuple[str, str], Session]
    """`(replica, session id)` → who that is."""
    logged: dict[str, Logged]
    rows: dict[Key, Stored]
    children: dict[tuple[str, str], list[Stored]]
    """`(entity, parent id)` → rows."""
    held: list[Arrival] = []
    """Mutations that waited when this batch began."""


class Entry(Struct, frozen=True):
    """A line for the log: the mutation as it came, and its verdict (seq 0 until committed)."""

    arrival: Arrival
    verdict: Verdict
    wrote: tuple[tuple[Row | None, Stored], ...] = ()
    """Each row as it was, and as it is now."""


class Plan(Struct):
    """What to commit, in order, and one verdict per arrival. A repeat has no entry."""

    entries: list[Entry] = []
    verdicts: list[Verdict] = []
    released: list[Entry] = []
    """Mutations held before whose verdict this batch changed."""


def keys_needed(mutation: Mutation) -> set[Key]:
    """The rows that judging this mutation reads."""
    keys: set[Key] = set()
    for change in mutation.changes:
        keys.add((change.entity, change.id))
        for name, value in change.fields.items():
            if name in ENTITIES and isinstance(value, str):
                keys.add((name, value))
    for guard in mutation.guard:
        entity, _, id = guard.row.partition("/")
        keys.add((entity, id))
    return keys


def children_needed(mutation: Mutation) -> set[tuple[str, str]]:
    """The `(entity, parent id)` lists that judging this mutation reads."""
    wanted: set[tuple[str, str]] = set()
    for change in mutation.changes:
        if change.entity in ("step", "recall"):
            target = change.fields.get("target")
            wanted |= {("recall", str(target)), ("step", str(target))}
        if change.op == "set":
            wanted.add(("conflict", change.id))
        if change.entity == "ruling":
            wanted.add(("conflict", str(change.fields.get("target"))))
    return wanted


def plan_push(known: Known, arrivals: list[Arrival], now_ms: int) -> Plan:
    """Judge a batch in order. Every arrival gets one verdict; none stops those after it."""
    plan = Plan([], [], [])
    last: dict[tuple[str, int], Stamp] = {}
    for arrival in arrivals:
        mutation = arrival.mutation
        dot = dot_of(mutation.replica, mutation.lane, mutation.n)
        if (past := known.logged.get(dot)) is not None:
            plan.verdicts.append(_repeat(past, arrival, dot))
            continue
        lane = (mutation.replica, mutation.lane)
        entry = _enter(known, arrival, dot, _Clock(now_ms, last.get(lane)))
        if entry.wrote:
            last[lane] = restamp(decode_stamp(mutation.stamp), last.get(lane), now_ms)
        plan.entries.append(entry)
        plan.verdicts.append(entry.verdict)
    _release(known, plan, now_ms)
    return plan


class _Clock(Struct, frozen=True):
    now_ms: int
    last: Stamp | None = None


def _enter(known: Known, arrival: Arrival, dot: str, clock: _Clock) -> Entry:
    """Judge one mutation and make its rows known to those after it."""
    verdict, wrote = _judge(known, arrival, dot, clock)
    pairs = []
    for stored in wrote:
        was = known.rows.get(stored.key)
        pairs.append((was.row if was else None, stored))
        _remember(known, stored)
    known.logged[dot] = Logged(arrival.hash, verdict)
    return Entry(arrival, verdict, tuple(pairs))


def _release(known: Known, plan: Plan, now_ms: int) -> None:
    """Judge the held ones again, until a round releases none. Each is released at most once."""
    waiting = list(known.held) if plan.entries else []
    while True:
        still = []
        for arrival in waiting:
            m = arrival.mutation
            entry = _enter(known, arrival, dot_of(m.replica, m.lane, m.n), _Clock(now_ms))
            if entry.verdict.verdict == "held":
                still.append(arrival)
            else:
                told = _told(arrival, entry.verdict, now_ms)
                plan.released.append(replace(entry, wrote=(*entry.wrote, (None, told))))
        if len(still) == len(waiting):
            return
        waiting = still


def _told(arrival: Arrival, verdict: Verdict, now_ms: int) -> Stored:
    """The row by which the device learns that a mutation is no longer held."""
    fields = {
        "replica": arrival.mutation.replica,
        "dot": verdict.dot,
        "hash": verdict.hash,
        "verdict": verdict.verdict,
        "code": verdict.code,
        "detail": verdict.detail,
    }
    id = sha256_hex(verdict.dot.encode())[:ID_LENGTH]
    return Stored(Row("verdict", id, 0, verdict.dot, "", "", now_ms, fields))


def _repeat(past: Logged, arrival: Arrival, dot: str) -> Verdict:
    """The recorded verdict again; the same dot with other bytes is somebody else's."""
    if past.hash == arrival.hash:
        return replace(past.verdict, repeat=True)
    return Verdict(dot, arrival.hash, "refused", 0, Code.IDENTITY_REUSED)


def _remember(known: Known, stored: Stored) -> None:
    known.rows[stored.key] = stored
    if stored.parent:
        siblings = known.children.setdefault((stored.row.entity, stored.parent), [])
        siblings[:] = [one for one in siblings if one.key != stored.key] + [stored]


def _judge(known: Known, arrival: Arrival, dot: str, clock: _Clock) -> tuple[Verdict, list[Stored]]:
    mutation = arrival.mutation
    try:
        session = _session_of(known, arrival)
        check_form(mutation)
        stamp = restamp(decode_stamp(mutation.stamp), clock.last, clock.now_ms).encode()
        intent = INTENTS[mutation.intent]
        for change in mutation.changes:
            _check_right(known, change, intent, session)
            if not arrival.trusted and (names := server_only_fields(change)):
                raise Refusal(Code.SERVER_FIELD, names[0])
        if held := _unmet(known, mutation):
            return Verdict(dot, arrival.hash, "held", 0, *held), []
        for guard in mutation.guard:
            _check_guard(known, guard)
        wrote, merged = _apply(known, mutation, session, _Moment(dot, stamp, clock.now_ms))
    except Refusal as refusal:
        kind = "quarantined" if refusal.code in QUARANTINED else "refused"
        return Verdict(dot, arrival.hash, kind, 0, refusal.code, refusal.detail), []
    return Verdict(dot, arrival.hash, "merged" if merged else "applied", 0), wrote


QUARANTINED = frozenset({Code.REVOKED, Code.REMOVED, Code.SIGNATURE, Code.CHAIN})
"""What is kept for a person to judge rather than refused: the words may still be true."""


def _session_of(known: Known, arrival: Arrival) -> Session:
    if arrival.fault:
        raise Refusal(arrival.fault)
    mutation = arrival.mutation
    session = known.sessions.get((mutation.replica, mutation.session))
    if session is None or session.actor != mutation.actor:
        raise Refusal(Code.ACTOR, mutation.actor)
    if session.revoked:
        raise Refusal(Code.REVOKED)
    return session


def _check_right(known: Known, change: Change, intent: Intent, session: Session) -> None:
    """Role first, then reach: an `own` intent touches only rows of the author's unit.

    A `set` of a row never seen is judged when that row is there; until then it is held.
    """
    if not session.roles & set(intent.roles):
        raise Refusal(Code.NO_RIGHT, intent.name)
    if intent.reach == "centre":
        return
    stored = known.rows.get((change.entity, change.id))
    if stored is None and change.op != "create":
        return
    units = {change.fields.get("unit", session.unit)}
    units.add((stored.row.fields if stored else change.fields).get("unit"))
    for key in _parents(change):
        parent = known.rows.get(key)
        if parent and "unit" in ENTITIES[key[0]].fields:
            units.add(parent.row.fields.get("unit"))
    if units != {session.unit}:
        raise Refusal(Code.NOT_YOURS, change.entity)


def _unmet(known: Known, mutation: Mutation) -> tuple[Code, str] | None:
    """What this mutation waits for: a dot it names in `after`, or a row never seen."""
    made = {(change.entity, change.id) for change in mutation.changes if change.op == "create"}
    for dot in mutation.after:
        past = known.logged.get(dot)
        if past is None or past.verdict.verdict == "held":
            return Code.AFTER, dot
    for change in mutation.changes:
        key = (change.entity, change.id)
        if change.op != "create" and key not in known.rows and key not in made:
            return Code.PARENT, "/".join(key)
        for parent in _parents(change):
            if parent not in known.rows and parent not in made:
                return Code.PARENT, "/".join(parent)
    return None


def _parents(change: Change) -> list[Key]:
    """The rows that must be there first: what the entity's required references name."""
    fields = ENTITIES[change.entity].fields
    return [
        (name, change.fields[name])
        for name, field in fields.items()
        if field.kind == "ref" and name in ENTITIES and change.fields.get(name) is not None
    ]


def _check_guard(known: Known, guard: Guard) -> None:
    entity, _, id = guard.row.partition("/")
    stored = known.rows.get((entity, id))
    row = stored.row if stored and not stored.row.removed else None
    field = guard.field or ""
    value = row.fields.get(field) if row else None
    live = (row.writes.get(field, ("", row.dot))[1]) if row else None
    holds = {
        "exists": row is not None,
        "absent": row is None,
        "eq": row is not None and value == guard.value,
        "in": row is not None and isinstance(guard.value, list) and value in guard.value,
        "dot": row is not None and live == guard.value,
    }.get(guard.check, False)
    if not holds:
        raise Refusal(Code.GUARD, guard.row)


class _Moment(Struct, frozen=True):
    dot: str
    stamp: str
    now_ms: int


def _apply(
    known: Known, mutation: Mutation, who: Session, moment: _Moment
) -> tuple[list[Stored], bool]:
    """All rows after the mutation, and whether a concurrent write had to be merged."""
    author = Author(who.actor, authority_of(who.roles))
    after: dict[Key, Stored] = {}
    merged = False
    for change in mutation.changes:
        key = (change.entity, change.id)
        stored = after.get(key) or known.rows.get(key)
        if change.op == "create":
            if stored is not None:
                raise Refusal(Code.REMOVED if stored.row.removed else Code.EXISTS, change.id)
            after[key] = created(change, moment.dot, moment.stamp, author, moment.now_ms)
        elif stored is None or stored.row.removed:
            raise Refusal(Code.REMOVED, change.id)
        elif change.op == "remove":
            after[key] = removed(stored, moment.now_ms)
        else:
            merged |= _set(known, after, change, _Setting(mutation, author, moment, stored))
    for stored in recall_conflicts(known.rows, known.children, list(after.values())):
        merged = True
        after[stored.key] = stored
    for stored in ruled(known.children, list(after.values())):
        after[stored.key] = closed(stored, who.actor, moment.now_ms)
    return list(after.values()), merged


class _Setting(Struct, frozen=True):
    mutation: Mutation
    author: Author
    moment: _Moment
    stored: Stored


def _set(known: Known, after: dict[Key, Stored], change: Change, setting: _Setting) -> bool:
    """Fold one `set` in, with the Conflicts that it opens and those that it closes."""
    moment, author = setting.moment, setting.author
    base = setting.mutation.base.get(f"{change.entity}/{change.id}", {})
    write = Write(moment.dot, (), moment.stamp, author.actor, author.authority, None)
    wrote = set_fields(setting.stored, change, write, base)
    row = replace(wrote.stored.row, arrived=moment.now_ms)
    after[wrote.stored.key] = replace(wrote.stored, row=row)
    opened = {one.key: one for one in found_by_write(wrote, moment.dot)}
    for field, id in ids_before(wrote).items():
        old = after.get(("conflict", id)) or _known_conflict(known, change.id, id)
        if old and old.row.fields["state"] == "open" and old.key not in opened:
            decider = None if wrote.after[field].open else author.actor
            after[old.key] = closed(old, decider, moment.now_ms)
    after.update(opened)
    return bool(opened)


def _known_conflict(known: Known, row_id: str, id: str) -> Stored | None:
    of_row: list[Stored] = known.children.get(("conflict", row_id), [])
    return next((one for one in of_row if one.row.id == id), None)


MISSING_MAX = 500


def missing_numbers(top: int, gaps: set[int], came: set[int]) -> list[int]:
    """A lane's numbers that never arrived, given those missing before and those that came now."""
    newly = set(range(top + 1, max([top, *came])))
    return sorted((gaps | newly) - came)[:MISSING_MAX]

"""What a push does, decided from what the engine loaded. Reads and writes nothing."""

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.roles import CENTRE_ROLES, authority_of
from schema.versions import MINUTE_MS
from schema.wire import Change, Mutation, Row, Verdict
from sync.canonical import sha256_hex
from sync.conflict import ID_LENGTH, closed, found_by_write, ids_before
from sync.known import Arrival, Entry, Held, Known, Logged, Plan, Session
from sync.merge import Write
from sync.mutation import Refusal, check_form
from sync.recall import recall_conflicts, ruled
from sync.rights import check_guard, check_rights, unmet
from sync.rows import Author, Key, Stored, created, removed, set_fields
from sync.stamp import Stamp, decode_stamp, restamp

QUARANTINED = frozenset({Code.REVOKED, Code.REMOVED, Code.SIGNATURE, Code.CHAIN})
"""What is kept for a person to judge rather than refused: the words may still be true."""

UNPROVEN = frozenset({Code.SIGNATURE})
"""What does not prove whose it is takes no number: the real owner's must still fit there."""

HELD_MS = 5 * 24 * 60 * MINUTE_MS
HELD_PER_REPLICA_MAX = 200


def plan_push(known: Known, arrivals: list[Arrival], now_ms: int) -> Plan:
    """Judge a batch in order. Every arrival gets one verdict; none stops those after it."""
    plan = Plan([], [], [], [])
    last: dict[tuple[str, int], Stamp] = {}
    for arrival in arrivals:
        past = known.logged.get(arrival.dot)
        if past is not None or arrival.fault in UNPROVEN:
            plan.verdicts.append(_without_number(plan, arrival, past))
            continue
        lane = (arrival.mutation.replica, arrival.mutation.lane)
        entry = _enter(known, arrival, _Clock(now_ms, last.get(lane)))
        if entry.wrote:
            last[lane] = restamp(decode_stamp(arrival.mutation.stamp), last.get(lane), now_ms)
        plan.entries.append(entry)
        plan.verdicts.append(entry.verdict)
    _release(known, plan, now_ms)
    return plan


class _Clock(Struct, frozen=True):
    now_ms: int
    last: Stamp | None = None


def _without_number(plan: Plan, arrival: Arrival, past: Logged | None) -> Verdict:
    """The recorded verdict again, or one for words that are kept beside the log."""
    if past is not None and past.hash == arrival.hash:
        return replace(past.verdict, repeat=True)
    if arrival.fault in UNPROVEN:
        verdict = Verdict(arrival.dot, arrival.hash, "quarantined", 0, arrival.fault)
    else:
        verdict = Verdict(arrival.dot, arrival.hash, "refused", 0, Code.IDENTITY_REUSED)
    plan.kept.append(Entry(arrival, verdict))
    return verdict


def _enter(known: Known, arrival: Arrival, clock: _Clock) -> Entry:
    """Judge one mutation and make its rows known to those after it."""
    verdict, wrote = _judge(known, arrival, clock)
    pairs = []
    for stored in wrote:
        was = known.rows.get(stored.key)
        pairs.append((was.row if was else None, stored))
    known.remember(wrote)
    known.logged[arrival.dot] = Logged(arrival.hash, verdict)
    return Entry(arrival, verdict, tuple(pairs))


def _release(known: Known, plan: Plan, now_ms: int) -> None:
    """Judge again what waited for what this batch brought; give up what waited too long."""
    waiting = {held.arrival.dot: held for held in known.held}
    for entry in plan.entries:
        if entry.verdict.verdict == "held":
            waiting[entry.arrival.dot] = held_by(entry, now_ms)
    fresh = {need for entry in plan.entries for need in _brought(entry)}
    while due := [held for held in waiting.values() if held.need in fresh]:
        fresh = set()
        for held in due:
            del waiting[held.arrival.dot]
            entry = _enter_again(known, held.arrival, now_ms)
            if entry.verdict.verdict == "held":
                waiting[held.arrival.dot] = held_by(entry, held.since)
            else:
                fresh |= _brought(entry)
                plan.released.append(_told(entry, now_ms))
    for held in waiting.values():
        if now_ms - held.since > HELD_MS:
            verdict = Verdict(
                held.arrival.dot, held.arrival.hash, "quarantined", 0, Code.PARENT, held.need
            )
            plan.released.append(_told(Entry(held.arrival, verdict), now_ms))


def held_by(entry: Entry, since: int) -> Held:
    """The waiting that a `held` verdict stands for."""
    return Held(entry.arrival, entry.verdict.detail or "", since)


def _brought(entry: Entry) -> set[str]:
    """What others may have waited for: the dot, unless it is held itself, and the rows made."""
    if entry.verdict.verdict == "held":
        return set()
    return {entry.arrival.dot} | {"/".join(stored.key) for _, stored in entry.wrote}


def _enter_again(known: Known, arrival: Arrival, now_ms: int) -> Entry:
    """Judge what waited. Whatever is wrong with it must not fail the batch of somebody else."""
    try:
        return _enter(known, arrival, _Clock(now_ms))
    except Exception:
        verdict = Verdict(arrival.dot, arrival.hash, "quarantined", 0, Code.INTERNAL)
        known.logged[arrival.dot] = Logged(arrival.hash, verdict)
        return Entry(arrival, verdict)


def _told(entry: Entry, now_ms: int) -> Entry:
    """With the row by which the device learns that a mutation is no longer held."""
    verdict = entry.verdict
    fields = {
        "replica": entry.arrival.mutation.replica,
        "dot": verdict.dot,
        "hash": verdict.hash,
        "verdict": verdict.verdict,
        "code": verdict.code,
        "detail": verdict.detail,
    }
    id = sha256_hex(verdict.dot.encode())[:ID_LENGTH]
    told = Stored(Row("verdict", id, 0, verdict.dot, "", "", now_ms, fields))
    return replace(entry, wrote=(*entry.wrote, (None, told)))


def _judge(known: Known, arrival: Arrival, clock: _Clock) -> tuple[Verdict, list[Stored]]:
    mutation, dot, hash = arrival.mutation, arrival.dot, arrival.hash
    try:
        session = _session_of(known, arrival)
        check_form(mutation)
        stamp = restamp(decode_stamp(mutation.stamp), clock.last, clock.now_ms).encode()
        check_rights(known, arrival, session)
        if waits := unmet(known, mutation):
            if sum(h.arrival.mutation.replica == mutation.replica for h in known.held) >= (
                HELD_PER_REPLICA_MAX
            ):
                raise Refusal(*waits)
            return Verdict(dot, hash, "held", 0, *waits), []
        everywhere = bool(session.roles & CENTRE_ROLES)
        for guard in mutation.guard:
            check_guard(known, guard, session, everywhere)
        wrote, merged = _apply(known, mutation, session, _Moment(dot, stamp, clock.now_ms))
    except Refusal as refusal:
        kind = "quarantined" if refusal.code in QUARANTINED else "refused"
        return Verdict(dot, hash, kind, 0, refusal.code, refusal.detail), []
    return Verdict(dot, hash, "merged" if merged else "applied", 0), wrote


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
        stored = known.rows.get((change.entity, change.id))
        if change.op == "create":
            if stored is not None:
                raise Refusal(Code.REMOVED if stored.row.removed else Code.EXISTS, change.id)
            made = created(change, moment.dot, moment.stamp, author, moment.now_ms)
            after[made.key] = made
        elif stored is None or stored.row.removed:
            raise Refusal(Code.REMOVED, change.id)
        elif change.op == "remove":
            after[stored.key] = removed(stored, moment.now_ms)
            for old in _open_disputes(known, change.id):
                after[old.key] = closed(old, author.actor, moment.now_ms)
        else:
            merged |= _set(known, after, change, _Setting(mutation, author, moment, stored))
    for found in recall_conflicts(known, list(after.values())):
        merged = True
        after[found.key] = found
    for conflict in ruled(known, list(after.values())):
        after[conflict.key] = closed(conflict, who.actor, moment.now_ms)
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
    standing = {one.row.id: one for one in _open_disputes(known, change.id)}
    for field, id in ids_before(wrote).items():
        old = standing.get(id)
        if old and old.key not in opened:
            decider = None if wrote.after[field].open else author.actor
            after[old.key] = closed(old, decider, moment.now_ms)
    after.update(opened)
    return bool(opened)


def _open_disputes(known: Known, row_id: str) -> list[Stored]:
    """The Conflicts about a row that wait for a person."""
    of_row = known.children.get(("conflict", row_id), {}).values()
    return [one for one in of_row if one.row.fields["state"] == "open"]

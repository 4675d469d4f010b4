"""What one mutation comes to: its verdict, and every row as it stands after it."""

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.roles import COMMAND, authority_of
from schema.tags import Tag
from schema.versions import DRIFT_MS_MAX, SCHEMA_VERSION
from schema.wire import Change, Mutation, Verdict
from sync.conflict import closed, found_by_write, ids_ended
from sync.filings import ORDERS, weigh_filings
from sync.known import Arrival, Known, Session
from sync.merge import Write
from sync.mutation import VOID, Refusal, check_form
from sync.quarantine import check_open
from sync.recall import RECALLING, recall_conflicts, ruled
from sync.removal import removal_conflict, unseen_heads
from sync.rights import check_guard, entitled, unmet
from sync.rows import Author, Key, Moment, Stored, at_home, created, removed, set_fields
from sync.stamp import Stamp, decode_stamp, restamp, surely_ms
from sync.stub import stubs
from sync.supplement import RULE_AFTER_CLOSE, SUPPLEMENTS, after_close
from sync.upcast import upcast

QUARANTINED = frozenset(
    {
        Code.REVOKED,
        Code.REMOVED,
        Code.SIGNATURE,
        Code.CHAIN,
        Code.BACKDATED,
        Code.ROLE_CUT,
        Code.NEWER,
        Code.LATE,
    }
)
"""What is kept for a person to judge rather than refused: the words may still be true."""

MAY_BE_NEWER = frozenset({Code.INTENT, Code.INTENT_CHANGE, Code.FIELD, Code.MUTATION})
"""What an author with a newer schema may mean well, and we cannot read."""

HELD_PER_REPLICA_MAX = 200


class Clock(Struct, frozen=True):
    """The time of receipt, and the stamp kept for the mutation before in the same lane."""

    now_ms: int
    last: Stamp | None = None


class Judged(Struct, frozen=True):
    """A verdict with all rows after it."""

    verdict: Verdict
    wrote: tuple[Stored, ...] = ()


def judge(known: Known, arrival: Arrival, clock: Clock) -> Judged:
    """Judge one mutation by what is known. Changes nothing."""
    mutation, dot, hash = upcast(arrival.mutation), arrival.dot, arrival.hash
    try:
        session = _session_of(known, arrival)
        if not arrival.well_formed:
            _check_form(mutation)
        claimed = decode_stamp(mutation.stamp)
        stamp = restamp(claimed, clock.last, clock.now_ms)
        _check_time(known, arrival, claimed.wall_ms, clock.now_ms)
        session, before_cut = entitled(known, arrival, session, min(claimed.wall_ms, clock.now_ms))
        if waits := unmet(known, mutation):
            if known.waiting.get(mutation.replica, 0) >= HELD_PER_REPLICA_MAX:
                raise Refusal(*waits)
            return Judged(Verdict(dot, hash, "held", 0, *waits))
        everywhere = bool(session.roles & COMMAND)
        for guard in mutation.guard:
            check_guard(known, guard, session, everywhere)
        kept = mutation.stamp if stamp is claimed else stamp.encode()
        moment = Moment(dot, kept, clock.now_ms, known.centre)
        applied = _apply(known, mutation, session, moment)
    except Refusal as refusal:
        return _turned_down(known, arrival, refusal, clock.now_ms)
    if arrival.reoffered:
        applied.rows |= {stub.key: stub for stub in stubs(known, applied.rows)}
    marks = (
        (Tag.CLOCK_AHEAD, stamp is not claimed),
        (Tag.CLOCK_OFF, arrival.clock_off),
        (Tag.BEFORE_CUT, before_cut),
        (Tag.RELEASED, arrival.released),
        (Tag.REOFFERED, arrival.reoffered),
        (Tag.MEETS_REMOVAL, applied.meets_removal),
        (Tag.AFTER_CLOSE, applied.after_close),
    )
    tags = tuple([str(tag) for tag, holds in marks if holds])
    kind = "merged" if applied.merged else "applied"
    rows = tuple([at_home(one, known.centre) for one in applied.rows.values()])
    return Judged(Verdict(dot, hash, kind, 0, tags=tags), rows)


def _turned_down(known: Known, arrival: Arrival, refusal: Refusal, now_ms: int) -> Judged:
    kind = "quarantined" if refusal.code in QUARANTINED else "refused"
    verdict = Verdict(arrival.dot, arrival.hash, kind, 0, refusal.code, refusal.detail)
    wrote = []
    if refusal.code is Code.REMOVED:
        for change in arrival.mutation.changes:
            stored = known.rows.get((change.entity, change.id))
            if change.op == "set" and stored and stored.row.removed:
                found = removal_conflict(stored.row, [_side(arrival, change)], now_ms)
                wrote.append(at_home(found, known.centre))
    return Judged(verdict, tuple(wrote))


def _side(arrival: Arrival, change: Change) -> dict[str, object]:
    m = arrival.mutation
    return {"dot": arrival.dot, "value": change.fields, "actor": m.actor, "stamp": m.stamp}


def _session_of(known: Known, arrival: Arrival) -> Session:
    if arrival.fault and not arrival.released:
        raise Refusal(arrival.fault)
    mutation = arrival.mutation
    session = known.sessions.get((mutation.replica, mutation.session))
    if session is None or session.actor != mutation.actor:
        raise Refusal(Code.ACTOR, mutation.actor)
    if session.revoked and not arrival.released:
        raise Refusal(Code.REVOKED)
    return session


def is_well_formed(mutation: Mutation) -> bool:
    """Whether judging it would find nothing wrong with its form, whatever the rows are."""
    try:
        check_form(upcast(mutation))
    except Refusal:
        return False
    return True


def _check_form(mutation: Mutation) -> None:
    try:
        check_form(mutation)
    except Refusal as refusal:
        if mutation.schema > SCHEMA_VERSION and refusal.code in MAY_BE_NEWER:
            raise Refusal(Code.NEWER, str(mutation.schema)) from None
        raise


def _check_time(known: Known, arrival: Arrival, wall_ms: int, now_ms: int) -> None:
    """Refusal `backdated` for a time before what its lane has brought, or was said to hold."""
    m = arrival.mutation
    lane = known.lanes.get((m.replica, m.lane))
    if lane is None or m.n <= lane.top or m.intent == VOID:
        return
    if arrival.released or arrival.trusted or now_ms < lane.returning_until:
        return
    top_ms, floor_ms = surely_ms(known.twice, lane.top_ms), surely_ms(known.twice, lane.floor_ms)
    known_ms = max(top_ms, floor_ms - DRIFT_MS_MAX)
    if wall_ms < min(known_ms, now_ms - DRIFT_MS_MAX):
        raise Refusal(Code.BACKDATED)


class _Applied(Struct):
    rows: dict[Key, Stored] = {}
    merged: bool = False
    meets_removal: bool = False
    after_close: bool = False

    def conflict(self, found: Stored) -> None:
        self.merged = True
        self.rows[found.key] = found


def _apply(known: Known, mutation: Mutation, who: Session, moment: Moment) -> _Applied:
    """All rows after the mutation. Raises the Refusal of the first change that cannot be."""
    author = Author(who.actor, authority_of(who.roles))
    done = _Applied()
    for change in mutation.changes:
        stored = known.rows.get((change.entity, change.id))
        if change.op == "create":
            if stored is not None:
                raise Refusal(Code.REMOVED if stored.row.removed else Code.EXISTS, change.id)
            made = created(change, author, moment)
            done.rows[made.key] = made
        elif stored is None or stored.row.removed:
            raise Refusal(Code.REMOVED, change.id)
        else:
            check_open(change, stored)
            work = _remove if change.op == "remove" else _set
            work(known, done, change, _Setting(mutation, author, moment, stored))
    made_rows = list(done.rows.values())
    of = {stored.row.entity for stored in made_rows}
    if of & RECALLING:
        for found in recall_conflicts(known, made_rows):
            done.conflict(found)
        for conflict in ruled(known, made_rows):
            done.rows[conflict.key] = closed(conflict, who.actor, moment.now_ms)
    if of & SUPPLEMENTS:
        done.after_close, reopening = after_close(known, made_rows)
        for found in reopening:
            done.conflict(found)
    if not of.isdisjoint(ORDERS):
        weighed = weigh_filings(known, made_rows, who.actor, moment.now_ms)
        done.rows |= {stored.key: stored for stored in weighed.changed}
        for found in weighed.opened:
            done.conflict(found)
    return done


class _Setting(Struct, frozen=True):
    mutation: Mutation
    author: Author
    moment: Moment
    stored: Stored


def _remove(known: Known, done: _Applied, change: Change, setting: _Setting) -> None:
    """The tombstone stands whatever it meets; words that its author had not seen are shown."""
    stored, moment = setting.stored, setting.moment
    tombstone = removed(stored, setting.author.actor, moment)
    done.rows[stored.key] = tombstone
    for old in _open_disputes(known, change.id):
        done.rows[old.key] = closed(old, setting.author.actor, moment.now_ms)
    named = setting.mutation.base.get("/".join(stored.key))
    if named is None:
        return  # Its author did not say what they had seen.
    if unseen := unseen_heads(stored, named, setting.author.actor, moment.dot):
        done.meets_removal = True
        done.conflict(removal_conflict(tombstone.row, unseen, moment.now_ms))


def _set(known: Known, done: _Applied, change: Change, setting: _Setting) -> None:
    """Fold one `set` in, with the Conflicts that it opens and those that it closes."""
    moment, author = setting.moment, setting.author
    write = Write(moment.dot, (), moment.stamp, author.actor, author.authority, None)
    base = setting.mutation.base.get("/".join(setting.stored.key), {})
    wrote = set_fields(setting.stored, change, write, base, known.node)
    row = replace(wrote.stored.row, arrived=moment.now_ms)
    done.rows[wrote.stored.key] = replace(wrote.stored, row=row)
    opened = found_by_write(wrote)
    standing = {one.row.id: one for one in _open_disputes(known, change.id)}
    for field, id in ids_ended(wrote).items():
        if old := standing.get(id):
            decider = None if wrote.after[field].open else author.actor
            done.rows[old.key] = closed(old, decider, moment.now_ms)
    if "state" in change.fields:
        for old in standing.values():
            if old.row.fields["rule"] == RULE_AFTER_CLOSE:
                done.rows[old.key] = closed(old, author.actor, moment.now_ms)
    for found in opened:
        done.conflict(found)


def _open_disputes(known: Known, row_id: str) -> list[Stored]:
    """The Conflicts about a row that wait for a person."""
    of_row = known.children.get(("conflict", row_id), {}).values()
    return [one for one in of_row if one.row.fields["state"] == "open"]

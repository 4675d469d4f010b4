"""What a push does, decided from what the engine loaded. Reads and writes nothing."""

from collections.abc import Iterable

from msgspec.structs import replace

from schema.codes import Code
from schema.versions import HELD_MS
from schema.wire import Mutation, Row, Verdict
from sync.judge import Clock, Judged, judge
from sync.known import Arrival, Entry, Held, Known, Logged, Plan
from sync.mutation import VOID
from sync.quarantine import KEPT, judged_again, let_in, quarantine_row, row_id
from sync.rights import rounds_made
from sync.rows import Stored, at_home
from sync.stamp import Stamp, believed_ms, decode_stamp, restamp

UNPROVEN = frozenset({Code.SIGNATURE})
"""What does not prove whose it is takes no number: the real owner's must still fit there."""


def plan_push(known: Known, arrivals: list[Arrival], now_ms: int) -> Plan:
    """Judge a batch in order. Every arrival gets one verdict; none stops those after it."""
    plan = Plan([], [], [], [])
    last: dict[tuple[str, int], Stamp] = {}
    whole: Mutation | None = None
    failed: Verdict | None = None
    for arrival in arrivals:
        past = known.logged.get(arrival.dot)
        if past is not None or arrival.fault in UNPROVEN:
            plan.verdicts.append(_without_number(plan, arrival, past))
            continue
        lane = (arrival.mutation.replica, arrival.mutation.lane)
        clock = Clock(now_ms, last.get(lane))
        if arrival.whole is not whole:
            whole = arrival.whole
            failed = _failed(known, arrival, clock)
        if failed and whole:
            told = replace(failed, dot=arrival.dot, hash=arrival.hash)
            judged = Judged(told)
        else:
            judged = judge(known, arrival, clock)
        entry = _enter(known, arrival, _shown(known, arrival, judged, now_ms))
        if judged.wrote:
            last[lane] = restamp(decode_stamp(arrival.mutation.stamp), clock.last, now_ms)
        plan.entries.append(entry)
        plan.verdicts.append(entry.verdict)
        _advance(known, entry, now_ms)
        if entry.verdict.verdict == "held":
            whose = arrival.mutation.replica
            known.waiting[whose] = known.waiting.get(whose, 0) + 1
        _let_in(known, plan, entry, now_ms)
    _release(known, plan, now_ms)
    return plan


def _advance(known: Known, entry: Entry, now_ms: int) -> None:
    """What follows in this lane is not of an earlier time than what was just taken."""
    m = entry.arrival.mutation
    lane = known.lanes.get((m.replica, m.lane))
    if lane is None or m.n <= lane.top or entry.verdict.verdict in KEPT or m.intent == VOID:
        return
    wall_ms = believed_ms(decode_stamp(m.stamp), now_ms)
    moved = replace(lane, top=m.n, top_ms=max(lane.top_ms, wall_ms))
    known.lanes[m.replica, m.lane] = moved


def _failed(known: Known, arrival: Arrival, clock: Clock) -> Verdict | None:
    """Why the whole that this is a part of cannot be; none of its parts waits for anything."""
    if arrival.whole is None:
        return None
    verdict = judge(known, replace(arrival, mutation=arrival.whole), clock).verdict
    if verdict.verdict in ("applied", "merged"):
        return None
    return replace(verdict, verdict="refused") if verdict.verdict == "held" else verdict


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


def _shown(known: Known, arrival: Arrival, judged: Judged, now_ms: int) -> Judged:
    """With the row by which a person sees words that were not applied.

    Whoever is refused at the centre itself sees it on the spot.
    """
    verdict = judged.verdict
    if verdict.verdict not in KEPT or (arrival.trusted and not arrival.reoffered):
        return judged
    m = arrival.mutation
    session = known.sessions.get((m.replica, m.session))
    row = at_home(quarantine_row(arrival, verdict, session, now_ms), known.centre)
    return Judged(verdict, (*judged.wrote, row))


def _enter(known: Known, arrival: Arrival, judged: Judged) -> Entry:
    """The line for the log; its rows are known to whatever is judged after it."""
    pairs = []
    for stored in judged.wrote:
        was = known.rows.get(stored.key)
        pairs.append((was.row if was else None, stored))
    known.remember(judged.wrote)
    known.logged[arrival.dot] = Logged(arrival.hash, judged.verdict)
    return Entry(arrival, judged.verdict, tuple(pairs))


def _let_in(known: Known, plan: Plan, entry: Entry, now_ms: int) -> None:
    """Judge the originals that this entry releases, by their own author, stamp and base."""
    if not known.words or entry.verdict.verdict in KEPT:
        return
    for change in entry.arrival.mutation.changes:
        if not let_in(change):
            continue
        row = known.rows[change.entity, change.id]
        original = known.words[row.row.fields["dot"]]
        again = replace(original, fault=None, released=True)
        judged = _judge_again(known, again, now_ms)
        shown = judged_again(row, judged.verdict)
        plan.released.append(_told(known, again, judged, now_ms, [shown]))


def _release(known: Known, plan: Plan, now_ms: int) -> None:
    """Judge again what waited for what this batch brought; give up what waited too long."""
    waiting = {held.arrival.dot: held for held in known.held}
    brought = [*plan.entries, *plan.released]
    for entry in brought:
        if entry.verdict.verdict == "held":
            waiting[entry.arrival.dot] = held_by(entry, now_ms)
    if not waiting:
        return
    fresh = {need for entry in brought for need in _brought(entry)}
    while due := [held for held in waiting.values() if held.need in fresh]:
        fresh = set()
        for held in due:
            del waiting[held.arrival.dot]
            judged = _judge_again(known, held.arrival, now_ms)
            if judged.verdict.verdict == "held":
                waiting[held.arrival.dot] = held_by(Entry(held.arrival, judged.verdict), held.since)
                continue
            shown = _shown(known, held.arrival, judged, now_ms)
            entry = _told(known, held.arrival, shown, now_ms)
            fresh |= _brought(entry)
            plan.released.append(entry)
    for held in waiting.values():
        if now_ms - held.since > HELD_MS:
            given_up = Judged(_verdict(held.arrival, "quarantined", Code.PARENT, held.need))
            shown = _shown(known, held.arrival, given_up, now_ms)
            plan.released.append(_told(known, held.arrival, shown, now_ms))


def held_by(entry: Entry, since: int) -> Held:
    """The waiting that a `held` verdict stands for."""
    return Held(entry.arrival, entry.verdict.detail or "", since)


def _brought(entry: Entry) -> set[str]:
    """What others may have waited for: the dot, unless it is held itself, and the rows made."""
    if entry.verdict.verdict == "held":
        return set()
    rows = {"/".join(stored.key) for _, stored in entry.wrote}
    back = rows and entry.arrival.reoffered  # A round that is opened now is another one.
    rounds = rounds_made(entry.arrival.mutation) if back else set()
    return {entry.arrival.dot} | rows | rounds


def _judge_again(known: Known, arrival: Arrival, now_ms: int) -> Judged:
    """Judge what was kept. Whatever is wrong with it must not fail the batch of somebody else."""
    try:
        return judge(known, arrival, Clock(now_ms))
    except Exception:
        return Judged(_verdict(arrival, "quarantined", Code.INTERNAL))


def _verdict(arrival: Arrival, kind: str, code: Code, detail: str | None = None) -> Verdict:
    return Verdict(arrival.dot, arrival.hash, kind, 0, code, detail)


def _told(
    known: Known, arrival: Arrival, judged: Judged, now_ms: int, also: Iterable[Stored] = ()
) -> Entry:
    """With the row by which the device learns what became of a mutation."""
    verdict = judged.verdict
    fields = {
        "replica": arrival.mutation.replica,
        "dot": verdict.dot,
        "hash": verdict.hash,
        "verdict": verdict.verdict,
        "code": verdict.code,
        "detail": verdict.detail,
        "tags": list(verdict.tags),
    }
    row = Row("verdict", row_id(verdict.dot), 0, verdict.dot, "", "", now_ms, fields)
    told = at_home(Stored(row), known.centre)
    return _enter(known, arrival, Judged(verdict, (*judged.wrote, *also, told)))

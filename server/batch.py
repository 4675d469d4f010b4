"""Group commit: what waits while a transaction runs goes into the next one, judged in order."""

import asyncio
from collections.abc import Callable, Collection

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.wire import Pair, Verdict
from server.blobs import note_photos
from server.clock import Told, Watch
from server.grants import note_person
from server.held import drop_held, keep_held
from server.lanes import note_clock
from server.live import Moved
from server.loading import load_known
from server.machines import list_newest
from server.node import b64url
from server.shelves import Shelf, own_shelf, put_on, unproven_shelf
from server.store.protocol import Commit, Store, Txn
from server.verify import Checked
from server.waiting import CONFLICTS, LOST, QUARANTINE, WORDS, list_beside, list_rows, prove
from sync.filings import ORDERS
from sync.known import Arrival, Entry, Plan
from sync.push import held_by, plan_push
from sync.scope import Member, memberships


class Done(Struct):
    """What a commit came to: each pair's newest seq, and those of which devices hear at once."""

    moved: Moved = {}
    urgent: set[Pair] = set()


class Job(Struct):
    """Something to write. `make` runs under the lock; `note` after the verdicts are known.

    `urgent` jobs are taken before others that wait. `size` is how many mutations it writes.
    """

    make: Callable[[Txn], Checked]
    note: Callable[[Txn, list[Verdict]], None] | None = None
    urgent: bool = False
    size: int = 1


STEP = "target.step"
"""How far an order got: it comes from every device that has the order."""

MUTATIONS_PER_COMMIT_MAX = 400
"""What waits behind a commit of this many is taken by the next one: no commit holds long."""

LISTED = frozenset({CONFLICTS, QUARANTINE, LOST, *ORDERS})
"""Entities whose rows stand in a list of their own."""


class _Waiting(Struct):
    job: Job
    done: asyncio.Future[list[Verdict]]


class Batcher:
    """One writer of the log. A job's verdicts are durable when `run` returns them."""

    def __init__(
        self, store: Store, clock: Watch, moved: Callable[[Moved, Collection[Pair]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._moved = moved
        self._queue: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, job: Job) -> list[Verdict]:
        """The verdicts of the job's arrivals, in order; none of words that nothing keeps."""
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await waiting.done

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._task:
            await self._task

    async def _drain(self) -> None:
        while self._queue:
            batch = self._next()
            try:
                await self._commit(batch)
            except Exception as error:
                await self._one_by_one(batch, error)

    def _next(self) -> list[_Waiting]:
        """The next jobs to write together, urgent ones first; at least one."""
        self._queue.sort(key=lambda waiting: not waiting.job.urgent)
        count = size = 0
        for waiting in self._queue:
            size += waiting.job.size
            if count and size > MUTATIONS_PER_COMMIT_MAX:
                break
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _one_by_one(self, batch: list[_Waiting], error: Exception) -> None:
        """A batch failed: only the culprit gets the error, and no verdict."""
        for waiting in batch:
            if len(batch) == 1:
                _fail(waiting, error)
                return
            try:
                await self._commit([waiting])
            except Exception as own:
                _fail(waiting, own)

    async def _commit(self, batch: list[_Waiting]) -> None:
        def work(txn: Txn) -> tuple[Told, list[list[Verdict]], Done]:
            now_ms = self._clock()  # Under the lock: who waited for it judges by no older time.
            from_now_on = note_clock(txn, self._clock.told, now_ms)
            return from_now_on, *_write(txn, [waiting.job for waiting in batch], now_ms)

        self._clock.told, verdicts, done = await self._store.write(work)
        for waiting, own in zip(batch, verdicts, strict=True):
            if not waiting.done.done():
                waiting.done.set_result(own)
        if done.moved:
            self._moved(done.moved, done.urgent)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


def _write(txn: Txn, jobs: list[Job], now_ms: int) -> tuple[list[list[Verdict]], Done]:
    """One transaction: judge every job's arrivals in order, commit, note."""
    made = [job.make(txn) for job in jobs]
    arrivals = [arrival for checked in made for arrival in checked.arrivals]
    sessions = {key: one for checked in made for key, one in checked.sessions.items()}
    known = load_known(txn, arrivals, sessions, now_ms)
    plan = plan_push(known, arrivals, now_ms)
    by_dot, done = _store(txn, plan, now_ms)
    lost = {_named(one.verdict) for one in plan.kept if not _keep(txn, one, now_ms)}
    verdicts = _shared_out(made, [_with_seq(one, by_dot) for one in plan.verdicts])
    for job, own in zip(jobs, verdicts, strict=True):
        if job.note:
            job.note(txn, own)
    if lost:
        verdicts = [[one for one in own if _named(one) not in lost] for own in verdicts]
    return verdicts, done


def _named(verdict: Verdict) -> tuple[str, str, str | None]:
    """Which words, and why they have no number."""
    return verdict.dot, verdict.hash, verdict.code


def _keep(txn: Txn, entry: Entry, now_ms: int) -> bool:
    """Keep what a device said, on the shelf that it has proved to be its own or on the other."""
    replica = entry.arrival.mutation.replica
    proven = entry.verdict.code != Code.SIGNATURE
    shelf = own_shelf(replica) if proven else unproven_shelf(replica)
    return keep_words(txn, shelf, entry.verdict, entry.arrival.raw, now_ms)


def keep_words(txn: Txn, shelf: Shelf, verdict: Verdict, raw: bytes, now_ms: int) -> bool:
    """Keep words that have no number of their own, with why, for a person to see; once.

    False when the shelf is full: nothing keeps them, and whoever has them must not be told so.
    """
    key = f"{verdict.dot} {verdict.hash}"
    if txn.get(WORDS, key):
        return True
    if not put_on(txn, shelf):
        return False
    doc = {"raw": b64url(raw), "code": verdict.code, "verdict": verdict.verdict, "at": now_ms}
    doc["shelf"] = shelf.name
    txn.put(WORDS, key, doc)
    list_beside(txn, WORDS, key, doc)
    return True


def _store(txn: Txn, plan: Plan, now_ms: int) -> tuple[dict[str, Verdict], Done]:
    """Commit the plan. Each dot's verdict with its seq, and the pairs that moved."""
    commits = [_commit_of(entry, now_ms) for entry in plan.entries]
    commits += [_commit_of(entry, now_ms, release=True) for entry in plan.released]
    by_dot: dict[str, Verdict] = {}
    came = Done()
    for commit, done in zip(commits, txn.commit(commits), strict=True):
        verdict = replace(commit.entry.verdict, seq=done.seq)
        by_dot[verdict.dot] = verdict
        _keep_beside(txn, commit, now_ms)
        listed = [stored.row for stored in commit.rows if stored.row.entity in LISTED]
        list_rows(txn, listed, now_ms)
        list_newest(txn, listed)
        for before, stored in commit.entry.wrote:
            note_photos(txn, stored.row)
            note_person(txn, before, stored.row, now_ms)
        for pair in done.moved:
            came.moved[pair] = done.seq
        if _is_told_at_once(commit.entry.arrival):
            came.urgent |= done.moved
    prove(txn, by_dot)
    return by_dot, came


def _is_told_at_once(arrival: Arrival) -> bool:
    """The centre's own words, and calls for help and whatever else is urgent but a mere step."""
    m = arrival.mutation
    return arrival.trusted or (m.lane == 0 and m.intent != STEP)


def _commit_of(entry: Entry, now_ms: int, release: bool = False) -> Commit:
    rows = [stored for _, stored in entry.wrote]
    members: list[Member] = []
    for before, stored in entry.wrote:
        members += memberships(before, stored.row)
    return Commit(entry, rows, members, now_ms, release)


def _keep_beside(txn: Txn, commit: Commit, now_ms: int) -> None:
    """The signature that proves a run, under its last dot; and what waits, until it is released."""
    entry, arrival = commit.entry, commit.entry.arrival
    if arrival.sig and not commit.release:
        txn.put("run", arrival.dot, {"sig": arrival.sig})
    if entry.verdict.verdict == "held":
        keep_held(txn, held_by(entry, now_ms), arrival.hash)
    elif commit.release:
        drop_held(txn, arrival.dot)


def _shared_out(made: list[Checked], told: list[Verdict]) -> list[list[Verdict]]:
    """The verdicts of all arrivals, each job's own to itself."""
    rest = iter(told)
    return [[next(rest) for _ in checked.arrivals] for checked in made]


def _with_seq(verdict: Verdict, by_dot: dict[str, Verdict]) -> Verdict:
    """A verdict that this batch gave, once its seq is known."""
    done = by_dot.get(verdict.dot)
    if done is None or done.hash != verdict.hash:
        return verdict
    as_told = done.verdict == verdict.verdict and not verdict.repeat
    return done if as_told else replace(verdict, seq=done.seq)

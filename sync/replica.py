"""One device's state, as a reference for the PWA: confirmed rows, outbox, overlay, cursors."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from schema.scopes import lane_of
from schema.wire import Change, Cursors, Mutation, Page, Row, SyncReply, SyncRequest, Verdict
from sync.mutation import encode_mutation, hash_of
from sync.outbox import Saved, Tip, runs_to_send, settled
from sync.pull import advance, reached, take_rows
from sync.rows import Key, base_of
from sync.stamp import Stamp, next_stamp


class Identity(Struct, frozen=True):
    """What enrolment gave the device."""

    realm: str
    centre: str
    epoch: str
    replica: str
    session: str
    actor: str


class Awaiting(Struct, frozen=True):
    """A settled mutation whose overlay stays until its lanes are complete at its seq."""

    saved: Saved
    seq: int


class Replica:
    """Everything a device keeps. Each method is one transaction; nothing here does I/O."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.rows: dict[Key, Row] = {}
        self.held_by: dict[Key, set[str]] = {}
        self.outbox: list[Saved] = []
        self.awaiting: list[Awaiting] = []
        self.refused: list[tuple[Saved, Verdict]] = []
        self.cursors: Cursors = {}
        self.tips: dict[int, Tip] = {}
        self.staged: dict[tuple[str, int], list[Page]] = {}
        self.stamp = Stamp(0, 0, identity.replica)

    def write(self, intent: str, lane: int, changes: Sequence[Change], now_ms: int) -> str:
        """Save a mutation. Its dot, once it is in the outbox and shown by the overlay."""
        tip = self.tips.get(lane, Tip())
        self.stamp = next_stamp(self.stamp, now_ms)
        mutation = Mutation(
            replica=self.identity.replica,
            realm=self.identity.realm,
            session=self.identity.session,
            actor=self.identity.actor,
            lane=lane,
            n=tip.n + 1,
            prev=tip.hash,
            stamp=self.stamp.encode(),
            intent=intent,
            changes=tuple(changes),
            base=self._base(changes),
        )
        raw = encode_mutation(mutation)
        saved = Saved(lane, mutation.n, raw, hash_of(raw), mutation)
        self.outbox.append(saved)
        self.tips[lane] = Tip(saved.n, saved.hash)
        return saved.dot

    def _base(self, changes: Sequence[Change]) -> dict[str, dict[str, tuple[str, ...]]]:
        base: dict[str, dict[str, tuple[str, ...]]] = {}
        for change in changes:
            row = self.view((change.entity, change.id))
            if change.op == "set" and row is not None:
                base[f"{change.entity}/{change.id}"] = {
                    name: base_of(row, name) for name in change.fields
                }
        return base

    def view(self, key: Key) -> Row | None:
        """The row as a screen shows it: confirmed, with everything not yet confirmed on top."""
        row = self.rows.get(key)
        for saved in [one.saved for one in self.awaiting] + self.outbox:
            for change in saved.mutation.changes:
                if (change.entity, change.id) == key:
                    row = overlaid(row, change, saved)
        return None if row is None or row.removed else row

    def request(self, sign: Callable[[bytes], str], clock_ms: int) -> SyncRequest:
        """One round trip: what waits, and where each (scope, lane) stands."""
        me = self.identity
        runs = runs_to_send(self.outbox, sign)
        return SyncRequest(
            me.centre, me.epoch, me.replica, runs=runs, cursors=self.cursors, clock=clock_ms
        )

    def receive(self, reply: SyncReply) -> None:
        """Take verdicts and pages. Rows show only once their (scope, lane) is complete."""
        for verdict in reply.verdicts:
            self.settle(verdict)
        for scope in reply.revoked:
            self._lose(scope)
        for page in reply.pages:
            self.staged.setdefault((page.scope, page.lane), []).append(page)
            self.cursors = advance(self.cursors, page.scope, page.lane, page.next)
        for scope, lanes in reply.complete.items():
            for lane in lanes:
                self.cursors = advance(self.cursors, scope, lane, reply.upto)
                for page in self.staged.pop((scope, lane), []):
                    self._take(page)
        self._drop_overlays()

    def settle(self, verdict: Verdict) -> None:
        """Move what the verdict settles out of the outbox; refused words stay visible here.

        A later verdict of the same words replaces the one they wait here with.
        """
        again = [one for one, _ in self.refused if settled(one, verdict)]
        self.refused = [pair for pair in self.refused if pair[0] not in again]
        self.outbox += again
        for saved in [one for one in self.outbox if settled(one, verdict)]:
            self.outbox.remove(saved)
            if verdict.verdict in ("applied", "merged"):
                self.awaiting.append(Awaiting(saved, verdict.seq))
            else:
                self.refused.append((saved, verdict))

    def _take(self, page: Page) -> None:
        self.rows |= take_rows(self.rows, page.rows)
        for row in page.rows:
            self.held_by.setdefault((row.entity, row.id), set()).add(page.scope)
            if row.entity == "verdict":
                self.settle(_late_verdict(row))
        for entity, id in page.out:
            self._release((entity, id), page.scope)

    def _release(self, key: Key, scope: str) -> None:
        holders = self.held_by.get(key, set())
        holders.discard(scope)
        if not holders:
            self.held_by.pop(key, None)
            self.rows.pop(key, None)

    def _lose(self, scope: str) -> None:
        self.cursors = {name: lanes for name, lanes in self.cursors.items() if name != scope}
        self.staged = {pair: pages for pair, pages in self.staged.items() if pair[0] != scope}
        for key in [key for key, scopes in self.held_by.items() if scope in scopes]:
            self._release(key, scope)

    def _drop_overlays(self) -> None:
        """An overlay goes once every lane it touched is complete at or above its seq.

        A cursor moves with every page, so a lane with staged pages is not complete.
        """
        staged = {lane for _, lane in self.staged}
        self.awaiting = [
            one
            for one in self.awaiting
            if any(
                lane in staged or reached(self.cursors, lane) < one.seq
                for lane in lanes_of(one.saved.mutation)
            )
        ]


def lanes_of(mutation: Mutation) -> set[int]:
    """The lanes in which the rows of this mutation come back."""
    return {lane_of(change.entity) for change in mutation.changes}


def _late_verdict(row: Row) -> Verdict:
    f: dict[str, Any] = row.fields
    return Verdict(f["dot"], f["hash"], f["verdict"], row.seq, f.get("code"), f.get("detail"))


def overlaid(row: Row | None, change: Change, saved: Saved) -> Row | None:
    """A row with one unconfirmed change on top, `arrived` 0 while it is only on this device."""
    m = saved.mutation
    if change.op == "remove":
        return None
    if row is None:
        if change.op == "set":
            return None
        return Row(change.entity, change.id, 0, saved.dot, m.stamp, m.actor, 0, dict(change.fields))
    if change.op == "create":
        return row
    writes = row.writes | {name: (m.stamp, saved.dot) for name in change.fields}
    open = {name: sides for name, sides in row.open.items() if name not in change.fields}
    return Row(
        row.entity,
        row.id,
        row.seq,
        row.dot,
        row.stamp,
        row.actor,
        row.arrived,
        row.fields | change.fields,
        writes,
        open,
    )

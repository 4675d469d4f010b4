"""One device's state, as a reference for the PWA: confirmed rows, outbox, overlay, cursors.

Each public method is one transaction; nothing here does I/O.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.scopes import lane_of
from schema.tags import Tag
from schema.versions import SAFE_INT_MAX, SCHEMA_VERSION, SENT_MS
from schema.wire import (
    Change,
    Cursors,
    Mutation,
    OutboxReport,
    Page,
    Pair,
    Proof,
    Row,
    Snapshot,
    SnapshotFile,
    SnapshotPart,
    SyncReply,
    SyncRequest,
    Verdict,
)
from sync.digest import as_text, digest_of, total
from sync.mutation import VOID, dot_of, encode_mutation, hash_of, void_id
from sync.outbox import Saved, Tip, runs_to_send, settled
from sync.overlay import lanes_of, view_of
from sync.pull import advance, reached, take_rows
from sync.rows import Key, base_of
from sync.stamp import Stamp, next_stamp

OFFERS_PER_REQUEST_MAX = 50


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


class Sent(Struct, frozen=True):
    """A mutation that the centre has, kept until the loss of one machine cannot lose it."""

    saved: Saved
    seq: int
    arrived: int


class Replica:
    """Everything a device keeps."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.rows: dict[Key, Row] = {}
        self.held_by: dict[Key, frozenset[str]] = {}
        self.holds: dict[Pair, set[Key]] = {}
        self.digests: dict[Key, int] = {}
        self.proofs: dict[str, tuple[Proof, int]] = {}
        self.outbox: list[Saved] = []
        self.awaiting: list[Awaiting] = []
        self.sent: list[Sent] = []
        self.refused: list[tuple[Saved, Verdict]] = []
        self.damaged: list[Saved] = []
        self.cursors: Cursors = {}
        self.tips: dict[int, Tip] = {}
        self.staged: dict[Pair, list[Page]] = {}
        self.parts: dict[Pair, dict[str, SnapshotFile]] = {}
        self.restarting: set[Pair] = set()
        self.bad: set[Pair] = set()
        self.offers: list[Proof] = []
        self.unseen: list[Row] = []
        self.stamp = Stamp(0, 0, identity.replica)

    # --- Writing --------------------------------------------------------------------------------

    def write(self, intent: str, lane: int, changes: Sequence[Change], now_ms: int) -> str:
        """Save a mutation. Its dot, once it is in the outbox and shown by the overlay."""
        tip = self.tips.get(lane, Tip())
        mutation = self._mutation(intent, lane, tip.n + 1, changes, now_ms)
        saved = _saved(replace(mutation, prev=tip.hash, base=self._base(changes)))
        self.outbox.append(saved)
        self.tips[lane] = Tip(saved.n, saved.hash)
        return saved.dot

    def _mutation(
        self, intent: str, lane: int, n: int, changes: Sequence[Change], now_ms: int
    ) -> Mutation:
        self.stamp = next_stamp(self.stamp, now_ms)
        me = self.identity
        return Mutation(
            replica=me.replica,
            realm=me.realm,
            session=me.session,
            actor=me.actor,
            lane=lane,
            n=n,
            prev="",
            stamp=self.stamp.encode(),
            intent=intent,
            changes=tuple(changes),
            schema=SCHEMA_VERSION,
        )

    def _base(self, changes: Sequence[Change]) -> dict[str, dict[str, tuple[str, ...]]]:
        """The dots that this device shows: of each field set, of all written ones for a removal."""
        base: dict[str, dict[str, tuple[str, ...]]] = {}
        for change in changes:
            row = self.view((change.entity, change.id))
            if change.op == "create" or row is None:
                continue
            names = row.writes if change.op == "remove" else change.fields
            base[f"{change.entity}/{change.id}"] = {name: base_of(row, name) for name in names}
        return base

    def damage(self, lane: int, n: int, now_ms: int) -> None:
        """The words of an unsent mutation cannot be read any more: set them aside, note the loss.

        What is left of them stays here for a person to see; a void takes their number.
        """
        [saved] = [one for one in self.outbox if (one.lane, one.n) == (lane, n)]
        self.outbox.remove(saved)
        self.damaged.append(saved)
        told = saved.mutation.changes[0].fields if saved.mutation.intent == VOID else {}
        self._void(lane, n, told.get("lost", saved.hash), "corrupt", now_ms)

    def _void(self, lane: int, n: int, lost: str | None, reason: str, now_ms: int) -> None:
        fields: dict[str, Any] = {"replica": self.identity.replica, "of_lane": lane, "n": n}
        fields |= {"lost": lost, "reason": reason, "at": now_ms}
        change = Change("create", "void", void_id(self.identity.replica, lane, n), fields)
        saved = _saved(self._mutation(VOID, lane, n, [change], now_ms))
        self.outbox.append(saved)
        if self.tips[lane].n == n and lost is None:
            self.tips[lane] = Tip(n, saved.hash)

    def view(self, key: Key) -> Row | None:
        """The row as a screen shows it: confirmed, with everything not yet confirmed on top."""
        return view_of(self.rows.get(key), key, [one.saved for one in self.awaiting] + self.outbox)

    # --- A round trip ---------------------------------------------------------------------------

    def request(self, sign: Callable[[bytes], str], clock_ms: int) -> SyncRequest:
        """One round trip: what waits, and where each (scope, lane) stands."""
        me = self.identity
        many = len(self.offers) > OFFERS_PER_REQUEST_MAX  # What own words build on goes first.
        return SyncRequest(
            me.centre,
            me.epoch,
            me.replica,
            runs=[] if many else runs_to_send(self.outbox, sign),
            cursors=self.cursors,
            bad=sorted(self.bad),
            offers=self.offers[:OFFERS_PER_REQUEST_MAX],
            seen=self.unseen[:OFFERS_PER_REQUEST_MAX],
            outbox=OutboxReport(len(self.outbox), self._oldest()),
            clock=clock_ms,
        )

    def _oldest(self) -> int | None:
        return min((int(one.mutation.stamp[:12], 16) for one in self.outbox), default=None)

    def receive(self, reply: SyncReply, request: SyncRequest, now_ms: int) -> list[Snapshot]:
        """Take an answer. The snapshots to fetch.

        Nothing is done for an answer of another centre, or to a question about another log. Rows
        show only once their (scope, lane) is complete. What was asked from a cursor that is not
        this device's any more is let be: a later answer knew more.
        """
        me = self.identity
        if reply.centre != me.centre or request.epoch != me.epoch:
            return []
        for verdict in reply.verdicts:
            self.settle(verdict, reply.now)
        self._set_clock(reply)
        if reply.epoch != self.identity.epoch:
            self._begin_epoch(reply)
            return []
        self._settle_offers(reply, request)
        self._answer_missing(reply.missing, now_ms)
        self._forget_durable(reply)
        if self.unseen:
            return []  # What only this device knows is told before anything takes its place.
        newest = reply.upto >= max(
            (seq for lanes in self.cursors.values() for seq in lanes.values()), default=0
        )
        fresh = {
            pair
            for pair in _pairs(reply)
            if self._stands(pair, request) and (newest or pair[0] in self.cursors)
        }
        if newest:  # Which scopes there are is told by the newest answer alone.
            for scope in reply.revoked:
                self._lose(scope)
            self.cursors = {scope: {} for scope in reply.gained} | self.cursors
        self._stage(reply, fresh)
        for scope, lanes in reply.complete.items():
            for lane in lanes:
                if (scope, lane) in fresh:
                    self._show((scope, lane), reply)
        self._drop_overlays()
        return [one for one in reply.snapshots if (one.scope, one.lane) in fresh]

    def lacking(self, snapshot: Snapshot) -> list[SnapshotPart]:
        """The parts of it that are still to be fetched: what came is kept while it is offered."""
        here = self.parts.get((snapshot.scope, snapshot.lane), {})
        return [part for part in snapshot.parts if part.sha256 not in here]

    def fetched(self, snapshot: Snapshot, files: dict[str, SnapshotFile]) -> None:
        """Keep these parts of a snapshot, by hash, and stage it once all are here.

        Nothing is done where the pair has been begun meanwhile.
        """
        pair = (snapshot.scope, snapshot.lane)
        if pair not in self.restarting or self._cursor(pair) or self.staged.get(pair):
            return
        here = self.parts[pair] = self.parts.get(pair, {}) | files
        if self.lacking(snapshot):
            return
        self.staged[pair] = [_part_page(here[part.sha256]) for part in snapshot.parts]
        self.parts.pop(pair)
        self.cursors = advance(self.cursors, *pair, snapshot.seq)

    def _settle_offers(self, reply: SyncReply, request: SyncRequest) -> None:
        """What was offered and told is done; a row whose proof convinced nobody is told instead."""
        told = {verdict.dot: verdict for verdict in reply.verdicts}
        vain = {_dot(one) for one in self.offers if _is_vain(told.get(_dot(one)))}
        self.offers = [one for one in self.offers if _dot(one) not in told]
        self.unseen = [row for row in self.unseen if row not in request.seen]
        self.unseen += [row for row in self.rows.values() if _dots(row) & vain]

    def _cursor(self, pair: Pair) -> int:
        scope, lane = pair
        return 0 if pair in self.bad else self.cursors.get(scope, {}).get(str(lane), 0)

    def _stands(self, pair: Pair, request: SyncRequest) -> bool:
        """True while the pair is where it was when this was asked."""
        scope, lane = pair
        asked = request.cursors.get(scope, {}).get(str(lane), 0)
        return self._cursor(pair) == (0 if pair in request.bad else asked)

    def _set_clock(self, reply: SyncReply) -> None:
        """The centre's time is the least that we stamp with; a clock that ran ahead is set back."""
        ahead = any(Tag.CLOCK_AHEAD in verdict.tags for verdict in reply.verdicts)
        if ahead or self.stamp.wall_ms < reply.now:
            self.stamp = Stamp(reply.now, 0, self.identity.replica)

    # --- Verdicts -------------------------------------------------------------------------------

    def settle(self, verdict: Verdict, now_ms: int) -> None:
        """Move what the verdict settles out of the outbox; refused words stay visible here.

        A later verdict of the same words replaces the one they wait here with.
        """
        again = [
            one
            for one, held in self.refused
            if settled(one, verdict) and verdict.seq >= held.seq  # An older answer may come late.
        ]
        self.refused = [pair for pair in self.refused if pair[0] not in again]
        for saved in again + [one for one in self.outbox if settled(one, verdict)]:
            self.outbox = [one for one in self.outbox if one is not saved]
            if verdict.verdict in ("applied", "merged"):
                self.awaiting.append(Awaiting(saved, verdict.seq))
                self.sent.append(Sent(saved, verdict.seq, now_ms))
            elif saved.mutation.intent != VOID or verdict.code != Code.IDENTITY_REUSED:
                self.refused.append((saved, verdict))

    def _answer_missing(self, missing: dict[str, list[int]], now_ms: int) -> None:
        """Send again what the centre says never came; say so where nothing is left to send."""
        waiting = {(one.lane, one.n) for one in self.outbox}
        here = {(one.saved.lane, one.saved.n): one.saved for one in self.sent}
        here |= {(saved.lane, saved.n): saved for saved, _ in self.refused}
        for name, numbers in missing.items():
            lane = int(name)
            for n in numbers:
                if (lane, n) in waiting or n > self.tips.get(lane, Tip()).n:
                    continue
                if saved := here.get((lane, n)):
                    self._send_again([saved])
                else:
                    self._void(lane, n, None, "missing", now_ms)

    def _send_again(self, again: Iterable[Saved]) -> None:
        dots = {saved.dot for saved in again}
        waiting = {saved.dot for saved in self.outbox}
        self.outbox += [saved for saved in again if saved.dot not in waiting]
        self.outbox.sort(key=lambda saved: saved.mutation.stamp)
        self.sent = [one for one in self.sent if one.saved.dot not in dots]
        self.awaiting = [one for one in self.awaiting if one.saved.dot not in dots]
        self.refused = [pair for pair in self.refused if pair[0].dot not in dots]

    def _forget_durable(self, reply: SyncReply) -> None:
        """What a backup covers need not be kept here too."""
        self.sent = [
            one
            for one in self.sent
            if one.seq > reply.durable and one.arrived + SENT_MS > reply.now
        ]
        self.proofs = {
            dot: (proof, seq) for dot, (proof, seq) in self.proofs.items() if seq > reply.durable
        }

    def _begin_epoch(self, reply: SyncReply) -> None:
        """The centre was restored: offer again what its log may lack, and start every pair anew.

        What is shown here stays until the new log has told everything.
        """
        fork = reply.fork or 0
        self.identity = replace(self.identity, epoch=reply.epoch)
        again = [one.saved for one in self.sent if one.seq > fork]
        again += [saved for saved, verdict in self.refused if verdict.seq > fork]
        self._send_again(again)
        self._offer_again(fork)
        provable = set(self.proofs) | {saved.dot for saved in self.outbox}
        provable |= {one.saved.dot for one in self.sent}
        same, told = range(1, fork + 1), {(row.entity, row.id) for row in self.unseen}
        lost = [row for row in self.rows.values() if not row.removed and row.seq not in same]
        bare = [row for row in lost if not _dots(row) <= provable]
        self.unseen += [row for row in bare if (row.entity, row.id) not in told]
        self.rows = {key: replace(row, seq=0) for key, row in self.rows.items()}
        self.cursors = {scope: {} for scope in self.cursors}
        self.staged, self.parts, self.restarting, self.bad = {}, {}, set(), set()

    def _offer_again(self, fork: int) -> None:
        """Offer the centre's signed words above the fork, and what a log before still lacked.

        Their number in the new log is not known yet: it may be restored again before it tells.
        """
        waiting = {_dot(one) for one in self.offers}
        above = {dot: proof for dot, (proof, seq) in self.proofs.items() if seq > fork}
        self.offers += [proof for dot, proof in above.items() if dot not in waiting]
        self.proofs |= {dot: (proof, SAFE_INT_MAX) for dot, proof in above.items()}

    # --- Pages ----------------------------------------------------------------------------------

    def _stage(self, reply: SyncReply, fresh: set[Pair]) -> None:
        offered = {(one.scope, one.lane): one for one in reply.snapshots}
        for pair in reply.restart:
            if pair in fresh:
                self._restart(pair, offered.get(pair))
        for page in reply.pages:
            pair = (page.scope, page.lane)
            if pair in fresh:
                self.staged.setdefault(pair, []).append(page)
                self.cursors = advance(self.cursors, *pair, page.next)

    def _restart(self, pair: Pair, offered: Snapshot | None) -> None:
        scope, lane = pair
        self.staged.pop(pair, None)
        named = {part.sha256 for part in offered.parts} if offered else set()
        here = self.parts.pop(pair, {})
        self.parts[pair] = {name: file for name, file in here.items() if name in named}
        self.restarting.add(pair)
        self.bad.discard(pair)
        lanes = {
            name: seq for name, seq in self.cursors.get(scope, {}).items() if name != str(lane)
        }
        self.cursors = self.cursors | {scope: lanes}

    def _show(self, pair: Pair, reply: SyncReply) -> None:
        """The pair is complete: what was staged is what it holds, or what it now holds besides."""
        pages = self.staged.pop(pair, [])
        if pair in self.restarting:
            self.restarting.discard(pair)
            kept: set[Key] = set()
            for page in pages:
                kept |= {(row.entity, row.id) for row in page.rows}
                kept -= {tuple(key) for key in page.out}
            for key in self.holds.get(pair, set()) - kept:
                self._release(key, pair[0])
        for page in pages:
            self._take(page)
        self.cursors = advance(self.cursors, *pair, reply.upto)
        told = reply.digests.get(pair[0], {}).get(str(pair[1]))
        if told is not None and told != as_text(self.sum_of(pair)):
            self.bad.add(pair)

    def _take(self, page: Page) -> None:
        pair = (page.scope, page.lane)
        taken = take_rows(self.rows, page.rows)
        self.rows |= taken
        self.digests |= {key: digest_of(row) for key, row in taken.items()}
        for row in page.rows:
            key = (row.entity, row.id)
            self.held_by[key] = self.held_by.get(key, frozenset()) | {page.scope}
            self.holds.setdefault(pair, set()).add(key)
            if row.entity == "verdict" and row.fields["replica"] == self.identity.replica:
                self.settle(_late_verdict(row), row.arrived)
        for proof in page.proofs:
            self.proofs[_dot(proof)] = (proof, page.next)
        for entity, id in page.out:
            self._release((entity, id), page.scope)

    def sum_of(self, pair: Pair) -> int:
        """The digest of what this device holds of a (scope, lane)."""
        return total(self.digests[key] for key in self.holds.get(pair, ()))

    def audit(self, pair: Pair) -> None:
        """Compute the digests of a pair again from the rows themselves; at odds, it is bad."""
        if pair in self.restarting:
            return  # What is staged takes its place.
        if any(digest_of(self.rows[key]) != self.digests[key] for key in self.holds.get(pair, ())):
            self.bad.add(pair)

    def _release(self, key: Key, scope: str) -> None:
        holders = self.held_by.get(key, frozenset()) - {scope}
        self.holds.get((scope, lane_of(key[0])), set()).discard(key)
        if holders:
            self.held_by[key] = holders
        elif key in self.rows:
            for dot in _dots(self.rows[key]):
                self.proofs.pop(dot, None)
            for kept in (self.held_by, self.rows, self.digests):
                kept.pop(key, None)

    def _lose(self, scope: str) -> None:
        """A scope is this device's no more. Its rows go, and whatever else was kept of them."""
        self.cursors = {name: lanes for name, lanes in self.cursors.items() if name != scope}
        self.staged = {pair: pages for pair, pages in self.staged.items() if pair[0] != scope}
        self.parts = {pair: files for pair, files in self.parts.items() if pair[0] != scope}
        self.restarting = {pair for pair in self.restarting if pair[0] != scope}
        self.bad = {pair for pair in self.bad if pair[0] != scope}
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


def _saved(mutation: Mutation) -> Saved:
    raw = encode_mutation(mutation)
    return Saved(mutation.lane, mutation.n, raw, hash_of(raw), mutation)


def _dot(proof: Proof) -> str:
    return dot_of(proof.replica, proof.lane, proof.n)


def _part_page(file: SnapshotFile) -> Page:
    """A part as a page. No proof in it is of a later seq than its newest row."""
    newest = max((row.seq for row in file.rows), default=0)
    return Page(file.scope, file.lane, newest, file.rows, proofs=file.proofs)


def _is_vain(verdict: Verdict | None) -> bool:
    """True for words that the centre could not prove to be their author's."""
    return verdict is not None and verdict.seq == 0 and verdict.verdict == "refused"


def _dots(row: Row) -> set[str]:
    """The dots of all writes that stand in a row."""
    return {row.dot, *(dot for write in row.writes.values() for dot in write[1:])}


def _pairs(reply: SyncReply) -> set[Pair]:
    """The pairs that an answer says anything about."""
    found = {(page.scope, page.lane) for page in reply.pages}
    found |= {(one.scope, one.lane) for one in reply.snapshots}
    return found | {(scope, lane) for scope, lanes in reply.complete.items() for lane in lanes}


def _late_verdict(row: Row) -> Verdict:
    f: dict[str, Any] = row.fields
    tags = tuple(f.get("tags") or ())
    return Verdict(
        f["dot"], f["hash"], f["verdict"], row.seq, f.get("code"), f.get("detail"), tags=tags
    )

"""One device as the scheduler drives it: memory that a crash loses, and a disk that it does not."""

import copy
import gzip
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol
from unittest.mock import patch

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from schema.versions import MUTATIONS_PER_PUSH_MAX, SCHEMA_VERSION
from schema.wire import (
    Change,
    EnrolReply,
    Mutation,
    Row,
    SnapshotFile,
    SyncReply,
    SyncRequest,
    Verdict,
)
from sync.bundle_parts import SignedRun
from sync.mutation import hash_of
from sync.outbox import runs_to_send
from sync.replica import Identity, Replica

QUICK_MS = 10_000
"""A round trip this short measures the centre's clock; a longer one says little of it."""

UNFLUSHED_MAX = 3
"""Relaxed transactions that may be in memory only when the power goes."""

Fetch = Callable[[str], bytes | None]
"""`GET /v1/snap/<sha256>`: the bytes; None when they did not come."""


class Held(Struct, frozen=True):
    """What a look at the device shows: rows with the scopes holding them, and its own words."""

    epoch: str
    rows: dict[tuple[str, str], Row]
    scopes: dict[tuple[str, str], set[str]]
    cursors: dict[str, dict[str, int]]
    unsure: set[tuple[str, int]]
    """Pairs that are not complete: staged, begun anew, or known to be bad."""

    outbox: dict[str, str]
    """Dot → hash, of what waits."""
    kept: set[str]
    """Dots of what was taken by the centre and is kept here still."""
    refused: dict[str, tuple[str, str]]
    """Dot → hash and verdict, of what a person must look at."""
    damaged: set[str]
    bad: set[tuple[str, int]]
    busy: bool
    """It has offers or rows to report after a restore of the centre."""


class Device(Protocol):
    """What the scheduler needs of a device, whichever language its core is written in."""

    seal: Any
    offset: int
    """What its clock lacks to the centre's, as it measured."""
    carries_sticks: bool
    """Its core writes and reads bundles."""

    def write(self, intent: str, lane: int, changes: Sequence[Change], now_ms: int) -> bytes:
        """Save a mutation durably; the bytes that will travel."""

    def write_without_room(
        self, intent: str, lane: int, changes: Sequence[Change], now_ms: int
    ) -> None:
        """The save fails for want of room: nothing of it is kept."""

    def request(self, now_ms: int) -> bytes:
        """The body of a sync request."""

    def receive(self, body: bytes, request: bytes, times: tuple[int, int], fetch: Fetch) -> bool:
        """Take a reply. False when it is none: nothing changed. `times` are asked and now."""

    def crash(self, lost: int) -> None:
        """The process dies; so do the last `lost` transactions that were not flushed."""

    @property
    def unflushed(self) -> int:
        """How many transactions a loss of power can take."""

    def corrupt(self, pick: int) -> str | None:
        """A bit of one outbox record on the disk flips. Its dot; None when there is none."""

    def spoil(self, pick: int) -> tuple[str, str] | None:
        """A stored row is not what it was any more, and nobody knows. Its key."""

    def audit_all(self) -> None:
        """Compare every pair with what is stored of it."""

    def keys(self, entity: str) -> list[str]:
        """The ids of an entity's rows that screens show."""

    def view(self, entity: str, id: str) -> Row | None:
        """A row as screens show it."""

    def inspect(self) -> Held:
        """A look at what it keeps."""


class PythonDevice:
    """The reference replica. `offset` is what its clock lacks to the centre's, as it measured."""

    carries_sticks = True

    def __init__(self, reply: EnrolReply, seal: Any, clock_ms: int, newer: bool = False) -> None:
        me = Identity(
            reply.realm, reply.centre, reply.epoch, reply.replica, reply.session, reply.actor
        )
        self.seal = seal
        self.schema = SCHEMA_VERSION + newer
        self.turn = 0
        self.conditions: dict[str, Any] = {}
        """What the next words say besides: `guard` and `after`."""
        self.replica = Replica(me)
        self.offset = reply.now - clock_ms
        self._images = [_image(self.replica)]

    def write(self, intent: str, lane: int, changes: Sequence[Change], now_ms: int) -> bytes:
        conditional = partial(Mutation, **self.conditions)
        with (
            patch("sync.replica.SCHEMA_VERSION", self.schema),
            patch("sync.replica.Mutation", conditional),
        ):
            self.replica.write(intent, lane, changes, now_ms + self.offset)
        self._flush()
        raw: bytes = self.replica.outbox[-1].raw
        return raw

    def write_without_room(
        self, intent: str, lane: int, changes: Sequence[Change], now_ms: int
    ) -> None:
        before = _image(self.replica)
        self.replica.write(intent, lane, changes, now_ms + self.offset)
        self.replica = _restored(before)

    def request(self, now_ms: int) -> bytes:
        self._set_damaged_aside(now_ms)
        self._audit_one()
        return msgspec.json.encode(self.replica.request(self.seal.sign, now_ms))

    def runs(self, now_ms: int) -> list[SignedRun]:
        """What is not durable at the centre, what waits first, as a bundle carries it."""
        self._set_damaged_aside(now_ms)
        words = [*self.replica.outbox, *(one.saved for one in self.replica.sent)]
        words = [one for one in words if hash_of(one.raw) == one.hash]
        runs = []
        for run in runs_to_send(words[:MUTATIONS_PER_PUSH_MAX], self.seal.sign):
            raws = tuple(map(bytes, run.mutations))
            first, life = msgspec.json.decode(raws[0])["n"], self.replica.identity.replica
            runs.append(SignedRun(life, run.lane, first, self.seal.public, run.sig, raws))
        return runs

    def settled(self) -> list[str]:
        """Dots that the centre has judged, as far as they are kept here."""
        refused = [saved.dot for saved, verdict in self.replica.refused if verdict.seq]
        return [one.saved.dot for one in self.replica.sent] + refused

    def settle(self, verdicts: Sequence[Verdict], at_ms: int) -> None:
        """Take verdicts that came by another way than a reply, given at this time."""
        for verdict in verdicts:
            self.replica.settle(verdict, at_ms)
        self._keep_image()

    def image(self) -> dict[str, Any]:
        """A copy of all that it keeps."""
        return _image(self.replica)

    def _audit_one(self) -> None:
        """At idle, one pair after the other is compared with the digests of its rows."""
        pairs = [(scope, int(lane)) for scope, of in self.replica.cursors.items() for lane in of]
        pairs = [pair for pair in pairs if pair not in self.replica.restarting]
        if pairs:
            self.turn += 1
            self.replica.audit(pairs[self.turn % len(pairs)])

    def audit_all(self) -> None:
        for scope, lanes in self.replica.cursors.items():
            for lane in lanes:
                if (scope, int(lane)) not in self.replica.restarting:
                    self.replica.audit((scope, int(lane)))

    def spoil(self, pick: int) -> tuple[str, str] | None:
        """A stored row is not what it was any more, and nobody knows. Its key."""
        keys = sorted(key for key, row in self.replica.rows.items() if "name" in row.fields)
        if not keys:
            return None
        key = keys[pick % len(keys)]
        row = self.replica.rows[key]
        self.replica.rows[key] = replace(row, fields={**row.fields, "name": "spoilt"})
        self._flush()
        return key

    def _set_damaged_aside(self, now_ms: int) -> None:
        """A record whose bytes do not give its hash is not sent; a void takes its number."""
        for saved in list(self.replica.outbox):
            if hashlib.sha256(saved.raw).hexdigest() != saved.hash:
                self.replica.damage(saved.lane, saved.n, now_ms + self.offset)
                self._flush()

    def receive(self, body: bytes, request: bytes, times: tuple[int, int], fetch: Fetch) -> bool:
        try:
            reply = msgspec.json.decode(body, type=SyncReply)
        except (ValueError, RecursionError):
            return False
        asked_ms, now_ms = times
        if 0 <= now_ms - asked_ms <= QUICK_MS:
            self.offset = reply.now - now_ms
        asked = msgspec.json.decode(request, type=SyncRequest)
        snapshots = self.replica.receive(reply, asked, now_ms + self.offset)
        self._keep_image()
        for snapshot in snapshots:
            names = [part.sha256 for part in self.replica.lacking(snapshot)]
            files = {name: _unpacked(fetch(name), name) for name in names}
            self.replica.fetched(snapshot, {name: one for name, one in files.items() if one})
            self._keep_image()
        return True

    def _flush(self) -> None:
        """A strict commit: everything before it is on the disk too."""
        self._images = [_image(self.replica)]

    def _keep_image(self) -> None:
        self._images = [*self._images, _image(self.replica)][-UNFLUSHED_MAX - 1 :]

    def crash(self, lost: int) -> None:
        kept = self._images[: max(1, len(self._images) - lost)]
        self.replica = _restored(kept[-1])
        self._images = kept

    @property
    def unflushed(self) -> int:
        return len(self._images) - 1

    def corrupt(self, pick: int) -> str | None:
        """A bit of one outbox record on the disk flips. Its dot; None when there is none."""
        outbox = self.replica.outbox
        if not outbox:
            return None
        spot = pick % len(outbox)
        raw = bytearray(outbox[spot].raw)
        raw[pick % len(raw)] ^= 1 << pick % 7
        outbox[spot] = replace(outbox[spot], raw=bytes(raw))
        self._flush()
        return outbox[spot].dot

    def keys(self, entity: str) -> list[str]:
        found = {id: None for of, id in self.replica.rows if of == entity}
        for saved in self.replica.outbox:
            for change in saved.mutation.changes:
                if change.entity == entity and change.op == "create":
                    found[change.id] = None
        return sorted(found)

    def view(self, entity: str, id: str) -> Row | None:
        return self.replica.view((entity, id))

    def inspect(self) -> Held:
        replica = self.replica
        return Held(
            replica.identity.epoch,
            replica.rows,
            replica.held_by,
            replica.cursors,
            {*replica.staged, *replica.restarting, *replica.bad},
            {saved.dot: saved.hash for saved in replica.outbox},
            {one.saved.dot for one in replica.sent},
            {saved.dot: (saved.hash, verdict.verdict) for saved, verdict in replica.refused},
            {saved.dot for saved in replica.damaged},
            replica.bad,
            bool(replica.offers or replica.unseen),
        )


def _unpacked(data: bytes | None, sha256: str) -> SnapshotFile | None:
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        return None
    return msgspec.json.decode(gzip.decompress(data), type=SnapshotFile)


def _image(replica: Replica) -> dict[str, Any]:
    return {name: _copied(value) for name, value in vars(replica).items()}


def _copied(value: Any) -> Any:
    """A copy of the containers; what they hold is frozen."""
    if isinstance(value, dict):
        if value and isinstance(next(iter(value.values())), dict | list | set):
            return {key: _copied(one) for key, one in value.items()}
        return dict(value)
    return copy.copy(value) if isinstance(value, list | set) else value


def _restored(image: dict[str, Any]) -> Replica:
    replica = Replica.__new__(Replica)
    for name, value in image.items():
        setattr(replica, name, _copied(value))
    return replica

"""A device that only writes. It makes and signs its requests before the clock starts."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from schema.versions import SAFE_INT_MAX
from schema.wire import Change, EnrolReply, Mutation, OutboxReport, Run, SyncRequest
from server.clock import system_clock
from server.node import Node
from sync.mutation import dot_of, encode_mutation, hash_of, signing_bytes
from sync.outbox import Tip
from sync.stamp import Stamp, next_stamp
from tests.bench.line import request

SYNC = "/v1/sync"


class Writer:
    """An enrolled device with its key, its place in each lane, and what it last wrote where."""

    def __init__(self, reply: EnrolReply, signer: Node) -> None:
        self.reply = reply
        self.signer = signer
        self.tips: dict[int, Tip] = {}
        self.stamp = Stamp(0, 0, reply.replica)
        self.headers = {"Authorization": f"Bearer {reply.token}"}
        ends = {str(lane): SAFE_INT_MAX for lane in range(5)}
        self.up_to_date = dict.fromkeys(reply.scopes, ends)
        """Cursors beyond the end of the log: the pull half looks, and finds nothing new."""

    def write(self, intent: str, lane: int, change: Change, base: tuple[str, ...] = ()) -> bytes:
        """The next mutation of a lane, as the bytes that travel."""
        tip = self.tips.get(lane, Tip())
        self.stamp = next_stamp(self.stamp, system_clock())
        based = {f"{change.entity}/{change.id}": dict.fromkeys(change.fields, base)}
        mutation = Mutation(
            replica=self.reply.replica,
            lane=lane,
            n=tip.n + 1,
            prev=tip.hash,
            realm=self.reply.realm,
            stamp=self.stamp.encode(),
            session=self.reply.session,
            actor=self.reply.actor,
            intent=intent,
            changes=(change,),
            base=based if base else {},
        )
        raw = encode_mutation(mutation)
        self.tips[lane] = Tip(tip.n + 1, hash_of(raw))
        return raw

    def next_dot(self, lane: int) -> str:
        """The dot of what `write` makes next in this lane."""
        return dot_of(self.reply.replica, lane, self.tips.get(lane, Tip()).n + 1)

    def run(self, lane: int, mutations: Sequence[bytes]) -> Run:
        """What was written last in this lane, under one signature."""
        tip, reply = self.tips[lane], self.reply
        signed = signing_bytes(reply.realm, reply.replica, lane, tip.n, tip.hash)
        return Run(lane, self.signer.sign(signed), [Raw(raw) for raw in mutations])

    def push(self, run: Run) -> bytes:
        """The request that pushes a run and asks what is new in lane 0."""
        waiting = OutboxReport(len(run.mutations), self.stamp.wall_ms)
        return self.post(runs=[run], cursors=self.up_to_date, lanes=[0], outbox=waiting)

    def post(self, **asked: object) -> bytes:
        """A sync request of this device, as bytes."""
        reply = self.reply
        whole = SyncRequest(
            centre=reply.centre,
            epoch=reply.epoch,
            replica=reply.replica,
            clock=system_clock(),
            **asked,  # type: ignore[arg-type]
        )
        return request("POST", SYNC, self.headers, msgspec.json.encode(whole))

"""Which numbers of each lane came, and what its device said it had not sent yet."""

from msgspec import Struct

from schema.codes import Code
from schema.versions import DAY_MS, SAFE_INT_MAX
from schema.wire import Verdict
from server.clock import Told
from server.store.protocol import Doc, Read, Txn
from server.verify import Checked
from sync.mutation import VOID
from sync.numbers import asked_for, missing_after
from sync.stamp import believed_ms, decode_stamp

RETURN_MS_MAX = DAY_MS
"""So long may a device take to return after a restore, or to hear that our clock was set back."""

NOT_HEARD_YET = SAFE_INT_MAX
"""A device has not spoken since the log was restored."""

SPANS_MAX = 20
"""Hours that the clock told twice: the newest so many are kept."""

TOLD_AGAIN_MS = 1_000
"""A clock that steps back by less goes on as it was."""


class Came(Struct, frozen=True):
    """Part of a push: whose, what, when, and what its device says of the words that still wait.

    `oldest` is the time of the oldest before this push, `waiting` how many are left after it.
    """

    replica: str
    part: Checked
    oldest: int | None
    waiting: int
    now_ms: int


def note_numbers(txn: Txn, came: Came, told: list[Verdict]) -> dict[str, list[int]]:
    """Remember which numbers of each lane came. Those that are missing, at most 500 a lane.

    No time is kept that has not come by our own clock, which may have been set back, nor one while
    the device still sends again what a lost log knew.
    """
    doc = txn.get("replica", came.replica) or {}
    until = doc.get("returning_until", 0)
    returning = came.now_ms < until
    lanes: Doc = doc.get("lanes", {})
    numbers: dict[str, dict[int, int]] = {}
    for arrival, verdict in zip(came.part.arrivals, told, strict=True):
        if verdict.seq:
            m = arrival.mutation
            timeless = returning or m.intent == VOID or verdict.code == Code.BACKDATED
            own_time = 0 if timeless else _wall_ms(m.stamp, came.now_ms)
            numbers.setdefault(str(m.lane), {})[m.n] = own_time
    for lane, times in numbers.items():
        past = lanes.get(lane, {"max": 0, "gaps": []})
        top, gaps = missing_after(past["max"], past["gaps"], times)
        top_ms = max(past.get("top_ms", 0), times[top] if top > past["max"] else 0)
        lanes[lane] = {"max": top, "gaps": gaps, "top_ms": top_ms}
    for one in lanes.values():
        one["top_ms"] = min(one.get("top_ms", 0), came.now_ms)
    oldest = came.oldest or 0
    if returning or oldest > came.now_ms:
        oldest = 0
    floor_ms = min(max(doc.get("floor_ms", 0), oldest), came.now_ms)
    heard = {"lanes": lanes, "last_seen": came.now_ms, "floor_ms": floor_ms}
    until = until if came.waiting > 0 else 0
    txn.put("replica", came.replica, {**doc, **heard, "returning_until": until})
    return {lane: asked_for(one["gaps"]) for lane, one in lanes.items() if one["gaps"]}


def is_news(until: int, waiting: int, now_ms: int) -> bool:
    """Whether `note_return` has something to note: when a device returns until then."""
    return until > now_ms + RETURN_MS_MAX or bool(until and not waiting)


def note_return(txn: Txn, replica: str, waiting: int, now_ms: int) -> None:
    """A device speaks in a restored log: what it says still waits has a day to come again."""
    doc = txn.get("replica", replica) or {}
    until = min(doc.get("returning_until", 0), now_ms + RETURN_MS_MAX) if waiting else 0
    txn.put("replica", replica, {**doc, "returning_until": until})


def note_clock(txn: Txn, told: Told, now_ms: int) -> Told:
    """Remember the hours that our clock tells twice, because it was set back.

    A device goes by the time that it was told until it hears the new one: so does the day after.
    `told` is what the clock told anybody in this process, the log knows what it told before.
    Answers what it has told from now on: after it was set back, nothing later than now.
    """
    doc = txn.get("node", "clock") or {"since": 0, "latest": 0, "twice": []}
    before, twice = Told(doc["since"], doc["latest"]).then(told), doc["twice"]
    if now_ms < before.latest_ms - TOLD_AGAIN_MS:
        began_ms, back_ms = max(now_ms, before.since_ms), before.latest_ms - now_ms
        twice = _with_span(twice, [began_ms, before.latest_ms + RETURN_MS_MAX, back_ms])
        before = Told(min(before.since_ms, now_ms), now_ms)
    told = before.and_now(now_ms)
    doc = {"since": told.since_ms, "latest": told.latest_ms, "twice": twice}
    txn.put("node", "clock", doc)
    return told


def _with_span(spans: list[list[int]], new: list[int]) -> list[list[int]]:
    """These spans and one more, the newest last, with those that touch it in it."""
    joined = [one for one in spans if one[1] >= new[0] and one[0] <= new[1]]
    apart = [one for one in spans if one not in joined]
    starts, ends, backs = zip(new, *joined, strict=True)
    _, end, back = new
    latest = max(ends)
    return [*apart, [min(starts), latest, max(*backs, back + latest - end)]][-SPANS_MAX:]


def told_twice(txn: Read) -> list[list[int]]:
    """The hours that our clock told twice, as `[from, to, by how much it was set back]`."""
    doc = txn.get("node", "clock")
    return doc["twice"] if doc else []


def _wall_ms(stamp: str, now_ms: int) -> int:
    """The time that a stamp claims, never after it came; 0 where it claims none to be believed."""
    try:
        return believed_ms(decode_stamp(stamp), now_ms)
    except ValueError:
        return 0

"""Which devices there are, when each was last heard, and what it has not sent or got yet."""

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from schema.versions import DAY_MS, LANES, MINUTE_MS, TIME_MS_MAX, TIME_MS_MIN
from schema.wire import Cursors, SyncRequest
from server.device import Device
from server.store.protocol import Doc, Read, Span, Txn


class DeviceSeen(Struct):
    """One device's last word. `behind` is in seqs of the scopes that it holds; times in ms.

    `late` says that it lacks what it should long have, or has not sent what it wrote long ago.
    """

    replica: str
    kind: str
    actor: str
    unit: str
    last_seen: int | None = None
    live: bool = False
    outbox_count: int = 0
    outbox_oldest: int | None = None
    behind: int = 0
    late: bool = False
    offset_ms: int = 0
    app: str = ""


LANE_NAMES = tuple(map(str, LANES))
COUNT_MAX = 1_000_000
APP_CHARS_MAX = 40


def _time(claimed: int | None) -> int | None:
    """A device's claim of a time, when it can be one."""
    return claimed if claimed and TIME_MS_MIN <= claimed <= TIME_MS_MAX else None


HEARD, PROCESS, NEWS = "heard", "process", "news"
"""Beside the log: what a process heard of each device, when each process last said so, and, by
number, of which devices it did: who reads the news need not read the rest again."""

GONE_AFTER_MS = 15_000
"""A process that has said nothing for so long is gone, and the connections to it with it."""

PROCESS_KEPT_MS = DAY_MS
NEWS_KEPT_MS = MINUTE_MS
NEWS_DROPPED_AT_ONCE = 10


class Heard(Struct):
    """What one process knows of a device that spoke to it."""

    process: str
    seen: DeviceSeen
    cursors: Cursors


class Fleet:
    """The devices, as far as this process has heard of them. Others may have heard more.

    What outlives a restart is in the replica records.
    """

    def __init__(self) -> None:
        self._seen: dict[str, DeviceSeen] = {}
        self._cursors: dict[str, Cursors] = {}
        self._open: dict[str, int] = {}
        self._fresh: set[str] = set()
        self._revoked: set[str] = set()
        self._put_off: dict[str, Heard] = {}
        """What others heard of devices that have a connection here, for when they have none."""

    def load(self, txn: Read) -> None:
        """Begin with the devices that are enrolled."""
        for replica, doc in txn.find("replica").items():
            if doc.get("revoked_at"):
                self._revoked.add(replica)
            else:
                seen = DeviceSeen(replica, doc["kind"], doc["actor"], doc["unit"])
                seen.last_seen = doc.get("last_seen")
                self._seen[replica] = seen

    def _of(self, device: Device) -> DeviceSeen:
        return self._seen.setdefault(
            device.replica, DeviceSeen(device.replica, device.kind, device.actor, device.unit)
        )

    def seen(self, device: Device, request: SyncRequest, settled: int, now_ms: int) -> None:
        """Note what a device said of itself in a sync, and how much of it that sync settled."""
        one = self._of(device)
        self._fresh.add(device.replica)
        one.last_seen = now_ms
        one.outbox_count = min(max(0, request.outbox.count - settled), COUNT_MAX)
        one.outbox_oldest = _time(request.outbox.oldest) if one.outbox_count else None
        one.offset_ms = now_ms - (_time(request.clock) or now_ms)
        one.app = request.app[:APP_CHARS_MAX]
        self._cursors[device.replica] = {
            scope: {lane: lanes[lane] for lane in LANE_NAMES if lane in lanes}
            for scope, lanes in request.cursors.items()
            if scope in device.scopes
        }

    def connected(self, device: Device, delta: int, now_ms: int) -> None:
        """Count the open live connections of a device."""
        one = self._of(device)
        self._fresh.add(device.replica)
        count = self._open[device.replica] = self._open.get(device.replica, 0) + delta
        one.live = count > 0
        if delta > 0:
            one.last_seen = now_ms

    def news(self, process: str) -> dict[str, Heard]:
        """What was heard since the last call, by device, for the other processes to know."""
        fresh, self._fresh = self._fresh, set()
        return {one: Heard(process, self._seen[one], self._cursors.get(one, {})) for one in fresh}

    def not_told(self, news: Iterable[str]) -> None:
        """The others could not be told of these; they are news still."""
        self._fresh.update(news)

    def hear(self, told: Iterable[Heard]) -> bool:
        """Take what other processes heard later than this one. True when there was any."""
        changed, before = False, list(self._put_off.values())
        self._put_off = {}
        for heard in (*before, *told):
            replica, mine = heard.seen.replica, self._seen.get(heard.seen.replica)
            if replica in self._revoked:
                continue
            if self._open.get(replica):
                self._put_off[replica] = heard
                continue
            if mine and (mine.last_seen or 0) > (heard.seen.last_seen or 0):
                continue
            changed = changed or mine != heard.seen
            self._seen[replica], self._cursors[replica] = heard.seen, heard.cursors
        return changed

    def list(self, stood_at: Callable[[str, int, int], int], before_ms: int) -> list[DeviceSeen]:
        """All devices, longest silent first. A living one has what stood at `before_ms`.

        `stood_at` tells the seq of a (scope, lane) at a time.
        """
        for replica, cursors in self._cursors.items():
            lags = [
                stood_at(scope, lane, before_ms) - lanes[str(lane)]
                for scope, lanes in cursors.items()
                for lane in LANES
                if str(lane) in lanes
            ]
            one = self._seen[replica]
            one.behind = max([0, *lags])
            oldest = one.outbox_oldest
            one.late = one.behind > 0 or (oldest is not None and oldest <= before_ms)
        return sorted(self._seen.values(), key=lambda one: (one.last_seen or 0, one.replica))


def tell_heard(txn: Txn, process: str, told: dict[str, Heard], now_ms: int) -> None:
    """Keep what this process has heard, for the others; never an older word over a newer one."""
    known = txn.get_each(HEARD, told)
    later = {
        replica: msgspec.to_builtins(heard)
        for replica, heard in told.items()
        if replica not in known or _stands_over(heard, known[replica], process)
    }
    txn.put_each(HEARD, later)
    if told:
        _note_news(txn, process, sorted(told), now_ms)
    txn.put(PROCESS, process, {"at": now_ms})
    for name, doc in txn.find(PROCESS).items():
        if now_ms - doc["at"] > PROCESS_KEPT_MS:
            txn.delete(PROCESS, name)


def _stands_over(heard: Heard, known: Doc, process: str) -> bool:
    """Whether it takes the place of what is known: of a process's own word, or an older one."""
    return known["process"] == process or (heard.seen.last_seen or 0) >= (
        known["seen"]["last_seen"] or 0
    )


def _note_news(txn: Txn, process: str, replicas: list[str], now_ms: int) -> None:
    """The next number of the news; a few that everybody has read by now go, the newest never."""
    number = _newest(txn) + 1
    for key, doc in txn.some(Span(NEWS, ""), 0, NEWS_DROPPED_AT_ONCE).items():
        if now_ms - doc["at"] > NEWS_KEPT_MS:
            txn.delete(NEWS, key)
    txn.put(NEWS, _key(number), {"process": process, "at": now_ms, "replicas": replicas})


def _key(number: int) -> str:
    """Numbers in the order of their keys."""
    return f"{number:016}"


def _newest(txn: Read) -> int:
    return int(next(iter(txn.some(Span(NEWS, "", newest=True), 0, 1)), "0"))


class Mark(Struct, frozen=True):
    """How far a process has read the news, in which log, and who of the others was there."""

    upto: int = 0
    epoch: str = ""
    alive: frozenset[str] = frozenset()


def heard_since(txn: Read, process: str, mark: Mark, now_ms: int) -> tuple[list[Heard], Mark]:
    """What other processes have heard since this mark, and the next one.

    All that they ever heard where the news do not go on from it, or others are there now: nobody
    is live at one that is gone.
    """
    others = txn.find(PROCESS).items()
    alive = {name for name, doc in others if now_ms - doc["at"] < GONE_AFTER_MS} - {process}
    now = Mark(_newest(txn), txn.head().epoch, frozenset(alive))
    news = txn.some(Span(NEWS, "", _key(mark.upto)), 0, -1)
    goes_on = list(news) == [_key(number) for number in range(mark.upto, now.upto + 1)]
    if goes_on and (mark.epoch, mark.alive) == (now.epoch, now.alive):
        fresh = list(news.values())[1:]
        named = {one for doc in fresh if doc["process"] != process for one in doc["replicas"]}
        docs = txn.find_each(HEARD, sorted(named)) if named else {}
    else:
        docs = txn.find(HEARD)
    told = (_heard_of(doc) for doc in docs.values() if doc["process"] != process)
    found = [heard for heard in told if heard]
    for heard in found:
        heard.seen.live = heard.seen.live and heard.process in alive
    return found, now


def _heard_of(doc: Doc) -> Heard | None:
    """None for what a process of another version told in other words: the device speaks again."""
    try:
        return msgspec.convert(doc, Heard)
    except msgspec.ValidationError:
        return None

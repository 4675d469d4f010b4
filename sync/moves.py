"""Where a machine is and was: filings of several people fold into moves, positions and a track.

Whole numbers only, so that both sides of the wire come to the same answer.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.versions import MINUTE_MS
from schema.wire import Row
from sync.stamp import decode_stamp

SAME_PLACE_M = 500
"""Filings this near to each other name one place."""

OVERLAP_MS = 120 * MINUTE_MS
"""Filings of different people this near in time speak of one move."""

ACCURACY_M_MAX = 5_000
"""A fix that is worse than this does not say where a machine is."""

SPEED_KMH_MAX = 200
"""No machine goes faster, not even on a lorry."""

CLOCK_SLACK_MS = 2 * MINUTE_MS
"""An observation may claim to be this much after its own arrival, no more."""

EACH_MAX = 20
"""The newest filings, and rulings, of one person that count: all others are history."""

PEOPLE_MAX = 50
"""The people who filed, or ruled, last count: far more than ever look after one machine."""

_REACH_M_MAX = 50_000_000
_M_PER_DEGREE = 111_195
_MILLION = 1_000_000


class Point(Struct, frozen=True):
    """One filing on the track, at its observed time.

    `flag` is why it does not count: `speed`, `accuracy`, or `ruled` against by a person; empty for
    what is believed. With a flag of `accuracy` its words still count, if it has any.
    """

    filing: str
    kind: str
    actor: str
    at: int
    arrived: int
    place: str | None
    lat_e6: int | None
    lon_e6: int | None
    accuracy_m: int | None
    dot: str
    flag: str = ""


class Move(Struct, frozen=True):
    """One statement of where a machine went, and all who made it, each once."""

    points: list[Point]

    @property
    def last(self) -> Point:
        return self.points[-1]

    @property
    def best(self) -> Point:
        """The newest with a fix, else the newest."""
        return ([point for point in self.points if _fix(point)] or self.points)[-1]


class Whereabouts(Struct, frozen=True):
    """The position with its witnesses and the filings that say otherwise, all moves, the track."""

    position: dict[str, Any] | None
    moves: list[Move]
    track: list[Point]


def whereabouts(filings: Sequence[Row], rulings: Sequence[Row] = ()) -> Whereabouts:
    """Fold one machine's filings, and what people ruled on them. Their order makes no difference.

    What counts is `recent`: however often somebody files, nobody else's filing is left out for it.
    """
    out = ruled_out(rulings)
    points = [_point(row, out) for row in recent(filings, filing_order)]
    track = _judged(sorted((one for one in points if one.place or _has_fix(one)), key=_order))
    moves = _moves([point for point in track if _counts(point)])
    return Whereabouts(_position(moves, track) if moves else None, moves, track)


Order = tuple[int | str, ...]
"""What sorts before what: a time first, the id last."""


def recent(rows: Iterable[Row], order: Callable[[Row], Order]) -> list[Row]:
    """Of each person the newest `EACH_MAX`, of the `PEOPLE_MAX` people whose newest are newest."""
    theirs: dict[str, list[Row]] = {}
    for row in sorted(rows, key=order):
        theirs.setdefault(row.actor, []).append(row)
    people = sorted(theirs.values(), key=lambda mine: order(mine[-1]))[-PEOPLE_MAX:]
    return [row for mine in people for row in mine[-EACH_MAX:]]


def filing_order(row: Row) -> Order:
    """By when it was observed."""
    return observed(row), row.dot, row.id


def ruling_order(row: Row) -> Order:
    """By its kept stamp, held to its arrival, whatever time its author typed.

    Whoever has seen a ruling rules later; of two that did not see each other one is later too.
    """
    wall_ms = decode_stamp(row.stamp).wall_ms
    return min(wall_ms, row.arrived or wall_ms), row.stamp, row.dot, row.id


def ruled_out(rulings: Iterable[Row]) -> set[str]:
    """The filings against which the latest ruling that names them was made."""
    out: dict[str, bool] = {}
    for ruling in sorted(recent(rulings, ruling_order), key=ruling_order):
        out |= dict.fromkeys(ruling.fields["over"], True)
        out[ruling.fields["filing"]] = False
    return {id for id, is_out in out.items() if is_out}


def observed(row: Row) -> int:
    """When a filing was observed, its claim held to shortly after it arrived."""
    at: int = row.fields["at"]
    return min(at, row.arrived + CLOCK_SLACK_MS) if row.arrived else at


def is_within(a: tuple[int, int], b: tuple[int, int], metres: int) -> bool:
    """True when two fixes (latitude, longitude in micro-degrees) are this near, within 1 %."""
    hundredths = abs(a[0] + b[0]) // 20_000
    square = hundredths * hundredths
    # Bhaskara's cosine of the mean latitude, in millionths.
    cosine = (324_000_000 - 4 * square) * _MILLION // (324_000_000 + square)
    north = abs(a[0] - b[0]) * _M_PER_DEGREE // _MILLION
    east = abs(a[1] - b[1]) * cosine // _MILLION * _M_PER_DEGREE // _MILLION
    return north * north + east * east <= metres * metres


def _point(row: Row, out: set[str]) -> Point:
    fields = row.fields
    return Point(
        row.id,
        fields.get("kind") or "",
        row.actor,
        observed(row),
        row.arrived,
        fields.get("place"),
        fields.get("lat_e6"),
        fields.get("lon_e6"),
        fields.get("accuracy_m"),
        row.dot,
        "ruled" if row.id in out else "",
    )


def _order(point: Point) -> Order:
    return point.at, point.dot, point.filing


def _has_fix(point: Point) -> bool:
    return point.lat_e6 is not None and point.lon_e6 is not None


def _fix(point: Point) -> tuple[int, int] | None:
    """Where it was measured to be, when that can be relied on."""
    if point.flag or point.lat_e6 is None or point.lon_e6 is None:
        return None
    return point.lat_e6, point.lon_e6


def _counts(point: Point) -> bool:
    return not point.flag or (point.flag == "accuracy" and bool(point.place))


def _judged(track: list[Point]) -> list[Point]:
    """The track with its flags. A jump is doubted until a second point confirms it."""
    judged: list[Point] = []
    trail = _Trail()
    doubted: int | None = None
    for n, point in enumerate(track):
        judged.append(point)
        if point.flag or not _has_fix(point):
            continue
        if (point.accuracy_m or 0) > ACCURACY_M_MAX:
            judged[n] = replace(point, flag="accuracy")
            continue
        before = trail.before(point)
        if before is not None and not _reaches(before, point):
            if doubted is None or not _reaches(track[doubted], point):
                judged[n], doubted = replace(point, flag="speed"), n
                continue
            judged[doubted] = track[doubted]
        trail.add(point)
        doubted = None
    return judged


class _Trail:
    """The believed points so far, oldest first."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._own: dict[str, int] = {}
        self._older = 0
        """How many are older than the time of which others may say something else."""

    def add(self, point: Point) -> None:
        self._own[point.actor] = len(self._points)
        self._points.append(point)

    def before(self, point: Point) -> Point | None:
        """The newest point that this one, later than all, must have been reached from.

        What other people say of the same time may contradict it; that makes no jump of it.
        """
        points = self._points
        while self._older < len(points) and point.at - points[self._older].at > OVERLAP_MS:
            self._older += 1
        newest = max(self._own.get(point.actor, -1), self._older - 1)
        return points[newest] if newest >= 0 else None


def _reaches(earlier: Point, later: Point) -> bool:
    """True when a machine can have gone from one point to the other in the time between."""
    a, b = _fix(earlier), _fix(later)
    travelled = (later.at - earlier.at) * SPEED_KMH_MAX // 3_600
    return bool(a and b and is_within(a, b, min(_REACH_M_MAX, SAME_PLACE_M + travelled)))


def _moves(points: list[Point]) -> list[Move]:
    """Filings of different people at one place and time are one move with several witnesses."""
    groups: list[list[Point]] = []
    live: list[list[Point]] = []
    for point in points:
        live = [group for group in live if _is_live(group, point)]
        fitting = [group for group in live if _says_the_same(group[0], point)]
        if fitting:
            fitting[-1].append(point)
        else:
            live.append([point])
            groups.append(live[-1])
    return [Move(group) for group in groups]


def _is_live(group: list[Point], point: Point) -> bool:
    """True while others may bear witness to it: nobody in it has said more since."""
    in_time = point.at - group[0].at <= OVERLAP_MS
    return in_time and all(one.actor != point.actor for one in group)


def _says_the_same(first: Point, point: Point) -> bool:
    return point.kind == first.kind and _same_place(first, point)


def _same_place(a: Point, b: Point) -> bool:
    """By what was measured, else by the words."""
    here, there = _fix(a), _fix(b)
    if here and there:
        return is_within(here, there, SAME_PLACE_M)
    return bool(a.place) and a.place == b.place


def _position(moves: list[Move], track: list[Point]) -> dict[str, Any]:
    """The newest move, unless another person measured where it only says so."""
    standing = _standing(moves, track)
    newest = max(standing, key=_move_order)
    rivals = [move for move in standing if _contradicts(move, newest)]
    measured = [move for move in (newest, *rivals) if _fix(move.best)]
    chosen = max(measured or [newest], key=_move_order)
    point = chosen.best
    lat, lon = _fix(point) or (None, None)
    return {
        "place": point.place,
        "lat_e6": lat,
        "lon_e6": lon,
        "accuracy_m": None if point.flag else point.accuracy_m,
        "at": point.at,
        "arrived": point.arrived,
        "move": point.filing,
        "witnesses": [one.actor for one in chosen.points],
        "to_check": [
            one.filing for move in standing if _contradicts(move, chosen) for one in move.points
        ],
    }


def _move_order(move: Move) -> Order:
    return _order(move.last)


def _standing(moves: list[Move], track: list[Point]) -> list[Move]:
    """The moves that none of their own people followed by another, were it ruled against.

    Where somebody ruled for none of these, what was ruled against follows nothing.
    """
    said = [one for one in track if _counts(one) or one.flag == "ruled"]
    return _newest_among(said, moves) or _newest_among([*filter(_counts, said)], moves)


def _newest_among(points: list[Point], moves: list[Move]) -> list[Move]:
    """The moves that hold, of each of their people, the newest of these points."""
    newest = {one.actor: one for one in points}
    return [move for move in moves if all(newest[one.actor] is one for one in move.points)]


def _contradicts(a: Move, b: Move) -> bool:
    """Two statements of one kind about one time, and not of one place."""
    return (
        a is not b
        and a.last.kind == b.last.kind
        and abs(a.last.at - b.last.at) <= OVERLAP_MS
        and not _same_place(a.best, b.best)
    )

"""Where a machine is and was: filings of several people fold into moves, positions and a track.

Whole numbers only, so that both sides of the wire come to the same answer.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema.versions import MINUTE_MS
from schema.wire import Row

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

    Late filings fill the track; nothing on it is ever left out.
    """
    out = _ruled_out(rulings)
    known = [point for row in filings if (point := _point(row, out)).place or _has_fix(point)]
    track = _judged(sorted(known, key=_order))
    moves = _moves([point for point in track if _counts(point)])
    return Whereabouts(_position(moves, track) if moves else None, moves, track)


def _ruled_out(rulings: Sequence[Row]) -> set[str]:
    """The filings against which the newest ruling that names them was made."""
    out: dict[str, bool] = {}
    for ruling in sorted(rulings, key=lambda row: (observed(row), row.dot)):
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


def _order(point: Point) -> tuple[int, str]:
    return point.at, point.dot


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
    believed: list[Point] = []
    doubted: int | None = None
    for n, point in enumerate(track):
        judged.append(point)
        if point.flag or not _has_fix(point):
            continue
        if (point.accuracy_m or 0) > ACCURACY_M_MAX:
            judged[n] = replace(point, flag="accuracy")
            continue
        before = _before(believed, point)
        if before is not None and not _reaches(before, point):
            if doubted is None or not _reaches(track[doubted], point):
                judged[n], doubted = replace(point, flag="speed"), n
                continue
            judged[doubted] = track[doubted]
        believed.append(point)
        doubted = None
    return judged


def _before(believed: list[Point], point: Point) -> Point | None:
    """The newest believed point that this one must have been reached from.

    What other people say of the same time may contradict it; that makes no jump of it.
    """
    for one in reversed(believed):
        if one.actor == point.actor or point.at - one.at > OVERLAP_MS:
            return one
    return None


def _reaches(earlier: Point, later: Point) -> bool:
    """True when a machine can have gone from one point to the other in the time between."""
    a, b = _fix(earlier), _fix(later)
    travelled = (later.at - earlier.at) * SPEED_KMH_MAX // 3_600
    return bool(a and b and is_within(a, b, min(_REACH_M_MAX, SAME_PLACE_M + travelled)))


def _moves(points: list[Point]) -> list[Move]:
    """Filings of different people at one place and time are one move with several witnesses."""
    groups: list[list[Point]] = []
    newest: dict[str, Point] = {}
    for point in points:
        group = _joined(groups, point, newest)
        if group is None:
            groups.append(group := [])
        group.append(point)
        newest[point.actor] = point
    return [Move(group) for group in groups]


def _joined(
    groups: list[list[Point]], point: Point, newest: dict[str, Point]
) -> list[Point] | None:
    """The newest group that this filing bears witness to: nobody in it has said more since."""
    for group in reversed(groups):
        first = group[0]
        if point.at - first.at > OVERLAP_MS:
            break
        stands = all(newest[one.actor] is one for one in group)
        own = any(one.actor == point.actor for one in group)
        if stands and not own and point.kind == first.kind and _same_place(first, point):
            return group
    return None


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


def _move_order(move: Move) -> tuple[int, str]:
    return _order(move.last)


def _standing(moves: list[Move], track: list[Point]) -> list[Move]:
    """The moves that none of their own people followed by another, were it ruled against.

    All of them where somebody ruled for none of these.
    """
    newest = {one.actor: one for one in track if _counts(one) or one.flag == "ruled"}
    return [m for m in moves if all(newest[one.actor] is one for one in m.points)] or moves


def _contradicts(a: Move, b: Move) -> bool:
    """Two statements of one kind about one time, and not of one place."""
    return (
        a is not b
        and a.last.kind == b.last.kind
        and abs(a.last.at - b.last.at) <= OVERLAP_MS
        and not _same_place(a.best, b.best)
    )

"""Range vectors: which numbers of which lane of which replica somebody holds.

Between servers and bundles they stand where a phone has a cursor: a mutation may come direct, by
stick or through another server, and counts once.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from schema.codes import Code
from schema.versions import LANES, N_MAX, SAFE_INT_MAX
from sync.mutation import Refusal, split_dot
from sync.numbers import Ranges

Vector = dict[str, dict[str, Ranges]]
"""`{replica: {lane: [[first, last], …]}}`: ascending, disjoint, never adjacent, nothing empty.

Equal sets of dots are equal values. The same shape counts the seqs of homes:
`{home: {epoch: [[first, last], …]}}`.
"""

VECTOR_REPLICAS_MAX = 10_000
VECTOR_RANGES_MAX = 50_000

_NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
_LANES = frozenset(map(str, LANES))


def joined(*parts: Ranges) -> Ranges:
    """Every number that one of these has, whatever their order and overlap."""
    found: Ranges = []
    for first, last in sorted(one for ranges in parts for one in ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found


def without(ranges: Ranges, others: Ranges) -> Ranges:
    """The numbers of `ranges` that `others` lack."""
    found: Ranges = []
    at = bisect_left(others, ranges[0][0], key=_last) if ranges else 0
    for first, last in ranges:
        while at < len(others) and others[at][1] < first:
            at += 1
        while at < len(others) and others[at][0] <= last:
            if first < others[at][0]:
                found.append([first, others[at][0] - 1])
            first = others[at][1] + 1
            if first > last:
                break
            at += 1
        if first <= last:
            found.append([first, last])
    return found


def _last(one: list[int]) -> int:
    return one[1]


def vector_of(dots: Iterable[str]) -> Vector:
    """The vector of exactly these dots. ValueError when one is not a dot."""
    single: dict[str, dict[str, Ranges]] = {}
    for dot in dots:
        replica, lane, n = split_dot(dot)
        single.setdefault(replica, {}).setdefault(str(lane), []).append([n, n])
    return union(single)


def span(replica: str, lane: int | str, first: int, last: int) -> Vector:
    """The vector of one unbroken run of numbers."""
    return {replica: {str(lane): [[first, last]]}}


def union(*vectors: Vector) -> Vector:
    """What at least one of them has. Changes none of them."""
    parts: dict[str, dict[str, list[Ranges]]] = {}
    for vector in vectors:
        for replica, lanes in vector.items():
            of_replica = parts.setdefault(replica, {})
            for lane, ranges in lanes.items():
                of_replica.setdefault(lane, []).append(ranges)
    return {
        replica: {lane: joined(*ranges) for lane, ranges in lanes.items()}
        for replica, lanes in parts.items()
    }


def add(vector: Vector, dot: str) -> Vector:
    """The vector with one dot more."""
    return union(vector, vector_of([dot]))


def minus(vector: Vector, other: Vector) -> Vector:
    """What `vector` has and `other` lacks."""
    found: Vector = {}
    for replica, lanes in vector.items():
        theirs = other.get(replica, {})
        for lane, ranges in lanes.items():
            if left := without(ranges, theirs.get(lane, [])):
                found.setdefault(replica, {})[lane] = left
    return found


def covers(vector: Vector, other: Vector) -> bool:
    """True when `vector` has all that `other` has."""
    return not minus(other, vector)


def sayable(vector: Vector) -> Vector:
    """The vector, or a part of it that `decode_vector` takes: it may claim less, never more.

    What is not claimed is sent again, which harms nothing.
    """
    replicas = sorted(vector)[:VECTOR_REPLICAS_MAX]
    lanes = [(replica, lane) for replica in replicas for lane in vector[replica]]
    said: Vector = {replica: {} for replica in replicas}
    left = VECTOR_RANGES_MAX
    # The shortest first: what they leave of their share goes to the longer ones.
    for done, (replica, lane) in enumerate(sorted(lanes, key=lambda at: len(vector[at[0]][at[1]]))):
        part = vector[replica][lane][: left // (len(lanes) - done)]
        if part:
            said[replica][lane] = part
        left -= len(part)
    return {replica: lanes for replica, lanes in said.items() if lanes}


def decode_vector(value: Any) -> Vector:
    """The vector in untrusted plain data. Refusal `bad_request` unless it is in its one form."""
    return _decoded(value, _LANES.__contains__, (1, N_MAX))


def decode_seqs(value: Any) -> Vector:
    """The seqs of homes in untrusted plain data, `{home: {epoch: ranges}}`; refused likewise."""
    return _decoded(value, _is_name, (1, SAFE_INT_MAX))


def decode_blobs(value: Any) -> Vector:
    """The bytes of blobs in untrusted plain data, `{sha256: {total: ranges from 0}}`; likewise."""
    return _decoded(value, _is_name, (0, SAFE_INT_MAX))


def _decoded(value: Any, is_lane: Callable[[str], bool], span: tuple[int, int]) -> Vector:
    if not isinstance(value, dict) or len(value) > VECTOR_REPLICAS_MAX:
        raise Refusal(Code.BAD_REQUEST, "vector")
    left = VECTOR_RANGES_MAX
    for replica, lanes in value.items():
        if not (_is_name(replica) and isinstance(lanes, dict) and lanes):
            raise Refusal(Code.BAD_REQUEST, f"vector {replica}"[:80])
        for lane, ranges in lanes.items():
            if not (isinstance(lane, str) and is_lane(lane) and _are_ranges(ranges, span)):
                raise Refusal(Code.BAD_REQUEST, f"vector {replica}/{lane}"[:120])
            left -= len(ranges)
    if left < 0:
        raise Refusal(Code.BAD_REQUEST, "vector")
    return value


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _are_ranges(value: Any, span: tuple[int, int]) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= VECTOR_RANGES_MAX:
        return False
    before = -2
    for one in value:
        if not (isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one)):
            return False
        if not (span[0] <= one[0] <= one[1] <= span[1] and one[0] > before + 1):
            return False
        before = one[1]
    return True

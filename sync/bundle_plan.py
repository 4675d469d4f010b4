"""What goes into a bundle for a receiver, and what is new in one that came."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from sync.bundle import BUNDLE_BYTES_MAX, Bundle, Header, Verify
from sync.bundle_frames import size_of
from sync.bundle_parts import (
    BundleFault,
    Chunk,
    Contents,
    Coverage,
    Have,
    HomeRows,
    HomeVerdict,
    SignedRun,
)
from sync.known import Arrival
from sync.mutation import hash_of, signing_bytes
from sync.vector import covers, minus, sayable, span, union

EXPORT_BYTES_MAX = BUNDLE_BYTES_MAX * 3 // 4
"""The rest is room for the header, whose vectors grow with the installation."""

EXPORT_PARTS_MAX = 10_000

Part = SignedRun | HomeVerdict | HomeRows | Chunk


class Export(Struct, frozen=True):
    """What the next bundle carries, and what is left for those after it."""

    contents: Contents
    left: Contents


class Refused(Struct, frozen=True):
    """A run that does not prove its author. It stops nothing else; a person should see it."""

    run: SignedRun
    fault: BundleFault


class Import(Struct, frozen=True):
    """What a bundle comes to. `fresh` goes the way of every push; `after` is had once it is kept.

    `known` was here before. `gaps` is to be asked back: what the sender took as known here and is
    not, and the rest of blobs that began to come.
    """

    fresh: Contents
    known: Have
    refused: list[Refused]
    gaps: Have
    after: Have


def lacking(have: Have, peer: Have) -> Have:
    """What to load for a receiver that has `peer`."""
    return Have(
        minus(have.vector, peer.vector),
        minus(have.seqs, peer.seqs),
        minus(have.blobs, peer.blobs),
    )


def basis_of(peer: Have) -> Coverage:
    """What a header may say that the receiver has: never more than it does."""
    return Coverage(sayable(peer.vector), sayable(peer.seqs))


def asked_of(gaps: Have) -> Have:
    """What a header may ask back of these gaps; what it leaves out is asked by a later one."""
    return Have(sayable(gaps.vector), sayable(gaps.seqs), sayable(gaps.blobs))


def heard(peer: Have, header: Header) -> Have:
    """What the origin of a bundle is known to have, once its bundle says what it lacks."""
    return lacking(peer, header.asks)


def runs_of(lane: Iterable[Arrival], key: str) -> list[SignedRun]:
    """The runs of one lane of one replica, from its log lines by number.

    A run ends with each signature; what no signature follows without a gap cannot be proven.
    """
    runs: list[SignedRun] = []
    open_run: list[Arrival] = []
    for arrival in lane:
        if open_run and open_run[-1].mutation.n + 1 != arrival.mutation.n:
            open_run = []
        open_run.append(arrival)
        if arrival.sig:
            first = open_run[0].mutation
            raws = tuple(one.raw for one in open_run)
            runs.append(SignedRun(first.replica, first.lane, first.n, key, arrival.sig, raws))
            open_run = []
    return runs


def plan_export(stock: Contents, peer: Have, room: int = EXPORT_BYTES_MAX) -> Export:
    """What of the stock the receiver lacks and `room` bytes hold, the urgent first.

    Orders and their answers, then verdicts, rows, the other lanes, and blobs last; within each, in
    the order of the stock. A run goes whole, for only its end proves it.
    """
    wanted: list[Part] = sorted(
        (
            part
            for parts in (stock.runs, stock.verdicts, stock.rows, stock.chunks)
            for part in parts
            if _lacks(peer, part)
        ),
        key=_urgency,
    )
    taken, used = 0, 0
    for part in wanted[:EXPORT_PARTS_MAX]:
        used += size_of(part)
        if used > room:
            break
        taken += 1
    return Export(_contents(wanted[:taken], stock.inside), _contents(wanted[taken:], stock.inside))


def _urgency(part: Part) -> tuple[int, int]:
    # Verdicts before rows: once a range of seqs is known, no verdict within it is sent any more.
    if isinstance(part, SignedRun):
        return (3 if part.lane else 0), part.lane
    return (1 if isinstance(part, HomeVerdict) else 2 if isinstance(part, HomeRows) else 4), 0


def _lacks(have: Have, part: Part) -> bool:
    """True when something of the part is not there yet."""
    if isinstance(part, SignedRun):
        return not covers(have.vector, part.vector)
    if isinstance(part, HomeRows):
        return not covers(have.seqs, part.seqs)
    if isinstance(part, Chunk):
        return not covers(have.blobs, part.blobs)
    # One without a seq stands beside the log; no range begins with 0, so it is never known.
    seq = part.verdict.seq
    return not covers(have.seqs, span(part.home, part.epoch, seq, seq))


def _contents(parts: list[Part], inside: str) -> Contents:
    return Contents(
        tuple(part for part in parts if isinstance(part, SignedRun)),
        tuple(part for part in parts if isinstance(part, HomeVerdict)),
        tuple(part for part in parts if isinstance(part, HomeRows)),
        tuple(part for part in parts if isinstance(part, Chunk)),
        inside,
    )


def plan_import(bundle: Bundle, have: Have, keys: Mapping[str, str], verify: Verify) -> Import:
    """What is new in an opened bundle. `keys` are the public keys of the replicas known here.

    In any order, twice or overlapping, the same bundles come to the same `after`.
    """
    header, contents = bundle.header, bundle.contents
    good, refused = [], []
    for run in contents.runs:
        if fault := _fault_of(run, header.realm, keys, verify):
            refused.append(Refused(run, fault))
        else:
            good.append(run)
    came = Have(
        union(*(run.vector for run in good)),
        header.content.seqs,
        union(*(chunk.blobs for chunk in contents.chunks)),
    )
    after = Have(
        union(have.vector, came.vector),
        union(have.seqs, came.seqs),
        union(have.blobs, came.blobs),
    )
    fresh = Contents(
        tuple(run for run in good if _lacks(have, run)),
        tuple(verdict for verdict in contents.verdicts if _lacks(have, verdict)),
        tuple(page for page in contents.rows if _lacks(have, page)),
        tuple(chunk for chunk in contents.chunks if _lacks(have, chunk)),
    )
    whole = (span(one.sha256, one.total, 0, one.total - 1) for one in contents.chunks)
    expected = Have(header.basis.vector, header.basis.seqs, union(*whole))
    return Import(
        fresh, lacking(came, lacking(came, have)), refused, lacking(expected, after), after
    )


class _Link(Struct, frozen=True):
    """What binds a mutation to its run, whatever schema its author has."""

    replica: str
    lane: int
    n: int
    prev: str
    realm: str


def _fault_of(
    run: SignedRun, realm: str, keys: Mapping[str, str], verify: Verify
) -> BundleFault | None:
    """Whether the run proves itself by a key that is not another than the one known for it."""
    if keys.get(run.replica, run.key) != run.key:
        return BundleFault.RUN_KEY
    before = ""
    for n, raw in enumerate(run.mutations, run.first):
        try:
            link = msgspec.json.decode(raw, type=_Link)
        except (ValueError, RecursionError):
            return BundleFault.RUN
        place = (link.replica, link.lane, link.n, link.realm)
        chained = n == run.first or link.prev == before
        if place != (run.replica, run.lane, n, realm) or not chained:
            return BundleFault.RUN
        before = hash_of(raw)
    signed = signing_bytes(realm, run.replica, run.lane, run.last, before)
    return None if verify(run.key, run.sig, signed) else BundleFault.RUN

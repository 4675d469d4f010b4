"""What a bundle (摆渡包) carries, who vouches for each part, and what can be wrong with it."""

import re
from enum import StrEnum

from msgspec import Struct

from schema.fields import is_plain
from schema.versions import (
    BLOB_BYTES_MAX,
    BLOB_CHUNK_BYTES_MAX,
    LANES,
    MUTATIONS_PER_PUSH_MAX,
    N_MAX,
    PUSH_BYTES_MAX,
    SAFE_INT_MAX,
)
from schema.wire import Row, Verdict
from sync.outbox import FINAL
from sync.vector import Vector, span, union

MUTATION_FRAME_BYTES_MAX = PUSH_BYTES_MAX
RUN_MUTATIONS_MAX = 2 * MUTATIONS_PER_PUSH_MAX
"""A push that was cut off leaves its run to be ended by the next one."""

INSIDE_BYTES_MAX = 64 * 1024
KEY_CHARS_MAX = 200

NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BundleFault(StrEnum):
    """Why a bundle, or a part of it, is not taken. Its sentence is in `i18n` under `bundle.*`."""

    MAGIC = "not_a_bundle"
    FORMAT = "newer_format"
    TRUNCATED = "truncated"
    TRAILING = "trailing_bytes"
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    HEADER = "bad_header"
    REALM = "wrong_realm"
    UNSIGNED = "unsigned"
    SIGNER = "unknown_signer"
    SIGNATURE = "bad_signature"
    TARGET = "wrong_target"
    CARRIER = "unregistered_carrier"
    SECTION = "changed_section"
    CONTENT = "bad_content"
    SPEAKER = "foreign_speaker"
    RUN = "unproven_run"
    RUN_KEY = "foreign_key"


class BundleError(Exception):
    """A bundle that is not taken: nothing of it may change anything."""

    def __init__(self, fault: BundleFault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail


class SignedRun(Struct, frozen=True):
    """A contiguous run of one lane as its author signed it, with the public key that proves it.

    `arrived` says, for each mutation, when which server first had it; it may be left out.
    """

    replica: str
    lane: int
    first: int
    key: str
    sig: str
    mutations: tuple[bytes, ...]
    arrived: tuple[dict[str, int], ...] = ()

    @property
    def last(self) -> int:
        return self.first + len(self.mutations) - 1

    @property
    def vector(self) -> Vector:
        return span(self.replica, self.lane, self.first, self.last)


class HomeVerdict(Struct, frozen=True):
    """What a home decided about a mutation; the verdict's seq is of that home and epoch."""

    home: str
    epoch: str
    verdict: Verdict


class HomeRows(Struct, frozen=True):
    """All rows for the receiver whose last seq at their home is in `after` < seq <= `upto`.

    `out` are rows that the receiver may hold no more. Whoever has the page has the verdicts of that
    range too.
    """

    home: str
    epoch: str
    after: int
    upto: int
    rows: tuple[Row, ...]
    out: tuple[tuple[str, str], ...] = ()

    @property
    def seqs(self) -> Vector:
        return span(self.home, self.epoch, self.after + 1, self.upto)


class Chunk(Struct, frozen=True):
    """A part of a blob of `total` bytes, from `offset` on."""

    sha256: str
    offset: int
    total: int
    data: bytes

    @property
    def blobs(self) -> Vector:
        return span(self.sha256, self.total, self.offset, self.offset + len(self.data) - 1)


class Contents(Struct, frozen=True):
    """All that a bundle carries. `inside` is a page in plain words for whoever opens the file."""

    runs: tuple[SignedRun, ...] = ()
    verdicts: tuple[HomeVerdict, ...] = ()
    rows: tuple[HomeRows, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    inside: str = ""


class Have(Struct, frozen=True):
    """What one side has, or lacks: mutations, seqs of homes, and the bytes of blobs.

    All three are vectors; that of blobs is `{sha256: {total bytes: [[first, last], …]}}`, from 0.
    """

    vector: Vector = {}
    seqs: Vector = {}
    blobs: Vector = {}


class Coverage(Struct, frozen=True):
    """The mutations somebody has, by origin, and how much of each home's rows and verdicts."""

    vector: Vector = {}
    seqs: Vector = {}


def coverage_of(contents: Contents) -> Coverage:
    """What whoever takes these contents has of them."""
    return Coverage(
        union(*(run.vector for run in contents.runs)),
        union(*(page.seqs for page in contents.rows)),
    )


def check(contents: Contents) -> None:
    """BundleError `bad_content` for the first part whose numbers, names or sizes cannot be."""
    totals: dict[str, int] = {}
    for run in contents.runs:
        _require(_is_run(run), f"{run.replica}/{run.lane}/{run.first}")
    for verdict in contents.verdicts:
        _require(_is_verdict(verdict), verdict.verdict.dot)
    for page in contents.rows:
        _require(_is_page(page), f"{page.home} {page.after}")
    for chunk in contents.chunks:
        one_total = totals.setdefault(chunk.sha256, chunk.total) == chunk.total
        _require(_is_chunk(chunk) and one_total, chunk.sha256)
    _require(len(contents.inside.encode()) <= INSIDE_BYTES_MAX, "inside")


def _require(good: bool, what: str) -> None:
    if not good:
        raise BundleError(BundleFault.CONTENT, what[:120])


def _is_run(run: SignedRun) -> bool:
    return (
        NAME.fullmatch(run.replica) is not None
        and run.lane in LANES
        and 1 <= run.first <= run.last <= N_MAX
        and len(run.mutations) <= RUN_MUTATIONS_MAX
        and max(map(len, run.mutations)) <= MUTATION_FRAME_BYTES_MAX
        and max(len(run.key), len(run.sig)) <= KEY_CHARS_MAX
        and len(run.arrived) in (0, len(run.mutations))
        and all(
            NAME.fullmatch(server) is not None and 0 <= at <= SAFE_INT_MAX
            for times in run.arrived
            for server, at in times.items()
        )
    )


def _is_verdict(one: HomeVerdict) -> bool:
    return (
        NAME.fullmatch(one.home) is not None
        and NAME.fullmatch(one.epoch) is not None
        and one.verdict.verdict in FINAL | {"held"}
        and 0 <= one.verdict.seq <= SAFE_INT_MAX
    )


def _is_page(page: HomeRows) -> bool:
    return (
        NAME.fullmatch(page.home) is not None
        and NAME.fullmatch(page.epoch) is not None
        and 0 <= page.after < page.upto <= SAFE_INT_MAX
        and all(_is_of(page, row) for row in page.rows)
    )


def _is_of(page: HomeRows, row: Row) -> bool:
    """Only a home speaks for its rows, and what it says of them is not provisional."""
    return (
        page.after < row.seq <= page.upto
        and row.home == page.home
        and not row.provisional
        and is_plain(row.fields)
    )


def _is_chunk(chunk: Chunk) -> bool:
    return (
        _SHA256.fullmatch(chunk.sha256) is not None
        and 1 <= len(chunk.data) <= BLOB_CHUNK_BYTES_MAX
        and 0 <= chunk.offset <= chunk.total - len(chunk.data)
        and chunk.total <= BLOB_BYTES_MAX
    )

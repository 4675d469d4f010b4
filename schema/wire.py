"""The messages of `/v1`, as msgspec Structs. Everything on the wire is one of these."""

from typing import Any

from msgspec import Raw, Struct

from schema.versions import PROTOCOL_VERSION

Cursors = dict[str, dict[str, int]]
"""`{scope: {lane: seq}}`; a lane that is not named starts at 0."""

Pair = tuple[str, int]
"""`(scope, lane)`."""


class Change(Struct, frozen=True):
    """One row's part of a mutation: `create`, `set` or `remove`."""

    op: str
    entity: str
    id: str
    fields: dict[str, Any] = {}


class Guard(Struct, frozen=True):
    """A condition judged at the row's home: `exists absent eq in dot` of `row` = `entity/id`."""

    row: str
    check: str
    field: str | None = None
    value: Any = None


class Mutation(Struct, frozen=True):
    """One named intent of one person; all of its changes or none. Saved as the bytes that travel.

    `(replica, lane, n)` is its dot. `base` is `{"entity/id": {field: [dots the author saw]}}`.
    """

    replica: str
    lane: int
    n: int
    prev: str
    realm: str
    stamp: str
    session: str
    actor: str
    intent: str
    changes: tuple[Change, ...]
    base: dict[str, dict[str, tuple[str, ...]]] = {}
    after: tuple[str, ...] = ()
    guard: tuple[Guard, ...] = ()
    schema: int = 1


class Proof(Struct, frozen=True):
    """One mutation as its author signed it alone: enough to offer it again to a restored centre.

    `sig` covers the run that ends with it (see `Run`); `replica`'s public key proves it.
    """

    replica: str
    lane: int
    n: int
    raw: str
    sig: str


class Run(Struct, frozen=True):
    """A contiguous run of one lane; one signature over its last hash proves all of it."""

    lane: int
    sig: str
    mutations: list[Raw]


class Row(Struct, frozen=True):
    """A row as every reader of its scope gets it.

    `dot` and `stamp` are of the write that created it. `writes` holds, of each field written since,
    `[stamp, dot, other heads' dots…]`: an author names the dots of that list as base, or the row's
    `dot`. `open` holds `{field: [{dot, value, actor, stamp}]}` while a person must decide. `home`
    is the centre that alone judges it; elsewhere it is `provisional` until that centre has.
    """

    entity: str
    id: str
    seq: int
    dot: str
    stamp: str
    actor: str
    arrived: int
    fields: dict[str, Any]
    writes: dict[str, tuple[str, ...]] = {}
    open: dict[str, list[dict[str, Any]]] = {}
    removed: bool = False
    home: str = ""
    provisional: bool = False


class OutboxReport(Struct, frozen=True):
    """What the device says still waits, so that the centre can see who is behind."""

    count: int = 0
    oldest: int | None = None


class SyncRequest(Struct, frozen=True):
    """One round trip: what I wrote, and where I stand.

    `bad` names pairs whose digest does not match: the answer starts them anew. After a change of
    epoch, `offers` are foreign mutations above the fork, and `seen` rows above it that nobody's
    signed bytes bring back.
    """

    centre: str
    epoch: str
    replica: str
    protocol: int = PROTOCOL_VERSION
    runs: list[Run] = []
    cursors: Cursors = {}
    lanes: list[int] | None = None
    bad: list[Pair] = []
    offers: list[Proof] = []
    seen: list[Row] = []
    max_bytes: int = 262_144
    outbox: OutboxReport = OutboxReport()
    clock: int = 0
    app: str = ""


class Verdict(Struct, frozen=True):
    """What one mutation got: `applied merged held quarantined refused`, recorded for ever."""

    dot: str
    hash: str
    verdict: str
    seq: int
    code: str | None = None
    detail: str | None = None
    repeat: bool = False
    tags: tuple[str, ...] = ()
    """What a person should know of it all the same: see `schema.tags`."""


class Page(Struct, frozen=True):
    """Rows of one (scope, lane) in seq order. `next` is the cursor once they are stored.

    `proofs` are the signed bytes behind rows that a restored centre must be able to get back.
    """

    scope: str
    lane: int
    next: int
    rows: list[Row]
    out: list[tuple[str, str]] = []
    proofs: list[Proof] = []


class SnapshotPart(Struct, frozen=True):
    """A file of rows at `/v1/snap/<sha256>`, gzip, whose hash is its name; `size` in bytes."""

    sha256: str
    size: int


class Snapshot(Struct, frozen=True):
    """All rows of (scope, lane), none older than at `seq`, in parts, the same bytes for everyone.

    A device fetches the parts that it lacks, stages their rows, and pulls on from `seq`. A later
    snapshot names the same part again while nothing in it has changed.
    """

    scope: str
    lane: int
    seq: int
    parts: list[SnapshotPart]


class SnapshotFile(Struct, frozen=True):
    """What one part holds once unpacked."""

    scope: str
    lane: int
    rows: list[Row]
    proofs: list[Proof] = []


class SyncReply(Struct, frozen=True):
    """What became of it, and what is new. `now` is the server's clock in ms since 1970 (UTC).

    `complete` names the lanes of each scope that hold all rows up to `upto` with this answer;
    rows of any other pair are staged until a later answer completes it, and `digests` says what
    they then must sum to. A pair in `restart` begins from nothing here: once complete it holds what
    came since, and no row that did not. `fork` is the seq up to which the log of the request's
    epoch and this one are the same; it is null while the epoch is the present one. `durable` is the
    seq that survives the loss of this machine. `min_client` asks a lower protocol for an update.
    """

    centre: str
    epoch: str
    verdicts: list[Verdict]
    missing: dict[str, list[int]]
    pages: list[Page]
    complete: dict[str, list[int]]
    gained: list[str]
    revoked: list[str]
    upto: int
    durable: int
    now: int
    backoff: int | None = None
    snapshots: list[Snapshot] = []
    restart: list[Pair] = []
    digests: dict[str, dict[str, str]] = {}
    fork: int | None = None
    min_client: int = 0


class LateRequest(Struct, frozen=True):
    """The last words of a replica that may not sign in any more; `key` as at its enrolment."""

    centre: str
    replica: str
    key: str
    runs: list[Run]


class LateReply(Struct, frozen=True):
    """What was kept, for a person to judge."""

    verdicts: list[Verdict]
    now: int


class EnrolRequest(Struct, frozen=True):
    """`key` is the raw uncompressed P-256 public key (65 bytes), base64url."""

    code: str
    key: str
    device: str = ""
    app: str = ""


class EnrolReply(Struct, frozen=True):
    """Everything a new replica needs. `token` is shown once; the server keeps only its hash."""

    realm: str
    centre: str
    centre_name: str
    epoch: str
    replica: str
    token: str
    session: str
    actor: str
    actor_name: str
    unit: str
    unit_name: str
    kind: str
    roles: list[str]
    scopes: list[str]
    now: int


class Poke(Struct, frozen=True):
    """A hint that (scope, lane) has moved from `prev` to `seq`. It carries no right and no data."""

    scope: str
    lane: int
    seq: int
    prev: int


class Problem(Struct, frozen=True):
    """The body of every answer that is not a success."""

    code: str
    zh: str
    en: str
    detail: str | None = None

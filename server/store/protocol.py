"""What a store promises: plain transactions, run by `await store.write(work)`.

`work(txn)` is an ordinary function. In a write it runs alone for this centre, from the moment it
begins; what it did is durable when `write` returns, or nothing of it is there. Both SQLite and
PostgreSQL sign the contract suite in `tests/store/`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from schema.wire import Page
from sync.known import Entry, Logged
from sync.rows import Key, Stored
from sync.scope import Member

T = TypeVar("T")
Doc = dict[str, Any]


class Damaged(Exception):
    """What was read is not what was written. Names the entry: `log/<seq>`, `<entity>/<id>`…"""


class UnsafeSettings(Exception):
    """The database does not keep its promises with these settings."""


class NewerDatabase(Exception):
    """A newer program has changed the database: this one would not understand all of it."""


class Head(Struct, frozen=True):
    """The end of a centre's log, and which log it is."""

    centre: str
    realm: str
    epoch: str
    seq: int
    chain: str
    floor: int = 0
    """Cursors below it miss what is no longer told: tombstones and rows that left."""
    durable: int = 0
    """The seq that survives the loss of this machine."""


class Commit(Struct, frozen=True):
    """One mutation's effects under one seq. Rows carry that seq; members say who sees them.

    `release` is for a mutation that was logged as held before: its new verdict is a line of its
    own, without the words, and stands from then on.
    """

    entry: Entry
    rows: Sequence[Stored]
    members: Sequence[Member]
    received: int
    release: bool = False


class Committed(Struct, frozen=True):
    """The seq that a mutation got, and every (scope, lane) in which something moved to it."""

    seq: int
    moved: frozenset[tuple[str, int]]


class Slice(Struct, frozen=True):
    """A page, its size in bytes (0 when there is nothing), and whether nothing follows it.

    The page's rows may be encoded already (`msgspec.Raw`): it is made to be sent, not read.
    """

    page: Page
    size: int
    complete: bool


class Stand(Struct, frozen=True):
    """Of a (scope, lane): the newest seq at which anything moved in it, and its digest."""

    seq: int
    sum: int


class Touched(Struct, frozen=True):
    """A row that moved in a pair, its newest seq there, and whether it is in the pair no more."""

    key: Key
    seq: int
    gone: bool


class Span(Struct, frozen=True):
    """The server's own records of a kind whose keys begin with `prefix`, from the key `low` on."""

    kind: str
    prefix: str
    low: str = ""
    newest: bool = False
    """The last key first."""


class Read(Protocol):
    """A consistent view of one moment. Who asks for a damaged entry by its name gets Damaged."""

    def head(self) -> Head: ...

    def logged(self, dots: Iterable[str]) -> dict[str, Logged]:
        """The recorded verdict of each dot that is in the log."""

    def rows(self, keys: Iterable[Key]) -> dict[Key, Stored]: ...

    def children(self, entity: str, parent: str | None) -> list[Stored]:
        """Rows of an entity that name `parent`, in the order of their creation; all for None."""

    def families(self, entity: str, parents: Iterable[str]) -> list[Stored]:
        """Rows of an entity that name any of these parents."""

    def walk(self, entity: str) -> Iterator[Stored]:
        """All rows of an entity in the order of their ids, read as they are taken."""

    def page(self, scope: str, lane: int, after: int, room: int) -> Slice:
        """Rows of (scope, lane) above `after` in seq order.

        Stops at the seq that passes `room` bytes and never splits one. From the beginning, at 0,
        nothing is told of what has left or was removed. A damaged row is left out: the sum of the
        pair shows it to the reader, and others still learn the rest.
        """

    def touched(self, scope: str, lane: int, after: int) -> Iterator[Touched]:
        """Every row that moved in (scope, lane) above this seq, read as they are taken."""

    def walk_pair(self, scope: str, lane: int, low: Key) -> Iterator[tuple[Key, bytes]]:
        """The rows that (scope, lane) holds, encoded, in the order of their keys from `low` on.

        Without those that are damaged.
        """

    def stands(self, scopes: Iterable[str]) -> dict[tuple[str, int], Stand]:
        """How far each (scope, lane) of these scopes has come, where anything ever moved."""

    def moved_since(self, seq: int) -> dict[tuple[str, int], int]:
        """Each (scope, lane) that has moved above this seq, with its newest seq."""

    def words(self, dots: Iterable[str]) -> dict[str, bytes]:
        """The bytes of each mutation as it came; those of a purged one are not there."""

    def seq_before(self, ms: int) -> int:
        """The newest seq of the log that came at or before this time; 0 when none did.

        Where the server's clock was set meanwhile, any seq whose next one came after that time.
        """

    def now_ms(self) -> int:
        """The time by the clock that all who share the database go by, ms since 1970 (UTC)."""

    def get(self, kind: str, key: str) -> Doc | None:
        """A record of the server's own: replica, login, session, code, blob, upload, held."""

    def get_each(self, kind: str, keys: Iterable[str]) -> dict[str, Doc]:
        """Those of these records that there are, by key."""

    def find(self, kind: str, prefix: str = "") -> dict[str, Doc]:
        """All records of a kind whose key begins so, by key, in the order of their keys.

        Here and in the two below a damaged one is left out.
        """

    def find_each(self, kind: str, prefixes: Iterable[str]) -> dict[str, Doc]:
        """All records of a kind whose key begins with any of these."""

    def any_of(self, kind: str) -> bool:
        """Whether there is a record of this kind, also if it is damaged."""

    def count(self, kind: str, prefix: str) -> int:
        """How many there are of them."""

    def some(self, span: Span, skip: int, limit: int) -> dict[str, Doc]:
        """At most `limit` of the span's records after the first `skip`, by key, in its order."""

    def count_in(self, span: Span) -> int:
        """How many records a span holds."""


SLICE = 200
_NEXT = "\x01"
"""Behind a key, it comes before every other key that follows."""


def walk_kind(read: Read, kind: str) -> Iterator[tuple[str, Doc]]:
    """All records of a kind by key, read a slice at a time as they are taken."""
    low = ""
    while found := read.some(Span(kind, "", low), 0, SLICE):
        yield from found.items()
        low = max(found) + _NEXT


class Txn(Read, Protocol):
    """A write transaction: it sees what it wrote."""

    def commit(self, commits: Sequence[Commit]) -> list[Committed]:
        """Append each mutation to the log and store its effects. Their seqs are dense."""

    def set_head(self, head: Head) -> None:
        """Keep the head's epoch, floor and durable mark; seq and chain are the log's alone."""

    def forget(self, after: int, upto: int, limit: int) -> int:
        """Tell nobody any more what left a scope or was removed above `after`, up to `upto`.

        Stops at the seq that passes `limit` rows and never splits one; answers how far it came.
        """

    def put(self, kind: str, key: str, doc: Doc) -> None: ...

    def put_each(self, kind: str, docs: Mapping[str, Doc]) -> None:
        """Keep all of these records, by key."""

    def delete(self, kind: str, key: str) -> None: ...


class Store(Protocol):
    """One centre's database."""

    shared: bool = False
    """Whether other processes may write to the same log."""

    async def write(self, work: Callable[[Txn], T]) -> T:
        """Run `work` in a write transaction. Durable on return; nothing kept when it raises."""

    async def read(self, work: Callable[[Read], T]) -> T:
        """Run `work` on a consistent snapshot, beside any writer."""

    async def look(self, work: Callable[[Read], T]) -> T:
        """As `read`, for a few records by their names: as quick as the store can."""
        return await self.read(work)

    def hints(self) -> AsyncIterator[None]:
        """Comes back when another process may have committed something. A hint: some are lost.

        It ends with an error when the store cannot be reached; never, where nobody else writes.
        """

    async def close(self) -> None: ...

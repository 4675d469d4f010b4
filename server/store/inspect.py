"""A look at a centre's database that changes nothing, beside a server or after trouble.

Everything is read in slices of their own, so that no long look keeps the log of writes from being
folded in. A record that cannot be read is told as such, and the look goes on behind it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Generic, TypeVar

from msgspec import Struct

from server.store.checksums import head_crc, line_crc, row_crc, side_crc
from server.store.protocol import Head
from sync.mutation import dot_of, split_dot
from sync.rows import Key

SLICE = 500
MISSING = -1
"""What stands for a number that is none."""

DISORDER = "keys out of order"

K = TypeVar("K", int, Key)
V = TypeVar("V")
Tick = Callable[[], None]

TABLES = ("head", "log", '"row"', "scope", "member", "pair", "side")


class CannotRead(Exception):
    """The database cannot read what it was asked for; the text is its own."""


class Line(Struct, frozen=True):
    """A line of the log as it is kept. `raw` is None for a later verdict and for purged words.

    `is_sound` says whether what is told of it again has its checksum.
    """

    seq: int
    dot: str
    hash: str
    raw: bytes | None
    verdict: str
    code: str | None
    chain: str
    is_sound: bool = True


class RowLine(Struct, frozen=True):
    """A row as it is kept: the columns beside its document, and the document.

    `is_sound` says whether document and history have their checksum.
    """

    key: Key
    seq: int
    parent: str | None
    doc: bytes
    history: bytes | None
    digest: int
    removed: int
    is_sound: bool


class MemberLine(Struct, frozen=True):
    """A row's place in a pair, with what is kept of the row; `row_seq` None when there is none."""

    key: Key
    seq: int
    row_seq: int | None
    digest: int
    present: bool


class PairLines(Struct):
    """What one (scope, lane) says its sum and its newest seq are, how far the log had come, and
    its members."""

    sum: int
    newest: int
    upto: int
    members: Iterator[MemberLine]


class SideLine(Struct, frozen=True):
    """A record of the server's own, and whether it has its checksum."""

    kind: str
    key: str
    doc: str
    is_sound: bool


class Unreadable(Struct, Generic[K], frozen=True):
    """Something behind `after` cannot be read, and what the database says of it.

    The look goes on behind `next`; it cannot when that is None.
    """

    after: K
    next: K | None
    why: str


def text_of(data: bytes) -> str:
    """Text as it is kept; bytes that are no text show as escapes."""
    return data.decode("utf-8", "backslashreplace")


class Inspector(ABC):
    """One centre's database, opened to be read only. `centre` "" takes the one that it holds.

    Each kind of database says how it is asked; what is asked is the same for all of them, with a
    `?` for each value.
    """

    name: dict[str, str | int]
    """The database as a finding names it."""

    def __init__(self, centre: str) -> None:
        self.centre = centre or self._only_centre()

    @abstractmethod
    def _all(self, query: str, *values: Any) -> list[Any]:
        """The lines that a query gives. CannotRead when the database cannot read them."""

    @abstractmethod
    def _each(self, query: str, *values: Any) -> Iterator[Any]:
        """As `_all`, read as they are taken."""

    @abstractmethod
    def _bytes(self, column: str) -> str:
        """What selects the bytes of a text."""

    @abstractmethod
    def _moment(self) -> AbstractContextManager[None]:
        """Everything asked in the block is answered as of one moment."""

    @abstractmethod
    def integrity(self, tick: Tick) -> list[str]:
        """What the database finds wrong with itself; nothing when it is sound."""

    @abstractmethod
    def schema(self) -> int:
        """The version of its tables; 0 while there are none."""

    @abstractmethod
    def strangers(self) -> list[str]:
        """The tables that hold records which belong to no centre of this database."""

    @abstractmethod
    def close(self) -> None: ...

    def _one(self, query: str, *values: Any) -> Any:
        lines = self._all(query, *values)
        return lines[0] if lines else None

    def _only_centre(self) -> str:
        for table in ("head", "log"):
            with suppress(CannotRead):
                if line := self._one(f"SELECT centre FROM {table} LIMIT 1"):
                    return text(line[0])
        return ""

    def head(self) -> tuple[Head | None, int]:
        """The head, and the last seq that is in the log at the same moment.

        The head is None where there is none, or it is not what was written.
        """
        with self._moment():
            query = "SELECT centre, realm, epoch, seq, chain, floor, durable, crc FROM head"
            line = self._one(f"{query} WHERE centre=?", self.centre)
            last = self._one("SELECT max(seq) FROM log WHERE centre=?", self.centre)[0]
        return (_head(line) if line else None), number(last or 0)

    def newest_ms(self) -> int:
        """When the newest line of the log came; 0 while there is none."""
        query = "SELECT received FROM log WHERE centre=? ORDER BY seq DESC LIMIT 1"
        line = self._one(query, self.centre)
        return number(line[0]) if line else 0

    def counts(self) -> dict[str, int]:
        """How many records of each kind there are, about: a damaged index may tell too few."""
        tables = {"row": '"row"', "member": "member", "side": "side"}
        return {name: self._count(table) for name, table in tables.items()}

    def _count(self, table: str) -> int:
        try:
            return int(self._one(f"SELECT count(*) FROM {table} WHERE centre=?", self.centre)[0])
        except CannotRead:
            return 0

    def lines(self, low: int, upto: int) -> Iterator[Line | Unreadable[int]]:
        """The log above `low`, up to `upto`."""
        query = f"{_LINE} WHERE centre=? AND seq>? AND seq<=? ORDER BY seq LIMIT ?"

        def fetch(after: int, limit: int) -> list[tuple[int, Line]]:
            lines = self._all(query, self.centre, after, upto, limit)
            return [(number(line[0]), _line(line)) for line in lines]

        return walk(fetch, low, lambda after: after + 1 if after + 1 < upto else None)

    def lines_of(self, dot: str) -> list[Line]:
        """Every line of one mutation: its own, then those of later verdicts."""
        query = f"{_LINE} WHERE centre=? AND replica=? AND lane=? AND n=? ORDER BY seq"
        return [_line(line) for line in self._all(query, self.centre, *split_dot(dot))]

    def get(self, kind: str, key: str) -> str | None:
        """A record of the server's own, as text."""
        query = "SELECT doc FROM side WHERE centre=? AND kind=? AND key=?"
        line = self._one(query, self.centre, kind, key)
        return text(line[0]) if line else None

    def side(self) -> Iterator[SideLine | Unreadable[Key]]:
        """The server's own records, by kind and key."""
        query = (
            f"SELECT kind, key, {self._bytes('doc')}, crc FROM side"
            " WHERE centre=? AND (kind, key)>(?, ?) ORDER BY kind, key LIMIT ?"
        )

        def fetch(after: Key, limit: int) -> list[tuple[Key, SideLine]]:
            lines = self._all(query, self.centre, *after, limit)
            return [(key_of(line), _side(line)) for line in lines]

        return walk(fetch, ("", ""), lambda after: self._step("side", ("kind", "key"), after))

    def rows(self) -> Iterator[RowLine | Unreadable[Key]]:
        """All rows that have come, by entity and id."""
        query = (
            f"SELECT entity, id, seq, parent, {self._bytes('doc')}, {self._bytes('history')},"
            ' digest, removed, authority, crc FROM "row" WHERE centre=? AND (entity, id)>(?, ?)'
            " AND doc IS NOT NULL ORDER BY entity, id LIMIT ?"
        )

        def fetch(after: Key, limit: int) -> list[tuple[Key, RowLine]]:
            lines = self._all(query, self.centre, *after, limit)
            return [(key_of(line), _row(line)) for line in lines]

        return walk(fetch, ("", ""), lambda after: self._step('"row"', ("entity", "id"), after))

    def scopes(self, key: Key) -> set[str]:
        """The scopes that a row is in."""
        query = (
            'SELECT s.name FROM "row" r JOIN member m ON m.centre=r.centre AND m."row"=r.no'
            " JOIN scope s ON s.centre=m.centre AND s.no=m.scope"
            " WHERE r.centre=? AND r.entity=? AND r.id=? AND m.present"
        )
        return {text(name) for (name,) in self._all(query, self.centre, *key)}

    def _step(self, table: str, names: tuple[str, str], after: Key) -> Key | None:
        """Past the record behind `after`: by its key alone, or to the next first part of a key."""
        one, two = names
        same = f"SELECT {one}, {two} FROM {table} WHERE centre=? AND ({one}, {two})>(?, ?)"
        beyond = f"SELECT {one}, '' FROM {table} WHERE centre=? AND {one}>?"
        ways: tuple[tuple[str, tuple[str, ...]], ...] = (
            (f"{same} ORDER BY {one}, {two} LIMIT 1", after),
            (f"{beyond} ORDER BY {one} LIMIT 1", after[:1]),
        )
        for query, values in ways:
            try:
                line = self._one(query, self.centre, *values)
            except CannotRead:
                continue
            if line is None or key_of(line) > after:
                return key_of(line) if line else None
        return None

    def pairs(self) -> list[tuple[str, int]]:
        """Every (scope, lane) that holds something or that a sum is kept of."""
        query = (
            "SELECT s.name, m.lane FROM member m JOIN scope s ON s.centre=m.centre AND s.no=m.scope"
            " WHERE m.centre=? UNION SELECT s.name, p.lane FROM pair p"
            " JOIN scope s ON s.centre=p.centre AND s.no=p.scope WHERE p.centre=? ORDER BY 1, 2"
        )
        lines = self._all(query, self.centre, self.centre)
        return [(text(scope), number(lane)) for scope, lane in lines]

    @contextmanager
    def pair(self, scope: str, lane: int) -> Iterator[PairLines]:
        """One pair as it was at one moment."""
        with self._moment():
            head = self._one("SELECT seq FROM head WHERE centre=?", self.centre)
            end = number((head or (0,))[0])
            query = "SELECT no FROM scope WHERE centre=? AND name=?"
            no = self._one(query, self.centre, scope) or (MISSING,)
            of = (self.centre, no[0], lane)
            query = "SELECT sum, seq FROM pair WHERE centre=? AND scope=? AND lane=?"
            sum, newest = self._one(query, *of) or (0, 0)
            lines = self._each(
                "SELECT r.entity, r.id, m.seq, r.seq, r.digest, m.present FROM member m"
                ' LEFT JOIN "row" r ON r.centre=m.centre AND r.no=m."row"'
                " WHERE m.centre=? AND m.scope=? AND m.lane=?",
                *of,
            )
            yield PairLines(number(sum), number(newest), end, map(_member, lines))


_LINE = "SELECT seq, replica, lane, n, hash, raw, verdict, code, chain, detail, tags, crc FROM log"


def walk(
    fetch: Callable[[K, int], list[tuple[K, V]]], first: K, step: Callable[[K], K | None]
) -> Iterator[V | Unreadable[K]]:
    """Everything behind `first`, a slice at a time; where one cannot be read, ever smaller ones.

    `fetch` gives what follows a key, in order, with its keys; `step` the key of what cannot be
    read behind one, and None where nobody can tell.
    """
    after, limit = first, SLICE
    while True:
        try:
            found = fetch(after, limit)
            if found and not found[-1][0] > after:
                raise CannotRead(DISORDER)
        except CannotRead as error:
            if limit > 1:
                limit = max(1, limit // 4)
                continue
            beyond = step(after)
            yield Unreadable(after, beyond, str(error))
            if beyond is None:
                return
            after, limit = beyond, SLICE
            continue
        if not found:
            return
        for _, one in found:
            yield one
        after, limit = found[-1][0], SLICE


def number(value: Any) -> int:
    """The number that is kept; `MISSING` where something else is."""
    return value if isinstance(value, int) else MISSING


def text(value: Any) -> str:
    """The text that is kept; of something else, what it looks like."""
    return value if isinstance(value, str) else repr(value)


def key_of(line: Any) -> Key:
    return text(line[0]), text(line[1])


def _head(line: Any) -> Head | None:
    centre, realm, epoch, seq, chain, floor, durable, crc = line
    told = (text(centre), text(realm), text(epoch), number(seq), text(chain))
    head = Head(*told, number(floor), number(durable))
    return head if head_crc(head) == crc else None


def _line(line: Any) -> Line:
    seq, replica, lane, n, hash, raw, verdict, code, chain, *rest = line
    dot = dot_of(text(replica), number(lane), number(n))
    words = raw if raw is None or isinstance(raw, bytes) else repr(raw).encode()
    detail, tags, crc = rest
    told = (hash, verdict, code, detail, tags)
    is_sound = line_crc(seq, dot, told) == crc
    kept = None if code is None else text(code)
    return Line(number(seq), dot, text(hash), words, text(verdict), kept, text(chain), is_sound)


def _row(line: Any) -> RowLine:
    _, _, seq, parent, doc, history, digest, removed, authority, crc = line
    above = None if parent is None else text(parent)
    told = (above, doc, history, number(digest), number(removed))
    is_sound = row_crc(doc, history, number(authority), number(removed)) == crc
    return RowLine(key_of(line), number(seq), *told, is_sound)


def _side(line: Any) -> SideLine:
    kind, key, doc, crc = line
    name, data = (text(kind), text(key)), doc or b""
    return SideLine(*name, text_of(data), side_crc(*name, data) == crc)


def _member(line: Any) -> MemberLine:
    _, _, seq, row_seq, digest, present = line
    stands = None if row_seq is None else number(row_seq)
    return MemberLine(key_of(line), number(seq), stands, number(digest or 0), bool(present))

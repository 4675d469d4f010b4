"""What a transaction is on any database: what it has read of small things, it remembers."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from server.store.checksums import side_crc
from server.store.lines import doc_of
from server.store.protocol import Doc, Head, Span, Txn

LAST = "\U0010ffff"

REMEMBERED_MAX = 4_096
"""A transaction that goes through a whole log forgets what it read of it before."""

Record = tuple[str, bytes, int]
"""Key, document and checksum of a record of the server's own."""


class BaseTxn(Txn):
    """The head and the server's own records are asked of the database once in a transaction."""

    def __init__(self, centre: str) -> None:
        self._centre = centre
        self._head: Head | None = None
        self._records: dict[tuple[str, str], Record | None] = {}

    def head(self) -> Head:
        if self._head is None:
            self._head = self._read_head()
        return self._head

    def set_head(self, head: Head) -> None:
        now = self.head()
        self._keep_head(replace(head, realm=now.realm, seq=now.seq, chain=now.chain))

    def _keep_head(self, head: Head) -> None:
        self._write_head(head)
        self._head = head

    def seq_before(self, ms: int) -> int:
        before, after = 0, self.head().seq + 1
        while after - before > 1:
            middle = (before + after) // 2
            if self._received(middle) <= ms:
                before = middle
            else:
                after = middle
        return before

    def get(self, kind: str, key: str) -> Doc | None:
        return self.get_each(kind, [key]).get(key)

    def get_each(self, kind: str, keys: Iterable[str]) -> dict[str, Doc]:
        self._make_room()
        places = {key: (kind, spelled(key)) for key in keys}
        lacking = [place for place in places.values() if place not in self._records]
        if lacking:
            found = self._read_records(kind, [key for _, key in lacking])
            here = {(kind, record[0]): record for record in found}
            self._records |= {place: here.get(place) for place in lacking}
        records = ((key, self._records.get(place)) for key, place in places.items())
        return {key: doc_of(kind, *record) for key, record in records if record}

    def put(self, kind: str, key: str, doc: Doc) -> None:
        self.put_each(kind, {key: doc})

    def put_each(self, kind: str, docs: Mapping[str, Doc]) -> None:
        records = [_record(kind, spelled(key), doc) for key, doc in docs.items()]
        if records:
            self._write_records(kind, records)
            self._make_room()
            self._records |= {(kind, record[0]): record for record in records}

    def delete(self, kind: str, key: str) -> None:
        key = spelled(key)
        self._delete_record(kind, key)
        self._make_room()
        self._records[kind, key] = None

    def _make_room(self) -> None:
        if len(self._records) > REMEMBERED_MAX:
            self._records.clear()

    def find(self, kind: str, prefix: str = "") -> dict[str, Doc]:
        return self.some(Span(kind, prefix), 0, -1)

    def count(self, kind: str, prefix: str) -> int:
        return self.count_in(Span(kind, prefix))

    def _bounds(self, span: Span) -> tuple[str, str, str, str]:
        return self._centre, span.kind, max(span.prefix, span.low), span.prefix + LAST

    @abstractmethod
    def _read_head(self) -> Head: ...

    @abstractmethod
    def _write_head(self, head: Head) -> None: ...

    @abstractmethod
    def _received(self, seq: int) -> int:
        """When this line of the log came, ms since 1970 (UTC)."""

    @abstractmethod
    def _read_records(self, kind: str, keys: Sequence[str]) -> Iterable[Record]:
        """Those of these that there are."""

    @abstractmethod
    def _write_records(self, kind: str, records: Sequence[Record]) -> None: ...

    @abstractmethod
    def _delete_record(self, kind: str, key: str) -> None: ...


def _record(kind: str, key: str, doc: Doc) -> Record:
    text = msgspec.json.encode(doc)
    return key, text, side_crc(kind, key, text)


def spelled(text: str) -> str:
    """A text as it is kept: none in PostgreSQL holds U+0000, nor any that SQLite takes as JSON."""
    return text.replace("\0", "\ufffd")

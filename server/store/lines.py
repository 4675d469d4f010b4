"""What a line of a table says, once its checksum has shown that it is what was written."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec
import structlog
from msgspec import Raw

from schema.wire import Page, Row, Verdict
from server.store.checksums import head_crc, line_crc, row_crc, side_crc
from server.store.protocol import Damaged, Doc, Head, Slice
from sync.known import Logged
from sync.merge import Write
from sync.mutation import dot_of, hash_of, split_dot
from sync.rows import Key, Stored

log = structlog.get_logger()

ROWS_KEPT = 2_048
"""Rows that are read again and again, orders above all, are decoded once."""

_rows = msgspec.json.Decoder(Row)
_history = msgspec.json.Decoder(dict[str, list[Write]])

Lane = tuple[str, int]
"""`(replica, lane)`."""


def by_lane(dots: Iterable[str]) -> dict[Lane, list[int]]:
    """The numbers asked for of each (replica, lane)."""
    found: dict[Lane, list[int]] = {}
    for dot in dots:
        replica, lane, n = split_dot(dot)
        found.setdefault((replica, lane), []).append(n)
    return found


def by_entity(keys: Iterable[Key]) -> dict[str, list[str]]:
    """The ids asked for of each entity."""
    found: dict[str, list[str]] = {}
    for entity, id in keys:
        found.setdefault(entity, []).append(id)
    return found


RowLine = tuple[str, str, bytes, bytes | None, int, bool | int, int]
"""entity, id, document, history, authority, whether it is removed, checksum."""


def is_sound(line: RowLine) -> bool:
    """Whether a row is what was written."""
    _, _, doc, history, authority, removed, crc = line
    return row_crc(doc, history, authority, removed) == crc


def stored_of(line: RowLine) -> Stored:
    """The row of a line. Damaged when it is not what was written."""
    entity, id, doc, history, authority, *_ = line
    if not is_sound(line):
        raise Damaged(f"{entity}/{id}")
    return _decoded(doc, history, authority)


@lru_cache(maxsize=ROWS_KEPT)
def _decoded(doc: bytes, history: bytes | None, authority: int) -> Stored:
    """What these bytes say; nobody changes a row in place."""
    return Stored(_rows.decode(doc), _history.decode(history) if history else {}, authority)


def doc_of(kind: str, key: str, doc: bytes, crc: int) -> Doc:
    """A record of the server's own. Damaged when it is not what was written."""
    if side_crc(kind, key, doc) != crc:
        raise Damaged(f"{kind}/{key}")
    found: Doc = msgspec.json.decode(doc)
    return found


def docs_of(kind: str, lines: Iterable[tuple[str, bytes, int]]) -> dict[str, Doc]:
    """Records by key; one that is damaged keeps nobody from the others, and is logged."""
    found = {}
    for key, doc, crc in lines:
        try:
            found[key] = doc_of(kind, key, doc, crc)
        except Damaged as damaged:
            log.error("damaged", entry=damaged.args[0])
    return found


Text = str | bytes
MovedLine = tuple[int, bool | int, Text, Text, bytes, bytes | None, int, bool | int, int]
"""seq, whether it is there still, and a row line."""


def page_of(mark: tuple[str, int, int], room: int, lines: Iterable[MovedLine]) -> Slice:
    """What moved in (scope, lane) above a seq, in seq order, up to the seq that passes `room`."""
    scope, lane, last = mark
    rows: list[Row] = []
    out: list[tuple[str, str]] = []
    size = 0
    for seq, present, entity, id, doc, history, authority, removed, crc in lines:
        if size >= room and seq != last:
            return Slice(Page(scope, lane, last, rows, out), size, False)
        last = seq
        if not present:
            out.append((_text(entity), _text(id)))
            size += len(entity) + len(id)
        elif row_crc(doc, history, authority, removed) == crc:
            rows.append(Raw(doc))  # type: ignore[arg-type]
            size += len(doc)
        else:
            log.error("damaged", entry=f"{_text(entity)}/{_text(id)}")
    return Slice(Page(scope, lane, last, rows, out), size, True)


def _text(value: Text) -> str:
    return value if isinstance(value, str) else value.decode()


def head_of(line: tuple[str, str, str, int, str, int, int, int] | None) -> Head:
    """The head of a log. Damaged when it is not there, or not what was written."""
    if line is None:
        raise Damaged("head")
    centre, realm, epoch, seq, chain, floor, durable, crc = line
    head = Head(centre, realm, epoch, seq, chain, floor, durable)
    if head_crc(head) != crc:
        raise Damaged("head")
    return head


LogLine = tuple[int, int, str, str, str | None, str | None, str | None, int]
"""n, seq, hash, verdict, code, detail, tags, checksum."""


def logged_of(lane: Lane, lines: Iterable[LogLine]) -> dict[str, Logged]:
    """What the log says of each dot: the last line of each stands. Damaged names a bad line."""
    found = {}
    for n, seq, hash, kind, code, detail, tags, crc in sorted(lines, key=lambda line: line[1]):
        dot = dot_of(*lane, n)
        if line_crc(seq, dot, (hash, kind, code, detail, tags)) != crc:
            raise Damaged(f"log/{seq}")
        marks = tuple(tags.split()) if tags else ()
        found[dot] = Logged(hash, Verdict(dot, hash, kind, seq, code, detail, tags=marks))
    return found


def words_of(lane: Lane, lines: Iterable[tuple[int, int, bytes, str]]) -> dict[str, bytes]:
    """The bytes of each dot as they first came, from (n, seq, raw, hash). Damaged names a line."""
    found: dict[str, bytes] = {}
    for n, seq, raw, hash in sorted(lines, key=lambda line: line[1]):
        if hash_of(raw) != hash:
            raise Damaged(f"log/{seq}")
        found.setdefault(dot_of(*lane, n), raw)
    return found

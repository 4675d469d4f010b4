"""One transaction on one PostgreSQL connection: the reads, and what a batch of commits writes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg
import structlog
from msgspec.structs import replace

from server.store.base import LAST, BaseTxn, Record, spelled
from server.store.checksums import head_crc, row_crc
from server.store.commit import Batch, Line, Place, Spot, encoded, fold, keys_of
from server.store.lines import (
    by_entity,
    by_lane,
    docs_of,
    head_of,
    is_sound,
    logged_of,
    page_of,
    stored_of,
    words_of,
)
from server.store.protocol import Commit, Committed, Doc, Head, Slice, Span, Stand, Touched
from sync.digest import WRAP, as_signed
from sync.known import Logged
from sync.rows import Key, Stored

log = structlog.get_logger()

CHANNEL = "lingda"
"""Where each commit of a batch says of which centre it was."""

WALKED = 200
"""Rows read at once on a walk over many of them."""

_DOC = "convert_to(r.doc, 'UTF8'), convert_to(r.history, 'UTF8')"
_ROW = f"r.entity, r.id, {_DOC}, r.authority, r.removed, r.crc"
_RECORD = "s.key, convert_to(s.doc, 'UTF8'), s.crc"
_BEGINS = "centre=%s AND kind=%s AND key>=%s AND key<%s"
_SCOPE = "(SELECT no FROM scope WHERE centre=%s AND name=%s)"
_JOIN = '"row" r ON r.centre=m.centre AND r.no=m."row"'

_encode = msgspec.json.encode


class PostgresTxn(BaseTxn):
    """One transaction on one connection. Who writes holds the lock on the centre's head."""

    def __init__(self, db: psycopg.Connection, centre: str) -> None:
        super().__init__(centre)
        self._db = db

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._db.cursor(binary=True) as cursor:
            return cursor.execute(query, _kept(values)).fetchall()

    def _one(self, query: str, *values: Any) -> Any:
        lines = self._all(query, *values)
        return lines[0] if lines else None

    def _do(self, query: str, *values: Any) -> None:
        self._db.execute(query, _kept(values))

    def _read_head(self) -> Head:
        query = (
            "SELECT centre, realm, epoch, seq, chain, floor, durable, crc FROM head WHERE centre=%s"
        )
        return head_of(self._one(query, self._centre))

    def _write_head(self, head: Head) -> None:
        self._do(
            "UPDATE head SET epoch=%s, seq=%s, chain=%s, floor=%s, durable=%s, crc=%s"
            " WHERE centre=%s",
            *(head.epoch, head.seq, head.chain, head.floor, head.durable),
            *(head_crc(head), self._centre),
        )

    def forget(self, after: int, upto: int, limit: int) -> int:
        line = self._one(
            "SELECT seq FROM ("
            "SELECT seq FROM member WHERE centre=%s AND NOT present AND seq>%s AND seq<=%s"
            ' UNION ALL SELECT seq FROM "row" WHERE centre=%s AND removed AND seq>%s AND seq<=%s'
            ") AS gone ORDER BY seq LIMIT 1 OFFSET %s",
            *(self._centre, after, upto, self._centre, after, upto, limit),
        )
        upto = line[0] if line else upto
        span = (self._centre, after, upto)
        self._do("DELETE FROM member WHERE centre=%s AND NOT present AND seq>%s AND seq<=%s", *span)
        self._do(
            'DELETE FROM member WHERE centre=%s AND "row" IN'
            ' (SELECT no FROM "row" WHERE centre=%s AND removed AND seq>%s AND seq<=%s)',
            *(self._centre, *span),
        )
        return upto

    def stands(self, scopes: Iterable[str]) -> dict[tuple[str, int], Stand]:
        query = (
            "SELECT s.name, p.lane, p.seq, p.sum FROM scope s JOIN pair p"
            " ON p.centre=s.centre AND p.scope=s.no WHERE s.centre=%s AND s.name=ANY(%s)"
        )
        lines = self._all(query, self._centre, list(scopes))
        return {(scope, lane): Stand(seq, sum % WRAP) for scope, lane, seq, sum in lines}

    def moved_since(self, seq: int) -> dict[tuple[str, int], int]:
        query = (
            "SELECT s.name, p.lane, p.seq FROM pair p JOIN scope s"
            " ON s.centre=p.centre AND s.no=p.scope WHERE p.centre=%s AND p.seq>%s"
        )
        return {(scope, lane): at for scope, lane, at in self._all(query, self._centre, seq)}

    def _received(self, seq: int) -> int:
        query = "SELECT received FROM log WHERE centre=%s AND seq=%s"
        found: int = self._one(query, self._centre, seq)[0]
        return found

    def words(self, dots: Iterable[str]) -> dict[str, bytes]:
        query = (
            "SELECT n, seq, raw, hash FROM log WHERE centre=%s AND replica=%s AND lane=%s"
            " AND n=ANY(%s) AND raw IS NOT NULL"
        )
        found: dict[str, bytes] = {}
        for lane, numbers in by_lane(dots).items():
            found |= words_of(lane, self._all(query, self._centre, *lane, numbers))
        return found

    def logged(self, dots: Iterable[str]) -> dict[str, Logged]:
        query = (
            "SELECT n, seq, hash, verdict, code, detail, tags, crc FROM log"
            " WHERE centre=%s AND replica=%s AND lane=%s AND n=ANY(%s)"
        )
        found: dict[str, Logged] = {}
        for lane, numbers in by_lane(dots).items():
            found |= logged_of(lane, self._all(query, self._centre, *lane, numbers))
        return found

    def rows(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        query = (
            f'SELECT {_ROW} FROM "row" r WHERE r.centre=%s AND r.entity=%s AND r.id=ANY(%s)'
            " AND r.doc IS NOT NULL"
        )
        found: dict[Key, Stored] = {}
        for entity, ids in by_entity(keys).items():
            lines = {line[1]: line for line in self._all(query, self._centre, entity, ids)}
            found |= {(entity, id): stored_of(lines[id]) for id in ids if id in lines}
        return found

    def children(self, entity: str, parent: str | None) -> list[Stored]:
        query = f'SELECT {_ROW} FROM "row" r WHERE r.centre=%s AND r.entity=%s'
        values = [self._centre, entity]
        if parent is not None:
            query += " AND r.parent=%s"
            values.append(parent)
        lines = self._all(query + " AND r.doc IS NOT NULL ORDER BY r.id", *values)
        return [stored_of(line) for line in lines]

    def families(self, entity: str, parents: Iterable[str]) -> list[Stored]:
        query = (
            f'SELECT {_ROW} FROM "row" r WHERE r.centre=%s AND r.entity=%s AND r.parent=ANY(%s)'
            " AND r.doc IS NOT NULL ORDER BY r.parent, r.id"
        )
        lines = self._all(query, self._centre, entity, list(parents))
        return [stored_of(line) for line in lines]

    def walk(self, entity: str) -> Iterator[Stored]:
        query = (
            f'SELECT {_ROW} FROM "row" r WHERE r.centre=%s AND r.entity=%s AND r.id>%s'
            " AND r.doc IS NOT NULL ORDER BY r.id LIMIT %s"
        )
        last = ""
        while lines := self._all(query, self._centre, entity, last, WALKED):
            for line in lines:
                yield stored_of(line)
            last = lines[-1][1]

    def page(self, scope: str, lane: int, after: int, room: int) -> Slice:
        lines = (line[:-1] for line in self._moved(scope, lane, after))
        return page_of((scope, lane, after), room, lines)

    def _moved(self, scope: str, lane: int, after: int) -> Iterator[Any]:
        """What a page tells above `after`, read a slice at a time."""
        query = (
            f'SELECT m.seq, m.present, {_ROW}, m."row" FROM member m'
            f" JOIN {_JOIN} WHERE m.centre=%s AND m.scope={_SCOPE} AND m.lane=%s"
            ' AND (m.seq, m."row")>(%s, %s)'
            " AND CASE WHEN m.present THEN r.doc IS NOT NULL AND (%s OR NOT r.removed) ELSE %s END"
            ' ORDER BY m.seq, m."row" LIMIT %s'
        )
        told, mark = after > 0, (after + 1, -1)
        pair = (self._centre, self._centre, scope, lane)
        while lines := self._all(query, *pair, *mark, told, told, WALKED):
            yield from lines
            if len(lines) < WALKED:
                return
            mark = (lines[-1][0], lines[-1][-1])

    def touched(self, scope: str, lane: int, after: int) -> Iterator[Touched]:
        query = (
            'SELECT r.entity, r.id, m.seq, NOT m.present OR r.removed, m."row" FROM member m'
            f" JOIN {_JOIN} WHERE m.centre=%s AND m.scope={_SCOPE} AND m.lane=%s"
            ' AND (m.seq, m."row")>(%s, %s) ORDER BY m.seq, m."row" LIMIT %s'
        )
        mark = (after + 1, -1)
        pair = (self._centre, self._centre, scope, lane)
        while lines := self._all(query, *pair, *mark, WALKED):
            for entity, id, seq, gone, no in lines:
                yield Touched((entity, id), seq, gone)
                mark = (seq, no)

    def walk_pair(self, scope: str, lane: int, low: Key) -> Iterator[tuple[Key, bytes]]:
        query = (
            f"SELECT {_ROW} FROM member m JOIN {_JOIN}"
            f" WHERE m.centre=%s AND m.scope={_SCOPE} AND m.lane=%s AND m.present"
            " AND (r.entity, r.id)>(%s, %s) AND r.doc IS NOT NULL AND NOT r.removed"
            " ORDER BY r.entity, r.id LIMIT %s"
        )
        pair = (self._centre, self._centre, scope, lane)
        first = query.replace(">(%s, %s)", ">=(%s, %s)")
        while lines := self._all(first or query, *pair, *low, WALKED):
            first = ""
            for line in lines:
                low = line[:2]
                if is_sound(line):
                    yield low, line[2]
                else:
                    log.error("damaged", entry="/".join(low))

    def now_ms(self) -> int:
        query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        found: int = self._one(query)[0]
        return found

    def _read_records(self, kind: str, keys: Sequence[str]) -> Iterable[Record]:
        query = f"SELECT {_RECORD} FROM side s WHERE s.centre=%s AND s.kind=%s AND s.key=ANY(%s)"
        return self._all(query, self._centre, kind, list(keys))

    def find_each(self, kind: str, prefixes: Iterable[str]) -> dict[str, Doc]:
        query = (
            f"SELECT {_RECORD} FROM unnest(%s::text[]) w"
            ' JOIN side s ON s.centre=%s AND s.kind=%s AND s.key>=w COLLATE "C"'
            ' AND s.key<(w || %s) COLLATE "C"'
        )
        lines = self._all(query, list(prefixes), self._centre, kind, LAST)
        return docs_of(kind, lines)

    def any_of(self, kind: str) -> bool:
        query = "SELECT 1 FROM side WHERE centre=%s AND kind=%s LIMIT 1"
        return self._one(query, self._centre, kind) is not None

    def some(self, span: Span, skip: int, limit: int) -> dict[str, Doc]:
        order = "DESC" if span.newest else "ASC"
        query = (
            f"SELECT {_RECORD} FROM side s WHERE {_BEGINS} ORDER BY key {order} LIMIT %s OFFSET %s"
        )
        lines = self._all(query, *self._bounds(span), None if limit < 0 else limit, skip)
        return docs_of(span.kind, lines)

    def count_in(self, span: Span) -> int:
        found: int = self._one(f"SELECT count(*) FROM side WHERE {_BEGINS}", *self._bounds(span))[0]
        return found

    def _write_records(self, kind: str, records: Sequence[Record]) -> None:
        self._insert(
            "side (centre, kind, key, doc, crc)",
            "text text text bigint",
            [(kind, key, text.decode(), crc) for key, text, crc in records],
            "ON CONFLICT (centre, kind, key) DO UPDATE SET doc=excluded.doc, crc=excluded.crc",
        )

    def _delete_record(self, kind: str, key: str) -> None:
        query = "DELETE FROM side WHERE centre=%s AND kind=%s AND key=%s"
        self._do(query, self._centre, kind, key)

    def commit(self, commits: Sequence[Commit]) -> list[Committed]:
        if not commits:
            return []
        head = self.head()
        places = self._places(keys_of(commits))
        batch = fold(head, commits, places)
        scopes = self._scopes({scope for scope, _ in batch.pairs})
        self._write_log(batch.lines)
        self._write_rows(places)
        self._write_spots(places, scopes)
        self._write_pairs(batch, scopes)
        self._keep_head(replace(head, seq=batch.done[-1].seq, chain=batch.chain))
        self._do("SELECT pg_notify(%s, %s)", CHANNEL, self._centre)
        return batch.done

    def _places(self, keys: Sequence[Key]) -> dict[Key, Place]:
        """Where these rows stand; one that has no number yet gets the next one."""
        query = 'SELECT id, no, digest FROM "row" WHERE centre=%s AND entity=%s AND id=ANY(%s)'
        places: dict[Key, Place] = {}
        for entity, ids in by_entity(keys).items():
            for id, *where in self._all(query, self._centre, entity, ids):
                places[entity, id] = Place(*where)
        self._find_spots({place.no: place for place in places.values()})
        last = self._one('SELECT coalesce(max(no), 0) FROM "row" WHERE centre=%s', self._centre)[0]
        for no, key in enumerate((key for key in keys if key not in places), last + 1):
            places[key] = Place(no, is_new=True)
        return places

    def _find_spots(self, places: dict[int, Place]) -> None:
        query = (
            'SELECT m."row", s.name, m.lane, m.seq, m.present FROM member m'
            " JOIN scope s ON s.centre=m.centre AND s.no=m.scope"
            ' WHERE m.centre=%s AND m."row"=ANY(%s)'
        )
        if places:
            for no, scope, *spot in self._all(query, self._centre, list(places)):
                places[no].spots[scope] = Spot(*spot)

    def _scopes(self, names: set[str]) -> dict[str, int]:
        """The number of each scope; one that has none yet gets one."""
        query = "SELECT name, no FROM scope WHERE centre=%s AND name=ANY(%s)"
        found: dict[str, int] = dict(self._all(query, self._centre, sorted(names)))
        lacking = sorted(names - set(found))
        if lacking:
            query = "SELECT coalesce(max(no), 0) FROM scope WHERE centre=%s"
            last = self._one(query, self._centre)[0]
            numbers = {name: no for no, name in enumerate(lacking, last + 1)}
            lines = [(no, name) for name, no in numbers.items()]
            self._insert("scope (centre, no, name)", "int text", lines)
            found |= numbers
        return found

    def _insert(
        self, into: str, types: str, lines: Sequence[Sequence[Any]], more: str = ""
    ) -> None:
        """Write lines of this centre, in one statement: who stops in it holds no lock for long."""
        if lines:
            columns = ", ".join(f"%s::{type}[]" for type in types.split())
            query = f"INSERT INTO {into} SELECT %s, n.* FROM unnest({columns}) AS n {more}"
            self._do(query, self._centre, *_columns(lines))

    def _write_log(self, lines: Sequence[Line]) -> None:
        self._insert(
            "log (centre, seq, replica, lane, n, hash, raw, verdict, code, detail, received, chain,"
            " tags, crc)",
            "bigint text int bigint text bytea text text text bigint text text bigint",
            [(*msgspec.structs.astuple(one), one.crc) for one in lines],
        )

    def _write_rows(self, places: dict[Key, Place]) -> None:
        made = [(place.no, *key, *_values(place)) for key, place in places.items() if place.is_new]
        changed = [
            (place.no, *_values(place))
            for place in places.values()
            if place.row is not None and not place.is_new
        ]
        self._insert(
            '"row" (centre, no, entity, id, seq, parent, doc, history, authority, digest, removed,'
            " crc)",
            "bigint text text bigint text text text int bigint boolean bigint",
            made,
        )
        if changed:
            self._do(
                'UPDATE "row" r SET seq=n.seq, parent=n.parent, doc=n.doc, history=n.history,'
                " authority=n.authority, digest=n.digest, removed=n.removed, crc=n.crc"
                " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],"
                " %s::int[], %s::bigint[], %s::boolean[], %s::bigint[])"
                " AS n (no, seq, parent, doc, history, authority, digest, removed, crc)"
                " WHERE r.centre=%s AND r.no=n.no",
                *(*_columns(changed), self._centre),
            )

    def _write_spots(self, places: dict[Key, Place], scopes: dict[str, int]) -> None:
        spots = [
            (place.no, scopes[name], *msgspec.structs.astuple(place.spots[name]))
            for place in places.values()
            for name in place.moved
        ]
        self._insert(
            'member (centre, "row", scope, lane, seq, present)',
            "bigint int int bigint boolean",
            spots,
            'ON CONFLICT (centre, "row", scope) DO UPDATE'
            " SET lane=excluded.lane, seq=excluded.seq, present=excluded.present",
        )

    def _write_pairs(self, batch: Batch, scopes: dict[str, int]) -> None:
        query = "SELECT scope, lane, sum FROM pair WHERE centre=%s AND scope=ANY(%s)"
        lines = self._all(query, self._centre, list(scopes.values()))
        known = {(scope, lane): sum for scope, lane, sum in lines}
        pairs = []
        for (name, lane), moved in batch.pairs.items():
            sum = as_signed(known.get((scopes[name], lane), 0) + moved.delta)
            pairs.append((scopes[name], lane, moved.seq, sum))
        self._insert(
            "pair (centre, scope, lane, seq, sum)",
            "int int bigint bigint",
            pairs,
            "ON CONFLICT (centre, scope, lane) DO UPDATE SET seq=excluded.seq, sum=excluded.sum",
        )


def _kept(values: Sequence[Any]) -> list[Any]:
    """No text here can hold U+0000; nothing that the rules let in has it, but anybody may ask."""
    return [_kept_one(one) for one in values]


def _kept_one(value: Any) -> Any:
    if isinstance(value, list):
        return [_kept_one(one) for one in value]
    return spelled(value) if type(value) is str else value


def _values(place: Place) -> tuple[Any, ...]:
    """seq, parent, document, history, authority, digest, removed and checksum of a row."""
    if place.row is None or place.stored is None:
        return (0, None, None, None, 0, 0, False, 0)
    doc, history = encoded(place)
    told = (place.stored.parent, doc.decode(), history.decode() if history else None)
    authority, removed = place.stored.authority, place.row.removed
    crc = row_crc(doc, history, authority, removed)
    return (place.row.seq, *told, authority, place.digest, removed, crc)


def _columns(lines: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """The lines as one list a column."""
    return map(list, zip(*lines, strict=True))

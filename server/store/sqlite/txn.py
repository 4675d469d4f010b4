"""One transaction on one SQLite connection: what is read, and what a batch of commits writes."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import msgspec
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
from server.store.protocol import (
    Commit,
    Committed,
    Doc,
    Head,
    Slice,
    Span,
    Stand,
    Touched,
)
from sync.digest import WRAP, as_signed
from sync.known import Logged
from sync.rows import Key, Stored

log = structlog.get_logger()

WALKED = 200
"""Rows read at once on a walk over all of them."""

_BEGINS = "centre=? AND kind=? AND key>=? AND key<?"
_ROW = "r.entity, r.id, CAST(r.doc AS BLOB), CAST(r.history AS BLOB), r.authority, r.removed, r.crc"
_RECORD = "s.key, CAST(s.doc AS BLOB), s.crc"
_SCOPE = "(SELECT no FROM scope WHERE centre=? AND name=?)"

_encode = msgspec.json.encode


class SqliteTxn(BaseTxn):
    """One transaction on one connection."""

    def __init__(self, db: sqlite3.Connection, centre: str) -> None:
        super().__init__(centre)
        self._db = db

    def _read_head(self) -> Head:
        query = (
            "SELECT centre, realm, epoch, seq, chain, floor, durable, crc FROM head WHERE centre=?"
        )
        return head_of(self._db.execute(query, (self._centre,)).fetchone())

    def _write_head(self, head: Head) -> None:
        self._db.execute(
            "UPDATE head SET epoch=?, seq=?, chain=?, floor=?, durable=?, crc=? WHERE centre=?",
            (
                *(head.epoch, head.seq, head.chain, head.floor, head.durable),
                *(head_crc(head), self._centre),
            ),
        )

    def forget(self, after: int, upto: int, limit: int) -> int:
        span = (self._centre, after, upto)
        line = self._db.execute(
            "SELECT seq FROM ("
            "SELECT seq FROM member WHERE centre=?1 AND present=0 AND seq>?2 AND seq<=?3"
            " UNION ALL SELECT seq FROM row WHERE centre=?1 AND removed=1 AND seq>?2 AND seq<=?3"
            ") ORDER BY seq LIMIT 1 OFFSET ?4",
            (*span, limit),
        ).fetchone()
        span = (self._centre, after, line[0] if line else upto)
        self._db.execute(
            "DELETE FROM member WHERE centre=? AND present=0 AND seq>? AND seq<=?", span
        )
        self._db.execute(
            "DELETE FROM member WHERE row IN"
            " (SELECT no FROM row WHERE centre=? AND removed=1 AND seq>? AND seq<=?)",
            span,
        )
        return span[2]

    def stands(self, scopes: Iterable[str]) -> dict[tuple[str, int], Stand]:
        query = (
            "SELECT s.name, p.lane, p.seq, p.sum FROM json_each(?) w CROSS JOIN scope s"
            " ON s.centre=? AND s.name=w.value CROSS JOIN pair p ON p.scope=s.no"
        )
        lines = self._db.execute(query, (_json(list(scopes)), self._centre))
        return {(scope, lane): Stand(seq, sum % WRAP) for scope, lane, seq, sum in lines}

    def moved_since(self, seq: int) -> dict[tuple[str, int], int]:
        query = (
            "SELECT s.name, p.lane, p.seq FROM pair p CROSS JOIN scope s ON s.no=p.scope"
            " WHERE p.centre=? AND p.seq>?"
        )
        lines = self._db.execute(query, (self._centre, seq))
        return {(scope, lane): at for scope, lane, at in lines}

    def _received(self, seq: int) -> int:
        query = "SELECT received FROM log WHERE centre=? AND seq=?"
        found: int = self._db.execute(query, (self._centre, seq)).fetchone()[0]
        return found

    def words(self, dots: Iterable[str]) -> dict[str, bytes]:
        query = (
            "SELECT l.n, l.seq, l.raw, l.hash FROM json_each(?) w CROSS JOIN log l"
            " ON l.centre=? AND l.replica=? AND l.lane=? AND l.n=w.value WHERE l.raw IS NOT NULL"
        )
        found: dict[str, bytes] = {}
        for lane, numbers in by_lane(dots).items():
            lines = self._db.execute(query, (_json(numbers), self._centre, *lane))
            found |= words_of(lane, lines)
        return found

    def logged(self, dots: Iterable[str]) -> dict[str, Logged]:
        query = (
            "SELECT l.n, l.seq, l.hash, l.verdict, l.code, l.detail, l.tags, l.crc"
            " FROM json_each(?) w CROSS JOIN log l"
            " ON l.centre=? AND l.replica=? AND l.lane=? AND l.n=w.value"
        )
        found: dict[str, Logged] = {}
        for lane, numbers in by_lane(dots).items():
            lines = self._db.execute(query, (_json(numbers), self._centre, *lane))
            found |= logged_of(lane, lines)
        return found

    def rows(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        query = (
            f"SELECT {_ROW} FROM json_each(?) w CROSS JOIN row r"
            " ON r.centre=? AND r.entity=? AND r.id=w.value WHERE r.doc IS NOT NULL"
        )
        found = {}
        for entity, ids in by_entity(keys).items():
            for line in self._db.execute(query, (_json(ids), self._centre, entity)):
                found[entity, line[1]] = stored_of(line)
        return found

    def children(self, entity: str, parent: str | None) -> list[Stored]:
        query = f"SELECT {_ROW} FROM row r WHERE r.centre=? AND r.entity=?"
        values = [self._centre, entity]
        if parent is not None:
            query += " AND r.parent=?"
            values.append(parent)
        lines = self._db.execute(query + " AND r.doc IS NOT NULL ORDER BY r.id", values)
        return [stored_of(line) for line in lines]

    def families(self, entity: str, parents: Iterable[str]) -> list[Stored]:
        query = (
            f"SELECT {_ROW} FROM json_each(?) w CROSS JOIN row r"
            " ON r.centre=? AND r.entity=? AND r.parent=w.value WHERE r.doc IS NOT NULL"
        )
        lines = self._db.execute(query, (_json(list(parents)), self._centre, entity))
        return [stored_of(line) for line in lines]

    def walk(self, entity: str) -> Iterator[Stored]:
        query = (
            f"SELECT {_ROW} FROM row r WHERE r.centre=? AND r.entity=? AND r.id>?"
            " AND r.doc IS NOT NULL ORDER BY r.id LIMIT ?"
        )
        last = ""
        while lines := self._db.execute(query, (self._centre, entity, last, WALKED)).fetchall():
            for line in lines:
                stored = stored_of(line)
                yield stored
            last = stored.row.id

    def page(self, scope: str, lane: int, after: int, room: int) -> Slice:
        query = (
            "SELECT m.seq, m.present, r.entity, r.id, r.doc, r.history, r.authority, r.removed,"
            " r.crc FROM member m JOIN row r ON r.no=m.row"
            f" WHERE m.scope={_SCOPE} AND m.lane=? AND m.seq>?"
            " AND (CASE WHEN m.present THEN r.doc IS NOT NULL AND r.removed <= ? ELSE ? END)"
            " ORDER BY m.seq"
        )
        values = (self._centre, scope, lane, after, after > 0, after > 0)
        self._db.text_factory = bytes  # Nobody reads the documents here: they travel as they are.
        try:
            return page_of((scope, lane, after), room, self._db.execute(query, values))
        finally:
            self._db.text_factory = str

    def touched(self, scope: str, lane: int, after: int) -> Iterator[Touched]:
        query = (
            "SELECT r.entity, r.id, m.seq, m.present=0 OR r.removed FROM member m"
            f" JOIN row r ON r.no=m.row WHERE m.scope={_SCOPE} AND m.lane=? AND m.seq>?"
        )
        for entity, id, seq, gone in self._db.execute(query, (self._centre, scope, lane, after)):
            yield Touched((entity, id), seq, bool(gone))

    def walk_pair(self, scope: str, lane: int, low: Key) -> Iterator[tuple[Key, bytes]]:
        query = (
            "SELECT r.no FROM member m JOIN row r ON r.no=m.row"
            f" WHERE m.scope={_SCOPE} AND m.lane=? AND m.present=1"
            " AND (r.entity, r.id)>=(?, ?) AND r.doc IS NOT NULL AND r.removed=0"
            " ORDER BY r.entity, r.id"
        )
        one = f"SELECT {_ROW} FROM row r WHERE r.no=?"
        for (no,) in self._db.execute(query, (self._centre, scope, lane, *low)):
            line = self._db.execute(one, (no,)).fetchone()
            if is_sound(line):
                yield line[:2], line[2]
            else:
                log.error("damaged", entry="/".join(line[:2]))

    def now_ms(self) -> int:
        query = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        found: int = self._db.execute(query).fetchone()[0]
        return found

    def _read_records(self, kind: str, keys: Sequence[str]) -> Iterable[Record]:
        if len(keys) == 1:
            query = f"SELECT {_RECORD} FROM side s WHERE s.centre=? AND s.kind=? AND s.key=?"
            return self._db.execute(query, (self._centre, kind, keys[0]))
        query = (
            f"SELECT {_RECORD} FROM json_each(?) w CROSS JOIN side s"
            " ON s.centre=? AND s.kind=? AND s.key=w.value"
        )
        return self._db.execute(query, (_json(keys), self._centre, kind))

    def find_each(self, kind: str, prefixes: Iterable[str]) -> dict[str, Doc]:
        query = (
            f"SELECT {_RECORD} FROM json_each(?) w CROSS JOIN side s"
            " ON s.centre=? AND s.kind=? AND s.key>=w.value AND s.key<w.value||?"
        )
        lines = self._db.execute(query, (_json(list(prefixes)), self._centre, kind, LAST))
        return docs_of(kind, lines)

    def any_of(self, kind: str) -> bool:
        query = "SELECT 1 FROM side WHERE centre=? AND kind=? LIMIT 1"
        return self._db.execute(query, (self._centre, kind)).fetchone() is not None

    def some(self, span: Span, skip: int, limit: int) -> dict[str, Doc]:
        order = "DESC" if span.newest else "ASC"
        query = (
            f"SELECT {_RECORD} FROM side s WHERE {_BEGINS} ORDER BY key {order} LIMIT ? OFFSET ?"
        )
        lines = self._db.execute(query, (*self._bounds(span), limit, skip))
        return docs_of(span.kind, lines)

    def count_in(self, span: Span) -> int:
        query = f"SELECT count(*) FROM side WHERE {_BEGINS}"
        found: int = self._db.execute(query, self._bounds(span)).fetchone()[0]
        return found

    def _write_records(self, kind: str, records: Sequence[Record]) -> None:
        query = (
            "INSERT OR REPLACE INTO side (centre, kind, key, doc, crc)"
            " VALUES (?, ?, ?, CAST(? AS TEXT), ?)"
        )
        for record in records:
            self._db.execute(query, (self._centre, kind, *record))

    def _delete_record(self, kind: str, key: str) -> None:
        self._db.execute(
            "DELETE FROM side WHERE centre=? AND kind=? AND key=?", (self._centre, kind, key)
        )

    def commit(self, commits: Sequence[Commit]) -> list[Committed]:
        if not commits:
            return []
        head = self.head()
        places = self._places(keys_of(commits))
        batch = fold(head, commits, places)
        self._write_log(batch.lines)
        self._write_places(places)
        self._write_pairs(batch)
        self._keep_head(replace(head, seq=batch.done[-1].seq, chain=batch.chain))
        return batch.done

    def _places(self, keys: Sequence[Key]) -> dict[Key, Place]:
        """Where these rows stand; one that has no number yet gets the next one."""
        query = (
            "SELECT r.id, r.no, r.digest FROM json_each(?) w CROSS JOIN row r"
            " ON r.centre=? AND r.entity=? AND r.id=w.value"
        )
        places: dict[Key, Place] = {}
        for entity, ids in by_entity(keys).items():
            for id, *where in self._db.execute(query, (_json(ids), self._centre, entity)):
                places[entity, id] = Place(*where)
        self._find_spots({place.no: place for place in places.values()})
        next_no = self._db.execute("SELECT ifnull(max(no), 0) + 1 FROM row").fetchone()[0]
        for no, key in enumerate((key for key in keys if key not in places), next_no):
            places[key] = Place(no, is_new=True)
        return places

    def _find_spots(self, places: dict[int, Place]) -> None:
        if not places:
            return
        query = (
            "SELECT m.row, s.name, m.lane, m.seq, m.present FROM json_each(?) w"
            " CROSS JOIN member m ON m.row=w.value CROSS JOIN scope s ON s.no=m.scope"
        )
        for no, scope, lane, seq, present in self._db.execute(query, (_json(list(places)),)):
            places[no].spots[scope] = Spot(lane, seq, bool(present))

    def _write_log(self, lines: Sequence[Line]) -> None:
        self._db.executemany(
            "INSERT INTO log (centre, seq, replica, lane, n, hash, raw, verdict, code, detail,"
            " received, chain, tags, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(self._centre, *msgspec.structs.astuple(one), one.crc) for one in lines],
        )

    def _write_places(self, places: dict[Key, Place]) -> None:
        """Write what changed: rows, the numbers that rows not yet here have, and spots."""
        made, changed, spots = [], [], []
        scopes = self._scopes({name for place in places.values() for name in place.moved})
        for (entity, id), place in places.items():
            values = self._row_values(place)
            if place.is_new:
                made.append((place.no, self._centre, entity, id, *values))
            elif place.row is not None:
                changed.append((*values, place.no))
            for name in place.moved:
                spot = place.spots[name]
                where = (place.no, scopes[name], spot.lane)
                spots.append((self._centre, *where, spot.seq, int(spot.present)))
        self._db.executemany(
            "INSERT INTO row (no, centre, entity, id, seq, parent, doc, history, authority, digest,"
            " removed, crc) VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT),"
            " ?, ?, ?, ?)",
            made,
        )
        self._db.executemany(
            "UPDATE row SET seq=?, parent=?, doc=CAST(? AS TEXT), history=CAST(? AS TEXT),"
            " authority=?, digest=?, removed=?, crc=? WHERE no=?",
            changed,
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO member (centre, row, scope, lane, seq, present)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            spots,
        )

    def _row_values(self, place: Place) -> tuple[object, ...]:
        if place.row is None or place.stored is None:
            return (0, None, None, None, 0, 0, 0, 0)
        doc, history = encoded(place)
        parent, authority = place.stored.parent, place.stored.authority
        row = place.row
        crc = row_crc(doc, history, authority, row.removed)
        return (row.seq, parent, doc, history, authority, place.digest, int(row.removed), crc)

    def _scopes(self, names: set[str]) -> dict[str, int]:
        """The number of each scope; one that has none yet gets one."""
        query = (
            "SELECT s.name, s.no FROM json_each(?) w CROSS JOIN scope s"
            " ON s.centre=? AND s.name=w.value"
        )
        found = dict(self._db.execute(query, (_json(sorted(names)), self._centre)).fetchall())
        for name in sorted(names - set(found)):
            self._db.execute("INSERT INTO scope (centre, name) VALUES (?, ?)", (self._centre, name))
            found[name] = self._db.execute("SELECT last_insert_rowid()").fetchone()[0]
        return found

    def _write_pairs(self, batch: Batch) -> None:
        scopes = self._scopes({scope for scope, _ in batch.pairs})
        for (scope, lane), moved in batch.pairs.items():
            pair = (scopes[scope], lane)
            line = self._db.execute("SELECT sum FROM pair WHERE scope=? AND lane=?", pair)
            known = line.fetchone() or (0,)
            self._db.execute(
                "INSERT OR REPLACE INTO pair (centre, scope, lane, seq, sum)"
                " VALUES (?, ?, ?, ?, ?)",
                (self._centre, *pair, moved.seq, as_signed(known[0] + moved.delta)),
            )


def _json(values: Sequence[object]) -> str:
    """A list for `json_each`: one statement looks up all of it. SQLite's ends a text at U+0000."""
    text = _encode(values).decode()
    if "\\u0000" not in text:
        return text
    return _encode([spelled(v) if isinstance(v, str) else v for v in values]).decode()

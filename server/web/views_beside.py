"""What is kept beside the log: words without a number, and rows that only a device still has."""

from typing import Any

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from schema.codes import Code
from schema.wire import Row
from server.node import from_b64url
from server.store.protocol import Doc, Read, Txn
from server.waiting import (
    PAGE_LINES,
    SEEN,
    WORDS,
    done_lately,
    list_beside,
    waiting_part,
    waits_as,
)
from server.web.contents import Content, contents_of, plain, row_content
from server.web.lookup import Lookup
from server.web.paging import Listed
from server.web.views_unapplied import Who, who, written
from sync.mutation import Refusal, decode_mutation, split_dot
from sync.quarantine import row_id


class Beside(Struct, frozen=True):
    """Words without a number (`kept`) or a row (`seen_only`), with the device that brought it."""

    kind: str
    id: str
    who: Who
    arrived: int
    written: int | None = None
    contents: list[Content] = []
    intent: str = ""
    code: str = ""
    unread: str = ""
    """What came, where it is nothing that can be read."""
    by: str = ""
    """Who wrote a row that the device of somebody else reports."""
    closed_by: str = ""
    closed_at: int | None = None
    note: str = ""


class KeptBeside(Struct, frozen=True):
    """A page of what waits of either kind, oldest first; `done` was closed of late."""

    words: Listed[Beside]
    seen: Listed[Beside]
    done: list[Beside]


def beside(txn: Read, words_page: int, seen_page: int) -> KeptBeside:
    """Rows that signed mutations have brought back by now are not among them."""
    look = Lookup(txn)
    closed = [
        (kind, key, doc)
        for kind in (WORDS, SEEN)
        for key in done_lately(txn, kind)
        if (doc := txn.get(kind, key))
    ]
    closed.sort(key=lambda one: one[2]["closed_at"], reverse=True)
    return KeptBeside(
        _page(look, WORDS, words_page),
        _page(look, SEEN, seen_page),
        [_shown(look, *one) for one in closed[:PAGE_LINES]],
    )


def _page(look: Lookup, kind: str, page: int) -> Listed[Beside]:
    part = waiting_part(look.txn, kind, page)
    docs = ((key, look.txn.get(kind, key)) for key in part.of)
    return Listed([_shown(look, kind, key, doc) for key, doc in docs if doc], part)


def one_beside(txn: Read, kind: str, id: str) -> Beside | None:
    """None when nothing that waits has this id."""
    found = _find(txn, kind, id)
    return _shown(Lookup(txn), kind, *found) if found else None


def close_beside(txn: Txn, kind: str, id: str, told: Doc) -> bool:
    """Keep who closed it, when and with what note; False when nothing that waits has this id."""
    found = _find(txn, kind, id)
    if found:
        key, doc = found
        txn.put(kind, key, doc | told)
        list_beside(txn, kind, key, doc | told)
    return found is not None


def _find(txn: Read, kind: str, id: str) -> tuple[str, Doc] | None:
    key = waits_as(txn, kind, id)
    doc = txn.get(kind, key) if key else None
    return (key, doc) if key and doc else None


def _shown(look: Lookup, kind: str, key: str, doc: Doc) -> Beside:
    one = _of_words(look, key, doc) if kind == WORDS else _of_row(look, key, doc)
    return replace(
        one,
        closed_by=look.person(doc.get("closed_by")),
        closed_at=doc.get("closed_at"),
        note=doc.get("note") or "",
    )


def _of_words(look: Lookup, key: str, doc: Doc) -> Beside:
    raw, id, dot = from_b64url(doc["raw"]), row_id(key), key.partition(" ")[0]
    try:
        m = decode_mutation(raw)
    except Refusal:
        sender = who(look, split_dot(dot)[0] if dot else "")
        unread = plain(raw.decode(errors="replace"))
        return Beside(WORDS, id, sender, doc["at"], code=doc["code"], unread=unread)
    changes: list[dict[str, Any]] = [
        {"op": one.op, "entity": one.entity, "id": one.id, "fields": one.fields}
        for one in m.changes
    ]
    device = look.txn.get("replica", m.replica)
    proven = device and device["actor"] == m.actor and doc["code"] != Code.SIGNATURE
    return Beside(
        WORDS,
        id,
        replace(who(look, m.replica, m.actor), unproven=not proven),
        doc["at"],
        written(m.stamp),
        contents_of(look, changes),
        m.intent,
        doc["code"],
    )


def _of_row(look: Lookup, key: str, doc: Doc) -> Beside:
    found = Beside(SEEN, row_id(key), who(look, doc["replica"]), doc["at"])
    try:
        row = convert(doc["row"], Row)
    except ValidationError:
        return replace(found, unread=plain(doc["row"]))
    return replace(
        found,
        written=written(row.stamp),
        contents=[row_content(look, row)],
        by=look.person(row.actor),
    )

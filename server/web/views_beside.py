"""What is kept beside the log: words without a number, and rows that only a device still has."""

from typing import Any

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace

from schema.codes import Code
from schema.wire import Row
from server.node import from_b64url
from server.store.protocol import Doc, Read, Txn
from server.web.contents import Content, contents_of, plain, row_content
from server.web.lookup import Lookup
from server.web.views_unapplied import DONE_SHOWN_MAX, Who, who, written
from sync.mutation import Refusal, decode_mutation, split_dot
from sync.quarantine import row_id

OPEN_SHOWN_MAX = 200
WORDS = "kept"
SEEN = "seen_only"


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
    """What waits, oldest first and no more than a page can bear; `done` was closed of late."""

    words: list[Beside]
    seen: list[Beside]
    done: list[Beside]


def beside(txn: Read) -> KeptBeside:
    """Rows that signed mutations have brought back by now are not among them."""
    look = Lookup(txn)
    found = {WORDS: txn.find(WORDS), SEEN: txn.find(SEEN)}
    closed = [
        (kind, key, doc)
        for kind, docs in found.items()
        for key, doc in docs.items()
        if doc.get("closed_at")
    ]
    closed.sort(key=lambda one: one[2]["closed_at"], reverse=True)
    words, seen = _open(found[WORDS]), _open(_unexplained(txn, found[SEEN]))
    return KeptBeside(
        [_shown(look, WORDS, *one) for one in words[:OPEN_SHOWN_MAX]],
        [_shown(look, SEEN, *one) for one in seen[:OPEN_SHOWN_MAX]],
        [_shown(look, *one) for one in closed[:DONE_SHOWN_MAX]],
    )


def waiting_beside(txn: Read) -> int:
    """How many of both kinds wait for a person."""
    return len(_open(txn.find(WORDS))) + len(_open(_unexplained(txn, txn.find(SEEN))))


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
    return found is not None


def _find(txn: Read, kind: str, id: str) -> tuple[str, Doc] | None:
    return next((one for one in _open(txn.find(kind)) if row_id(one[0]) == id), None)


def _open(docs: dict[str, Doc]) -> list[tuple[str, Doc]]:
    waits = [(key, doc) for key, doc in docs.items() if not doc.get("closed_at")]
    return sorted(waits, key=lambda one: (one[1]["at"], one[0]))


def _unexplained(txn: Read, docs: dict[str, Doc]) -> dict[str, Doc]:
    dots = {key: _dots(doc["row"]) for key, doc in _open(docs)}
    here = set(txn.logged({dot for of_row in dots.values() for dot in of_row}))
    return {key: docs[key] for key, of_row in dots.items() if not of_row <= here}


def _dots(row: Doc) -> set[str]:
    return {row["dot"], *(dot for write in row["writes"].values() for dot in write[1:])}


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

"""What judging and pages read of a machine: the newest filings and rulings of each person.

Listed with every write, so that little is read however much was ever filed or decided.
"""

from collections.abc import Iterable

from schema.wire import Row
from server.store.protocol import Doc, Read, Txn
from sync.filings import ORDERS
from sync.moves import EACH_MAX, PEOPLE_MAX
from sync.rows import Stored

NEWEST, OPEN = "newest", "open"
"""Of each machine the newest rows by person; of each row the Conflicts that wait."""

CONFLICT = "conflict"


def list_newest(txn: Txn, rows: Iterable[Row]) -> None:
    """Afterwards each of these is found by its machine, or by the row it is about, as it counts."""
    for row in rows:
        if row.entity in ORDERS:
            _list_newest(txn, row)
        elif row.entity == CONFLICT:
            _list_open(txn, row)


def newest(txn: Read, entity: str, parent: str) -> list[Stored]:
    """All that counts of a machine's filings or rulings; of the Conflicts about a row, the open."""
    if entity == CONFLICT:
        ids = [key.removeprefix(f"{parent} ") for key in txn.find(OPEN, f"{parent} ")]
    else:
        doc = txn.get(NEWEST, f"{entity} {parent}") or {}
        people = sorted(doc.values(), key=lambda mine: mine[-1])[-PEOPLE_MAX:]
        ids = [id for mine in people for *_, id in mine]
    return [*txn.rows((entity, id) for id in ids).values()]


def is_listed(entity: str) -> bool:
    """True for what `newest` finds."""
    return entity in ORDERS or entity == CONFLICT


def index_machines(txn: Txn) -> None:
    """What counts of every machine is listed."""
    for entity in (*ORDERS, CONFLICT):
        list_newest(txn, (stored.row for stored in txn.walk(entity)))


def _list_newest(txn: Txn, row: Row) -> None:
    key = f"{row.entity} {row.fields['equipment']}"
    doc: Doc = txn.get(NEWEST, key) or {}
    mine = {tuple(one) for one in doc.get(row.actor, [])} | {ORDERS[row.entity](row)}
    txn.put(NEWEST, key, {**doc, row.actor: sorted(mine)[-EACH_MAX:]})


def _list_open(txn: Txn, row: Row) -> None:
    key = f"{row.fields['row_id']} {row.id}"
    if row.fields["state"] == "open":
        txn.put(OPEN, key, {})
    else:
        txn.delete(OPEN, key)

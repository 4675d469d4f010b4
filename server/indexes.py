"""Lists beside the log by which little is read. A database of an earlier version gets them."""

from server.blobs import index_photos
from server.held import index_held
from server.holders import index_holders
from server.machines import index_machines
from server.store.protocol import Txn
from server.waiting import index_waiting

INDEXES = {
    "held": index_held,
    "waiting": index_waiting,
    "holders": index_holders,
    "photos": index_photos,
    "machines": index_machines,
}


def make_indexes(txn: Txn) -> None:
    """Afterwards the database has every index. What it has is not made again."""
    made = txn.get("node", "indexes") or {}
    lacking = {name: make for name, make in INDEXES.items() if name not in made}
    for make in lacking.values():
        make(txn)
    if lacking:
        txn.put("node", "indexes", {**made, **dict.fromkeys(lacking, True)})

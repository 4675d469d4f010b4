"""A log's identity: a restored backup begins a new epoch, and knows where it left the old."""

from collections.abc import Callable
from secrets import token_bytes

from msgspec.structs import replace

from server.lanes import NOT_HEARD_YET
from server.store.protocol import Head, Read, Txn

NUMBERS_SKIPPED = 100
"""Human numbers that were given after the backup was taken are not given to somebody else."""


def begin_epoch(
    txn: Txn, replica: str, restores: int, random: Callable[[int], bytes] = token_bytes
) -> Head:
    """Afterwards this log is another one than before, from its present end on.

    The node writes under `replica`, an id never used before. `restores` counts this one too, and
    is kept outside the database: the same backup may be restored twice. What the backup lacks is
    offered again by the devices that hold it; no time that the old log knew is held against them.
    """
    head = txn.head()
    for old, doc in {**txn.find("epoch"), head.epoch: {"fork": head.seq}}.items():
        txn.put("epoch", old, {"fork": min(doc["fork"], head.seq)})
    begun = replace(head, epoch=f"{1 + restores}-{random(8).hex()}")
    txn.set_head(begun)
    txn.put("node", "self", {"replica": replica})
    txn.delete("node", "tips")
    for key, doc in txn.find("replica").items():
        txn.put("replica", key, {**doc, "returning_until": NOT_HEARD_YET})
    skipped = NUMBERS_SKIPPED * restores
    txn.put("number_skip", "", {"last": skipped})
    for key, doc in txn.find("number").items():
        txn.put("number", key, {"last": doc["last"] + skipped})
    return begun


def fork_of(txn: Read, epoch: str) -> int:
    """The seq up to which the log of an older epoch and the present one are the same."""
    doc = txn.get("epoch", epoch)
    return int(doc["fork"]) if doc else 0

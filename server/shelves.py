"""How much is kept of words without a number: each shelf has its own room, and full means full."""

from msgspec import Struct

from server.store.protocol import Doc, Txn

_FILLED = "shelf"


class Shelf(Struct, frozen=True):
    """Where words are kept, and how many may wait there for a person at once."""

    name: str
    room: int


OWN_ROOM = 10_000
"""Words of a device that its own key proves: more than a long outage leaves in an outbox."""

UNPROVEN_ROOM = 500
"""Words that came with a device's token, and that its key does not prove."""

STRANGERS = Shelf("?", 2_000)
"""Words of whoever proves nothing that this centre knows, all of them together."""


def own_shelf(replica: str) -> Shelf:
    """That of a device whose key has proved the words: nobody else can fill it."""
    return Shelf(replica, OWN_ROOM)


def unproven_shelf(replica: str) -> Shelf:
    """That of the device whose token brought the words."""
    return Shelf(f"? {replica}", UNPROVEN_ROOM)


def put_on(txn: Txn, shelf: Shelf) -> bool:
    """Afterwards one more waits on the shelf; False when it is full, and nothing changed."""
    filled = _filled(txn, shelf.name)
    if filled >= shelf.room:
        return False
    txn.put(_FILLED, shelf.name, {"n": filled + 1})
    return True


def take_off(txn: Txn, kept: Doc) -> None:
    """A person dealt with what is kept: its place is free. An earlier version named no shelf."""
    if name := kept.get("shelf"):
        txn.put(_FILLED, name, {"n": _filled(txn, name) - 1})


def _filled(txn: Txn, name: str) -> int:
    filled: int = (txn.get(_FILLED, name) or {"n": 0})["n"]
    return filled

"""The devices of a person, found without a look at everybody's, and the scopes each is granted."""

from schema.scopes import granted
from server.store.protocol import Doc, Read, Txn, walk_kind

REPLICA = "replica"
_HOLDER = "holder"


def note_holder(txn: Txn, actor: str, replica: str) -> None:
    """This person works with this device, for as long as it is enrolled."""
    txn.put(_HOLDER, f"{actor} {replica}", {"replica": replica})


def replicas_of(txn: Read, actor: str) -> dict[str, Doc]:
    """The records of a person's devices, by replica id."""
    lines = txn.find(_HOLDER, f"{actor} ").values()
    found = {line["replica"]: txn.get(REPLICA, line["replica"]) for line in lines}
    return {key: doc for key, doc in found.items() if doc and doc["actor"] == actor}


def index_holders(txn: Txn) -> None:
    """Everybody's devices are found by their holder."""
    for replica, doc in walk_kind(txn, REPLICA):
        note_holder(txn, doc["actor"], replica)


def standing(doc: Doc) -> tuple[str, ...]:
    """The scopes that a device's record grants it now."""
    return tuple(one["scope"] for one in doc["grants"] if one["to_seq"] is None)


def regranted(doc: Doc, replica: str, unit: str, seq: int) -> Doc:
    """A device's record once its holder works with it for `unit` (for none: ""), from `seq` on."""
    own = (f"actor/{doc['actor']}", f"device/{replica}")  # What became of their words.
    scopes = granted(doc["kind"], unit, doc["actor"], replica) if unit else own
    grants = [
        one if one["to_seq"] is not None or one["scope"] in scopes else {**one, "to_seq": seq}
        for one in doc["grants"]
    ]
    grants += [
        {"scope": scope, "from_seq": seq, "to_seq": None}
        for scope in scopes
        if scope not in standing(doc)
    ]
    return {**doc, "unit": unit or doc["unit"], "grants": grants}

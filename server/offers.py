"""After a restore: what devices offer again, and what nobody can prove any more."""

from msgspec import Struct, to_builtins

from schema.codes import Code
from schema.fields import is_id
from schema.versions import MUTATION_BYTES_MAX, N_MAX
from schema.wire import Proof, Row, Verdict
from server.node import public_key, verifies
from server.store.protocol import Doc, Read, Txn
from server.verify import DOT, Checked, chained
from server.waiting import SEEN, dots_of, list_beside
from server.wire import encode
from sync.known import Arrival
from sync.mutation import ID_CHARS_MAX, Refusal, decode_mutation, hash_of, signing_bytes

OFFERS_MAX = 50
DOT_CHARS_MAX = 80
SEEN_KEPT_MAX = 10_000
SEEN_PER_REPLICA_MAX = 1_000
SEEN_DOTS_MAX = 200


class Offered(Struct):
    """Offers whose signature verifies, a verdict for each other one, and keys of nodes found out.

    A node that lived between two restores of one backup is not remembered, but its key is ours.
    """

    arrivals: list[Arrival] = []
    bad: list[Verdict] = []
    nodes: dict[str, Doc] = {}

    def ready(self, txn: Txn) -> Checked:
        """Under the lock: what is to be judged. The node's own people are loaded with it."""
        for replica, key in self.nodes.items():
            txn.put("node_key", replica, key)
        return chained(txn, Checked(self.arrivals))


def checked_offers(txn: Read, offers: list[Proof], realm: str) -> Offered:
    """Prove each offer by the key of a node of this centre: devices send their own words anew."""
    nodes = txn.find("node_key")
    found = Offered()
    for offer in sorted(offers[:OFFERS_MAX], key=lambda one: (one.replica, one.lane, one.n)):
        arrival = _read(offer, realm)
        owners = [nodes[offer.replica]] if offer.replica in nodes else list(nodes.values())
        key = next((one["key"] for one in owners if arrival and _proves(one, arrival)), None)
        if arrival is None or key is None:
            dot = f"{offer.replica}/{offer.lane}/{offer.n}"[:DOT_CHARS_MAX]
            hash = hash_of(offer.raw.encode())
            found.bad.append(Verdict(dot, hash, "refused", 0, Code.SIGNATURE))
            continue
        found.nodes[offer.replica] = {"key": key}
        found.arrivals.append(arrival)
    return found


def _read(offer: Proof, realm: str) -> Arrival | None:
    raw = offer.raw.encode()
    try:
        mutation = decode_mutation(raw)
    except Refusal:
        return None
    named = (mutation.replica, mutation.lane, mutation.n, mutation.realm)
    if named != (offer.replica, offer.lane, offer.n, realm):
        return None
    dot = f"{mutation.replica}/{mutation.lane}/{mutation.n}"
    if not DOT.fullmatch(dot) or mutation.n > N_MAX or len(raw) > MUTATION_BYTES_MAX:
        return None
    return Arrival(mutation, raw, hash_of(raw), trusted=True, sig=offer.sig, reoffered=True)


def _proves(owner: Doc, arrival: Arrival) -> bool:
    m = arrival.mutation
    signed = signing_bytes(m.realm, m.replica, m.lane, m.n, arrival.hash)
    return verifies(public_key(owner["key"]), arrival.sig, signed)


def note_seen(txn: Txn, rows: list[Row], replica: str, now_ms: int) -> None:
    """Keep rows that stand on a device and that nothing here explains, for a person to see.

    Nothing is kept where no log was ever lost, nor more of one device than any can have seen.
    """
    if not txn.count("epoch", ""):
        return
    kept = (txn.get("seen_count", replica) or {"n": 0})["n"]
    for row in rows:
        if not (is_id(row.id, ID_CHARS_MAX) and is_id(row.entity, ID_CHARS_MAX)):
            continue
        if kept >= SEEN_PER_REPLICA_MAX or txn.count(SEEN, "") >= SEEN_KEPT_MAX:
            break
        told = {"row": to_builtins(row), "replica": replica, "at": now_ms}
        dots, key = dots_of(told["row"]), f"{row.entity}/{row.id}"
        if len(dots) > SEEN_DOTS_MAX or not all(map(DOT.fullmatch, dots)):
            continue
        if txn.get(SEEN, key) or dots <= set(txn.logged(dots)):
            continue
        if len(encode(told)) <= MUTATION_BYTES_MAX:
            txn.put(SEEN, key, told)
            list_beside(txn, SEEN, key, told)
            kept += 1
    txn.put("seen_count", replica, {"n": kept})

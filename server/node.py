"""The centre's own replica: what dispatchers do is signed and chained like a phone's work."""

import base64
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from msgspec import Struct
from msgspec.structs import replace

from schema.codes import Code
from schema.intents import INTENTS
from schema.scopes import lane_of
from schema.wire import Change, Mutation
from server.data_folder import Trouble, write_private
from server.errors import Fault
from server.store.protocol import Txn
from sync.known import Arrival
from sync.mutation import FIRST_PREV, encode_mutation, hash_of, signing_bytes
from sync.stamp import Stamp, decode_stamp, next_stamp

SIGNATURE_BYTES = 64
POINT_BYTES = 65


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text: str) -> bytes:
    """The bytes of `b64url`. ValueError when it is none."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@lru_cache(maxsize=4_096)
def public_key(raw: str) -> ec.EllipticCurvePublicKey:
    """The P-256 key of an uncompressed point in base64url. Fault `bad_key` when it is none."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_b64url(raw))
    except ValueError:
        raise Fault(Code.KEY) from None


def verifies(key: ec.EllipticCurvePublicKey, sig: str, data: bytes) -> bool:
    """True when `sig` (raw r‖s, 64 bytes, base64url) is this key's ECDSA-SHA-256 over `data`."""
    try:
        raw = from_b64url(sig)
        if len(raw) != SIGNATURE_BYTES:
            return False
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(der, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


class Node(Struct):
    """The node's replica id and its signing key."""

    replica: str
    key: ec.EllipticCurvePrivateKey

    def sign(self, data: bytes) -> str:
        """Raw r‖s in base64url, as devices write it."""
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    @property
    def public(self) -> str:
        """The key that proves this node's mutations, as devices send theirs."""
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return b64url(point)


def load_node(path: Path, replica: str) -> Node:
    """The node's key from its file. Made on first use, and on disk before it signs anything.

    Trouble `key` for a file that holds none.
    """
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, pem)
    return Node(replica, read_key(path))


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in this file. Trouble `key` when it holds none."""
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    except ValueError:
        raise Trouble("key", path=path) from None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise Trouble("key", path=path)
    return loaded


def note_key(txn: Txn, node: Node, fresh: Callable[[], str], shared: bool) -> Node:
    """Keep the key that proves what this node writes; the node as it writes from now on.

    What was signed by a key that is lost stays proved by that one: the node goes on under a
    `fresh` replica id. Trouble `other_key` on a `shared` log, where others still sign with it.
    """
    known = txn.get("node_key", node.replica)
    if known and known["key"] != node.public:
        if shared:
            raise Trouble("other_key")
        node = replace(node, replica=fresh())
        txn.put("node", "self", {"replica": node.replica})
        txn.delete("node", "tips")
    txn.put("node_key", node.replica, {"key": node.public})
    return node


NODE_SESSION = "node"
"""The session of what the node does by itself."""


class Wish(Struct, frozen=True):
    """What somebody at the centre wants done, before it has a number and a stamp."""

    actor: str
    session: str
    intent: str
    changes: tuple[Change, ...]
    base: dict[str, dict[str, tuple[str, ...]]] = {}
    after: tuple[str, ...] = ()


def mutations_of(
    node: Node, tips: dict[str, Any], wish: Wish, realm: str, now_ms: int
) -> tuple[list[Arrival], dict[str, Any]]:
    """The next mutations of the node, signed, and the tips after them (kept by the caller).

    Where lane 0 has a part in it, it is one mutation per row, so that a device can be given the
    signed bytes of its own rows, which name no others; all of them stand, or none.
    """
    urgent = any(lane_of(change.entity) == 0 for change in wish.changes)
    if not urgent or len(wish.changes) == 1:
        arrival, tips = _mutation(node, tips, wish, realm, now_ms)
        return [arrival], tips
    arrivals: list[Arrival] = []
    whole: Mutation | None = None
    for change in wish.changes:
        row = f"{change.entity}/{change.id}"
        base = {row: wish.base[row]} if row in wish.base else {}
        part = replace(wish, changes=(change,), base=base)
        arrival, tips = _mutation(node, tips, part, realm, now_ms)
        whole = whole or replace(arrival.mutation, changes=wish.changes, base=wish.base)
        arrivals.append(replace(arrival, whole=whole))
    return arrivals, tips


def _mutation(
    node: Node, tips: dict[str, Any], wish: Wish, realm: str, now_ms: int
) -> tuple[Arrival, dict[str, Any]]:
    lane = INTENTS[wish.intent].lane
    tip = tips.get(str(lane)) or {"n": 0, "hash": FIRST_PREV}
    last = decode_stamp(tips["stamp"]) if "stamp" in tips else Stamp(0, 0, node.replica)
    stamp = next_stamp(last, now_ms).encode()
    mutation = Mutation(
        replica=node.replica,
        lane=lane,
        n=tip["n"] + 1,
        prev=tip["hash"],
        realm=realm,
        stamp=stamp,
        session=wish.session,
        actor=wish.actor,
        intent=wish.intent,
        changes=wish.changes,
        base=wish.base,
        after=wish.after,
    )
    raw = encode_mutation(mutation)
    hash = hash_of(raw)
    sig = node.sign(signing_bytes(realm, node.replica, lane, mutation.n, hash))
    after = {**tips, str(lane): {"n": mutation.n, "hash": hash}, "stamp": stamp}
    return Arrival(mutation, raw, hash, trusted=True, sig=sig), after

"""Whose signature covers a mutation: the run's record, and the public key of its replica."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from msgspec import Struct

from server.errors import Fault
from server.node import public_key, verifies
from server.store.inspect import CannotRead, Inspector
from sync.mutation import signing_bytes, split_dot


class _Run(Struct):
    sig: str


class _Owner(Struct):
    key: str


class Signatures:
    """The signatures of one realm's runs, beside a database that they are read from."""

    def __init__(self, inspector: Inspector, realm: str) -> None:
        self._inspector = inspector
        self._realm = realm
        self._keys: dict[str, EllipticCurvePublicKey | None] = {}

    def sig_of(self, dot: str) -> str | None:
        """The signature of the run that ends with this mutation. None where none is kept."""
        try:
            doc = self._inspector.get("run", dot)
            return msgspec.json.decode(doc, type=_Run).sig if doc else None
        except (CannotRead, ValueError, RecursionError):
            return None  # The look at the server's own records names it.

    def public(self, replica: str) -> str | None:
        """The public key that a replica was enrolled with, or a node's; None where none is kept."""
        for kind in ("node_key", "replica"):
            try:
                doc = self._inspector.get(kind, replica)
                if doc:
                    return msgspec.json.decode(doc, type=_Owner).key
            except (CannotRead, ValueError, RecursionError):
                continue
        return None

    def has_key(self, replica: str) -> bool:
        """True when the replica's key is kept and is one."""
        if replica not in self._keys:
            told = self.public(replica)
            try:
                self._keys[replica] = public_key(told) if told else None
            except Fault:
                self._keys[replica] = None
        return self._keys[replica] is not None

    def proves(self, dot: str, hash: str, sig: str) -> bool:
        """True when `sig` is the replica's own over the run that ends with this mutation."""
        replica, lane, n = split_dot(dot)
        key = self._keys.get(replica) if self.has_key(replica) else None
        return key is not None and verifies(
            key, sig, signing_bytes(self._realm, replica, lane, n, hash)
        )

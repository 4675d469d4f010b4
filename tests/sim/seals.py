"""Keys of the simulation: a keyed hash in most seeds, real P-256 in some."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any
from unittest.mock import Mock, patch

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from server.node import Node, b64url, from_b64url
from server.snapshots import MemoryShelf

GONE_MS = 3_600_000
"""How long tombstones are told here; in the product it is months."""

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Seal:
    """A key pair that only looks like one: who knows `public` can sign, but nobody here forges."""

    def __init__(self, secret: bytes) -> None:
        point = hashlib.sha512(secret).digest()
        self.public = b64url(b"\x04" + point)

    def sign(self, data: bytes) -> str:
        return _mark(self.public, data)


class P256Seal:
    """A real key pair, the same for the same secret."""

    def __init__(self, secret: bytes) -> None:
        number = int.from_bytes(hashlib.sha512(secret).digest(), "big") % (CURVE_ORDER - 1) + 1
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.public = b64url(point)

    def sign(self, data: bytes) -> str:
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


class SimNode(Node):
    """The centre's node, signing with a seal of the simulation."""

    seal: Any = None

    def sign(self, data: bytes) -> str:
        sig: str = self.seal.sign(data)
        return sig

    @property
    def public(self) -> str:
        key: str = self.seal.public
        return key


async def _at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    """There is one thread."""
    return work(*arguments)


def _mark(public: str, data: bytes) -> str:
    return b64url(hashlib.sha512(public.encode() + data).digest())


def _is_marked(key: str, sig: str, data: bytes) -> bool:
    return sig == _mark(key, data)


def _looks_like_a_key(raw: str) -> str:
    assert len(from_b64url(raw)) == 65
    return raw


class Ids:
    """UUIDv7 whose random part is drawn from the seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self, now_ms: int) -> str:
        value = (now_ms & (2**48 - 1)) << 80 | 7 << 76 | self._random.getrandbits(12) << 64
        value |= 2 << 62 | self._random.getrandbits(62)
        text = f"{value:032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@contextmanager
def installed(
    real: bool, random: Random, snapshot_from: int = 128 * 1024
) -> Iterator[Callable[[bytes], Any]]:
    """Inside, the server draws ids from `random` and takes these keys. Gives a maker of keys.

    Pairs of `snapshot_from` bytes are told by snapshot; tombstones are told for an hour.
    """
    kind = P256Seal if real else Seal
    ids = Ids(random)
    places: dict[str, Any] = {
        "server.engine.FolderShelf": lambda folder: MemoryShelf(),
        "server.engine.asyncio.to_thread": _at_once,
        "server.engine.GONE_MS": GONE_MS,
        "server.pull.SNAPSHOT_FROM_BYTES": snapshot_from,
        "server.snapshots.PART_BYTES": snapshot_from,
        "server.snapshots.TAIL_BYTES": snapshot_from // 4,
        "server.engine.uuid7": ids,
        "server.engine.log": Mock(),
        "server.accounts.enrolment.uuid7": ids,
        "server.routes.blob.uuid7": ids,
        "server.engine.load_node": lambda path, replica: SimNode(
            replica, None, kind(b"the key file of the centre")
        ),
    }
    if not real:
        places |= {
            "server.verify.public_key": _looks_like_a_key,
            "server.offers.public_key": _looks_like_a_key,
            "server.accounts.enrolment.public_key": _looks_like_a_key,
            "server.verify.verifies": _is_marked,
            "server.offers.verifies": _is_marked,
        }
    with ExitStack() as stack:
        for place, stand_in in places.items():
            stack.enter_context(patch(place, stand_in))
        yield kind

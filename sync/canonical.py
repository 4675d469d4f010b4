"""One text for one value, the same bytes in Python and TypeScript: keys sorted, no spaces."""

import hashlib
from typing import Any

import msgspec


def canonical(value: Any) -> str:
    """JSON with sorted keys, no white space and no escapes beyond what JSON demands."""
    return msgspec.json.encode(value, order="sorted").decode()


def sha256_hex(data: bytes) -> str:
    """SHA-256 (FIPS 180-4) as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()

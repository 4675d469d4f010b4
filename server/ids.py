"""New ids: UUIDv7 (RFC 9562), so that rows sort by the time they were made."""

import secrets


def uuid7(now_ms: int) -> str:
    """A new id with `now_ms` in its first 48 bits and 74 random ones."""
    value = (now_ms & (2**48 - 1)) << 80 | 7 << 76 | secrets.randbits(12) << 64
    value |= 2 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

"""The `/v1` surface: bytes in, bytes out, limits and status codes."""

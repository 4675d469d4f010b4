"""Requests as other apps would write them: older, newer, on a bad line, in smaller pieces."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from schema.versions import PROTOCOL_VERSION


class _Run(Struct):
    lane: int
    sig: str
    mutations: list[Raw]


class _Runs(Struct):
    runs: list[_Run]


def spoken(body: bytes, speech: str, action: dict[str, Any]) -> bytes:
    """The request as an older or a newer app writes it, or one on a bad line, or in a hurry."""
    asked = {"max_bytes": action.get("bytes"), "lanes": action.get("lanes")}
    asked = {name: value for name, value in asked.items() if value is not None}
    if speech == "now" and not asked:
        return body
    message = msgspec.json.decode(body) | asked
    if speech == "old":
        for name in ("bad", "offers", "seen"):
            if not message[name]:
                del message[name]
        message["protocol"] = 1
    if speech == "new":
        message |= {"protocol": PROTOCOL_VERSION + 1, "wishes": [1, {"x": None}], "zeal": "high"}
        message["outbox"] |= {"photos": 2}
    return with_raw_runs(body, message)


def with_raw_runs(body: bytes, message: dict[str, Any]) -> bytes:
    """Encode again, each mutation's own bytes untouched."""
    runs = msgspec.json.decode(body, type=_Runs).runs
    return msgspec.json.encode({**message, "runs": runs})


def runs_in(body: bytes) -> Iterator[tuple[Any, int, tuple[bytes, ...]]]:
    """Each run of a request, its first number, and its mutations' own bytes."""
    for run in msgspec.json.decode(body, type=_Runs).runs:
        raws = tuple(map(bytes, run.mutations))
        yield run, msgspec.json.decode(raws[0])["n"], raws


def split(body: bytes, replica: str, sign: Callable[[bytes], str]) -> Iterator[bytes]:
    """A push cut into pushes of one mutation, each with a signature of its own."""
    message = msgspec.json.decode(body)
    for run in msgspec.json.decode(body, type=_Runs).runs:
        for raw in run.mutations:
            mutation = msgspec.json.decode(bytes(raw))
            hash = hashlib.sha256(bytes(raw)).hexdigest()
            place = [mutation["realm"], replica, str(run.lane), str(mutation["n"]), hash]
            sig = sign("\n".join(["lingda-run-1", *place]).encode())
            one = replace(run, sig=sig, mutations=[raw])
            yield msgspec.json.encode({**message, "runs": [one], "lanes": []})

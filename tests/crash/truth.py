"""What must be in a centre's data after whatever happened to it, by the store's protocol alone."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from server.cli.centre import open_for
from server.config import Config
from server.node import load_node
from server.store.protocol import Read
from sync.canonical import canonical, sha256_hex
from sync.known import Logged
from sync.mutation import decode_mutation
from tests.crash.client import Told

BASIC = ("applied", "merged")


def own_dots(read: Read) -> list[str]:
    """Every dot that the node itself has used."""
    node, tips = read.get("node", "self"), read.get("node", "tips") or {}
    lanes = {lane: tip["n"] for lane, tip in tips.items() if lane != "stamp"}
    return [f"{node['replica']}/{lane}/{n + 1}" for lane, top in lanes.items() for n in range(top)]


def lines_of(read: Read, dots: Iterable[str]) -> list[Logged]:
    """The log in order: every line of it is of one of these dots, or of the node's own.

    Each dot stands there at most once: two lines of one would leave a hole in the seqs.
    """
    logged = read.logged([*dots, *own_dots(read)])
    lines = sorted(logged.values(), key=lambda one: one.verdict.seq)
    seqs = [one.verdict.seq for one in lines]
    assert seqs == list(range(1, read.head().seq + 1)), "the seqs are dense, each of one mutation"
    return lines


def check_chain(read: Read, lines: list[Logged]) -> None:
    """Every line names the one before it, and the head the last."""
    chain = ""
    for one in lines:
        told = one.verdict
        named = [chain, told.seq, told.dot, one.hash, told.verdict, told.code]
        chain = sha256_hex(canonical(named).encode())
    assert chain == read.head().chain, "the chain leads to the head"


def lost_words(read: Read, told: Iterable[Told]) -> list[str]:
    """What is wrong with verdicts that were told: their lines, words or rows are not there."""
    of = {one.verdict.dot: one for one in told if one.verdict}
    logged, words = read.logged(of), read.words(of)
    wrong = []
    for dot, one in of.items():
        line, verdict = logged.get(dot), one.verdict
        if line is None or line.verdict != verdict or line.hash != verdict.hash:
            wrong.append(f"verdict {dot}: told {verdict}, logged {line}")
        elif words.get(dot) != one.raw:
            wrong.append(f"verdict {dot}: other words")
        elif verdict.verdict in BASIC and (gone := _rows_gone(read, one)):
            wrong.append(f"verdict {dot}: no {gone}")
    return wrong


def _rows_gone(read: Read, one: Told) -> list[str]:
    """The rows that a mutation wrote and that are not there, or that do not know of it."""
    mutation = decode_mutation(one.raw)
    found = read.rows([(change.entity, change.id) for change in mutation.changes])
    gone = []
    for change in mutation.changes:
        stored = found.get((change.entity, change.id))
        if stored is None or (change.op == "create" and stored.row.dot != one.verdict.dot):
            gone.append(f"{change.entity}/{change.id}")
        elif stored.row.seq < one.verdict.seq:
            gone.append(f"{change.entity}/{change.id} at {one.verdict.seq}")
    return gone


def lost_photos(folder: Path, read: Read, told: Iterable[Told], data: Mapping[str, bytes]):
    """What is wrong with photos of which a client was told that they, or a part, are there.

    `data` has the bytes of each upload.
    """
    blobs = Config(data=folder).blobs
    wrong = []
    for one in told:
        if one.photo:
            whole = blobs / "whole" / one.photo[:2] / one.photo
            found = hashlib.sha256(whole.read_bytes()).hexdigest() if whole.exists() else ""
            if found != one.photo or read.get("blob", one.photo) is None:
                wrong.append(f"photo {one.photo}: {found or 'gone'}")
        elif one.upload:
            part, doc = blobs / "parts" / one.upload, read.get("upload", one.upload)
            here = part.read_bytes() if part.exists() else b""
            begins = here[: one.offset] == data[one.upload][: one.offset]
            if doc is None or not (begins or doc["offset"] == doc["size"]):
                wrong.append(f"upload {one.upload}: {len(here)} of {one.offset}")
    return wrong


async def check(folder: Path, said: Iterable[str], told: Iterable[Told], at: str = "") -> int:
    """All of it, in data that nobody serves now; `at` is a PostgreSQL. How long the log is."""
    config = Config(data=folder, store=at)
    store = await open_for(config)

    def work(read: Read) -> int:
        lines = lines_of(read, said)
        check_chain(read, lines)
        assert lost_words(read, told) == []
        assert lost_key(config, read) == []
        return len(lines)

    length = await store.read(work)
    await store.close()
    return length


def lost_key(config: Config, read: Read) -> list[str]:
    """The key that proves the node's words is the one that it has."""
    node = read.get("node", "self")
    known = read.get("node_key", node["replica"]) if node else None
    if known is None:
        return []
    if not config.node_key.exists():
        return ["key: gone"]
    own = load_node(config.node_key, node["replica"]).public
    return [] if own == known["key"] else ["key: another"]

"""Mutations that wait, found by what they wait for: a commit reads no others."""

from collections.abc import Iterable

from schema.versions import HELD_MS
from server.node import b64url
from server.store.protocol import Doc, Read, Txn
from sync.known import Arrival, Held
from sync.rights import made_by, rounds_made
from sync.stub import INCIDENT, SUMMARY

FLAGS = ("released", "reoffered", "clock_off", "returning")
"""What is remembered of how a mutation came."""


def keep_held(txn: Txn, held: Held, hash: str) -> None:
    """Keep a mutation until what it needs is there, or its time is over."""
    arrival = held.arrival
    drop_held(txn, arrival.dot)
    doc = {"raw": b64url(arrival.raw), "hash": hash, "need": held.need, "since": held.since}
    flags = {name: getattr(arrival, name) for name in FLAGS}
    txn.put("held", arrival.dot, doc | flags)
    txn.put("need", _by_need(held.need, arrival.dot), {"dot": arrival.dot})
    txn.put("since", _by_age(held.since, arrival.dot), {"dot": arrival.dot})


def drop_held(txn: Txn, dot: str) -> None:
    """It waits no more."""
    doc = txn.get("held", dot)
    if doc:
        txn.delete("held", dot)
        txn.delete("need", _by_need(doc["need"], dot))
        txn.delete("since", _by_age(doc["since"], dot))


def waiting_for(txn: Read, needs: Iterable[str]) -> dict[str, Doc]:
    """What waits for these dots and rows (`entity/id`), by dot."""
    lines = txn.find_each("need", [f"{need} " for need in needs])
    dots = [line["dot"] for line in lines.values()]
    return {dot: doc for dot in dots if (doc := txn.get("held", dot))}


def brought_by(arrival: Arrival) -> set[str]:
    """What others may wait for: the dot of a mutation, and the rows that it makes."""
    made = {"/".join(key) for key in made_by(arrival.mutation)}
    stubs = {f"{INCIDENT}/{id}" for entity, id in made_by(arrival.mutation) if entity == SUMMARY}
    rounds = rounds_made(arrival.mutation) if arrival.reoffered else set()
    return {arrival.dot} | made | stubs | rounds


def overdue(txn: Read, now_ms: int) -> dict[str, Doc]:
    """What has waited too long, by dot."""
    found: dict[str, Doc] = {}
    for key, line in txn.find("since").items():
        if int(key.partition(" ")[0]) + HELD_MS >= now_ms:
            break
        if doc := txn.get("held", line["dot"]):
            found[line["dot"]] = doc
    return found


def waiting_of(txn: Read, replica: str) -> int:
    """How many mutations of one device wait."""
    return txn.count("held", f"{replica}/")


def index_held(txn: Txn) -> None:
    """What waits is found by what it waits for, and by its age."""
    for dot, doc in txn.find("held").items():
        txn.put("need", _by_need(doc["need"], dot), {"dot": dot})
        txn.put("since", _by_age(doc["since"], dot), {"dot": dot})


def _by_need(need: str, dot: str) -> str:
    return f"{need} {dot}"


def _by_age(since: int, dot: str) -> str:
    return f"{since:015d} {dot}"

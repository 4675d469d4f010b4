"""What judging a batch needs, read under the lock that its commit holds."""

from msgspec.structs import replace

from schema.wire import Mutation
from server.accounts.people import people_rows, roles_of, unit_of
from server.grants import past_of
from server.held import FLAGS, brought_by, overdue, waiting_for, waiting_of
from server.lanes import told_twice
from server.machines import is_listed, newest
from server.node import NODE_SESSION, from_b64url
from server.store.protocol import Doc, Read
from server.verify import DOT, SYSTEM, SessionKey
from sync.known import (
    Arrival,
    Held,
    Known,
    Lane,
    Session,
    children_needed,
    keys_beyond,
    keys_needed,
)
from sync.mutation import Refusal, decode_mutation, hash_of
from sync.quarantine import let_in


def load_known(
    txn: Read, arrivals: list[Arrival], sessions: dict[SessionKey, Session], now_ms: int
) -> Known:
    """Everything that these arrivals, and whatever they release, are judged by."""
    known = Known(dict(sessions), {}, {}, {}, centre=txn.head().centre)
    if not arrivals:
        return known
    if txn.any_of("epoch"):
        known.node = (txn.get("node", "self") or {}).get("replica", "")
    sound = [one for one in arrivals if one.fault is None]
    known.logged = txn.logged({one.dot for one in arrivals})
    known.lanes = _lanes(txn, sound)
    known.twice = told_twice(txn)
    if txn.any_of("held"):
        replicas = {one.mutation.replica for one in arrivals}
        known.waiting = {replica: waiting_of(txn, replica) for replica in replicas}
    _read(txn, known, [one.mutation for one in sound])
    _meet(txn, known, [one.mutation for one in arrivals])
    known.words = _quarantined(txn, known, sound)
    known.held = _all_held(txn, [*sound, *known.words.values()], now_ms)
    also = [*known.words.values(), *(held.arrival for held in known.held)]
    _read(txn, known, [one.mutation for one in also])
    return known


def _all_held(txn: Read, arrivals: list[Arrival], now_ms: int) -> list[Held]:
    """What waits for these, what waits for that in turn, and what has waited too long."""
    docs = overdue(txn, now_ms)
    found = {dot: held for dot, doc in docs.items() if (held := _held(txn, doc))}
    needs: set[str] = set()
    if txn.any_of("need"):
        needs = {need for one in arrivals for need in brought_by(one)}
    while needs:
        fresh = {
            dot: held
            for dot, doc in waiting_for(txn, needs).items()
            if dot not in found and (held := _held(txn, doc))
        }
        found |= fresh
        needs = {need for held in fresh.values() for need in brought_by(held.arrival)}
    return sorted(found.values(), key=lambda held: (held.since, held.arrival.dot))


def _read(txn: Read, known: Known, mutations: list[Mutation]) -> None:
    """Rows, lists, dots and people that judging these mutations reads."""
    keys = {key for one in mutations for key in keys_needed(one)} - set(known.rows)
    known.rows |= txn.rows(keys)
    beyond = {key for key in keys if key in known.rows for key in keys_beyond(known.rows[key])}
    known.rows |= txn.rows(beyond - set(known.rows))
    after = {dot for one in mutations for dot in one.after if DOT.fullmatch(dot)}
    known.logged |= txn.logged(after - set(known.logged))
    families: dict[str, set[str]] = {}
    for entity, parent in {pair for one in mutations for pair in children_needed(one)}:
        if is_listed(entity):
            known.remember(newest(txn, entity, parent))
        else:
            families.setdefault(entity, set()).add(parent)
    for entity, parents in families.items():
        known.remember(txn.families(entity, sorted(parents)))
    _meet(txn, known, mutations)


def _meet(txn: Read, known: Known, mutations: list[Mutation]) -> None:
    """The people behind these mutations: a device's holder, or somebody at a node, as of now."""
    whose = {(one.replica, one.session): one.actor for one in mutations}
    keys = [key for key in whose if key not in known.sessions]
    if not keys:
        return
    replicas = {replica for replica, _ in keys}
    nodes, devices = txn.get_each("node_key", replicas), txn.get_each("replica", replicas)
    people: dict[SessionKey, tuple[str, bool]] = {}
    for replica, session in keys:
        device = devices.get(replica)
        if replica in nodes:
            if session == NODE_SESSION:
                known.sessions[replica, session] = SYSTEM
            else:
                people[replica, session] = (whose[replica, session], False)
        elif device and device["session"] == session:
            people[replica, session] = (device["actor"], bool(device.get("revoked_at")))
    known.sessions |= _sessions(txn, people)


def _sessions(txn: Read, people: dict[SessionKey, tuple[str, bool]]) -> dict[SessionKey, Session]:
    """What these people may do at this moment; nothing where they are not in the register."""
    actors = {actor for actor, _ in people.values()}
    rows, past = people_rows(txn, actors), txn.get_each("rights", actors)
    found = {}
    for key, (actor, revoked) in people.items():
        person, had = rows.get(actor), past_of(past.get(actor))
        unit = (unit_of(person) or "") if person else ""
        roles = roles_of(person) if person else frozenset()
        found[key] = Session(actor, unit, roles, revoked, had)
    return found


def _held(txn: Read, doc: Doc) -> Held | None:
    arrival = _arrival(txn, from_b64url(doc["raw"]))
    if arrival is None:
        return None
    flags = {name: doc.get(name, False) for name in FLAGS}
    return Held(replace(arrival, **flags), doc["need"], doc["since"])


def _arrival(txn: Read, raw: bytes) -> Arrival | None:
    """A mutation of the log once more; what a node of this centre wrote is still its own."""
    try:
        mutation = decode_mutation(raw)
    except Refusal:
        return None
    trusted = txn.get("node_key", mutation.replica) is not None
    return Arrival(mutation, raw, hash_of(raw), trusted=trusted)


def _quarantined(txn: Read, known: Known, arrivals: list[Arrival]) -> dict[str, Arrival]:
    """The originals that these arrivals let in, by dot."""
    keys = {
        (change.entity, change.id)
        for one in arrivals
        for change in one.mutation.changes
        if let_in(change)
    }
    dots = {known.rows[key].row.fields["dot"] for key in keys if key in known.rows}
    found = {dot: _arrival(txn, raw) for dot, raw in txn.words(dots).items()}
    return {dot: arrival for dot, arrival in found.items() if arrival}


def _lanes(txn: Read, arrivals: list[Arrival]) -> dict[tuple[str, int], Lane]:
    """How far each lane that brings something has come."""
    pairs = {(one.mutation.replica, one.mutation.lane) for one in arrivals}
    docs = txn.get_each("replica", {replica for replica, _ in pairs})
    found = {}
    for replica, lane in pairs:
        doc = docs.get(replica, {})
        told = doc.get("lanes", {}).get(str(lane), {})
        times = (told.get("top_ms", 0), doc.get("floor_ms", 0))
        found[replica, lane] = Lane(told.get("max", 0), *times, doc.get("returning_until", 0))
    return found


def session_of(txn: Read, actor: str) -> Session:
    """What a person may do at this moment; nothing when they are not in the register."""
    return _sessions(txn, {("", ""): (actor, False)})["", ""]

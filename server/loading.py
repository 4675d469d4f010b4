"""What judging a batch needs, read under the lock that its commit holds."""

from msgspec.structs import replace

from schema.wire import Mutation
from server.accounts.people import person_row, roles_of, unit_of
from server.grants import past_of
from server.node import NODE_SESSION, from_b64url
from server.store.protocol import Doc, Read
from server.verify import SYSTEM, SessionKey
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


def load_known(txn: Read, arrivals: list[Arrival], sessions: dict[SessionKey, Session]) -> Known:
    """Everything that these arrivals, and whatever they release, are judged by."""
    known = Known(dict(sessions), {}, {}, {}, centre=txn.head().centre)
    if not arrivals:
        return known
    sound = [one for one in arrivals if one.fault is None]
    known.held = [one for doc in txn.find("held").values() if (one := _held(txn, doc))]
    known.logged = txn.logged({one.dot for one in arrivals})
    known.lanes = _lanes(txn, sound)
    _read(txn, known, [one.mutation for one in [*sound, *(held.arrival for held in known.held)]])
    known.words = _quarantined(txn, known, sound)
    if known.words:
        _read(txn, known, [one.mutation for one in known.words.values()])
    return known


def _read(txn: Read, known: Known, mutations: list[Mutation]) -> None:
    """Rows, lists, dots and people that judging these mutations reads."""
    keys = {key for one in mutations for key in keys_needed(one)} - set(known.rows)
    known.rows |= txn.rows(keys)
    beyond = {key for key in keys if key in known.rows for key in keys_beyond(known.rows[key])}
    known.rows |= txn.rows(beyond - set(known.rows))
    known.logged |= txn.logged({dot for one in mutations for dot in one.after} - set(known.logged))
    for pair in {pair for one in mutations for pair in children_needed(one)}:
        known.remember(txn.children(*pair))
    whose = {(one.replica, one.session): one.actor for one in mutations}
    for key, actor in whose.items():
        if key not in known.sessions and (session := _session(txn, key, actor)):
            known.sessions[key] = session


def _held(txn: Read, doc: Doc) -> Held | None:
    arrival = _arrival(txn, from_b64url(doc["raw"]))
    if arrival is None:
        return None
    flags = {name: doc.get(name, False) for name in ("released", "reoffered")}
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
    found = {}
    for replica in {one.mutation.replica for one in arrivals}:
        doc = txn.get("replica", replica) or {}
        for lane, told in doc.get("lanes", {}).items():
            found[replica, int(lane)] = Lane(
                told["max"], told.get("top_ms", 0), doc.get("floor_ms", 0)
            )
    return found


def _session(txn: Read, key: SessionKey, actor: str) -> Session | None:
    """Who is behind a session, as they are now: a device's holder, or somebody at a node."""
    replica, session = key
    if txn.get("node_key", replica):
        return SYSTEM if session == NODE_SESSION else session_of(txn, actor)
    doc = txn.get("replica", replica)
    if doc is None or doc["session"] != session:
        return None
    return session_of(txn, doc["actor"], bool(doc.get("revoked_at")))


def session_of(txn: Read, actor: str, revoked: bool = False) -> Session:
    """What a person may do at this moment; nothing when they are not in the register."""
    person, past = person_row(txn, actor), past_of(txn.get("rights", actor))
    if person is None:
        return Session(actor, "", frozenset(), revoked, past)
    return Session(actor, unit_of(person) or "", roles_of(person), revoked, past)

"""Small builders for tests of the pure core: people, rows and arrivals in a few words."""

from schema.roles import Role
from schema.wire import Change, Mutation, Row
from sync.known import Arrival, Known, Session
from sync.mutation import encode_mutation, hash_of
from sync.rows import Stored

NOW = 1_800_000_000_000

PEOPLE = {
    "lead": Session("lead", "", frozenset({Role.DISPATCHER, Role.SHIFT_LEAD})),
    "duty": Session("duty", "u1", frozenset({Role.DUTY})),
    "phone": Session("phone", "u1", frozenset({Role.RESPONDER})),
    "other": Session("other", "u2", frozenset({Role.RESPONDER, Role.DUTY})),
    "admin": Session("admin", "", frozenset({Role.ADMIN})),
}


def known(*rows: Stored) -> Known:
    """A world in which each person writes from a replica of their own name."""
    found = Known({(name, name): one for name, one in PEOPLE.items()}, {}, {}, {})
    found.remember(rows)
    return found


def arrival(who: str, lane: int, n: int, intent: str, *changes: Change, **more: object) -> Arrival:
    """A mutation as it arrives; `more` are other fields of the Mutation."""
    fields = {
        "replica": who,
        "lane": lane,
        "n": n,
        "prev": "",
        "realm": "r",
        "stamp": f"{NOW + n:012x}-0000-{who}",
        "session": who,
        "actor": who,
        "intent": intent,
        "changes": changes,
    }
    mutation = Mutation(**(fields | more))  # type: ignore[arg-type]
    raw = encode_mutation(mutation)
    return Arrival(mutation, raw, hash_of(raw), trusted=who == "admin")


def row(entity: str, id: str, fields: dict[str, object], dot: str = "seed/0/1") -> Stored:
    return Stored(Row(entity, id, 1, dot, f"{1:012x}-0000-seed", "admin", NOW, fields))


def target(unit: str = "u1") -> list[Stored]:
    """An order to one unit, with its parents."""
    clocks = {"receipt": 60_000, "sign": 180_000, "depart": 900_000, "first_feedback": 1_800_000}
    return [
        row("unit", "u1", {"name": "甲"}),
        row("unit", "u2", {"name": "乙"}),
        row("incident", "i1", {"state": "open"}),
        row("incident_summary", "i1", {"title": "t"}),
        row("directive", "d1", {"incident": "i1", "clocks": clocks, "at": NOW, "version": 1}),
        row("target", "t1", {"directive": "d1", "incident": "i1", "unit": unit, "lead": True}),
    ]


def step(name: str, id: str = "s1", at: int = NOW + 1_000, **more: object) -> Change:
    fields = {
        "target": "t1",
        "directive": "d1",
        "unit": "u1",
        "round": 1,
        "at": at,
        "step": name,
        "version": 1,
        "route": "device",
    }
    return Change("create", "step", id, fields | more)


def recall(id: str = "r1", at: int = NOW, rank_seen: int = 2) -> Change:
    fields = {
        "target": "t1",
        "directive": "d1",
        "unit": "u1",
        "round": 1,
        "at": at,
        "reason": "误发",
        "rank_seen": rank_seen,
    }
    return Change("create", "recall", id, fields)

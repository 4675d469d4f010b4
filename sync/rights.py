"""Who may change what: role, then reach, then whether the row's own facts allow it."""

from collections.abc import Mapping

from msgspec.structs import replace

from schema.codes import Code
from schema.entities import ENTITIES, REFERENCES
from schema.intents import INTENTS
from schema.scopes import DEVICE_KINDS, granted, scopes_of
from schema.wire import Change, Guard, Mutation, Row
from sync.known import Arrival, Known, Session
from sync.levels import check_level
from sync.mutation import Refusal, server_only_fields
from sync.rows import Key

OF_ROUND = frozenset(name for name, entity in ENTITIES.items() if "round" in entity.fields)
"""Facts about a target, which are of one of its rounds."""

Made = Mapping[Key, Change]
"""The rows that a mutation itself creates."""


def made_by(mutation: Mutation) -> Made:
    """What the mutation creates, by key."""
    return {(one.entity, one.id): one for one in mutation.changes if one.op == "create"}


def check_rights(known: Known, arrival: Arrival, session: Session) -> None:
    """Raise the Refusal of the first change that the author may not make.

    What the centre signed and a device gives back was let in once, by rights and at a level that a
    restored register may not know any more: of that, only the round is looked at.
    """
    mutation = arrival.mutation
    intent, made = INTENTS[mutation.intent], made_by(mutation)
    if not arrival.reoffered and session.roles.isdisjoint(intent.roles):
        raise Refusal(Code.NO_RIGHT, intent.name)
    for change in mutation.changes:
        if not arrival.reoffered:
            if intent.reach != "centre":
                _check_reach(known, change, session, made)
            if intent.grave:
                check_level(known, intent, change, session.roles)
        if not arrival.trusted and (names := server_only_fields(change)):
            raise Refusal(Code.SERVER_FIELD, names[0])
        _check_round(known, arrival, change)


def entitled(
    known: Known, arrival: Arrival, session: Session, wall_ms: int
) -> tuple[Session, bool]:
    """The rights by which a mutation stands, and whether its author has lost them since.

    What was written before a change of role is judged by the rights of that time; what was written
    after it, and the old rights would have allowed, is Refusal `role_cut`.
    """
    try:
        check_rights(known, arrival, session)
    except Refusal as refusal:
        if refusal.code not in (Code.NO_RIGHT, Code.NOT_YOURS, Code.LEVEL_LIMIT):
            raise
        older = [replace(session, unit=one.unit, roles=one.roles) for one in session.past]
        allowed = [_may(known, arrival, one) for one in older]
        then = next((i for i, one in enumerate(session.past) if wall_ms < one.until), None)
        if then is not None and allowed[then]:
            return older[then], True
        if not any(allowed):
            raise
        if arrival.released:
            return older[allowed.index(True)], True
        raise Refusal(Code.ROLE_CUT) from None
    return session, False


def _may(known: Known, arrival: Arrival, session: Session) -> bool:
    try:
        check_rights(known, arrival, session)
    except Refusal:
        return False
    return True


def _check_reach(known: Known, change: Change, session: Session, made: Made) -> None:
    """An `own` intent touches only rows of the author's unit, under parents of that unit.

    A `set` of a row never seen is judged when that row is there; until then it is held.
    """
    stored = known.rows.get((change.entity, change.id))
    if stored is None and change.op != "create":
        return
    if OF_UNIT[change.entity]:
        named = change.fields.get("unit", session.unit)
        here = (stored.row.fields if stored else change.fields).get("unit")
        if named != session.unit or here != session.unit:
            raise Refusal(Code.NOT_YOURS, change.entity)
    for key in parents_of(change):
        if OF_UNIT[key[0]] and _unit_of_parent(known, made, key, session.unit) != session.unit:
            raise Refusal(Code.NOT_YOURS, change.entity)


OF_UNIT = {name: "unit" in entity.fields for name, entity in ENTITIES.items()}
"""Whether rows of an entity belong to a unit."""


def _unit_of_parent(known: Known, made: Made, key: Key, own: str) -> str | None:
    """The parent's unit; one's own while the parent is unknown, for then the change is held."""
    if key in made:
        return made[key].fields.get("unit")
    stored = known.rows.get(key)
    return stored.row.fields.get("unit") if stored else own


def _check_round(known: Known, arrival: Arrival, change: Change) -> None:
    """A fact about a target names that target's order, unit and a round that there is."""
    if change.entity not in OF_ROUND:
        return
    fields = change.fields
    target = known.rows.get(("target", str(fields.get("target"))))
    if target is None:
        return
    for name in ("directive", "unit"):
        if fields.get(name) != target.row.fields.get(name):
            raise Refusal(Code.FIELD, f"{change.entity}.{name}")
    may_be_lost = known.node and (arrival.returning or arrival.reoffered)
    if fields["round"] < 1 or (_round_missing(known, change) and not may_be_lost):
        raise Refusal(Code.FIELD, f"{change.entity}.round")
    directive = known.rows.get(("directive", str(fields.get("directive"))))
    newest = directive.row.fields["version"] if directive else fields.get("version")
    if "version" in fields and not 1 <= fields["version"] <= newest:
        raise Refusal(Code.FIELD, f"{change.entity}.version")


def _round_missing(known: Known, change: Change) -> str | None:
    """What would bring the round that a fact is of, or that a round follows; None if it is here."""
    if change.entity not in OF_ROUND:
        return None
    fields = change.fields
    target, wanted = str(fields.get("target")), fields["round"] - (change.entity == "round")
    newest = max([1, *(row.fields["round"] for row in known.of("round", target))])
    return round_of(target, wanted) if wanted > newest else None


def round_of(target: str, n: int) -> str:
    """What a mutation waits for that is of a round which a restored log has lost."""
    return f"target/{target}/round/{n}"


def rounds_made(mutation: Mutation) -> set[str]:
    """The rounds that a mutation opens, for others that may wait for one that was lost."""
    made = (one for (entity, _), one in made_by(mutation).items() if entity == "round")
    return {round_of(str(one.fields.get("target")), one.fields.get("round", 0)) for one in made}


def parents_of(change: Change) -> list[Key]:
    """The rows that must be there first: what the entity's references name."""
    fields, found = change.fields, []
    for name, entity in REFERENCES[change.entity]:
        if isinstance(id := fields.get(name), str):
            found.append((entity, id))
    return found


def unmet(known: Known, mutation: Mutation) -> tuple[Code, str] | None:
    """What this mutation waits for: a dot it names in `after`, or a row never seen."""
    made = made_by(mutation)
    for dot in mutation.after:
        past = known.logged.get(dot)
        if past is None or past.verdict.verdict == "held":
            return Code.AFTER, dot
    for change in mutation.changes:
        own = [(change.entity, change.id)] if change.op != "create" else []
        for key in own + parents_of(change):
            if key not in known.rows and key not in made:
                return Code.PARENT, "/".join(key)
    for change in mutation.changes:
        if change.op == "create" and (lost := _round_missing(known, change)):
            return Code.PARENT, lost
    return None


def check_guard(known: Known, guard: Guard, session: Session, everywhere: bool) -> None:
    """Refusal `guard` unless it holds. A row that the author may not see is as if it were not."""
    entity, _, id = guard.row.partition("/")
    stored = known.rows.get((entity, id))
    row = stored.row if stored and not stored.row.removed else None
    if row is not None and not everywhere and not _sees(row, session):
        row = None
    if not _holds(row, guard):
        raise Refusal(Code.GUARD, guard.row)


def _sees(row: Row, session: Session) -> bool:
    """True when some device of this person may hold the row."""
    own = {
        scope
        for kind in DEVICE_KINDS.values()
        if session.roles & set(kind.roles)
        for scope in granted(kind.name, session.unit, session.actor, "")
    }
    return bool(own & set(scopes_of(ENTITIES[row.entity], row.fields, row.actor)))


def _holds(row: Row | None, guard: Guard) -> bool:
    if row is None:
        return guard.check == "absent"
    field = guard.field or ""
    value = row.fields.get(field)
    match guard.check:
        case "exists":
            return True
        case "eq":
            return bool(value == guard.value)
        case "in":
            return isinstance(guard.value, list) and value in guard.value
        case "dot":
            return bool(row.writes.get(field, ("", row.dot))[1] == guard.value)
    return False

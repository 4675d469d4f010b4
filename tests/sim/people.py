"""What people want done: on devices from what the screen shows, at the centre from a page."""

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

from schema.wire import Change, Row
from tests.sim.device import Device
from tests.sim.model import RANK, Model
from tests.sim.town import CLOCKS, UNITS

UNIT_STEPS = ("received", "read", "signed", "departed", "arrived", "acting", "reported")
WORDS = ("a", "b", "c", "d", "e")
LEVELS = ("I", "II", "III", "IV")
MOVE_KINDS = ("move", "move", "move", "move", "stop", "resume")
NUMBERS = ("1000000001", "1000000002", "1000000003")
LAT_E6, LON_E6 = 44_551_000, 129_633_000
NORTH_E6 = (None, None, 0, 1_800, 27_000)
"""Where machines are measured, if they are: here, 200 m and 3 km to the north."""


class Wish(Struct):
    """An intent with its changes, before anybody saved it."""

    intent: str
    lane: int
    changes: list[Change]


class Person(Struct):
    """Somebody with a device in hand, and the time they read on it."""

    actor: str
    unit: str
    device: Device
    now: int
    random: Random
    new_id: Callable[[int], str]


Act = Callable[[Person], Wish | None]


def _pick(person: Person, entity: str) -> Row | None:
    ids = person.device.keys(entity)
    return person.device.view(entity, person.random.choice(ids)) if ids else None


def _create(person: Person, entity: str, fields: dict[str, Any]) -> Change:
    return Change("create", entity, person.new_id(person.now), fields)


def _of_target(person: Person, target: Row) -> dict[str, Any]:
    """The fields that every fact about a target has, with the round that this screen shows."""
    rounds = [person.device.view("round", id) for id in person.device.keys("round")]
    newest = [row.fields["round"] for row in rounds if row and row.fields["target"] == target.id]
    fields = {name: target.fields[name] for name in ("directive", "unit")}
    return {"target": target.id, **fields, "round": max([1, *newest]), "at": person.now}


def step(person: Person) -> Wish | None:
    target = _pick(person, "target")
    if target is None or person.device.view("directive", target.fields["directive"]) is None:
        return None
    fields = _of_target(person, target)
    fields |= {"step": person.random.choice(UNIT_STEPS), "version": 1, "route": "device"}
    return Wish("target.step", 0, [_create(person, "step", fields)])


def feedback(person: Person) -> Wish | None:
    target = _pick(person, "target")
    if target is None:
        return None
    kind = person.random.choice(("progress", "arrive", "result", "halt"))
    fields = _of_target(person, target) | {"kind": kind, "text": person.random.choice(WORDS)}
    return Wish("feedback.add", 1, [_create(person, "feedback", fields)])


def stop(person: Person) -> Wish | None:
    recall = _pick(person, "recall")
    target = person.device.view("target", recall.fields["target"]) if recall else None
    if recall is None or target is None:
        return None
    fields = _of_target(person, target) | {"recall": recall.id}
    return Wish("target.stop", 0, [_create(person, "stop", fields)])


def help_call(person: Person) -> Wish | None:
    target = _pick(person, "target")
    fields: dict[str, Any] = {"unit": person.unit, "text": "help", "at": person.now}
    if target is not None and person.random.random() < 0.5:
        fields["target"] = target.id
    return Wish("help.call", 0, [_create(person, "help_call", fields)])


def move(person: Person) -> Wish | None:
    machine, kind = _pick(person, "equipment"), person.random.choice(MOVE_KINDS)
    return _filed(person, machine, kind) if machine else None


def _filed(person: Person, machine: Row, kind: str) -> Wish:
    fields = {
        "equipment": machine.id,
        "unit": machine.fields["unit"],
        "kind": kind,
        "at": person.now,
        "manager": "m",
        "operator": "o",
        "operator_phone": person.random.choice(NUMBERS),
        "place": person.random.choice(WORDS),
    }
    if (north := person.random.choice(NORTH_E6)) is not None:
        fields |= {"lat_e6": LAT_E6 + north, "lon_e6": LON_E6}
    return Wish("move.file", 1, [_create(person, "equipment_move", fields)])


def edit_contact(person: Person) -> Wish | None:
    card = _pick(person, "contact")
    if card is None:
        return None
    fields: dict[str, Any] = {"name": person.random.choice(WORDS)}
    if person.random.random() < 0.3:
        fields = {"post": person.random.choice(WORDS), "n": person.random.randrange(3)}
    return Wish("contact.edit", 2, [Change("set", "contact", card.id, fields)])


def edit_number(person: Person) -> Wish | None:
    phone = _pick(person, "contact_phone")
    if phone is None:
        return None
    fields = {"number": person.random.choice(NUMBERS)}
    return Wish("contact.edit", 2, [Change("set", "contact_phone", phone.id, fields)])


def add_contact(person: Person) -> Wish | None:
    card = _create(person, "contact", {"unit": person.unit, "duty": "liaison", "name": "n"})
    changes = [card]
    if person.random.random() < 0.5:
        fields = {"unit": person.unit, "contact": card.id, "kind": "mobile", "number": NUMBERS[0]}
        changes.append(_create(person, "contact_phone", fields))
    return Wish("contact.edit", 2, changes)


def make_again(person: Person) -> Wish | None:
    """Bring back a card that somebody removed, under its old id: a removal is for ever."""
    gone = [id for id in person.device.keys("contact") if person.device.view("contact", id) is None]
    if not gone:
        return None
    fields = {"unit": person.unit, "duty": "liaison", "name": "again"}
    change = Change("create", "contact", person.random.choice(gone), fields)
    return Wish("contact.edit", 2, [change])


def add_equipment(person: Person) -> Wish | None:
    """A new machine; its moves travel in another lane and may come before it."""
    fields = {"unit": person.unit, "kind": "loader", "name": "new", "status": "available"}
    return Wish("equipment.edit", 2, [_create(person, "equipment", fields)])


def remove_contact(person: Person) -> Wish | None:
    entity = person.random.choice(("contact", "contact_phone"))
    row = _pick(person, entity)
    return Wish("contact.edit", 2, [Change("remove", entity, row.id)]) if row else None


def edit_equipment(person: Person) -> Wish | None:
    machine = _pick(person, "equipment")
    if machine is None:
        return None
    fields: dict[str, Any] = {
        "name": {"name": person.random.choice(WORDS)},
        "status": {"status": person.random.choice(("available", "in_use", "out_of_service"))},
        "base": {"base": person.random.choice(WORDS), "tonnage_t": person.random.randrange(4)},
        "operator": {"operator_person": f"driver-{person.random.choice(UNITS)}"},
    }[person.random.choice(("name", "status", "base", "operator"))]
    return Wish("equipment.edit", 2, [Change("set", "equipment", machine.id, fields)])


def decide(person: Person) -> Wish | None:
    """Settle an open field with one of the values that stand side by side."""
    for entity in ("contact_phone", "contact", "equipment"):
        for id in person.device.keys(entity):
            row = person.device.view(entity, id)
            if row and row.open:
                name = person.random.choice(sorted(row.open))
                value = person.random.choice(row.open[name])["value"]
                return Wish("conflict.decide_own", 1, [Change("set", entity, id, {name: value})])
    return None


def settle(person: Person) -> Wish | None:
    """Say which filing of a machine's move stands; where nobody contradicts another, do so."""
    for id in person.device.keys("conflict"):
        row = person.device.view("conflict", id)
        if row and _is_of_filings(row.fields):
            ruling = _create(person, "move_ruling", _ruling(row.fields, person.random, person.now))
            return Wish("conflict.decide_own", 1, [ruling])
    filed = _pick(person, "equipment_move")
    machine = person.device.view("equipment", filed.fields["equipment"]) if filed else None
    if filed is None or machine is None or filed.actor == person.actor:
        return move(person)
    return _filed(person, machine, filed.fields["kind"])


def _is_of_filings(conflict: dict[str, Any]) -> bool:
    return conflict["rule"] == "4.3#12" and conflict["state"] == "open"


def _ruling(conflict: dict[str, Any], random: Random, now: int) -> dict[str, Any]:
    """For one of the filings that a Conflict shows, over those that say otherwise."""
    told = [side["value"] for side in conflict["sides"]]
    chosen = random.choice(told)
    over = [one["filing"] for one in told if one["move"] != chosen["move"]]
    about = {"equipment": conflict["row_id"], "unit": conflict["unit"], "at": now}
    return about | {"filing": chosen["filing"], "over": over}


def newer(person: Person) -> Wish | None:
    """What only a newer app can mean: an intent, or a field, that this version has not heard of."""
    if person.random.random() < 0.5:
        drone = Change("create", "drone", person.new_id(person.now), {"unit": person.unit})
        return Wish("drone.launch", 1, [drone])
    card = _pick(person, "contact")
    if card is None:
        return None
    fields = {"nickname": person.random.choice(WORDS)}
    return Wish("contact.edit", 2, [Change("set", "contact", card.id, fields)])


ACTS: dict[str, Act] = {
    "newer": newer,
    "step": step,
    "feedback": feedback,
    "stop": stop,
    "help": help_call,
    "move": move,
    "edit_contact": edit_contact,
    "edit_number": edit_number,
    "add_contact": add_contact,
    "remove_contact": remove_contact,
    "make_again": make_again,
    "add_equipment": add_equipment,
    "edit_equipment": edit_equipment,
    "decide": decide,
    "settle": settle,
}

REGISTER_ACTS = (
    *("edit_contact", "edit_number", "edit_number", "add_contact", "remove_contact"),
    *("edit_equipment", "edit_equipment", "decide", "make_again", "add_equipment"),
)
FIELD_ACTS = ("step", "step", "step", "feedback", "stop", "help")
ACTS_OF = {
    "phone": FIELD_ACTS,
    "tablet": (*FIELD_ACTS, *REGISTER_ACTS, "move", "settle"),
    "operator": ("move", "move", "help"),
}


# --- The centre -----------------------------------------------------------------------------------


class Page(Struct):
    """A page of the web view, perhaps loaded a while ago: rows as they were then."""

    docs: dict[tuple[str, str], dict[str, Any]]
    seq: int


class Desk(Struct):
    """Somebody of the centre before a page."""

    model: Model
    page: Page
    now: int
    random: Random
    new_id: Callable[[int], str]

    def pick(self, entity: str) -> dict[str, Any] | None:
        found = sorted(
            id for (of, id), doc in self.page.docs.items() if of == entity and not doc["removed"]
        )
        return self.page.docs[entity, self.random.choice(found)] if found else None


def _fact(desk: Desk, entity: str, fields: dict[str, Any]) -> Change:
    return Change("create", entity, desk.new_id(desk.now), fields)


def _target_fields(desk: Desk, target: dict[str, Any]) -> dict[str, Any]:
    rounds = [
        doc["fields"]["round"]
        for (of, _), doc in desk.page.docs.items()
        if of == "round" and doc["fields"]["target"] == target["id"]
    ]
    fields = {name: target["fields"][name] for name in ("directive", "unit")}
    return {"target": target["id"], **fields, "round": max([1, *rounds]), "at": desk.now}


def open_incident(desk: Desk) -> Wish | None:
    id = desk.new_id(desk.now)
    changes = [
        Change("create", "incident", id, {"state": "open"}),
        Change("create", "incident_summary", id, {"title": "t"}),
    ]
    return Wish("incident.open", 0, changes)


def edit_incident(desk: Desk) -> Wish | None:
    entity = desk.random.choice(("incident", "incident_summary"))
    row = desk.pick(entity)
    if row is None:
        return None
    fields = {"note": desk.random.choice(WORDS)}
    if desk.random.random() < 0.3:
        fields = {"state": desk.random.choice(("open", "closed"))}
    if entity == "incident_summary":
        fields = {"title": desk.random.choice(WORDS), "level": desk.random.choice(LEVELS)}
    return Wish("incident.edit", 1, [Change("set", entity, row["id"], fields)])


def order(desk: Desk) -> Wish | None:
    incident = desk.pick("incident")
    if incident is None:
        return None
    id = desk.new_id(desk.now)
    directive = {
        "incident": incident["id"],
        "kind": "dispatch",
        "urgency": "urgent",
        "version": 1,
        "text": "go",
        "clocks": CLOCKS,
        "at": desk.now,
    }
    changes = [Change("create", "directive", id, directive)]
    for unit in desk.random.sample(UNITS, desk.random.randint(1, len(UNITS))):
        fields = {"directive": id, "incident": incident["id"], "unit": unit, "lead": False}
        changes.append(_fact(desk, "target", fields))
    return Wish("directive.issue", 0, changes)


def recall(desk: Desk) -> Wish | None:
    target = desk.pick("target")
    if target is None:
        return None
    fields = _target_fields(desk, target)
    ranks = [
        RANK[doc["fields"]["step"]]
        for (of, _), doc in desk.page.docs.items()
        if of == "step"
        and doc["fields"]["target"] == target["id"]
        and doc["fields"]["round"] == fields["round"]
    ]
    fields |= {"reason": "r", "rank_seen": max([0, *ranks])}
    return Wish("directive.recall", 0, [_fact(desk, "recall", fields)])


def send_back(desk: Desk) -> Wish | None:
    target = desk.pick("target")
    if target is None:
        return None
    fields = _target_fields(desk, target)
    fields |= {"round": fields["round"] + 1, "reason": "sent_back", "note": "n"}
    return Wish("target.send_back", 0, [_fact(desk, "round", fields)])


def close(desk: Desk) -> Wish | None:
    target = desk.pick("target")
    if target is None:
        return None
    fields = _target_fields(desk, target) | {"step": "closed", "version": 1, "route": "centre"}
    return Wish("target.close", 0, [_fact(desk, "step", fields)])


def rule(desk: Desk) -> Wish | None:
    row = desk.pick("recall")
    target = desk.page.docs.get(("target", row["fields"]["target"])) if row else None
    if row is None or target is None:
        return None
    verdict = desk.random.choice(("accept_result", "stand_by_recall"))
    fields = _target_fields(desk, target) | {"recall": row["id"], "verdict": verdict}
    return Wish("recall.rule", 0, [_fact(desk, "ruling", fields)])


def answer_help(desk: Desk) -> Wish | None:
    call = desk.pick("help_call")
    if call is None:
        return None
    fields = {
        "help_call": call["id"],
        "unit": call["fields"]["unit"],
        "caller": call["actor"],
        "text": "w",
        "at": desk.now,
    }
    return Wish("help.answer", 0, [_fact(desk, "help_answer", fields)])


def edit_any_contact(desk: Desk) -> Wish | None:
    entity = desk.random.choice(("contact", "contact_phone"))
    row = desk.pick(entity)
    if row is None:
        return None
    fields = {"name": desk.random.choice(WORDS)}
    if entity == "contact_phone":
        fields = {"number": desk.random.choice(NUMBERS)}
    return Wish("contact.edit_any", 2, [Change("set", entity, row["id"], fields)])


def remove_any_contact(desk: Desk) -> Wish | None:
    entity = desk.random.choice(("contact", "contact_phone"))
    row = desk.pick(entity)
    return Wish("contact.edit_any", 2, [Change("remove", entity, row["id"])]) if row else None


def decide_any(desk: Desk) -> Wish | None:
    docs = desk.page.docs
    open = [key for key, doc in docs.items() if doc.get("open") and not doc["removed"]]
    open += [
        key for key, doc in docs.items() if key[0] == "conflict" and _is_of_filings(doc["fields"])
    ]
    if not open:
        return None
    entity, id = desk.random.choice(sorted(open))
    if entity == "conflict":
        fields = _ruling(docs[entity, id]["fields"], desk.random, desk.now)
        return Wish("conflict.decide", 1, [_fact(desk, "move_ruling", fields)])
    disputed = desk.page.docs[entity, id]["open"]
    name = desk.random.choice(sorted(disputed))
    value = desk.random.choice(disputed[name])["value"]
    return Wish("conflict.decide", 1, [Change("set", entity, id, {name: value})])


def _on_quarantine(state: str, intent: str) -> Callable[[Desk], Wish | None]:
    """Deal with words that were not applied."""

    def act(desk: Desk) -> Wish | None:
        open = sorted(
            id
            for (of, id), doc in desk.page.docs.items()
            if of == "quarantine" and doc["fields"]["state"] == "open"
        )
        if not open:
            return None
        change = Change("set", "quarantine", desk.random.choice(open), {"state": state})
        return Wish(intent, 1, [change])

    return act


CENTRE_ACTS: dict[str, tuple[str, Callable[[Desk], Wish | None]]] = {
    "open_incident": ("disp", open_incident),
    "edit_incident": ("disp", edit_incident),
    "edit_incident_2": ("lead", edit_incident),
    "order": ("disp", order),
    "recall": ("disp", recall),
    "send_back": ("lead", send_back),
    "close": ("disp", close),
    "rule": ("lead", rule),
    "answer_help": ("disp", answer_help),
    "edit_any_contact": ("lead", edit_any_contact),
    "remove_any_contact": ("lead", remove_any_contact),
    "decide_any": ("lead", decide_any),
    "release": ("lead", _on_quarantine("released", "quarantine.release")),
    "reject": ("lead", _on_quarantine("rejected", "quarantine.reject")),
    "dismiss": ("disp", _on_quarantine("closed", "quarantine.close")),
}

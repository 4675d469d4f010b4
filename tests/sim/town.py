"""Where the simulation plays: units, people, cards and machines, the same in every seed."""

from random import Random

from schema.wire import Change
from server.device import WebUser
from tests.sim.centre import Centre
from tests.sim.disk import Disk, Image, new_disk
from tests.sim.seals import installed

START_MS = 1_800_000_000_000
UNITS = ("u1", "u2", "u3", "u4")
CLOCKS = {"receipt": 60_000, "sign": 180_000, "depart": 900_000, "first_feedback": 1_800_000}
WHOSE = {
    "phone": ("responder", "mate"),
    "tablet": ("duty", "steward"),
    "operator": ("driver",),
}
"""The people who use each kind of device, as prefixes of their id."""

ROLES = {
    "responder": ["responder"],
    "mate": ["responder"],
    "duty": ["duty"],
    "steward": ["steward"],
    "driver": ["operator"],
}
CENTRE_PEOPLE = {
    "lead": ["dispatcher", "shift_lead"],
    "disp": ["dispatcher"],
    "head": ["centre_head"],
}


def web_user(actor: str) -> WebUser:
    """A person of the centre at the web view."""
    return WebUser(actor, actor, None, frozenset(), f"web-{actor}", "csrf")


def person_id(prefix: str, unit: str) -> str:
    return f"{prefix}-{unit}"


def register() -> list[Change]:
    """Everything that is there before the first day."""
    changes = [
        Change("create", "unit", id, {"code": id, "name": id, "tier": "T1", "category": "1.2"})
        for id in UNITS
    ]
    changes += [
        Change("create", "person", id, {"name": id, "unit": None, "roles": roles})
        for id, roles in CENTRE_PEOPLE.items()
    ]
    for unit in UNITS:
        changes += [
            Change(
                "create",
                "person",
                person_id(prefix, unit),
                {"name": prefix, "unit": unit, "roles": roles},
            )
            for prefix, roles in ROLES.items()
        ]
        changes += _cards(unit)
    return changes


def _cards(unit: str) -> list[Change]:
    contact = {"unit": unit, "duty": "head", "name": "a"}
    phone = {"unit": unit, "contact": f"c-{unit}", "kind": "mobile", "number": "1000000001"}
    machine = {"unit": unit, "kind": "crane", "name": "m", "status": "available"}
    return [
        Change("create", "contact", f"c-{unit}", contact),
        Change("create", "contact_phone", f"p-{unit}", phone),
        Change("create", "equipment", f"e-{unit}", machine),
        Change(
            "create",
            "equipment",
            f"f-{unit}",
            {**machine, "operator_person": person_id("driver", unit)},
        ),
    ]


_images: dict[str, Image] = {}


def founded(store: str) -> Disk:
    """A disk with the database of a centre and its register, made once in a process."""
    disk = new_disk(store)
    if store not in _images:
        with installed(False, Random(0)):
            random = Random(0)
            centre = Centre(disk, random)
            centre.now = START_MS - 1_000
            verdict = centre.run(centre.load(register()))
            assert verdict.verdict == "applied", verdict
            _images[store] = disk.image()
            centre.loop.close()
    disk.put_back(_images[store])
    return disk

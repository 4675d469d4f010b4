"""A centre's data with units, orders and enrolled devices, made before any server serves it.

Run as a module it does so in a process of its own, which a recorded disk wants.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from schema.wire import Change, EnrolReply, EnrolRequest
from server.accounts import enrol, new_code, new_login
from server.cli.centre import open_for
from server.clock import system_clock
from server.config import Config
from server.data_folder import locked
from server.device import WebUser
from server.engine import Engine
from server.ids import uuid7
from server.node import Node

UNITS_MAX = 10
LEAD, PASSWORD = "lead", "示例口令示例口令"
CLOCKS = {"receipt": 60_000, "sign": 180_000, "depart": 900_000, "first_feedback": 1_800_000}


class Enrolled(Struct):
    """A device as it lies on its own disk: what enrolment told it, its key, and its orders."""

    reply: EnrolReply
    pem: str
    targets: list[tuple[str, str]]
    """`(target, directive)`."""

    def signer(self) -> Node:
        key = serialization.load_pem_private_key(self.pem.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Node(self.reply.replica, key)


def units_of(devices: int) -> list[str]:
    """Few units, so that devices of one unit edit the same rows."""
    return [f"u{n}" for n in range(min(UNITS_MAX, devices // 4))]


def register(devices: int) -> list[Change]:
    """Units with a card, a telephone and a machine each, and a duty officer for each device."""
    rows, units = [_person(LEAD, None, "dispatcher", "shift_lead")], units_of(devices)
    for unit in units:
        named = {"code": unit, "name": f"示例单位{unit}", "tier": "T1", "category": "1.2"}
        card = {"unit": unit, "duty": "head", "name": "示例甲"}
        phone = {"unit": unit, "contact": f"c-{unit}", "kind": "mobile", "number": "1000000000"}
        machine = {"unit": unit, "kind": "crane", "name": "示例吊车", "status": "available"}
        rows.append(Change("create", "unit", unit, named))
        rows.append(Change("create", "contact", f"c-{unit}", card))
        rows.append(Change("create", "contact_phone", f"p-{unit}", phone))
        rows.append(Change("create", "equipment", f"e-{unit}", machine))
    whose = [units[n % len(units)] for n in range(devices)]
    return rows + [_person(f"duty{n}", unit, "duty") for n, unit in enumerate(whose)]


def _person(id: str, unit: str | None, *roles: str) -> Change:
    return Change("create", "person", id, {"name": f"示例{id}", "unit": unit, "roles": list(roles)})


async def made(folder: Path, devices: int, orders: int, store: str = "") -> list[Enrolled]:
    """Afterwards the centre is on disk and closed, with so many orders to every unit.

    On a PostgreSQL where `store` is its URL; the folder has the rest.
    """
    config = Config(data=folder, store=store)
    with locked(folder):
        engine = await Engine.open(await open_for(config), system_clock, config)
        verdict = await engine.load(register(devices))
        assert verdict.verdict == "applied", verdict
        await new_login(engine, LEAD, PASSWORD, LEAD)
        targets = await _ordered(engine, orders, units_of(devices))
        found = [await _enrolled(engine, f"duty{n}") for n in range(devices)]
        await engine.close()
    for one in found:
        one.targets = [(f"{id}-{one.reply.unit}", id) for id in targets]
    return found


async def _ordered(engine: Engine, orders: int, units: list[str]) -> list[str]:
    lead = WebUser(LEAD, "示例", None, frozenset(), "web", "")
    opened = [
        Change("create", "incident", "i1", {"state": "open"}),
        Change("create", "incident_summary", "i1", {"title": "示例事件"}),
    ]
    await _done(engine, lead, "incident.open", opened)
    ids = [f"d{n}" for n in range(orders)]
    for id in ids:
        fields = {"incident": "i1", "kind": "dispatch", "urgency": "urgent", "version": 1}
        fields |= {"text": "示例指令", "clocks": CLOCKS, "at": engine.clock()}
        changes = [Change("create", "directive", id, fields)]
        for unit in units:
            of = {"directive": id, "incident": "i1", "unit": unit, "lead": False}
            changes.append(Change("create", "target", f"{id}-{unit}", of))
        await _done(engine, lead, "directive.issue", changes)
    return ids


async def _done(engine: Engine, who: WebUser, intent: str, changes: list[Change]) -> None:
    verdict = await engine.act(who, intent, changes)
    assert verdict.verdict == "applied", verdict


async def _enrolled(engine: Engine, actor: str) -> Enrolled:
    key = ec.generate_private_key(ec.SECP256R1())
    code = await new_code(engine, actor, "tablet")
    reply = await enrol(engine, EnrolRequest(code, Node("", key).public))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *form).decode()
    return Enrolled(reply, pem, [])


def step(of: tuple[str, str], unit: str, name: str) -> Change:
    now = system_clock()
    fields = {"target": of[0], "directive": of[1], "unit": unit, "round": 1, "at": now}
    fields |= {"step": name, "version": 1, "route": "device"}
    return Change("create", "step", uuid7(now), fields)


def feedback(of: tuple[str, str], unit: str, text: str) -> Change:
    now = system_clock()
    fields = {"target": of[0], "directive": of[1], "unit": unit, "round": 1, "at": now}
    return Change("create", "feedback", uuid7(now), fields | {"kind": "progress", "text": text})


if __name__ == "__main__":
    folder, out, devices, orders = sys.argv[1:]
    town = asyncio.run(made(Path(folder), int(devices), int(orders)))
    Path(out).write_bytes(msgspec.json.encode(town))

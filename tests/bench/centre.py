"""A centre of any size, filled in this process, then served by the product's own command."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from schema.versions import CHANGES_PER_MUTATION_MAX
from schema.wire import Change, EnrolReply, EnrolRequest, Verdict
from server.accounts import enrol, new_code
from server.cli.centre import open_for
from server.clock import system_clock
from server.config import Config
from server.data_folder import make_folder
from server.device import WebUser
from server.engine import Engine
from server.ids import uuid7
from server.node import Node
from server.store.protocol import Read, Store, Txn
from server.together import Together
from tests.bench.harness import BenchFailed
from tests.bench.line import Line, LineCut, request
from tests.bench.writer import Writer

ROOT = Path(__file__).resolve().parents[2]
STARTED_S = 60
STOPPED_S = 20
ENROLLED_AT_ONCE = 200
CLOCKS = {"receipt": 60_000, "sign": 180_000, "depart": 900_000, "first_feedback": 1_800_000}
LEAD = WebUser("lead", "示例值班长", None, frozenset(), "bench", "")

T = TypeVar("T")


class Size(Struct, frozen=True):
    """How big a centre is. Devices are shared out over the units in turn."""

    units: int = 8
    devices: int = 64
    targets: int = 300
    """Orders that each unit has."""
    machines: int = 200
    """Equipment cards of each unit."""
    kind: str = "tablet"


class Made(Struct):
    """A filled centre: where it lies, its devices, and what they write about."""

    folder: Path
    size: Size
    writers: list[Writer]
    targets: dict[str, list[tuple[str, str]]]
    """By unit: target and directive."""
    machines: dict[str, dict[str, str]]
    """By unit: each equipment card and the dot that created it."""
    incident: str = ""
    """The one that all orders belong to."""

    store: str = ""
    """The PostgreSQL that holds it; "" for SQLite in the folder."""

    def copy_to(self, folder: Path) -> "Made":
        """The same centre once more, its devices as they were at the beginning."""
        shutil.copytree(self.folder, folder)
        writers = [Writer(one.reply, one.signer) for one in self.writers]
        return Made(folder, self.size, writers, self.targets, self.machines, self.incident)


class Quick(Store):
    """A store whose writes that wait at one time are one transaction: setting up is quick."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writes = Together(store)

    async def write(self, work: Callable[[Txn], T]) -> T:
        return await self._writes.write(work)

    async def read(self, work: Callable[[Read], T]) -> T:
        return await self._store.read(work)

    async def close(self) -> None:
        await self._store.close()


@asynccontextmanager
async def opened(folder: Path, store: str = "") -> AsyncIterator[Engine]:
    """The engine of the centre in this folder, in this process."""
    make_folder(folder)
    config = Config(data=folder, store=store)
    engine = await Engine.open(Quick(await open_for(config)), system_clock, config)
    try:
        yield engine
    finally:
        await engine.close()


async def make(folder: Path, size: Size, store: str = "") -> Made:
    """A centre of this size in a new folder, closed again."""
    async with opened(folder, store) as engine:
        units = [f"u{number:03}" for number in range(size.units)]
        people = [f"p{number:05}" for number in range(size.devices)]
        await load(engine, list(_register(units, people)))
        incident = await _incident(engine)
        targets = await _orders(engine, incident, units, size.targets)
        machines = await _machines(engine, units, size.machines)
        writers = await _enrolled(engine, people, size.kind)
    return Made(folder, size, writers, targets, machines, incident, store)


def _register(units: Sequence[str], people: Sequence[str]) -> Iterator[Change]:
    for id in units:
        fields = {"code": id, "name": f"示例单位{id}", "tier": "T1", "category": "1.2"}
        yield Change("create", "unit", id, fields)
    command = {"name": LEAD.name, "unit": None, "roles": ["dispatcher", "shift_lead"]}
    yield Change("create", "person", LEAD.actor, command)
    for number, id in enumerate(people):
        unit = units[number % len(units)]
        fields = {"name": f"示例{id}", "unit": unit, "roles": ["duty", "responder"]}
        yield Change("create", "person", id, fields)


async def load(engine: Engine, changes: Sequence[Change]) -> None:
    """Write these as the node itself, in as few mutations as the limits allow."""
    for at in range(0, len(changes), CHANGES_PER_MUTATION_MAX):
        must_stand(await engine.load(changes[at : at + CHANGES_PER_MUTATION_MAX]))


def must_stand(verdict: Verdict) -> None:
    if verdict.verdict not in ("applied", "merged"):
        raise BenchFailed(f"{verdict.dot}: {verdict.verdict} {verdict.code} {verdict.detail}")


async def _incident(engine: Engine) -> str:
    id = uuid7(engine.clock())
    opening = [
        Change("create", "incident", id, {"state": "open"}),
        Change("create", "incident_summary", id, {"title": "示例事件"}),
    ]
    must_stand(await engine.act(LEAD, "incident.open", opening))
    return id


async def _orders(
    engine: Engine, incident: str, units: Sequence[str], count: int
) -> dict[str, list[tuple[str, str]]]:
    """So many orders, each to every unit, all of one incident."""
    found: dict[str, list[tuple[str, str]]] = {unit: [] for unit in units}
    changes: list[Change] = []
    for _ in range(count):
        if len(changes) + 1 + len(units) > CHANGES_PER_MUTATION_MAX:
            must_stand(await engine.act(LEAD, "directive.issue", changes))
            changes = []
        directive = uuid7(engine.clock())
        changes.append(order(directive, incident, engine.clock()))
        for unit in units:
            target = uuid7(engine.clock())
            fields = {"directive": directive, "incident": incident, "unit": unit, "lead": False}
            changes.append(Change("create", "target", target, fields))
            found[unit].append((target, directive))
    if changes:
        must_stand(await engine.act(LEAD, "directive.issue", changes))
    return found


def order(id: str, incident: str, now_ms: int) -> Change:
    """An order of an incident."""
    fields = {
        "incident": incident,
        "kind": "dispatch",
        "urgency": "urgent",
        "version": 1,
        "text": "示例指令：请立即赶赴现场处置，到场后报告情况。",
        "clocks": CLOCKS,
        "at": now_ms,
    }
    return Change("create", "directive", id, fields)


async def _machines(engine: Engine, units: Sequence[str], count: int) -> dict[str, dict[str, str]]:
    found = {}
    for unit in units:
        ids = [uuid7(engine.clock()) for _ in range(count)]
        await load(engine, [machine(id, unit, n) for n, id in enumerate(ids)])
        keys = [("equipment", id) for id in ids]
        rows = await engine.store.read(lambda read, keys=keys: read.rows(keys))
        found[unit] = {id: stored.row.dot for (_, id), stored in rows.items()}
    return found


def machine(id: str, unit: str, number: int) -> Change:
    """A machine's card."""
    fields = {
        "unit": unit,
        "kind": "crane",
        "name": f"示例吊车{number}",
        "plate": f"示例{number:05}",
        "status": "available",
        "base": "示例停放点",
        "manager": "示例管理员",
        "manager_phone": "1000000001",
        "operator": "示例机手",
        "operator_phone": "1000000002",
    }
    return Change("create", "equipment", id, fields)


async def _enrolled(engine: Engine, people: Sequence[str], kind: str) -> list[Writer]:
    writers = []
    for at in range(0, len(people), ENROLLED_AT_ONCE):
        some = people[at : at + ENROLLED_AT_ONCE]
        codes = await asyncio.gather(*(new_code(engine, person, kind) for person in some))
        keys = [Node("", ec.generate_private_key(ec.SECP256R1())) for _ in some]
        asked = [EnrolRequest(code, key.public) for code, key in zip(codes, keys, strict=True)]
        addresses = [f"bench {person}" for person in some]
        replies: list[EnrolReply] = await asyncio.gather(
            *(enrol(engine, one, from_) for one, from_ in zip(asked, addresses, strict=True))
        )
        writers += [Writer(reply, key) for reply, key in zip(replies, keys, strict=True)]
        await engine.store.write(_forget_codes)
    return writers


def _forget_codes(txn: Txn) -> None:
    """Spent codes: whoever makes another one looks at all of them."""
    for key in txn.find("code"):
        txn.delete("code", key)


class Served(Struct):
    """A centre that answers."""

    port: int
    pid: int
    tls_port: int = 0


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def served(folder: Path, tls: bool = False, store: str = "") -> AsyncIterator[Served]:
    """Serve the centre in this folder in a process of its own, as `run.py serve` does."""
    port, tls_port, log = free_port(), free_port() if tls else 0, folder / "serve.log"
    command = [sys.executable, "-m", "server.cli", "serve", "--data", str(folder)]
    command += ["--port", str(port)]
    command += ["--tls-port", str(tls_port), "--trust-port", "0"] if tls else ["--no-tls"]
    command += ["--store", store] if store else []
    with log.open("wb") as out, running(command, out) as process:
        await answering(port, process, log)
        yield Served(port, process.pid, tls_port)


@contextmanager
def running(
    command: Sequence[str], out: BinaryIO, cwd: Path = ROOT
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is stopped at the end, at the latest by force."""
    process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPPED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def answering(
    port: int, process: "subprocess.Popen[bytes]", log: Path, path: str = "/"
) -> None:
    """Wait until the process answers on this port. BenchFailed when it ends or takes too long."""
    async with asyncio.timeout(STARTED_S):
        while process.poll() is None:
            try:
                line = await Line.to(port)
                await line.ask(request("GET", path, {}))
            except (OSError, LineCut):
                await asyncio.sleep(0.05)
                continue
            line.close()
            return
    raise BenchFailed(log.read_text(encoding="utf-8", errors="replace")[-2000:])

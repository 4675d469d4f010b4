"""Fills an empty centre with a scenario, through the engine like everybody else."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from schema.register import actors
from schema.wire import Change, Verdict
from server.accounts import new_code, new_login
from server.accounts.people import person_row, roles_of, unit_of
from server.clock import Clock
from server.demo.scenario import Event, Scenario, change_of, id_of, register_changes
from server.device import WebUser
from server.engine import Engine
from server.store.protocol import Read, Txn

CHANGES_AT_ONCE = 100
"""Keeps a mutation of full register rows below the size that any carrier takes."""

REGISTER_MIN_AGO = 60
SESSION = "demo"


class SeedFailed(Exception):
    """A change of the scenario was not applied; the text names the verdict."""


class PastClock:
    """A clock that can be set back while the past is told, and then runs true."""

    def __init__(self, now: Clock) -> None:
        self.now = now
        self.behind_ms = 0

    def __call__(self) -> int:
        return self.now() - self.behind_ms


class Person(Struct, frozen=True):
    """A login or a code, and whose it is, as the panel shows it."""

    key: str
    name: str
    post: str
    unit: str


async def seed(engine: Engine, clock: PastClock, scenario: Scenario, password: str) -> bool:
    """Afterwards the centre holds the scenario. False, and nothing changed, when it did before.

    `clock` is the engine's own. SeedFailed when a change is refused.
    """
    if await engine.store.read(lambda read: read.get("demo", "seed")):
        return False
    clock.behind_ms = REGISTER_MIN_AGO * 60_000
    try:
        await load_new(engine, register_changes(scenario))
        if scenario.register:
            await engine.store.write(keep_actors)
        for event in scenario.events:
            clock.behind_ms = event.ago_ms
            await _play(engine, scenario, event)
    finally:
        clock.behind_ms = 0
    for login, key in scenario.logins.items():
        await new_login(engine, login, password, id_of(scenario, key))
    await engine.store.write(lambda txn: txn.put("demo", "seed", {"at": clock()}))
    return True


async def load_new(engine: Engine, changes: Sequence[Change]) -> None:
    """Load those rows that are not there yet, as the node itself."""
    for chunk in _chunks(await _unknown(engine, changes)):
        _must_stand(await engine.load(chunk))


def keep_actors(txn: Txn) -> None:
    """Note the bodies that take part but are no linked units."""
    for actor in actors():
        doc = {"kind": actor.kind, "name": actor.name, "gateway_of": actor.gateway_of}
        txn.put("actor", actor.code, doc)


async def _play(engine: Engine, scenario: Scenario, event: Event) -> None:
    changes = [change_of(scenario, line, engine.clock()) for line in event.rows]
    if not await _unknown(engine, changes):
        return
    who = await engine.store.read(lambda read: _acting(read, id_of(scenario, event.by)))
    _must_stand(await engine.act(who, event.intent, changes))


def _acting(read: Read, actor: str) -> WebUser:
    person = person_row(read, actor)
    if person is None:
        raise SeedFailed(actor)
    return WebUser(person.id, person.fields["name"], unit_of(person), roles_of(person), SESSION, "")


async def _unknown(engine: Engine, changes: Sequence[Change]) -> list[Change]:
    keys = [(change.entity, change.id) for change in changes]
    known = await engine.store.read(lambda read: read.rows(keys))
    return [change for change, key in zip(changes, keys, strict=True) if key not in known]


def _chunks(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    for at in range(0, len(changes), CHANGES_AT_ONCE):
        yield changes[at : at + CHANGES_AT_ONCE]


def _must_stand(verdict: Verdict) -> None:
    if verdict.verdict not in ("applied", "merged"):
        raise SeedFailed(f"{verdict.dot}: {verdict.verdict} {verdict.code} {verdict.detail}")


async def people_of(engine: Engine, scenario: Scenario, keys: dict[str, str]) -> list[Person]:
    """Who stands behind each login or device kind."""

    def work(read: Read) -> list[Person]:
        return [_shown(read, key, id_of(scenario, whose)) for key, whose in keys.items()]

    return await engine.store.read(work)


def _shown(read: Read, key: str, actor: str) -> Person:
    person = person_row(read, actor)
    fields = person.fields if person else {}
    unit = read.rows([("unit", fields["unit"])]) if fields.get("unit") else {}
    called = [stored.row.fields["name"] for stored in unit.values()]
    return Person(key, fields.get("name", ""), fields.get("post") or "", "".join(called))


async def fresh_codes(engine: Engine, scenario: Scenario) -> dict[str, str]:
    """A new one-time enrolment code for each kind of device."""
    return {
        kind: await new_code(engine, id_of(scenario, key), kind)
        for kind, key in scenario.codes.items()
    }

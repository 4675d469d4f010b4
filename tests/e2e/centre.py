"""A whole centre for browser tests: real sockets, real store, the demo's register, restartable."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from schema.wire import Change, Row
from server.accounts import new_code
from server.app import build_app
from server.clock import system_clock
from server.config import Config
from server.demo.scenario import id_of, read_scenario
from server.demo.seed import PastClock, seed
from server.device import WebUser
from server.engine import Engine
from server.ids import uuid7
from server.log import set_up
from server.store.sqlite import open_store

T = TypeVar("T")
STATIC = Path(__file__).resolve().parents[2] / "static"
PASSWORD = "demo-password"
STARTED_S = 20
UNIT = "1.2-01"


class LiveCentre:
    """Serves on loopback from a thread of its own until `stop`. `start` again keeps the data."""

    def __init__(self, folder: Path, scenario: str = "default", static: Path = STATIC) -> None:
        self.folder = folder
        self.static = static
        self.port = _free_port()
        self.scenario = read_scenario(scenario)
        self.origin = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Serve, with the data of last time."""
        set_up("ERROR")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._open())

    async def _open(self) -> None:
        clock = PastClock(system_clock)
        config = Config(
            data=self.folder,
            centre=self.scenario.centre,
            centre_name=self.scenario.centre_name,
            port=self.port,
            static=self.static,
        )
        store = await open_store(config.database, config.centre)
        self.engine = await Engine.open(store, clock, config)
        await seed(self.engine, clock, self.scenario, PASSWORD)
        settings = uvicorn.Config(
            build_app(self.engine),
            host="127.0.0.1",
            port=self.port,
            ws="websockets-sansio",
            log_level="error",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(settings)
        self._serving = asyncio.create_task(self._server._serve())
        async with asyncio.timeout(STARTED_S):
            while not self._server.started:
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Stop serving; what was acknowledged is on disk. Stopping twice is harmless."""
        if self._loop.is_closed():
            return

        async def close() -> None:
            self._server.should_exit = True
            await self._serving
            await self.engine.close()

        self.call(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the centre's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def person(self, key: str) -> str:
        """The id of one of the demo's invented people."""
        return id_of(self.scenario, key)

    def code(self, kind: str) -> str:
        """A fresh enrolment code for the demo's phone, tablet or operator."""
        return self.call(new_code(self.engine, self.person(self.scenario.codes[kind]), kind))

    def act(self, intent: str, *changes: Change, base: Any = None) -> None:
        """Do something at the centre as its shift leader."""
        who = WebUser(self.person("@jia"), "示例甲", None, frozenset(), "e2e", "")
        verdict = self.call(self.engine.act(who, intent, changes, base))
        assert verdict.verdict in ("applied", "merged"), verdict

    def order(self, text: str, *units: str, urgency: str = "urgent") -> str:
        """Issue an order to these units; the id of the first one's target."""
        incident, id = self.rows("incident_summary")[0].id, uuid7(self.engine.clock())
        fields = {
            "incident": incident,
            "kind": "dispatch",
            "urgency": urgency,
            "version": 1,
            "text": text,
            "clocks": {"receipt": 60_000, "sign": 180_000, "first_feedback": 1_800_000},
            "at": self.engine.clock(),
        }
        changes = [Change("create", "directive", id, fields)]
        targets = [uuid7(self.engine.clock()) for _ in units or (UNIT,)]
        for unit, target in zip(units or (UNIT,), targets, strict=True):
            of = {"directive": id, "incident": incident, "unit": unit, "lead": False}
            changes.append(Change("create", "target", target, of))
        self.act("directive.issue", *changes)
        return targets[0]

    def recall(self, target: str, rank_seen: int) -> None:
        """Take an order back from one unit, having seen it at this rank."""
        one = next(row for row in self.rows("target") if row.id == target)
        now = self.engine.clock()
        fields = {
            "target": target,
            "directive": one.fields["directive"],
            "unit": one.fields["unit"],
            "round": 1,
            "at": now,
            "reason": "示例：指令误发",
            "rank_seen": rank_seen,
        }
        self.act("directive.recall", Change("create", "recall", uuid7(now), fields))

    def rows(self, entity: str, parent: str | None = None) -> list[Row]:
        """Rows that stand at the centre."""
        found = self.call(self.engine.store.read(lambda txn: txn.children(entity, parent)))
        return [stored.row for stored in found if not stored.row.removed]

    def steps(self, target: str) -> list[str]:
        """The steps of a target, in the order in which they arrived."""
        rows = sorted(self.rows("step", target), key=lambda row: row.seq)
        return [row.fields["step"] for row in rows]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port

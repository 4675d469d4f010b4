"""A device whose core is the app's own TypeScript, in Node, behind the same protocol."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from schema.wire import Change, EnrolReply, Row
from tests.sim.broken import Broken
from tests.sim.device import Fetch, Held
from tests.sim.node_process import process

IDENTITY = ("realm", "centre", "epoch", "replica", "session", "actor")


class NodeDevice:
    """Two tabs of the app on one disk. What it shows is asked for once, until something changes."""

    carries_sticks = False
    """The app writes no bundle that the ferry could take."""

    def __init__(self, reply: EnrolReply, seal: Any, clock_ms: int) -> None:
        self.seal = seal
        self.life = reply.replica
        self.offset = reply.now - clock_ms
        self._rows: dict[tuple[str, str], Row] = {}
        self._scopes: dict[tuple[str, str], set[str]] = {}
        self._held: Held | None = None
        self._shown: dict[str, dict[str, Row]] = {}
        identity = {name: getattr(reply, name) for name in IDENTITY}
        self._do("enrol", identity=identity, offset=self.offset)

    def _do(self, what: str, fetch: Fetch | None = None, **given: Any) -> Any:
        """Something that may change what is here."""
        self._held = None
        self._shown.clear()
        return self._ask(what, fetch, **given)

    def _ask(self, what: str, fetch: Fetch | None = None, **given: Any) -> Any:
        def part(sha256: str) -> str | None:
            found = fetch(sha256) if fetch else None
            return None if found is None else base64.b64encode(found).decode()

        answers = {"sign": lambda text: self.seal.sign(text.encode()), "part": part}
        return process().call({"do": what, "of": self.life, **given}, answers)

    def write(self, intent: str, lane: int, changes: Sequence[Change], now_ms: int) -> bytes:
        raw: str = self._do("write", intent=intent, changes=_plain(changes), now=now_ms)
        return raw.encode()

    def write_without_room(
        self, intent: str, lane: int, changes: Sequence[Change], now_ms: int
    ) -> None:
        if not self._do("fill", intent=intent, changes=_plain(changes), now=now_ms):
            raise Broken("quota", f"{self.life} saved {intent} on a full disk")

    def request(self, now_ms: int) -> bytes:
        body: str = self._do("request", now=now_ms)
        return body.encode()

    def receive(self, body: bytes, request: bytes, times: tuple[int, int], fetch: Fetch) -> bool:
        asked = int(json.loads(request)["app"].rpartition("/")[2])
        text = body.decode(errors="replace")
        told = self._do("receive", fetch, body=text, asked=asked, times=times)
        self.offset = told["offset"]
        return bool(told["taken"])

    def crash(self, lost: int) -> None:
        self._do("crash", lost=lost)
        self.offset = self._ask("offset")

    @property
    def unflushed(self) -> int:
        count: int = self._ask("unflushed")
        return count

    def corrupt(self, pick: int) -> str | None:
        dot: str | None = self._do("corrupt", pick=pick)
        return dot

    def spoil(self, pick: int) -> tuple[str, str] | None:
        key = self._do("spoil", pick=pick)
        return _key(key) if key else None

    def audit_all(self) -> None:
        self._do("recheck")

    def keys(self, entity: str) -> list[str]:
        here = {id for of, id in self.inspect().rows if of == entity}
        return sorted(here | set(self._views(entity)))

    def view(self, entity: str, id: str) -> Row | None:
        return self._views(entity).get(id)

    def _views(self, entity: str) -> dict[str, Row]:
        if entity not in self._shown:
            rows = msgspec.convert(self._ask("shown", entity=entity), list[Row])
            self._shown[entity] = {row.id: row for row in rows}
        return self._shown[entity]

    def inspect(self) -> Held:
        if self._held is None:
            self._held = self._look()
        return self._held

    def _look(self) -> Held:
        seen = self._ask("seen")
        if seen["astray"]:
            raise Broken("tab_astray", f"{self.life}: {seen['astray']}")
        for body, scopes in seen["rows"]:
            row = msgspec.convert(body, Row)
            self._rows[row.entity, row.id] = row
            self._scopes[row.entity, row.id] = set(scopes)
        for key in seen["gone"]:
            del self._rows[_key(key)], self._scopes[_key(key)]
        return Held(
            seen["epoch"],
            dict(self._rows),
            dict(self._scopes),
            seen["cursors"],
            {(scope, lane) for scope, lane in seen["unsure"]},
            dict(seen["outbox"]),
            set(seen["kept"]),
            {dot: (hash, verdict) for dot, hash, verdict in seen["refused"]},
            set(seen["damaged"]),
            {(scope, lane) for scope, lane in seen["bad"]},
            seen["busy"],
        )


def forget_devices() -> None:
    """The devices of the world before this one are let go."""
    process().call({"do": "forget"})


def _plain(changes: Sequence[Change]) -> Any:
    return msgspec.to_builtins(changes)


def _key(text: str) -> tuple[str, str]:
    entity, _, id = text.partition("/")
    return entity, id

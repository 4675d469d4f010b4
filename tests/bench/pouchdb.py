"""pouchdb-server on LevelDB, driven by `_bulk_docs` and `_changes`."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.centre import answering, free_port, running
from tests.bench.harness import BenchFailed
from tests.bench.line import Answer, request
from tests.bench.peers import POUCHDB_SERVER, Row, node_program, pouchdb_folder
from tests.bench.rate import rate

SETTINGS = (
    f"pouchdb-server {POUCHDB_SERVER} with its LevelDB and defaults, one process, nobody to"
    " authorise; it does not wait for the disk"
)
PUSHED, FILLED = "pushed", "filled"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class Pouchdb:
    """A running pouchdb-server with a database to write into and one to read."""

    name = "pouchdb"
    settings = SETTINGS
    slower = 2

    def __init__(self, port: int) -> None:
        self._port = port

    async def prepare(self) -> None:
        """Afterwards the databases are there and empty."""
        asked = [request("PUT", f"/{name}", JSON) for name in (PUSHED, FILLED)]
        await rate(self._port, [asked], 1, _is_made)

    async def push(self, batches: Sequence[Sequence[Row]], at_once: int) -> float:
        asked = [_bulk(PUSHED, rows) for rows in batches]
        shared = [asked[at::at_once] for at in range(at_once)]
        return await rate(self._port, shared, len(batches[0]), _all_made)

    async def single(self, rows: Sequence[Row], at_once: int) -> float:
        asked = [request("POST", f"/{PUSHED}", JSON, _json(_doc(row))) for row in rows]
        return await rate(self._port, [asked[at::at_once] for at in range(at_once)], 1, _is_made)

    async def fill(self, batches: Sequence[Sequence[Row]]) -> None:
        asked = [_bulk(FILLED, rows) for rows in batches]
        await rate(self._port, [asked], len(batches[0]), _all_made)

    async def pull(self, count: int) -> float:
        query = f"/{FILLED}/_changes?include_docs=true&since=0&limit={count}"
        asked = request("GET", query, JSON)

        def whole(answer: Answer, each: int) -> None:
            if answer.status != 200 or len(json.loads(answer.body)["results"]) != each:
                raise BenchFailed(f"pouchdb-server: {answer.status} {answer.body[:300]!r}")

        return await rate(self._port, [[asked]], count, whole)


def _doc(row: Row) -> Row:
    rest = dict(row)
    return {"_id": rest.pop("id"), **rest}


def _bulk(name: str, rows: Sequence[Row]) -> bytes:
    body = _json({"docs": [_doc(one) for one in rows]})
    return request("POST", f"/{name}/_bulk_docs", JSON, body)


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _is_made(answer: Answer, each: int) -> None:
    if answer.status != 201:
        raise BenchFailed(f"pouchdb-server: {answer.status} {answer.body[:300]!r}")


def _all_made(answer: Answer, each: int) -> None:
    if answer.status != 201 or answer.body.count(b'"ok":true') != each:
        raise BenchFailed(f"pouchdb-server: {answer.status} {answer.body[:300]!r}")


@asynccontextmanager
async def pouchdb(folder: Path) -> AsyncIterator[Pouchdb]:
    """pouchdb-server in a process of its own, its data in `folder`."""
    home = folder / "pouchdb"
    home.mkdir()
    port, log = free_port(), home / "out"
    script = pouchdb_folder() / "node_modules/pouchdb-server/bin/pouchdb-server"
    command = [node_program(), str(script), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dir", str(home), "--config", str(home / "config.json"), "--no-stdout-logs"]
    with log.open("wb") as out, running(command, out, cwd=home) as process:
        await answering(port, process, log)
        found = Pouchdb(port)
        await found.prepare()
        yield found

"""Kinto on PostgreSQL, driven by its own batch endpoint."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.centre import answering, free_port, running
from tests.bench.harness import BenchFailed
from tests.bench.line import Answer, request
from tests.bench.peers import KINTO, UWSGI, Row, kinto_folder
from tests.bench.rate import rate
from tests.postgres import postgres

PROCESSES = 3
SETTINGS = (
    f"Kinto {KINTO} under uWSGI {UWSGI} with {PROCESSES} processes, as its documentation advises;"
    " storage, permission and cache in PostgreSQL with fsync, basicauth,"
    " batch_max_requests 100; each record a PUT with If-None-Match: *, as its client does, each"
    " connection into a collection of its own, since two at once in one collection get a 409"
)
BUCKET = "/v1/buckets/bench"
COLLECTIONS = 64
FILLED = "filled"

_INI = """
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {url}
kinto.cache_backend = kinto.core.cache.postgresql
kinto.cache_url = {url}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {url}
kinto.userid_hmac_secret = bench
kinto.bucket_create_principals = system.Authenticated
kinto.batch_max_requests = 100
multiauth.policies = basicauth

[uwsgi]
http-socket = 127.0.0.1:{port}
paste = config:%p
processes = {processes}
master = true
lazy-apps = true
single-interpreter = true
enable-threads = true
die-on-term = true
buffer-size = 65535
disable-logging = true
"""


class Kinto:
    """A running Kinto with a collection for each connection, and one to read from."""

    name = "kinto"
    settings = SETTINGS
    slower = 12

    def __init__(self, port: int) -> None:
        self._port = port
        user = base64.b64encode(b"bench:bench").decode()
        self._headers = {"Authorization": f"Basic {user}", "Content-Type": "application/json"}
        self._headers["Connection"] = "close"  # Kept open, it would hold one of few processes.
        self._pushed = 0

    def _request(self, method: str, path: str, body: object = None, **more: str) -> bytes:
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return request(method, path, self._headers | more, data)

    async def prepare(self) -> None:
        """Afterwards the collections are there and empty."""
        paths = [BUCKET, *map(_collection, [*range(COLLECTIONS), FILLED])]
        await rate(self._port, [[self._request("PUT", path) for path in paths]], 1, _is_made)

    async def push(self, batches: Sequence[Sequence[Row]], at_once: int) -> float:
        asked: list[list[bytes]] = [[] for _ in range(at_once)]
        for number, rows in enumerate(batches):
            asked[number % at_once].append(self._batch(rows, number % at_once))
        return await rate(self._port, asked, len(batches[0]), _all_made)

    def _batch(self, rows: Sequence[Row], collection: object) -> bytes:
        defaults = {"method": "PUT", "headers": {"If-None-Match": "*"}}
        each = [{"path": _record(row, collection), "body": {"data": row}} for row in rows]
        return self._request("POST", "/v1/batch", {"defaults": defaults, "requests": each})

    async def single(self, rows: Sequence[Row], at_once: int) -> float:
        new = {"If-None-Match": "*"}
        asked: list[list[bytes]] = [[] for _ in range(at_once)]
        for number, row in enumerate(rows):
            path = _record(row, number % at_once)
            asked[number % at_once].append(self._request("PUT", path, {"data": row}, **new))
        return await rate(self._port, asked, 1, _is_made)

    async def fill(self, batches: Sequence[Sequence[Row]]) -> None:
        asked = [self._batch(rows, FILLED) for rows in batches]
        await rate(self._port, [asked], len(batches[0]), _all_made)

    async def pull(self, count: int) -> float:
        asked = self._request("GET", f"{_collection(FILLED)}/records?_since=0&_limit={count}")

        def whole(answer: Answer, each: int) -> None:
            if answer.status != 200 or answer.body.count(b'"last_modified"') != each:
                raise BenchFailed(f"kinto: {answer.status} {answer.body[:300]!r}")

        return await rate(self._port, [[asked]], count, whole)


def _collection(name: object) -> str:
    return f"{BUCKET}/collections/{name}"


def _record(row: Row, collection: object) -> str:
    return f"{_collection(collection)}/records/{row['id']}"


def _is_made(answer: Answer, each: int) -> None:
    if answer.status != 201:
        raise BenchFailed(f"kinto: {answer.status} {answer.body[:300]!r}")


def _all_made(answer: Answer, each: int) -> None:
    told = json.loads(answer.body).get("responses", ())
    odd = [one for one in told if one["status"] != 201]
    if answer.status != 200 or odd or len(told) != each:
        raise BenchFailed(f"kinto: {answer.status} {str(odd)[:600]}")


@asynccontextmanager
async def kinto(folder: Path) -> AsyncIterator[Kinto]:
    """Kinto on a PostgreSQL of its own, its data below `folder`."""
    programs = kinto_folder() / "bin"
    port, ini, log = free_port(), folder / "kinto.ini", folder / "kinto.log"
    with postgres(folder) as url, log.open("wb") as out:
        ini.write_text(_INI.format(url=url, port=port, processes=PROCESSES), encoding="ascii")
        with running([str(programs / "kinto"), "migrate", "--ini", str(ini)], out) as made:
            if made.wait():
                raise BenchFailed(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        with running([str(programs / "uwsgi"), "--ini", str(ini)], out) as process:
            await answering(port, process, log, "/v1/")
            found = Kinto(port)
            await found.prepare()
            yield found

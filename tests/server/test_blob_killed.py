"""A photo over a line that is cut every 64 KiB, to a server process that is killed twice."""

import asyncio
import hashlib
import random
import re
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from schema.wire import EnrolRequest
from server.accounts import enrol, new_code
from server.clock import system_clock
from server.config import Config
from server.engine import Engine
from server.node import Node
from server.serving import LOOPBACK
from server.store.sqlite import open_store
from tests.server.test_blob import create, send
from tests.server.world import Phone, World, register

ROOT = Path(__file__).resolve().parents[2]
SIZE = 5_000_000
CUT = 64 * 1024
CHUNK = 24 * 1024
PATIENCE_S = 60
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/desk")


class Server:
    """`serve` in a process of its own, with the data of last time."""

    def __init__(self, folder):
        self.folder = folder
        self.killed = 0

    async def start(self):
        """Afterwards its port is known, and who connects is answered."""
        command = ["-m", "server.cli", "serve", "--data", str(self.folder), "--port", "0"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                "--no-tls",
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        async for line in self.process.stdout:
            if found := ADDRESS.search(line):
                self.port = int(found[1])
                return
        raise AssertionError((self.folder / "server.log").read_text())

    async def kill(self):
        """SIGKILL: nothing is flushed, closed or said."""
        self.process.kill()
        await self.process.wait()
        self.killed += 1


class Line:
    """Carries bytes to the server and back, and breaks each connection after CUT bytes.

    `kills` says after how many bytes the server is killed: on their way up, or with its answer in
    hand, which is then lost. It is started again before anybody gets through to it.
    """

    def __init__(self, server, **kills):
        self.server = server
        self.kills = kills
        self.carried = 0
        self.restarting = asyncio.Lock()

    async def carry(self, reader, writer):
        async with self.restarting:
            up, down = await asyncio.open_connection(LOOPBACK, self.server.port)
        ways = [self._pass("up", reader, down, CUT), self._pass("down", up, writer, SIZE * 2)]
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in (writer, down):
            one.transport.abort()

    async def _pass(self, way, source, target, room):
        while room and (data := await source.read(min(room, 4096))):
            room -= len(data)
            if way == "up":
                self.carried += len(data)
            if self.kills.get(way, SIZE * 2) <= self.carried:
                del self.kills[way]
                await asyncio.shield(self._restart())
                return
            target.write(data)
            await target.drain()

    async def _restart(self):
        async with self.restarting:
            await self.server.kill()
            await self.server.start()


async def enrolled(folder):
    """The centre's data with one enrolled phone, and that phone."""
    config = Config(data=folder)
    store = await open_store(config.database, config.centre)
    engine = await Engine.open(store, system_clock, config)
    await engine.load(register())
    signer = Node("", ec.generate_private_key(ec.SECP256R1()))
    code = await new_code(engine, "phone", "phone")
    reply = await enrol(engine, EnrolRequest(code, signer.public))
    await engine.close()
    return Phone(World(engine, system_clock, None), reply, signer)


@asynccontextmanager
async def serving(folder):
    server = Server(folder)
    await server.start()
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            await server.kill()


@asynccontextmanager
async def behind(line):
    """A client that reaches the server only through the line."""
    listening = await asyncio.start_server(line.carry, LOOPBACK, 0)
    port = listening.sockets[0].getsockname()[1]
    async with (
        listening,
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=PATIENCE_S) as client,
    ):
        yield client


class Sending:
    """A client as the protocol wants it, and what it sees of each interruption."""

    def __init__(self, phone, data):
        self.phone = phone
        self.data = data
        self.acknowledged = 0
        self.sent_to = 0
        self.sent = 0
        self.again = []

    async def run(self, location):
        """Until all is there: after each interruption from where the server says it stands."""
        while self.acknowledged < len(self.data):
            with suppress(httpx.TransportError):
                await self._go_on(location)

    async def _go_on(self, location):
        stands = await self.phone.world.client.head(location, headers=self.phone.headers)
        offset = int(stands.headers["upload-offset"])
        assert offset >= self.acknowledged, "what was acknowledged is on disk"
        self.acknowledged = offset
        self.again.append(self.sent_to - offset)
        while offset < len(self.data):
            chunk = self.data[offset : offset + CHUNK]
            self.sent_to = max(self.sent_to, offset + len(chunk))
            self.sent += len(chunk)
            answer = await send(self.phone, location, offset, chunk)
            assert answer.status_code == 204, answer.text
            offset = self.acknowledged = int(answer.headers["upload-offset"])


@pytest.fixture
async def phone(tmp_path):
    return await enrolled(tmp_path)


async def test_a_cut_line_and_a_killed_server_cost_at_most_a_chunk_each(tmp_path, phone):
    data = random.Random(1).randbytes(SIZE)
    sha = hashlib.sha256(data).hexdigest()
    async with serving(tmp_path) as server:
        line = Line(server, up=SIZE // 3, down=SIZE * 2 // 3)
        async with behind(line) as phone.world.client:
            location = (await create(phone, sha, SIZE)).headers["location"]
            sending = Sending(phone, data)
            await sending.run(location)
            got = await phone.world.client.get(f"/v1/blob/{sha}", headers=phone.headers)
    assert server.killed == 3 and line.kills == {}, "twice on the way, once at the end"
    assert len(sending.again) > SIZE // CUT
    assert max(sending.again) <= CHUNK and min(sending.again) >= 0
    assert sending.sent == SIZE + sum(sending.again)
    assert hashlib.sha256(got.content).hexdigest() == sha
    blobs = Config(data=tmp_path).blobs
    assert (blobs / "whole" / sha[:2] / sha).read_bytes() == data
    assert list((blobs / "parts").iterdir()) == []


async def test_a_hundred_thousand_bytes_of_headers_are_refused_and_hurt_nobody(tmp_path, phone):
    async with serving(tmp_path) as server:
        base = f"http://{LOOPBACK}:{server.port}"
        async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_S) as client:
            for name in ("Upload-Metadata", "Upload-Length", "X-Anything"):
                headers = {**phone.headers, name: "A" * 100_000}
                answer = await client.post("/v1/blob", headers=headers)
                assert 400 <= answer.status_code < 500 and len(answer.content) < 1_000
            assert (await client.options("/v1/blob")).status_code == 204

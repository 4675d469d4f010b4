"""A server process: the real command, killed and started again on the same data."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from server.serving import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/desk")
READY = b"Ctrl-C"
"""Stands in the line that says that every address answers; what comes before may still fail."""

STARTED_S = 120


class Server:
    """`serve` on a folder. `up` is set while who connects is answered."""

    def __init__(
        self,
        data: Path,
        env: Mapping[str, str] | None = None,
        module: Sequence[str] = ("server.cli",),
        more: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        self.data = data
        self.env = {**os.environ, **(env or {})}
        self.module = module
        self.more = more
        self.log = log or data.with_name(data.name + ".log")
        self.up = asyncio.Event()
        self.port = 0

    async def spawn(self) -> None:
        """Afterwards the process is there, and nothing more is known of it."""
        command = ["-m", *self.module, "serve", "--data", str(self.data), "--port", "0"]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                "--no-tls",
                *self.more,
                cwd=ROOT,
                env=self.env,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    async def start(self) -> None:
        """Afterwards its port is known, and who connects is answered."""
        await self.spawn()
        await self.ready()

    async def ready(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(STARTED_S):
            async for line in self.process.stdout:
                if found := ADDRESS.search(line):
                    self.port = int(found[1])
                if READY in line:
                    self.up.set()
                    return
        raise AssertionError(f"it does not serve: {self.log.read_text()[-4000:]}")

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, closed or said. Killing it twice is harmless."""
        self.up.clear()
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; what it exits with."""
        self.up.clear()
        self.process.terminate()
        return await self.process.wait()

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

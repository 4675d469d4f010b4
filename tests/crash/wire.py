"""The wire between a server and its PostgreSQL: it carries everything, and breaks when told to."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from server.serving import LOOPBACK

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""What PostgreSQL says of a transaction that is on disk."""

PART = 65_536


class Wire:
    """Connections to the database at `url` by way of `self.url`.

    `breaks_at` is asked of each piece of what the database says, with the number of the commits
    that it has said, and True breaks the connection in its stead; so is `breaks_before` of each
    that is said to it.
    """

    def __init__(self, url: str) -> None:
        self.to = urlsplit(url)
        self.url = ""
        self.commits = 0
        self.pieces = 0
        self.broken = 0
        self.breaks_at: Callable[[int], bool] = lambda commits: False
        self.breaks_before: Callable[[int], bool] = lambda pieces: False

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._carry, LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        whom = self.to.netloc.rpartition("@")[0]
        self.url = urlunsplit(self.to._replace(netloc=f"{whom}@{LOOPBACK}:{port}"))
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        assert self.to.hostname and self.to.port
        try:
            far, to = await asyncio.open_connection(self.to.hostname, self.to.port)
        except OSError:
            back.close()
            return
        ways = [
            asyncio.create_task(self._one_way(near, to, self._is_cut_off)),
            asyncio.create_task(self._one_way(far, back, self._is_unheard)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (back, to):
            end.close()

    async def _one_way(
        self,
        source: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        breaks: Callable[[bytes], bool],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(PART):
                if breaks(data):
                    self.broken += 1
                    return
                to.write(data)
                await to.drain()

    def _is_unheard(self, said: bytes) -> bool:
        if COMMITTED not in said:
            return False
        self.commits += 1
        return self.breaks_at(self.commits)

    def _is_cut_off(self, said: bytes) -> bool:
        self.pieces += 1
        return self.breaks_before(self.pieces)

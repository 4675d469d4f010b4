"""A thin line to the centre: a relay on loopback that lets so many bytes through per second."""

import asyncio
import socket
import threading
from contextlib import suppress

PIECE_BYTES = 500
HELD_BYTES = 4_096
"""What the relay takes in before it has passed it on: little, so that the sender feels the line."""


class Line:
    """Relays to `port`; all connections share `bytes_per_s` each way. None: as fast as it goes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.bytes_per_s: int | None = None
        self.carried = {"up": 0, "down": 0}
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._joined: set[asyncio.Task[None]] = set()
        self._turn = {"up": asyncio.Lock(), "down": asyncio.Lock()}
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
        listening.bind(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = self._call(asyncio.start_server(self._join, sock=listening))

    def stop(self) -> None:
        """Cut it. Stopping ends every connection."""

        async def end() -> None:
            self._server.close()
            for stream in self._open:
                stream.transport.abort()
            await asyncio.gather(*self._joined)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _join(self, near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._joined.add(this)
        far, sending = await asyncio.open_connection("127.0.0.1", self.port)
        self._open |= {answer, sending}
        await asyncio.gather(self._relay("up", near, sending), self._relay("down", far, answer))
        self._open -= {answer, sending}
        self._joined.discard(this)

    async def _relay(
        self, way: str, source: asyncio.StreamReader, drain: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE_BYTES):
                await self._carry(way, len(piece))
                drain.write(piece)
                await drain.drain()
        drain.close()

    async def _carry(self, way: str, size: int) -> None:
        """Every connection waits for its turn on the line, the longest waiting one first."""
        async with self._turn[way]:
            if self.bytes_per_s is not None:
                await asyncio.sleep(size / self.bytes_per_s)
            self.carried[way] += size

"""Phones that speak when they want to, however long others have been waiting for an answer."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from tests.bench.line import Answer, Line, LineCut, request
from tests.load.words import Photo, Script, Words

Deed = Callable[[float], Awaitable[None]]
"""What is done at an instant, which it is told."""

BROKEN = (LineCut, OSError, TimeoutError)
CREATED, TAKEN = 201, 204


class Sent(Struct):
    """What became of words, or of a photo."""

    answer: Answer | None = None
    """What was answered last; None when the connection broke before."""

    took_s: float = 0.0
    """From the instant they were due until then."""

    done: bool = False
    """Words were answered 200; all of a photo was taken."""


class Phones:
    """All phones of a script, beside each other. Each has one push under way at a time.

    Whoever speaks opens a connection for it: its last one was closed, as it had nothing to say.
    """

    def __init__(self, port: int, script: Script) -> None:
        self.words = {one.dot: Sent() for one in script.words}
        self.photos = {one.sha256: Sent() for one in script.photos}
        self.late_s: list[float] = []
        """How late each began to send: what is not the server's doing."""

        self._port = port
        self._script = script
        self._turns = {one.writer.reply.replica: asyncio.Lock() for one in script.words}

    async def speak(self, beside: Sequence[tuple[float, Deed]]) -> None:
        """Say everything as it falls due, do what is to be done beside it; then all is answered."""
        deeds = [(one.due_s, partial(self._say, one)) for one in self._script.signs]
        deeds += [(one.words.due_s, partial(self._show, one)) for one in self._script.photos]
        began, tasks = time.monotonic(), []
        for due_s, deed in sorted([*deeds, *beside], key=lambda one: one[0]):
            wait_s = began + due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            tasks.append(asyncio.ensure_future(deed(began + due_s)))
        await asyncio.gather(*tasks)

    async def _say(self, words: Words, due: float) -> None:
        with suppress(*BROKEN):
            line = await self._opened(due)
            await self._push(line, words, due)
            line.close()

    async def _show(self, photo: Photo, due: float) -> None:
        """The words first, then the photo that they name."""
        with suppress(*BROKEN):
            line = await self._opened(due)
            if await self._push(line, photo.words, due):
                await self._upload(line, photo, due)
            line.close()

    async def _opened(self, due: float) -> Line:
        self.late_s.append(time.monotonic() - due)
        line = await Line.to(self._port)
        return line

    async def _push(self, line: Line, words: Words, due: float) -> bool:
        sent = self.words[words.dot]
        async with self._turns[words.writer.reply.replica]:
            sent.answer = await line.ask(words.request)
        sent.took_s, sent.done = time.monotonic() - due, sent.answer.status == 200
        return sent.done

    async def _upload(self, line: Line, photo: Photo, due: float) -> None:
        sent = self.photos[photo.sha256]
        sent.answer = await line.ask(photo.announced)
        found = re.search(rb"(?i)\r\nlocation: ([^\r]+)", sent.answer.head)
        if sent.answer.status != CREATED or not found:
            return
        for chunk in photo.chunks:
            asked = request("PATCH", found[1].decode(), chunk.headers, chunk.body)
            sent.answer = await line.ask(asked)
            if sent.answer.status != TAKEN:
                return
        sent.took_s, sent.done = time.monotonic() - due, True

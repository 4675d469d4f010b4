"""How many things a second a server does when several connections ask, each in turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tests.bench.line import Answer, Line

CLOSES = b"\r\nConnection: close\r\n"

T = TypeVar("T")
Check = Callable[[Answer, int], None]
"""BenchFailed unless an answer says that so many things were done."""


async def rate(port: int, asked: Sequence[Sequence[bytes]], each: int, check: Check) -> float:
    """Things a second, one connection for each list, every answer looked at afterwards."""
    lines = [await Line.to(port) for _ in asked]
    turns = (_in_turn(port, line, requests) for line, requests in zip(lines, asked, strict=True))
    took, answers = await timed(asyncio.gather(*turns))
    for answer in (answer for told in answers for answer in told):
        check(answer, each)
    return sum(map(len, asked)) * each / took


async def timed(work: Awaitable[T]) -> tuple[float, T]:
    """The seconds that it took, and what it came to."""
    began = time.perf_counter()
    result = await work
    return time.perf_counter() - began, result


async def _in_turn(port: int, line: Line, requests: Sequence[bytes]) -> list[Answer]:
    """The answers. Where a request asks to close the connection, the next one has a new one."""
    answers = []
    for request in requests:
        if not line.is_open:
            line = await Line.to(port)
        answers.append(await line.ask(request))
        if CLOSES in request:
            line.close()
    line.close()
    return answers

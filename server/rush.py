"""Receipts of an order come from thousands of devices at once; nobody waits behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schema.wire import SyncRequest

RECEIPTS_AT_ONCE = 32
"""So many are worked on together: enough for a commit to be worth it, and soon done."""

_RECEIPT = b'"step":"received"'


def brings_only_receipts(request: SyncRequest) -> bool:
    """True for a push of what devices say of themselves: that an order is stored on them.

    Only the order of work hangs on it, so the words are looked at as they came, not read.
    """
    words = [raw for run in request.runs for raw in run.mutations]
    return bool(words) and all(_RECEIPT in bytes(raw) for raw in words)


class Rush:
    """Lets what people say go before what devices say of themselves."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(RECEIPTS_AT_ONCE)

    @asynccontextmanager
    async def turn(self, request: SyncRequest) -> AsyncIterator[None]:
        """Wait for a turn, where this request is one that lets others go first."""
        if not brings_only_receipts(request):
            yield
            return
        async with self._turns:
            yield

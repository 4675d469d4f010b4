"""The devices on the line to this process, and whether they may still be there."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from server.accounts import devices_of
from server.device import Device

if TYPE_CHECKING:
    from server.engine import Engine

log = structlog.get_logger()

ASKED_S = 20.0
"""Everybody is looked up so often, many at once, so that no poke has to wait for it."""

ASKED_AT_ONCE = 200
CHECK_AFTER_MS = 60_000
"""Whom nobody has looked up for so long is looked up before the next poke."""


class Guest:
    """A device on the line, and when its right to be there was last looked up."""

    def __init__(self, device: Device, token: str, now_ms: int) -> None:
        self.device = device
        self.token = token
        self.checked_ms = now_ms
        self.unwelcome = asyncio.Event()
        """Set once it is revoked, or was granted other scopes than it listens to."""

        self.failed = False
        """That it must go is no fault of its own."""

    def found(self, device: Device | None, now_ms: int) -> None:
        """Note what was looked up."""
        self.checked_ms = now_ms
        if device is None or device.revoked or device.scopes != self.device.scopes:
            self.unwelcome.set()


class Guests:
    """All of this process."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._here: set[Guest] = set()
        self._asking: asyncio.Task[None] | None = None

    @contextmanager
    def staying(self, device: Device, token: str) -> Iterator[Guest]:
        """A guest until the block ends; looked up now and then meanwhile."""
        guest = Guest(device, token, self._engine.clock())
        self._here.add(guest)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_on())
        try:
            yield guest
        finally:
            self._here.discard(guest)
            if not self._here and self._asking:
                self._asking.cancel()
                self._asking = None

    async def may_stay(self, guest: Guest, lately: bool = False) -> bool:
        """Whether it may, as looked up now; `lately`: or less than a minute ago."""
        age_ms = abs(self._engine.clock() - guest.checked_ms)
        if not (lately and age_ms < CHECK_AFTER_MS):
            await self._look_up([guest])
        return not guest.unwelcome.is_set()

    async def _ask_on(self) -> None:
        while True:
            await asyncio.sleep(ASKED_S)
            try:
                await self.look_at_all()
            except Exception as error:
                log.warning("guests", why=repr(error))  # Asked again soon; a poke asks, too.

    async def look_at_all(self) -> None:
        """Afterwards everybody who may not stay knows it."""
        everybody = list(self._here)
        for at in range(0, len(everybody), ASKED_AT_ONCE):
            await self._look_up(everybody[at : at + ASKED_AT_ONCE])

    async def _look_up(self, guests: Sequence[Guest]) -> None:
        found = await devices_of(self._engine, [guest.token for guest in guests])
        now = self._engine.clock()
        for guest, device in zip(guests, found, strict=True):
            guest.found(device, now)

"""A device whose browser is a process of its own over a profile on disk: killed and started again.

Between the app and the centre stands a line that may be off, that may lose answers, and on which
the browser may die with a request on its way.
"""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from threading import Timer

from playwright.sync_api import Error, Playwright, Route, expect

from server.cli.system_packages import find_browser
from tests.e2e.centre import LiveCentre
from tests.e2e.conftest import FLAGS
from tests.e2e.hands import Device, Phone, Tablet

ENDED_MS = 20_000
STARTED_MS = 60_000
SYNC = "**/v1/sync"

GONE = "has been closed"
"""So the driver says that a page, or its browser, is no more."""


class OnDisk(Device):
    """`line` is good, off or lossy; `doom` names the moment of the next sync at which it dies.

    An answered sync ends it `doom_s` after the answer went out.
    """

    def __init__(self, playwright: Playwright, centre: LiveCentre, folder: Path) -> None:
        self.playwright = playwright
        self.centre = centre
        self.folder = folder
        self.complaints = []
        self.line = "good"
        self.doom = ""
        self.doom_s = 0.0
        self.start()

    def start(self) -> None:
        """Start the browser on the profile as it was left."""
        self.doom = ""
        self.context = self.playwright.chromium.launch_persistent_context(
            self.folder,
            executable_path=find_browser(),
            args=FLAGS,
            base_url=self.centre.origin,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            timeout=STARTED_MS,
            **self.SCREEN,
        )
        self.context.route(SYNC, self._between)
        self.page = self.open()
        self.pid = _browser_of(self.folder)

    def kill(self) -> None:
        """End the browser's process as a power cut would. Killing it twice is harmless."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)

    def kill_soon(self, seconds: float) -> None:
        """Kill it from beside, whatever it is doing by then."""
        Timer(seconds, self.kill).start()

    def crash_page(self) -> None:
        """End the page's process alone, as a phone short of memory does."""
        with suppress(Error):  # Nobody is left to answer.
            self.page.goto("chrome://crash")

    @property
    def alive(self) -> bool:
        """Its process has not ended."""
        return not _ended(self.pid, 0)

    def network_back(self) -> None:
        """The line is good, and the phone has noticed."""
        self.line = "good"
        self.page.evaluate("() => void dispatchEvent(new Event('online'))")

    def ended(self) -> bool:
        """Wait for the end of its process."""
        return _ended(self.pid, ENDED_MS)

    def close_dead(self) -> None:
        """Let go of a browser that was killed."""
        assert self.ended(), "the browser lives on"
        with suppress(Error):
            self.context.close()

    def again(self) -> None:
        """After its end: the app on the same profile, as far as its first screen."""
        self.close_dead()
        self.start()
        self.page.goto("/app/")
        expect(self.page.get_by_role("navigation")).to_be_visible(timeout=STARTED_MS)

    def _between(self, route: Route) -> None:
        """Whoever asked may be gone by now, a little before its process has ended."""
        try:
            self._carry(route)
        except Error as error:
            if GONE not in str(error) and not self.ended():
                raise

    def _carry(self, route: Route) -> None:
        doom, self.doom = self.doom, ""
        if doom == "asked":
            return self.kill()
        if self.line == "off" and not doom:
            return route.abort("internetdisconnected")
        if self.line == "good" and not doom:
            return route.continue_()
        answer = route.fetch()
        if doom == "unanswered":
            return self.kill()
        if doom == "answered":
            self.kill_soon(self.doom_s)
        elif self.line == "lossy":
            return route.abort("connectionreset")
        return route.fulfill(response=answer)


class DiskPhone(OnDisk, Phone):
    """A responder's phone."""


class DiskTablet(OnDisk, Tablet):
    """The tablet of a duty room."""


def _browser_of(folder: Path) -> int:
    """The process that was started on this profile, without those that it started itself."""
    wanted = f"--user-data-dir={folder}".encode()
    for entry in Path("/proc").iterdir():
        words = _command_of(entry) if entry.name.isdigit() else []
        if wanted in words and not any(word.startswith(b"--type=") for word in words):
            return int(entry.name)
    raise AssertionError("no browser runs on this profile")


def _command_of(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _ended(pid: int, ms: int) -> bool:
    """Wait at most so long for the end of a process."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        waiting = select.poll()
        waiting.register(watch, select.POLLIN)
        return bool(waiting.poll(ms))
    finally:
        os.close(watch)

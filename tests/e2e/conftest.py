"""Real Chromium against a real centre. Every browser profile is new; traffic stays on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from server.cli.system_packages import find_browser
from tests.e2e.centre import LiveCentre
from tests.e2e.hands import Desk, Operator, Phone, Tablet
from tests.passwords import QUICK, checked_by

DRIVERS_OWN = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding"),
    *("ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints"),
    *("NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch"),
)
"""What the driver leaves out of a browser: our list takes the place of its own."""

SUGGESTING = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup")
"""Pages behind each address bar, a fifth of all that the browser did. Nobody types there."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join((*DRIVERS_OWN, *SUGGESTING))}",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """What a password costs is a matter of tests/server/test_accounts.py alone."""
    with checked_by(QUICK):
        yield


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = find_browser()
    assert found, "Chromium is not installed"
    opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
    yield opened
    opened.close()


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[LiveCentre]:
    serving = LiveCentre(tmp_path)
    yield serving
    serving.stop()


@pytest.fixture
def phone(browser: Browser, centre: LiveCentre) -> Iterator[Phone]:
    device = Phone(browser, centre)
    device.enrol()
    yield device
    device.close()


@pytest.fixture
def tablet(browser: Browser, centre: LiveCentre) -> Iterator[Tablet]:
    device = Tablet(browser, centre)
    device.enrol()
    yield device
    device.close()


@pytest.fixture
def operator(browser: Browser, centre: LiveCentre) -> Iterator[Operator]:
    device = Operator(browser, centre)
    device.enrol()
    yield device
    device.close()


@pytest.fixture
def desk(browser: Browser, centre: LiveCentre) -> Iterator[Desk]:
    dispatcher = Desk(browser, centre)
    dispatcher.sign_in()
    yield dispatcher
    dispatcher.close()

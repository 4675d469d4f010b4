"""The README's pictures, taken of the invented city. Run by `python3 run.py shots`."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.centre import LiveCentre
from tests.e2e.hands import Desk, Operator, Phone, Tablet, zh

PICTURES = Path(__file__).resolve().parents[2] / "docs/img"


@pytest.mark.long("shots")
def test_the_pictures_of_the_readme(browser: Browser, tmp_path: Path) -> None:
    centre = LiveCentre(tmp_path, "storm")
    PICTURES.mkdir(parents=True, exist_ok=True)
    desk, phone = Desk(browser, centre), Phone(browser, centre)
    tablet, operator = Tablet(browser, centre), Operator(browser, centre)
    for device in (phone, tablet, operator):
        device.enrol()
        device.settle()
    desk.sign_in()
    desk.page.screenshot(path=PICTURES / "board.png")
    phone.page.get_by_role("main").get_by_role("link").first.click()
    phone.sees(zh("app.order.progress"))
    tablet.at("register")
    tablet.sees(zh("tablet.register.title"))
    operator.sees(zh("operator.title"))
    for name, device in (("phone", phone), ("tablet", tablet), ("operator", operator)):
        device.page.screenshot(path=PICTURES / f"{name}.png")
        device.close()
    desk.close()
    centre.stop()

"""What people do with their hands: the app on a phone, tablet or machine, and the web view."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import Browser, Page, expect

from schema.words import say
from tests.e2e.centre import PASSWORD, LiveCentre

AXE = Path(__file__).resolve().parents[2] / "pwa/node_modules/axe-core/axe.min.js"
PATIENCE_MS = 15_000

expect.set_options(timeout=PATIENCE_MS)


def zh(key: str, **values: object) -> str:
    """The Chinese words that a person reads."""
    return say("zh-CN", key, **values)


def axe_violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands, each with its first place."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


class Hands:
    """One browser profile, and everything its pages complained of."""

    SCREEN: ClassVar[dict[str, Any]] = {}

    def __init__(self, browser: Browser, centre: LiveCentre) -> None:
        self.centre = centre
        self.complaints: list[str] = []
        self.context = browser.new_context(
            base_url=centre.origin, locale="zh-CN", timezone_id="Asia/Shanghai", **self.SCREEN
        )
        self.page = self.open()

    def open(self) -> Page:
        """A new tab of this profile."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        return page

    def _heard(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    def close(self) -> None:
        """End the profile. Errors and policy violations on its pages fail the test."""
        self.context.close()
        assert self.complaints == []

    def button(self, name: str) -> Any:
        """The button whose words begin like this; a note may follow them."""
        return self.page.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))

    def press(self, key: str) -> None:
        """Press the button with these words."""
        self.button(zh(key)).first.click()

    def link(self, name: str) -> Any:
        return self.page.get_by_role("link", name=name)

    def sees(self, text: str) -> None:
        """Wait until these words are on the screen."""
        expect(self.page.get_by_text(text).locator("visible=true").first).to_be_visible()


class Device(Hands):
    """The app on some device."""

    KIND = ""

    def enrol(self, code: str | None = None) -> None:
        """Open the app and spend a fresh code; afterwards it works without a network."""
        self.page.goto("/app/")
        expect(self.page.locator("html[data-sw=ready]")).to_be_attached()
        self.page.get_by_label(zh("app.enrol.code")).fill(code or self.centre.code(self.KIND))
        self.press("app.enrol.button")
        if code is None:
            expect(self.page.get_by_role("navigation")).to_be_visible()

    def settle(self) -> None:
        """Close what tells of the enrolment, as a person does once it is read."""
        close = self.page.get_by_role("button", name=zh("app.close"), exact=True)
        while close.count():
            close.first.click()
            self.page.evaluate("() => new Promise(requestAnimationFrame)")

    def flight_mode(self, on: bool = True) -> None:
        self.context.set_offline(on)

    def at(self, *parts: str) -> None:
        """Go to a screen by its address."""
        self.page.evaluate("parts => { location.hash = '#/' + parts.join('/') }", list(parts))

    def order(self, target: str) -> None:
        """Open one order."""
        self.at("d", target)
        expect(self.page.locator("article")).to_be_visible()

    def step(self, name: str) -> None:
        """Tap the button of the next step and wait until it is on this device's disk."""
        self.acted_calmly(f"app.do.{name}")
        self.sees(zh("app.done.saved", step=zh(f"app.do.{name}")))

    def acted_calmly(self, key: str) -> None:
        """Press an act's button once a second tap can no longer be half of a double one."""
        expect(self.page.locator("article .actions[aria-busy=false]")).to_be_attached()
        self.press(key)

    def everything_sent(self) -> None:
        """Wait until nothing is left to send."""
        self.at("unsent")
        self.sees(zh("app.unsent.empty"))

    def restart(self) -> None:
        """Kill the tab and open the app again."""
        self.page.close(run_before_unload=False)
        self.page = self.open()
        self.page.goto("/app/")


class Phone(Device):
    KIND = "phone"
    SCREEN: ClassVar[dict[str, Any]] = {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
        "geolocation": {"latitude": 44.5513, "longitude": 129.6186, "accuracy": 18},
        "permissions": ["geolocation"],
    }


class Operator(Phone):
    KIND = "operator"


class Tablet(Device):
    KIND = "tablet"
    SCREEN: ClassVar[dict[str, Any]] = {
        "viewport": {"width": 1024, "height": 768},
        "has_touch": True,
    }

    def start_shift(self) -> None:
        """The tap that lets the page sound its alarm."""
        self.at("shift")
        self.press("tablet.shift.start")
        self.sees(zh("tablet.lamp.sound.on"))
        self.at()

    def answer_alarm(self) -> None:
        """Sign in the alarm, once it has stood long enough for the tap to be meant."""
        alarm = self.page.get_by_role("dialog")
        expect(alarm.locator("[aria-busy=false]")).to_be_attached()
        alarm.get_by_role("button", name=zh("app.do.signed"), exact=True).click()

    def edit_number(self, old: str, new: str) -> None:
        """Change one telephone number in the register."""
        card = self.page.locator("article.card").filter(has_text=old).first
        card.get_by_role("button", name=zh("tablet.register.edit")).first.click()
        dialog = self.page.get_by_role("dialog")
        dialog.locator("input[type=tel]").first.fill(new)
        dialog.get_by_role("button", name=zh("tablet.save"), exact=True).click()
        self.sees(zh("tablet.register.saved"))


class Desk(Hands):
    """A dispatcher in the web view."""

    SCREEN: ClassVar[dict[str, Any]] = {"viewport": {"width": 1440, "height": 900}}

    def sign_in(self) -> None:
        self.page.goto("/desk/login")
        self.page.get_by_label(zh("field.login")).fill("demo")
        self.page.get_by_label(zh("field.password")).fill(PASSWORD)
        self.press("desk.login.submit")
        expect(self.page).to_have_url(self.centre.origin + "/desk")

    def card(self, text: str) -> Any:
        """The board's card of an order."""
        return self.page.locator("article, li").filter(has_text=text).first

    def issue(self, text: str, *units: str) -> None:
        """Write an order to these units; afterwards its page is open."""
        incident = self.centre.rows("incident")[0].id
        self.page.goto(f"/desk/directives/new?incident={incident}")
        self.page.get_by_label(zh("field.text")).fill(text)
        for unit in units:
            self.page.get_by_label(zh("desk.pick.find")).fill(unit)
            self.page.keyboard.press("Enter")
        self.page.keyboard.press("Control+Enter")
        self.sees(text)

    def open_order(self, text: str) -> None:
        """From the board to the page of an order."""
        self.page.goto("/desk")
        self.card(text).get_by_role("link").first.click()
        expect(self.page.locator(".paper")).to_contain_text(text)

    def decide(self, target: str, verb: str, label: str = "", words: str = "") -> None:
        """Close, send back or recall one unit's part, with words where they are asked for."""
        card = self.page.locator(f"#target-{target}")
        card.get_by_role("link", name=zh(f"desk.decide.{verb}")).click()
        dialog = self.page.get_by_role("dialog")
        if words:
            dialog.get_by_label(label).fill(words)
        dialog.get_by_role("button", name=zh(f"desk.decide.{verb}")).click()
        expect(dialog).to_be_hidden()


def eventually(check: Callable[[], bool], page: Page) -> None:
    """Wait, without a fixed pause, until `check` holds; the page's own clock drives the wait."""
    for _ in range(300):
        if check():
            return
        page.evaluate("() => new Promise(done => setTimeout(done, 50))")
    raise AssertionError("it did not come to hold")

"""The browser dies at any moment, over and over: what the screen confirmed is here or there, once.

A workload of its own, which shares nothing with the simulation: real taps, a real profile on disk,
SIGKILL.
"""

import json
import re
import sqlite3
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from playwright.sync_api import Error, expect

from tests.e2e import disk
from tests.e2e.hands import Device, zh
from tests.e2e.profile import DiskPhone, DiskTablet, OnDisk
from tests.e2e.test_offline import photo

TEXT = "示例：赴城东排水站核查泵房水位"
CONFIRMED = re.compile(f"{zh('app.tick.saved')}|{zh('app.tick.arrived', time='')}")
ACTS = ("signed", "departed", "arrived", "acting", "reported")
STEPS = {zh(f"app.do.{name}"): name for name in ACTS}
MOMENTS = ("asked", "unanswered", "answered", "writing", "page")
COLOURS = ("navy", "olive", "teal", "maroon", "purple")

Said = tuple[str, ...]
"""Pieces of text that only one mutation holds together."""


class Workload(ABC):
    """What one person taps, what the screen confirmed of it, and what may have been saved."""

    def __init__(self, device: OnDisk, seed: int) -> None:
        self.device = device
        self.random = Random(seed)
        self.tried: set[Said] = set()
        self.confirmed: set[Said] = set()
        self.kills: Counter[str] = Counter()
        self.waited = 0
        self.targets: list[str] = []
        self.told = 0

    def word(self) -> str:
        """A text that was never written before."""
        self.told += 1
        return f"示例第{self.told:03}号情况{self.random.getrandbits(40):010x}"

    def mean(self, *said: str) -> Said:
        self.tried.add(said)
        return said

    def shown(self, place, said: Said) -> None:
        """The screen confirms it, with ✓ or ✓✓, beside it."""
        expect(place.filter(has_text=CONFIRMED).first).to_be_visible()
        self.confirmed.add(said)

    def new_order(self) -> None:
        """The centre issues an order, and the device shows it."""
        device = self.device
        self.targets.append(device.centre.order(f"{TEXT}{len(self.targets)}", urgency="routine"))
        device.network_back()
        device.at("d", self.targets[-1])
        expect(device.page.locator("article")).to_be_visible(timeout=60_000)

    def open_order(self) -> str:
        target = self.random.choice(self.targets)
        self.device.order(target)
        return target

    def step(self) -> None:
        """The next step of some order; one that has none left makes the centre issue another."""
        target, page = self.open_order(), self.device.page
        expect(page.locator("article .actions[aria-busy=false]")).to_be_attached()
        offered = page.locator("article .actions .buttons").first.inner_text()
        name = STEPS.get(offered.split("\n")[0])
        if name is None:
            return self.step_done()
        said = self.mean(target, f'"step":"{name}"')
        self.device.press(f"app.do.{name}")
        self.shown(page.locator("article .actions .last").filter(has_text=zh(f"step.{name}")), said)

    def step_done(self) -> None:
        """The order that was opened has no step left."""
        self.new_order()

    def feedback(self) -> None:
        device, text = self.device, self.word()
        device.at("d", self.open_order(), "feedback")
        device.page.get_by_label(zh("app.feedback.text")).fill(text)
        if self.random.random() < 0.3:
            chosen = photo(self.random.choice(COLOURS))
            device.page.locator("input[type=file]").first.set_input_files([chosen])
            expect(device.page.locator("form img").first).to_be_visible()
        said = self.mean(text)
        device.press("app.feedback.save")
        self.shown(device.page.locator("article .said").filter(has_text=text), said)

    def flip(self) -> None:
        self.device.line = self.random.choice(("good", "off", "off", "lossy"))

    @abstractmethod
    def act(self) -> None:
        """Do one thing that a person would."""

    def die(self) -> None:
        """Act until the browser ends at a drawn moment, and start it again."""
        moment = self.random.choice(MOMENTS)
        self.kills[moment] += 1
        device = self.device
        try:
            if moment == "page":
                device.page.locator("nav").first.wait_for()
                self.act()
                return self.lose_page()
            if moment == "writing":
                device.kill_soon(self.random.uniform(0.0, 1.5))
            else:
                device.line, device.doom = self.random.choice(("good", "lossy")), moment
                device.doom_s = self.random.uniform(0.0, 0.2)
            while device.alive:
                self.act()
                device.page.evaluate("() => new Promise(requestAnimationFrame)")
        except (Error, AssertionError):
            if not device.ended():
                raise
        device.again()
        return None

    def lose_page(self) -> None:
        self.device.crash_page()
        self.device.restart()
        expect(self.device.page.get_by_role("navigation")).to_be_visible(timeout=60_000)

    def check(self) -> None:
        """All that was confirmed waits here or lies at the centre; here is looked first."""
        waiting = [record["raw"] for record in disk.read(self.device.page, "outbox")]
        self.waited = max(self.waited, len(waiting))
        texts = waiting + [line["raw"] for line in log_of(self.device)]
        missing = [said for said in self.confirmed if not count_of(said, texts)]
        assert missing == [], f"lost after {self.kills.total()} kills"

    def run(self, kills: int) -> None:
        self.new_order()
        for _ in range(kills):
            for _ in range(self.random.randint(1, 3)):
                self.act()
            self.die()
            self.check()

    def finish(self) -> None:
        """With a good line everything arrives, each piece once, and nothing is held or refused."""
        device = self.device
        device.line = "good"
        device.restart()
        device.at("unsent")
        expect(device.page.get_by_text(zh("app.unsent.empty"))).to_be_visible(timeout=60_000)
        arrived_once(device, self.confirmed, self.tried)


class Responder(Workload):
    """Steps, feedback and help calls."""

    def act(self) -> None:
        kinds = (self.step, self.feedback, self.help, self.flip)
        self.random.choices(kinds, (4, 4, 2, 2))[0]()

    def help(self) -> None:
        device, text = self.device, self.word()
        device.press("app.help.button")
        dialog = device.page.get_by_role("dialog")
        dialog.get_by_label(zh("app.help.text")).fill(text)
        said = self.mean(text)
        call = re.compile(f"^({zh('app.help.send')}|{zh('app.help.again')})")
        dialog.get_by_role("button", name=call).click()
        self.shown(dialog.locator("li").filter(has_text=text), said)
        dialog.get_by_role("button", name=zh("app.close")).click()


class DutyRoom(Workload):
    """Steps, feedback and telephone numbers."""

    def act(self) -> None:
        kinds = (self.step, self.feedback, self.edit, self.flip)
        self.random.choices(kinds, (2, 2, 4, 2))[0]()

    def new_order(self) -> None:
        """It calls out loud until it is signed; with it open, nothing else can be done."""
        device = self.device
        self.targets.append(device.centre.order(TEXT, urgency="routine"))
        expect(device.page.get_by_role("dialog")).to_contain_text(TEXT)
        said = self.mean(self.targets[-1], '"step":"signed"')
        device.answer_alarm()
        expect(device.page.get_by_role("dialog")).to_be_hidden()
        self.confirmed.add(said)

    def step_done(self) -> None:
        self.edit()

    def edit(self) -> None:
        device = self.device
        device.at("register")
        number = f"139{self.random.randrange(10**8):08}"
        cards = device.page.locator("article.card")
        card = cards.filter(has=device.page.locator("a[href^='tel:']"))
        card.first.get_by_role("button", name=zh("tablet.register.edit")).click()
        dialog = device.page.get_by_role("dialog")
        dialog.locator("input[type=tel]").first.fill(number)
        said = self.mean(number)
        dialog.get_by_role("button", name=zh("tablet.save"), exact=True).click()
        self.shown(device.page.locator("article.card").filter(has_text=number), said)


def log_of(device: Device) -> list[dict]:
    """What the centre's log holds of this device, in order of its numbers; read from the file."""
    [identity] = [one for one in disk.read(device.page, "meta") if one["key"] == "identity"]
    file = device.centre.engine.config.database
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    query = "SELECT * FROM log WHERE replica=? AND raw IS NOT NULL ORDER BY lane, n, seq"
    lines = connection.execute(query, (identity["value"]["replica"],)).fetchall()
    connection.close()
    return [{**dict(line), "raw": line["raw"].decode()} for line in lines]


def count_of(said: Said, texts: list[str]) -> int:
    return sum(all(piece in text for piece in said) for text in texts)


def arrived_once(device: Device, confirmed: set[Said], tried: set[Said]) -> None:
    """The centre has all that was confirmed, nothing twice, without a gap and without a refusal."""
    lines = log_of(device)
    texts = [line["raw"] for line in lines]
    assert [said for said in confirmed if count_of(said, texts) != 1] == []
    assert [said for said in tried if count_of(said, texts) > 1] == []
    assert {line["verdict"] for line in lines} <= {"applied", "merged"}
    for lane in {line["lane"] for line in lines}:
        numbers = [line["n"] for line in lines if line["lane"] == lane]
        assert numbers == list(range(1, len(numbers) + 1))
    assert "lane.void" not in {json.loads(text)["intent"] for text in texts}
    assert disk.read(device.page, "damaged") == disk.read(device.page, "refused") == []


def told(work: Workload, name: str) -> str:
    said = f"{len(work.tried)} tried, {len(work.confirmed)} confirmed, waited ≤ {work.waited}"
    return f"{name}: {work.kills.total()} kills {dict(work.kills)}, {said}"


def lives(playwright, centre, folder: Path, kind: str, seed: int, kills: int) -> str:
    """A device of this kind, killed so often; what it came to, in words."""
    devices = {"phone": (DiskPhone, Responder), "tablet": (DiskTablet, DutyRoom)}
    made, workload = devices[kind]
    device = made(playwright, centre, folder)
    try:
        device.enrol()
        device.settle()
        work = workload(device, seed)
        work.run(kills)
        work.finish()
    finally:
        device.kill()
        device.close_dead()
    assert device.complaints == []
    return told(work, f"{kind} {seed}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "kills"), [("phone", 4), ("tablet", 2)])
def test_a_browser_killed_mid_sync_loses_nothing(playwright, centre, tmp_path, kind, kills):
    lives(playwright, centre, tmp_path / "profile", kind, 1, kills)


def test_two_tabs_that_write_at_once_and_one_dies_lose_and_double_nothing(centre, phone):
    target = centre.order(TEXT)
    phone.order(target)
    here, beside = phone.page, phone.open()
    confirmed, tried = set(), set()
    for n in range(4):
        beside.goto(f"/app/#/d/{target}/feedback")
        here.evaluate("target => { location.hash = `#/d/${target}/feedback` }", target)
        for tab, text in ((beside, f"示例第{n}轮此页"), (here, f"示例第{n}轮彼页")):
            tab.get_by_label(zh("app.feedback.text")).fill(text)
            tried.add((text,))
        for tab in (here, beside):
            tab.get_by_role("button", name=zh("app.feedback.save")).click(no_wait_after=True)
        here.close(run_before_unload=False)
        said = beside.locator("article .said").filter(has_text=f"示例第{n}轮此页")
        expect(said.filter(has_text=CONFIRMED)).to_be_visible()
        confirmed.add((f"示例第{n}轮此页",))
        here, beside = beside, phone.open()
        phone.page = here
    phone.everything_sent()
    assert len(confirmed) == 4
    arrived_once(phone, confirmed, tried)


@pytest.mark.long("killed")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("kind", "seed"), [("phone", 2), ("phone", 3), ("tablet", 4)])
def test_a_browser_killed_fifty_times_mid_sync_loses_nothing(
    playwright, centre, tmp_path, kind, seed
):
    print(lives(playwright, centre, tmp_path / "profile", kind, seed, 50))

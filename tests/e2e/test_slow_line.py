"""On a line of 20 kbit/s an order does not wait behind what is large."""

import copy
import time

import pytest
from playwright.sync_api import expect

from tests.e2e import disk
from tests.e2e.hands import Phone, eventually, zh
from tests.e2e.line import Line
from tests.e2e.test_storage import may_be_saved, noise

BYTES_PER_S = 2_500
PHOTOS_BYTES_MIN = 3_000_000
WAITING = 500
ARRIVES_MS_MAX = SIGNED_MS_MAX = 60_000
TEXT = "示例：赴城东排水站核查泵房水位"
LONG_TEXT = "示例：" + "请立即组织人员赴现场转移受困群众并报告水位。" * 6
"""About 400 bytes."""

WRITE = """
async ({ target, count }) => {
  const frame = () => new Promise(requestAnimationFrame);
  const form = () => document.querySelector('form textarea');
  for (let n = 1; n <= count; n++) {
    location.hash = `#/d/${target}/feedback`;
    while (!form()) await frame();
    form().value = `示例：第${n}次反馈，水位正常`;
    form().dispatchEvent(new Event('input', { bubbles: true }));
    await frame();
    document.querySelector('form button.big').click();
    while (form()) await frame();
  }
}
"""


@pytest.fixture
def line(centre):
    relay = Line(centre.port)
    yield relay
    relay.stop()


@pytest.fixture
def far_phone(browser, centre, line):
    """A phone behind the line, which is still wide."""
    seen_from_afar = copy.copy(centre)
    seen_from_afar.origin = line.origin
    device = Phone(browser, seen_from_afar)
    device.enrol()
    yield device
    device.close()


def write_with_photos(phone, target):
    """One feedback with photos of 3 MB in all."""
    phone.at("d", target, "feedback")
    phone.page.get_by_label(zh("app.feedback.text")).fill("示例：现场照片")
    for n in range(3):
        chosen = noise(n)
        phone.page.locator("input[type=file]").first.set_input_files([chosen])
        expect(phone.page.locator("form img")).to_have_count(n + 1)
        may_be_saved(phone)
    phone.press("app.feedback.save")
    expect(phone.page.locator("article .said")).to_have_count(1)
    sizes = [blob["size"] for blob in disk.read(phone.page, "blobs")]
    assert sum(sizes) >= PHOTOS_BYTES_MIN


def order_and_signature(centre, phone, text):
    """Seconds until the order is on the screen, and from the tap on until it is signed there."""
    phone.at()
    began = time.monotonic()
    target = centre.order(text, urgency="flash")
    shown = phone.page.get_by_text(text).locator("visible=true").first
    expect(shown).to_be_visible(timeout=ARRIVES_MS_MAX)
    arrived = time.monotonic()
    card = phone.page.get_by_role("listitem").filter(has_text=text)
    card.get_by_role("button", name=zh("app.do.signed")).click()
    tapped = time.monotonic()
    while "signed" not in centre.steps(target):
        assert time.monotonic() - tapped < SIGNED_MS_MAX / 1000
        phone.page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    return arrived - began, time.monotonic() - tapped


def flows(line, phone, size):
    """Wait until the phone has sent so much more."""
    before = line.carried["up"]
    eventually(lambda: line.carried["up"] >= before + size, phone.page)


class Photos:
    """Holds photos back until they may go."""

    def __init__(self, phone):
        self.may_go = False
        phone.context.route("**/v1/blob**", self._pass)
        phone.context.route("**/v1/blob/**", self._pass)

    def _pass(self, route):
        if self.may_go:
            route.continue_()
        else:
            route.abort()


@pytest.mark.long("slow_line")
@pytest.mark.timeout(900)
def test_an_order_passes_words_and_photos_that_fill_a_slow_line(centre, line, far_phone):
    phone, photos = far_phone, Photos(far_phone)
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.flight_mode()
    write_with_photos(phone, target)
    phone.page.evaluate(WRITE, {"target": target, "count": WAITING})
    assert len(disk.read(phone.page, "outbox")) > WAITING

    line.bytes_per_s = BYTES_PER_S
    phone.flight_mode(False)
    flows(line, phone, 20_000)
    past_words = order_and_signature(centre, phone, LONG_TEXT + "一")
    left = len(disk.read(phone.page, "outbox"))
    assert left > WAITING / 2, "the line was not filled with words"

    line.bytes_per_s = None
    asks_again(phone)
    everything_said(phone)
    line.bytes_per_s, photos.may_go = BYTES_PER_S, True
    asks_again(phone)
    flows(line, phone, 20_000)
    past_photos = order_and_signature(centre, phone, LONG_TEXT + "二")
    states = [blob["state"] for blob in disk.read(phone.page, "blobs")]
    assert states.count("waiting") >= 2, "the line was not filled with photos"
    for behind, (shown, signed) in ((f"{left} words", past_words), ("photos", past_photos)):
        print(f"behind {behind}: shown after {shown:.1f} s, signed after {signed:.1f} s")


def asks_again(phone):
    phone.page.evaluate("() => void dispatchEvent(new Event('online'))")


def everything_said(phone):
    """Wait until all words are at the centre."""
    for _ in range(600):
        if not disk.read(phone.page, "outbox"):
            return
        phone.page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    raise AssertionError("words still wait")

"""A disk that is full, spoilt or emptied: it is told, and no unsent word is given up."""

import io
import json
import re
from random import Random

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e import disk
from tests.e2e.hands import Phone, eventually, zh

TEXT = "示例：赴城东排水站核查泵房水位"
QUOTA = 8 * 1024 * 1024
FULL = "本机存储已满"
"""How the app begins to say so, whatever it could not save."""
FULL_MS_MAX = 60_000
"""A browser that is short of room looks for some, for many seconds, before it says no."""
PHOTOS_MAX = 12
"""More of these than any disk of that quota holds."""
HURRIED = """
const later = window.setTimeout;
window.setTimeout = (work, ms, ...rest) => later(work, ms >= 60000 ? ms / 200 : ms, ...rest);
"""
"""The looking through, and whatever else waits a minute, comes after a third of a second."""
REPAIRING = re.compile(zh("app.me.repairs.some", n="\\d+"))


def noise(seed, size=(1600, 1600)):
    """A photo that cannot be made much smaller: about 2 MB."""
    data = io.BytesIO()
    pixels = Random(seed).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, pixels).save(data, "JPEG", quality=95)
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": data.getvalue()}


def say_feedback(phone, target, text):
    """Words alone; the screen confirms them."""
    phone.at("d", target, "feedback")
    phone.page.get_by_label(zh("app.feedback.text")).fill(text)
    phone.press("app.feedback.save")
    said = phone.page.locator("article .said").filter(has_text=text)
    expect(said.get_by_text(zh("app.tick.saved"))).to_be_visible()


def may_be_saved(device):
    """Wait until the photos of the open form are on disk."""
    save = device.button(zh("app.feedback.save"))
    expect(save).not_to_have_attribute("aria-disabled", "true", timeout=FULL_MS_MAX)


def at_the_centre(centre, target):
    return {row.fields["text"] for row in centre.rows("feedback", target)}


def closed_app(phone):
    """The app is closed, and another page of its origin is open in its place.

    The centre is down meanwhile: a document that ends leaves flight mode first, and might still
    send.
    """
    phone.centre.stop()
    phone.page.close()
    phone.flight_mode(False)
    phone.centre.start()
    phone.page = phone.open()
    phone.page.goto(disk.AWAY)


def exported(phone):
    """The file that the person takes out of the app."""
    phone.at("unsent")
    phone.page.evaluate("() => { delete window.showSaveFilePicker; navigator.share = undefined }")
    with phone.page.expect_download() as download:
        phone.press("app.unsent.export")
    return download.value.path().read_text(encoding="utf-8")


@pytest.fixture
def small_phone(browser, centre):
    """A phone whose disk has 8 MB, from before its first byte on, until `ample` is called."""
    phone = Phone(browser, centre)
    session = phone.context.new_cdp_session(phone.open())
    values = {"origin": centre.origin, "quotaSize": QUOTA}
    session.send("Storage.overrideQuotaForOrigin", values)
    phone.ample = session.detach
    phone.enrol()
    yield phone
    phone.close()


def states(phone):
    return sorted(blob["state"] for blob in disk.read(phone.page, "blobs"))


def fill_with_photos(phone, target):
    """Save feedback with photos until the app says that there is no room; what it confirmed."""
    full = phone.page.get_by_text(FULL).locator("visible=true").first
    confirmed = []
    for n in range(PHOTOS_MAX):
        phone.at("d", target, "feedback")
        text = f"示例：第{n}处水位"
        phone.page.get_by_label(zh("app.feedback.text")).fill(text)
        before = phone.page.locator("form img").count()
        phone.page.locator("input[type=file]").first.set_input_files([noise(n)])
        taken = phone.page.locator("form img").nth(before)
        expect(taken.or_(full).first).to_be_visible(timeout=FULL_MS_MAX)
        if full.is_visible():
            return confirmed
        may_be_saved(phone)
        phone.press("app.feedback.save")
        said = phone.page.locator("article .said").filter(has_text=text)
        expect(said.or_(full).first).to_be_visible(timeout=FULL_MS_MAX)
        if full.is_visible():
            return confirmed
        confirmed.append(text)
    raise AssertionError("the disk was never full")


@pytest.fixture
def order(centre, phone):
    """An order on the phone's screen, received and read."""

    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    eventually(lambda: {"received", "read"} <= set(centre.steps(target)), phone.page)
    phone.everything_sent()
    return target


@pytest.mark.long("full_disk")
@pytest.mark.timeout(300)
def test_on_a_full_disk_looked_at_photos_go_first_and_confirmed_words_stay(
    centre, small_phone, tablet
):
    phone = small_phone
    order = centre.order(TEXT)
    phone.sees(TEXT)
    tablet.answer_alarm()
    tablet.order(order)
    tablet.sees(zh("step.signed"))
    tablet.everything_sent()
    tablet.at("d", order, "feedback")
    with_photo = "示例：值班室的照片"
    tablet.page.get_by_label(zh("app.feedback.text")).fill(with_photo)
    tablet.page.locator("input[type=file]").first.set_input_files([noise(99)])
    expect(tablet.page.locator("form img")).to_have_count(1)
    may_be_saved(tablet)
    tablet.press("app.feedback.save")
    eventually(lambda: states(tablet) == ["sent"], tablet.page)
    phone.order(order)
    shown = phone.page.locator("article .said").filter(has_text=with_photo)
    expect(shown).to_be_visible()
    shown.get_by_role("button").click()
    expect(phone.page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    phone.page.keyboard.press("Escape")
    assert states(phone) == ["fetched"]
    phone.flight_mode()
    confirmed = fill_with_photos(phone, order)
    assert confirmed, "nothing found room"
    assert "fetched" not in states(phone)
    assert states(phone).count("waiting") == len(confirmed)
    held = [record["raw"] for record in disk.read(phone.page, "outbox")]
    assert [text for text in confirmed if not any(text in raw for raw in held)] == []
    phone.ample()
    phone.restart()
    say_feedback(phone, order, "示例：又能保存了")
    phone.flight_mode(False)
    phone.everything_sent()
    assert at_the_centre(centre, order) == {*confirmed, with_photo, "示例：又能保存了"}
    eventually(lambda: "waiting" not in states(phone), phone.page)


def test_lost_rows_are_noticed_at_the_next_start_and_fetched_again(centre, phone, order):
    phone.flight_mode()
    say_feedback(phone, order, "示例：水位正常")
    closed_app(phone)
    disk.delete_store(phone.page, "rows")
    phone.flight_mode()
    phone.page.goto("/app/")
    phone.at("me")
    expect(phone.page.get_by_text(REPAIRING)).to_be_visible()
    assert "示例：水位正常" in exported(phone)
    phone.flight_mode(False)
    phone.at()
    phone.sees(TEXT)
    phone.everything_sent()
    assert at_the_centre(centre, order) == {"示例：水位正常"}
    phone.at("me")
    phone.sees(zh("app.me.repairs.none"))


def test_lost_pages_of_a_half_pulled_register_are_fetched_again(browser, centre):
    phone = Phone(browser, centre)
    asked = []

    def a_little(route):
        """Small answers, and no third one."""
        asked.append(json.loads(route.request.post_data))
        if len(asked) > 2:
            return route.abort()
        body = {**asked[-1], "max_bytes": 1024}
        return route.continue_(post_data=json.dumps(body, ensure_ascii=False))

    phone.context.route("**/v1/sync", a_little)
    phone.enrol()
    eventually(lambda: len(asked) > 2, phone.page)
    phone.page.close()
    phone.page = phone.open()
    phone.page.goto(disk.AWAY)
    assert disk.read(phone.page, "staged")
    disk.delete_store(phone.page, "staged")
    phone.context.unroute("**/v1/sync")
    target = centre.order(TEXT)
    phone.page.goto("/app/")
    phone.sees(TEXT)
    phone.order(target)
    eventually(lambda: len(disk.read(phone.page, "rows")) > 100, phone.page)
    phone.at("me")
    phone.sees(zh("app.me.repairs.none"))
    phone.close()


def test_spoilt_words_are_set_aside_with_their_number_and_the_rest_arrives(centre, phone, order):
    phone.flight_mode()
    for text in ("示例：第一处", "示例：第二处", "示例：第三处"):
        say_feedback(phone, order, text)
    closed_app(phone)
    assert at_the_centre(centre, order) == set()
    [lost] = [one for one in disk.read(phone.page, "outbox") if "示例：第二处" in one["raw"]]
    assert disk.change(phone.page, "outbox", "示例：第二处", "示例：第�处") == 1
    phone.page.goto("/app/")
    phone.sees(zh("app.banner.damaged", n=1))
    eventually(lambda: at_the_centre(centre, order) == {"示例：第一处", "示例：第三处"}, phone.page)
    assert "示例：第�处" in exported(phone)
    [void] = centre.rows("void")
    assert void.fields["n"] == lost["n"]
    assert (void.fields["reason"], void.fields["lost"]) == ("corrupt", lost["hash"])
    say_feedback_online(phone, order, "示例：第四处")
    eventually(lambda: "示例：第四处" in at_the_centre(centre, order), phone.page)


def say_feedback_online(phone, target, text):
    phone.at("d", target, "feedback")
    phone.page.get_by_label(zh("app.feedback.text")).fill(text)
    phone.press("app.feedback.save")
    phone.sees(zh("app.feedback.saved"))


def restarts_after(phone):
    """The pairs that later answers begin anew."""
    restarts = []

    def heard(response):
        if response.url.endswith("/v1/sync") and response.ok:
            restarts.extend(tuple(pair) for pair in response.json()["restart"])

    phone.page.on("response", heard)
    return restarts


def pairs_of(phone, text):
    """The pairs that hold the one row in which this text stands."""
    rows = disk.read(phone.page, "rows")
    [record] = [one for one in rows if one["body"]["fields"].get("text") == text]
    return {(scope, record["lane"]) for scope in record["scopes"]}


def test_an_unreadable_row_is_noticed_at_the_start_and_its_pair_alone_fetched(centre, phone, order):
    closed_app(phone)
    pairs = pairs_of(phone, TEXT)
    assert disk.change(phone.page, "rows", '"entity":"directive"', '"entity":"directiv"')
    restarts = restarts_after(phone)
    phone.page.goto("/app/")
    phone.sees(TEXT)
    eventually(lambda: bool(restarts), phone.page)
    assert set(restarts) == pairs


def test_a_row_changed_on_disk_is_found_when_the_disk_is_looked_through(centre, phone, order):
    closed_app(phone)
    pairs = pairs_of(phone, TEXT)
    assert disk.change(phone.page, "rows", "赴城东排水站", "赴城西排水站") == 1
    restarts = restarts_after(phone)
    phone.page.add_init_script(HURRIED)
    phone.page.goto("/app/")
    phone.sees("赴城西排水站")
    expect(phone.page.get_by_text(TEXT).first).to_be_visible(timeout=60_000)
    assert set(restarts) == pairs


def test_a_wiped_device_is_enrolled_anew_and_the_centre_keeps_all(centre, phone, order):
    phone.order(order)
    phone.step("signed")
    phone.everything_sent()
    before = centre.steps(order)
    closed_app(phone)
    session = phone.context.new_cdp_session(phone.page)
    values = {"origin": centre.origin, "storageTypes": "all"}
    session.send("Storage.clearDataForOrigin", values)
    phone.page.goto("/app/")
    phone.sees(zh("app.enrol.title"))
    assert centre.steps(order) == before
    phone.enrol()
    phone.sees(TEXT)


def test_an_app_whose_database_is_deleted_under_it_says_so_and_exports_from_memory(
    centre, phone, order
):
    phone.flight_mode()
    say_feedback(phone, order, "示例：水位正常")
    phone.page.evaluate(
        "() => new Promise((done) => { indexedDB.deleteDatabase('lingda').onsuccess = done })"
    )
    phone.sees(zh("app.banner.store_gone"))
    assert "示例：水位正常" in exported(phone)

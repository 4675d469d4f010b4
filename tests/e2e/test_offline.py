"""What is saved on a device survives, and arrives once."""

import io
import json
import shutil

from PIL import Image
from playwright.sync_api import expect

from tests.e2e.centre import STATIC, LiveCentre
from tests.e2e.hands import Phone, eventually, zh

TEXT = "示例：赴城东排水站核查泵房水位"


def photo(colour="navy"):
    """A photo of its own bytes, as a phone's camera would give."""
    data = io.BytesIO()
    Image.new("RGB", (2400, 1600), colour).save(data, "JPEG")
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": data.getvalue()}


def write_feedback(phone, target, text):
    phone.at("d", target, "feedback")
    phone.page.get_by_label(zh("app.feedback.text")).fill(text)
    phone.page.locator("input[type=file]").first.set_input_files([photo()])
    expect(phone.page.get_by_role("img")).to_have_count(1)
    phone.press("app.feedback.save")


def test_work_done_in_flight_mode_survives_a_killed_tab_and_arrives_once(centre, phone, desk):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    eventually(lambda: centre.steps(target) == ["received"], phone.page)
    phone.flight_mode()
    phone.order(target)
    phone.step("signed")
    write_feedback(phone, target, "示例：水位正常")
    phone.sees(zh("app.feedback.saved"))
    phone.at("d", target)
    phone.button(zh("app.do.reported")).first.click(no_wait_after=True)
    phone.restart()
    phone.at("unsent")
    phone.sees(zh("app.unsent.list"))
    phone.flight_mode(False)
    phone.everything_sent()
    eventually(lambda: len(centre.rows("feedback", target)) == 1, phone.page)
    steps = centre.steps(target)
    assert steps[:3] == ["received", "read", "signed"]
    assert len(steps) == len(set(steps))
    sha256 = centre.rows("feedback", target)[0].fields["photos"][0]["sha256"]
    desk.open_order(TEXT)
    eventually(lambda: desk.page.request.get(f"/v1/blob/{sha256}").ok, phone.page)
    expect(desk.page.get_by_text("示例：水位正常").first).to_be_visible()


def test_what_waits_can_be_exported_word_for_word(centre, phone):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.flight_mode()
    phone.order(target)
    phone.step("signed")
    phone.at("unsent")
    phone.page.evaluate("() => { delete window.showSaveFilePicker; navigator.share = undefined }")
    with phone.page.expect_download() as download:
        phone.press("app.unsent.export")
    text = download.value.path().read_text(encoding="utf-8")
    assert "signed" in text
    assert json.loads(text)
    assert "token" not in text


def test_two_tabs_number_their_work_without_a_clash(centre, phone):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    first, second = phone.page, phone.open()
    second.goto(f"/app/#/d/{target}")
    expect(second.get_by_text(TEXT).first).to_be_visible()
    phone.flight_mode()
    phone.step("signed")
    phone.page = second
    phone.step("departed")
    phone.page = first
    phone.step("arrived")
    phone.flight_mode(False)
    wanted = {"received", "read", "signed", "departed", "arrived"}
    eventually(lambda: wanted <= set(centre.steps(target)), phone.page)
    assert len(centre.steps(target)) == len(wanted)


def test_a_server_restarted_in_between_costs_nothing(centre, phone):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    centre.stop()
    phone.step("signed")
    phone.sees(zh("app.tick.saved"))
    centre.start()
    eventually(lambda: "signed" in centre.steps(target), phone.page)
    phone.everything_sent()


def test_ticks_tell_the_truth(centre, phone):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.flight_mode()
    write_feedback(phone, target, "示例：第一次反馈")
    phone.order(target)
    phone.sees(zh("app.tick.saved"))
    received = phone.page.get_by_text("中心已收到").locator("visible=true")
    expect(received).to_have_count(0)
    phone.flight_mode(False)
    expect(received.first).to_be_visible()


def test_an_enrolment_code_works_once(browser, centre):
    code = centre.code("phone")
    first, second = Phone(browser, centre), Phone(browser, centre)
    first.enrol(code)
    expect(first.page.get_by_role("navigation")).to_be_visible()
    second.enrol(code)
    second.sees(zh("error.code_used"))
    first.close()
    second.close()


def test_a_new_version_waits_until_the_person_agrees(browser, tmp_path):
    static = tmp_path / "static"
    shutil.copytree(STATIC, static)
    centre = LiveCentre(tmp_path / "data", static=static)
    phone = Phone(browser, centre)
    phone.enrol()
    worker = static / "app/sw.js"
    worker.write_text(worker.read_text(encoding="utf-8") + "\n// next version\n")
    phone.at("me")
    phone.press("app.me.check_update")
    phone.sees(zh("app.me.checked"))
    phone.at()
    phone.sees(zh("app.banner.update"))
    phone.page.evaluate("() => { window.before = true }")
    phone.press("app.banner.update_now")
    expect(phone.page.get_by_text(zh("app.banner.update"))).to_have_count(0)
    phone.sees(zh("app.todo.title"))
    assert phone.page.evaluate("() => window.before") is None
    phone.flight_mode()
    phone.restart()
    phone.sees(zh("app.todo.title"))
    phone.close()
    centre.stop()

"""What a device lost or may not send any more: it is told in words, and the centre has the rest."""

from playwright.sync_api import expect

from tests.e2e import disk
from tests.e2e.hands import eventually, zh
from tests.e2e.test_offline import photo
from tests.e2e.test_storage import at_the_centre, closed_app, order, say_feedback

__all__ = ["order"]

TEXT = "示例：水位上涨，已拍照"
SPOIL_PHOTOS = """
() => new Promise((resolve, reject) => {
  const opening = indexedDB.open('lingda');
  opening.onerror = reject;
  opening.onsuccess = () => {
    const database = opening.result;
    const transaction = database.transaction('blobs', 'readwrite', { durability: 'strict' });
    const blobs = transaction.objectStore('blobs');
    const reading = blobs.getAll();
    reading.onsuccess = () => {
      for (const one of reading.result) blobs.put({ ...one, blob: new Blob(['spoilt']) });
    };
    transaction.onabort = reject;
    transaction.oncomplete = () => { database.close(); resolve(); };
  };
})
"""
UNKNOWN = {"code": "unauthenticated", "zh": "", "en": "", "detail": None}


def unreachable(phone):
    """Nothing goes out, also while the tab closes."""
    phone.context.route("**/v1/sync", lambda route: route.abort())
    phone.flight_mode()


def closed_unsent(phone):
    """The app is closed, and the next one may send."""
    closed_app(phone)
    phone.context.unroute("**/v1/sync")


def test_a_spoilt_photo_is_not_sent_and_its_person_is_asked_for_another(centre, phone, order):
    unreachable(phone)
    phone.at("d", order, "feedback")
    phone.page.get_by_label(zh("app.feedback.text")).fill(TEXT)
    phone.page.locator("input[type=file]").first.set_input_files([photo()])
    expect(phone.page.locator("form img")).to_have_count(1)
    save = phone.button(zh("app.feedback.save"))
    expect(save).not_to_have_attribute("aria-disabled", "true")
    phone.press("app.feedback.save")
    expect(phone.page.locator("article .said").filter(has_text=TEXT)).to_be_visible()
    closed_unsent(phone)
    phone.page.evaluate(SPOIL_PHOTOS)
    phone.page.goto("/app/")
    phone.sees(zh("app.banner.photos", n=1))
    assert at_the_centre(centre, order) == {TEXT}
    phone.at("unsent")
    phone.sees(zh("app.photos.spoilt"))
    expect(phone.page.get_by_text(zh("app.unsent.empty"))).to_have_count(0)
    phone.press("app.photos.again")
    expect(phone.page.locator("form")).to_be_visible()
    phone.at("unsent")
    phone.press("app.damaged.dismiss")
    phone.page.get_by_role("dialog").get_by_role("button", name=zh("app.damaged.delete")).click()
    phone.everything_sent()


def test_a_lost_outbox_is_told_by_number_to_person_and_centre(centre, phone, order):
    unreachable(phone)
    for text in ("示例：第一处", "示例：第二处"):
        say_feedback(phone, order, text)
    closed_unsent(phone)
    assert at_the_centre(centre, order) == set()
    lost = sorted(one["n"] for one in disk.read(phone.page, "outbox") if one["lane"] == 1)
    disk.delete_store(phone.page, "outbox")
    phone.page.goto("/app/")
    phone.sees(zh("app.banner.damaged", n=2))
    phone.at("me")
    numbers = zh("app.lost.numbers", numbers=f"{lost[0]}–{lost[1]}")
    phone.sees(f"{zh('app.lane.1')} {numbers}")
    eventually(lambda: sorted(one.fields["n"] for one in centre.rows("void")) == lost, phone.page)
    assert {one.fields["reason"] for one in centre.rows("void")} == {"missing"}
    phone.at("unsent")
    phone.press("app.refused.dismiss")
    phone.everything_sent()


def test_a_device_that_the_centre_does_not_know_hands_its_words_over(centre, phone, order):
    phone.flight_mode()
    say_feedback(phone, order, TEXT)
    phone.context.route("**/v1/sync", lambda route: route.fulfill(status=401, json=UNKNOWN))
    phone.flight_mode(False)
    phone.at()
    phone.sees(zh("app.banner.signed_out"))
    phone.at("me")
    phone.press("app.late.send")
    phone.sees(zh("app.late.done"))
    phone.at("unsent")
    phone.sees(zh("error.late"))
    phone.press("app.refused.dismiss")
    phone.at("me")
    phone.press("app.revoked.again")
    phone.context.unroute("**/v1/sync")
    phone.page.get_by_label(zh("app.enrol.code")).fill(centre.code("phone"))
    phone.press("app.enrol.button")
    expect(phone.page.get_by_role("navigation")).to_be_visible()
    assert at_the_centre(centre, order) == set()

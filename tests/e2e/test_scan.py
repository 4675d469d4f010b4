"""A code is scanned inside the app, with the camera, under the strict content policy."""

import io

import segno
from PIL import Image
from playwright.sync_api import expect

from server.cli.system_packages import find_browser
from tests.e2e.conftest import FLAGS
from tests.e2e.hands import Phone, zh

FRAMES = 30


def film_of(text, path):
    """A film of the QR of `text`, as the browser's fake camera takes it: one JPEG after another."""
    data = io.BytesIO()
    segno.make_qr(text, error="m").save(data, kind="png", scale=9, border=6)
    code = Image.open(data).convert("RGB")
    frame = Image.new("RGB", (640, 480), "white")
    frame.paste(code, ((640 - code.width) // 2, (480 - code.height) // 2))
    still = io.BytesIO()
    frame.save(still, "JPEG", quality=95)
    path.write_bytes(still.getvalue() * FRAMES)


def test_a_code_shown_to_the_camera_enrols_the_phone(playwright, centre, tmp_path):
    film = tmp_path / "code.mjpeg"
    film_of(centre.code("phone"), film)
    camera = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS + camera)
    phone = Phone(browser, centre)
    phone.context.grant_permissions(["camera", "geolocation"])
    phone.page.goto("/app/")
    expect(phone.page.locator("html[data-sw=ready]")).to_be_attached()
    phone.press("app.enrol.scan")
    code = phone.page.get_by_label(zh("app.enrol.code"), exact=True)
    expect(code).not_to_have_value("", timeout=15_000)
    expect(phone.page.get_by_role("dialog")).to_have_count(0)
    phone.press("app.enrol.button")
    expect(phone.page.get_by_role("navigation")).to_be_visible()
    phone.close()
    browser.close()

"""Orders: down to several units, back with every step, closed by the centre."""

from playwright.sync_api import expect

from tests.e2e.centre import UNIT
from tests.e2e.hands import eventually, zh

TEXT = "示例：赴城东排水站核查泵房水位"
OTHER = "2-13"


def test_an_order_signed_in_flight_mode_is_on_the_board_once_the_network_is_back(
    centre, phone, desk
):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    eventually(lambda: centre.steps(target) == ["received"], phone.page)
    phone.flight_mode()
    phone.order(target)
    phone.step("signed")
    assert centre.steps(target) == ["received"]
    expect(desk.card(TEXT)).to_contain_text(zh("desk.signed_of", n=0, total=1))
    phone.flight_mode(False)
    eventually(lambda: centre.steps(target) == ["received", "read", "signed"], phone.page)
    expect(desk.card(TEXT)).to_contain_text(zh("desk.signed_of", n=1, total=1))


def test_the_app_starts_without_a_network_and_shows_the_orders_it_holds(centre, phone):
    centre.order(TEXT)
    phone.sees(TEXT)
    phone.flight_mode()
    phone.restart()
    phone.sees(TEXT)
    centre.stop()
    phone.flight_mode(False)
    phone.restart()
    phone.sees(TEXT)
    centre.start()


def test_a_dispatcher_issues_to_several_units_and_sees_each_step_without_a_reload(
    centre, phone, desk
):
    desk.issue(TEXT, "市水务局", "市水上救助队")
    phone.sees(TEXT)
    target = next(row.id for row in centre.rows("target") if row.fields["unit"] == UNIT)
    card = desk.page.locator(f"#target-{target}")
    expect(card).to_contain_text(zh("step.received"))
    phone.order(target)
    for name in ("signed", "departed", "arrived", "acting", "reported"):
        phone.step(name)
        expect(card.locator("li[aria-current=step]")).to_contain_text(zh(f"step.{name}"))
    other = next(row.id for row in centre.rows("target") if row.fields["unit"] == OTHER)
    expect(desk.page.locator(f"#target-{other}")).to_contain_text(zh("step.pending"))
    desk.decide(target, "close", zh("field.feedback_note"), "示例：电话反馈")
    expect(card.locator("li[aria-current=step]")).to_contain_text(zh("step.closed"))
    phone.sees(zh("app.order.closed"))


def test_an_order_sent_back_is_done_again_in_a_new_round(centre, phone, desk):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    for name in ("signed", "departed", "arrived", "acting", "reported"):
        phone.step(name)
    desk.open_order(TEXT)
    desk.decide(target, "send_back", zh("field.reason"), "照片不清，请重拍")
    phone.sees("照片不清，请重拍")
    phone.step("signed")
    card = desk.page.locator(f"#target-{target}")
    expect(card).to_contain_text(zh("desk.round", n=2))
    expect(card.locator("li[aria-current=step]")).to_contain_text(zh("step.signed"))
    expect(card).to_contain_text(zh("desk.old_round"))
    rounds = [row.fields["round"] for row in centre.rows("step", target)]
    assert rounds.count(1) == 7
    assert rounds.count(2) >= 2


def test_a_help_call_reaches_the_centre_and_its_answer_the_caller(centre, phone, desk):
    phone.press("app.help.button")
    phone.page.get_by_label(zh("app.help.text")).fill("示例：请求支援")
    phone.press("app.help.send")
    phone.sees(zh("app.help.waiting"))
    expect(desk.page.get_by_text("示例：请求支援").first).to_be_visible()
    desk.link(zh("desk.help.answer")).first.click()
    dialog = desk.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("示例：支援已出发")
    dialog.get_by_role("button", name=zh("desk.help.answer")).click()
    phone.sees("示例：支援已出发")


def test_an_order_to_a_phone_in_the_app_comes_by_poke_not_by_poll(centre, phone):
    """The socket brings it: with pulls made only on a poke, it is on the screen all the same."""
    frames = []
    phone.page.close()
    phone.page = phone.open()
    phone.page.on(
        "websocket", lambda s: s.on("framereceived", lambda data: frames.append(str(data)))
    )
    phone.page.goto("/app/")
    phone.sees(zh("app.todo.title"))
    eventually(lambda: any("hello" in one for one in frames), phone.page)
    centre.order(TEXT)
    phone.sees(TEXT)
    assert any(f"unit/{UNIT}" in one and '"seq"' in one for one in frames)

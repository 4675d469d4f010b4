"""Phone, tablet, operator and web view at once; and no barrier on any screen."""

from playwright.sync_api import expect

from tests.e2e.hands import axe_violations, eventually, zh

TEXT = "示例：赴城东排水站核查泵房水位"


def test_one_order_on_a_phone_a_tablet_and_the_web_view_at_once(centre, phone, tablet, desk):
    tablet.start_shift()
    desk.issue(TEXT, "市水务局")
    alarm = tablet.page.get_by_role("dialog")
    expect(alarm).to_contain_text(TEXT)
    phone.sees(TEXT)
    tablet.answer_alarm()
    expect(alarm).to_be_hidden()
    target = centre.rows("target")[0].id
    card = desk.page.locator(f"#target-{target}")
    expect(card.locator("li[aria-current=step]")).to_contain_text(zh("step.signed"))
    phone.order(target)
    phone.sees(zh("step.signed"))
    phone.step("departed")
    tablet.order(target)
    tablet.sees(zh("step.departed"))
    expect(card.locator("li[aria-current=step]")).to_contain_text(zh("step.departed"))


def test_the_alarm_sounds_after_the_shift_start_tap(centre, tablet):
    tablet.start_shift()
    sounding = tablet.page.locator("html[data-sounding]")
    expect(sounding).to_have_count(0)
    centre.order(TEXT)
    expect(tablet.page.get_by_role("dialog")).to_contain_text(TEXT)
    assert zh("tablet.alarm.silent") not in tablet.page.get_by_role("dialog").inner_text()
    expect(tablet.page.locator("html[data-sounding=siren]")).to_be_attached()
    tablet.answer_alarm()
    expect(sounding).to_have_count(0)


def test_an_order_is_signed_on_its_card_in_one_tap(centre, phone):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.press("app.do.signed")
    phone.sees(zh("app.done.saved", step=zh("app.do.signed")))
    expect(phone.button(zh("app.do.signed"))).to_have_count(0)
    eventually(lambda: "signed" in centre.steps(target), phone.page)


def test_an_order_behind_the_alarm_is_not_read(centre, tablet):
    target = centre.order(TEXT)
    expect(tablet.page.get_by_role("dialog")).to_contain_text(TEXT)
    tablet.at("d", target)
    expect(tablet.page.locator("article .actions")).to_be_attached()
    tablet.answer_alarm()
    eventually(lambda: "signed" in centre.steps(target), tablet.page)
    assert "read" not in centre.steps(target)


def test_an_edit_is_taken_back_until_the_screen_changes(centre, tablet):
    tablet.at("register")
    old = tablet.page.locator("article.card a[href^='tel:']").first.inner_text()
    tablet.edit_number(old, "13900000001")
    tablet.press("app.undo")
    tablet.sees(old)
    tablet.edit_number(old, "13900000002")
    tablet.at("me")
    expect(tablet.button(zh("app.undo"))).to_have_count(0)


def test_a_move_filed_in_flight_mode_is_the_machines_place_at_the_centre(centre, operator, desk):
    operator.sees(zh("operator.title"))
    operator.flight_mode()
    operator.press("operator.file")
    operator.sees("±18")
    operator.press("operator.submit")
    operator.sees(zh("app.tick.saved"))
    operator.flight_mode(False)
    eventually(lambda: len(centre.rows("equipment_move")) == 1, operator.page)
    move = centre.rows("equipment_move")[0].fields
    assert (move["lat_e6"], move["lon_e6"], move["accuracy_m"]) == (44551300, 129618600, 18)
    assert move["operator"] and move["operator_phone"] and move["manager"]
    operator.sees("中心已收到")
    desk.page.goto("/desk/equipment")
    expect(desk.page.get_by_text(zh("desk.machine.history", n=1)).first).to_be_visible()


def test_no_screen_of_the_app_has_a_barrier(centre, phone, tablet, operator):
    target = centre.order(TEXT)
    phone.sees(TEXT)
    expect(tablet.page.get_by_role("dialog")).to_contain_text(TEXT)
    found = {("tablet", "alarm"): axe_violations(tablet.page)}
    tablet.answer_alarm()
    expect(tablet.page.get_by_role("dialog")).to_be_hidden()
    number = centre.rows("directive")[0].fields.get("no") or zh("app.order.no_number")
    own = {"unsent": zh("app.unsent.title"), "me": zh("app.me.title")}
    screens = {
        phone: {
            "": zh("app.todo.title"),
            f"d/{target}": number,
            f"d/{target}/feedback": zh("app.feedback.title"),
        },
        tablet: {
            "": zh("tablet.board.title"),
            "shift": zh("tablet.shift.title"),
            "register": zh("tablet.register.title"),
            "conflicts": zh("tablet.conflicts.title"),
            f"d/{target}": number,
        },
        operator: {"": zh("operator.title")},
    }
    for device, titles in screens.items():
        for address, title in (titles | own).items():
            device.at(*address.split("/"))
            expect(device.page.locator("main h1")).to_contain_text(title)
            found[(device.KIND, address)] = axe_violations(device.page)
    assert {screen: faults for screen, faults in found.items() if faults} == {}


def test_the_sign_in_and_enrolment_pages_have_no_barrier(browser, centre):
    from tests.e2e.hands import Desk, Phone

    desk, phone = Desk(browser, centre), Phone(browser, centre)
    desk.page.goto("/desk/login")
    phone.page.goto("/app/")
    expect(phone.page.get_by_label(zh("app.enrol.code"))).to_be_visible()
    assert axe_violations(desk.page) + axe_violations(phone.page) == []
    desk.close()
    phone.close()

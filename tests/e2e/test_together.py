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
    centre.order(TEXT)
    expect(tablet.page.get_by_role("dialog")).to_contain_text(TEXT)
    assert zh("tablet.alarm.silent") not in tablet.page.get_by_role("dialog").inner_text()


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
    screens = {
        phone: [[], ["d", target], ["d", target, "feedback"], ["unsent"], ["me"]],
        tablet: [[], ["shift"], ["register"], ["conflicts"], ["d", target], ["unsent"], ["me"]],
        operator: [[], ["unsent"], ["me"]],
    }
    found = {}
    for device, parts in screens.items():
        for one in parts:
            device.at(*one)
            expect(device.page.locator("main h1, main [role=heading]").first).to_be_attached()
            if violations := axe_violations(device.page):
                found[(device.KIND, *one)] = violations
    assert found == {}


def test_the_sign_in_and_enrolment_pages_have_no_barrier(browser, centre):
    from tests.e2e.hands import Desk, Phone

    desk, phone = Desk(browser, centre), Phone(browser, centre)
    desk.page.goto("/desk/login")
    phone.page.goto("/app/")
    expect(phone.page.get_by_label(zh("app.enrol.code"))).to_be_visible()
    assert axe_violations(desk.page) + axe_violations(phone.page) == []
    desk.close()
    phone.close()

"""The desk in a real browser: every page is accessible, typed text survives, boards move alone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from schema.wire import Change
from schema.words import say
from server.ids import uuid7
from tests.e2e.centre import PASSWORD, UNIT, LiveCentre

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "pwa/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SMALL = """[...document.querySelectorAll(
  'a.btn, button, summary, select, .side a, .tabs a, label.check, input:not([type=hidden])')]
  .filter((one) => one.offsetParent && !['checkbox', 'radio'].includes(one.type))
  .filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width < 43.5 || box.height < 43.5;
  }).map((one) => one.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory):
    live = LiveCentre(tmp_path_factory.mktemp("desk"))
    live.order("示例指令：加强巡查。", UNIT, "2-13")
    target = live.order("示例指令：撤回的。", UNIT)
    live.recall(target, 0)
    yield live
    live.stop()


@pytest.fixture
def desk(browser, centre):
    """Opens a signed-in page of a given size; every complaint of the browser fails the test."""
    contexts, complaints = [], []

    def opened(width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, base_url=centre.origin, locale="zh-CN"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto("/desk")
        page.fill("#login", "demo")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#live")).to_have_attribute("data-state", "up")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def faults(page):
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("(rules) => axe.run(document, { runOnly: rules })", RULES)
    return [(one["id"], one["nodes"][0]["html"][:120]) for one in found["violations"]]


PAGES = [
    *("/desk", "/desk?show=closed", "/desk/incidents/new", "/desk/directives/new", "/desk/inbox"),
    *("/desk/equipment", f"/desk/contacts?unit={UNIT}", "/desk/units", "/desk/devices"),
]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_every_page_is_accessible_and_fits(desk, centre, width, height):
    page = desk(width, height)
    orders = [f"/desk/directives/{row.id}" for row in centre.rows("directive")]
    incidents = [f"/desk/incidents/{row.id}" for row in centre.rows("incident")]
    for path in [*PAGES, *orders, *incidents]:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert faults(page) == [], path
        assert page.evaluate(SMALL) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_dialog_is_accessible_and_given_back_by_escape(desk, centre):
    page = desk()
    order = centre.rows("directive")[0].id
    page.goto(f"/desk/directives/{order}")
    button = page.locator(".target a[data-dialog]").first
    button.click()
    expect(page.locator("dialog")).to_be_visible()
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_an_order_is_written_with_the_keyboard_and_its_draft_survives_a_reload(desk, centre):
    page, other = desk(), desk()
    incident = centre.rows("incident")[0].id
    page.goto(f"/desk/directives/new?incident={incident}")
    page.fill("#f-text", "示例指令：键盘下达。")
    page.get_by_text(say("zh-CN", "urgency.flash"), exact=True).click()
    for words in (UNIT, "2-13"):
        page.fill("#find", words)
        page.keyboard.press("Enter")
    page.locator(".chosen button").first.click()
    page.reload()
    expect(page.locator("#f-text")).to_have_value("示例指令：键盘下达。")
    expect(page.locator("#f-clock-sign")).to_have_value("1")
    expect(page.locator(".chosen li")).to_contain_text(["市水务局", "市水上救助队"])

    page.focus("#f-text")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/desk/directives/[0-9a-f-]{36}$"))
    expect(page.locator(".target")).to_have_count(2)
    expect(page.locator(".chip.lead")).to_have_count(1)
    expect(other.get_by_text("示例指令：键盘下达。")).to_be_visible()
    assert page.evaluate("Object.keys(sessionStorage).length") == 0


def test_initials_find_a_unit_and_one_click_takes_a_category(desk):
    page = desk()
    page.goto("/desk/directives/new")
    page.locator("[data-group] [data-group] [data-all]").first.click()
    expect(page.locator(".chosen li")).to_have_count(11)
    page.locator("[data-group] [data-group] [data-all]").first.click()
    expect(page.locator(".chosen li")).to_have_count(0)
    page.fill("#find", "1.2-01")
    expect(page.locator(".groups li:visible")).to_have_count(1)


def test_enter_picks_the_unit_whose_own_code_or_name_was_typed_and_never_drops_one(desk, centre):
    """Many a code is a part of another one: 2-13 of 1.2-13, 3-01 of 1.3-01."""
    page = desk()
    page.goto("/desk/directives/new")
    units = [row.fields for row in centre.rows("unit")]
    for unit in units:
        page.fill("#find", unit["code"])
        page.keyboard.press("Enter")
        expect(page.locator(f'input[name=unit][value="{unit["code"]}"]')).to_be_checked()
    expect(page.locator(".chosen li")).to_have_count(len(units))
    page.fill("#find", units[0]["name"])
    page.keyboard.press("Enter")
    expect(page.locator(".chosen li")).to_have_count(len(units))


def test_focus_and_typed_text_survive_what_others_do(desk, centre):
    page = desk()
    order = centre.rows("directive")[0].id
    page.goto(f"/desk/directives/{order}")
    page.locator(".target a[data-dialog]").first.click()
    page.fill("dialog textarea", "示例原因")
    target = centre.rows("target", order)[0]
    say_something(centre, target)
    expect(page.locator(".target", has_text=say("zh-CN", "desk.round", n=2))).to_have_count(1)
    expect(page.locator("dialog textarea")).to_have_value("示例原因")
    expect(page.locator("dialog textarea")).to_be_focused()


def say_something(centre, target):
    now = centre.engine.clock()
    fields = {
        "target": target.id,
        "directive": target.fields["directive"],
        "unit": target.fields["unit"],
        "round": 2,
        "at": now,
        "reason": "redo",
        "note": "示例",
    }
    centre.act("target.send_back", Change("create", "round", uuid7(now), fields))


def test_two_tabs_share_one_connection_and_the_second_takes_over(desk, centre):
    first = desk()
    second = first.context.new_page()
    second.goto("/desk")
    expect(second.locator("#live")).to_have_attribute("data-state", "up")
    locks = "navigator.locks.query().then((all) => [all.held.length, all.pending.length])"
    assert second.evaluate(locks) == [1, 1]
    first.close()
    centre.order("示例指令：接替之后。", UNIT)
    expect(second.get_by_text("示例指令：接替之后。")).to_be_visible()

"""Where two people meant different things, both see it and one decides."""

import httpx
from playwright.sync_api import expect

from schema.wire import Change
from server.app import build_app
from server.ids import uuid7
from tests.e2e.hands import eventually, zh
from tests.server.world import World

NUMBER = "100 0000 0005"
TEXT = "示例：赴城东排水站核查泵房水位"


def edit_at_the_centre(centre, phone_row, number):
    base = {f"contact_phone/{phone_row.id}": {"number": (phone_row.dot,)}}
    change = Change("set", "contact_phone", phone_row.id, {"number": number})
    centre.act("contact.edit_any", change, base=base)


def edited_at_two_places(centre, tablet):
    """One number becomes 0111 on the tablet, offline, and 0222 at the centre."""
    row = next(one for one in centre.rows("contact_phone") if one.fields["number"] == NUMBER)
    tablet.at("register")
    tablet.sees(NUMBER)
    tablet.flight_mode()
    tablet.edit_number(NUMBER, "100 0000 0111")
    edit_at_the_centre(centre, row, "100 0000 0222")
    tablet.flight_mode(False)
    eventually(lambda: bool(centre.rows("conflict")), tablet.page)
    return row


def test_a_number_edited_at_two_places_is_decided_by_a_person_and_all_agree(centre, tablet, desk):
    """4.3#16"""
    row = edited_at_two_places(centre, tablet)
    tablet.at("conflicts")
    tablet.sees("100 0000 0111")
    tablet.sees("100 0000 0222")
    desk.page.goto("/desk/inbox")
    expect(desk.page.get_by_text("100 0000 0111").first).to_be_visible()
    expect(desk.page.get_by_text("100 0000 0222").first).to_be_visible()
    desk.link(zh("desk.inbox.decide")).first.click()
    dialog = desk.page.get_by_role("dialog")
    dialog.get_by_text("100 0000 0222").click()
    dialog.get_by_role("button", name=zh("desk.inbox.decide")).click()
    expect(desk.page.get_by_text(zh("desk.inbox.none"))).to_be_visible()
    tablet.sees(zh("tablet.conflicts.none"))
    tablet.at("register")
    tablet.sees("100 0000 0222")
    settled = next(one for one in centre.rows("contact_phone") if one.id == row.id)
    assert (settled.fields["number"], settled.open) == ("100 0000 0222", {})
    assert [one.fields["state"] for one in centre.rows("conflict")] == ["decided"]


def test_the_duty_room_may_decide_its_own_contacts(centre, tablet):
    edited_at_two_places(centre, tablet)
    tablet.at("conflicts")
    tablet.page.get_by_role(
        "button", name=zh("tablet.conflicts.take", value="100 0000 0111")
    ).click()
    eventually(
        lambda: [one.fields["state"] for one in centre.rows("conflict")] == ["decided"],
        tablet.page,
    )


def test_a_recall_wins_over_a_signature_made_without_knowing_and_both_stay(centre, phone, desk):
    """4.3#2: the signer is told that it was no fault, and is asked to confirm the stop."""
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    eventually(lambda: "read" in centre.steps(target), phone.page)
    phone.flight_mode()
    centre.recall(target, rank_seen=2)
    phone.step("signed")
    phone.flight_mode(False)
    phone.sees(zh("app.recall.reason", reason="示例：指令误发"))
    phone.sees(zh("app.recall.signed_blind"))
    assert [one.fields["rule"] for one in centre.rows("conflict")] == ["4.3#2"]
    desk.open_order(TEXT)
    card = desk.page.locator(f"#target-{target}")
    expect(card).to_contain_text(zh("recall.recalling"))
    expect(card).to_contain_text(zh("desk.blind"))
    phone.acted_calmly("app.recall.stop")
    expect(card).to_contain_text(zh("recall.stopped"))


def test_a_signature_made_before_the_recall_counts_as_on_time(centre, phone):
    """4.3#1"""
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    eventually(lambda: "read" in centre.steps(target), phone.page)
    phone.flight_mode()
    phone.step("signed")
    centre.recall(target, rank_seen=2)
    phone.flight_mode(False)
    phone.sees(zh("app.recall.signed_before"))
    assert [one.fields["rule"] for one in centre.rows("conflict")] == ["4.3#1"]


def test_work_done_before_the_recall_came_is_for_the_centre_to_rule(centre, phone, desk):
    """4.3#3"""
    target = centre.order(TEXT)
    phone.sees(TEXT)
    phone.order(target)
    phone.step("signed")
    eventually(lambda: "signed" in centre.steps(target), phone.page)
    phone.flight_mode()
    centre.recall(target, rank_seen=3)
    phone.step("departed")
    phone.step("arrived")
    phone.flight_mode(False)
    phone.sees(zh("app.recall.contested"))
    desk.open_order(TEXT)
    desk.page.locator(f"#target-{target}").get_by_role("link", name=zh("desk.decide.rule")).click()
    dialog = desk.page.get_by_role("dialog")
    dialog.get_by_text(zh("ruling.accept_result")).click()
    dialog.get_by_role("button", name=zh("desk.decide.rule")).click()
    phone.sees(zh("app.recall.accepted"))
    assert "open" not in [one.fields["state"] for one in centre.rows("conflict")]


async def filed_elsewhere(centre, machine):
    """The duty room says of the machine that it is ten kilometres off; it has its own device."""
    fields = {
        "equipment": machine.id,
        "unit": machine.fields["unit"],
        "kind": "move",
        "at": centre.engine.clock(),
        "manager": "示例乙",
        "operator": "示例丙",
        "operator_phone": "100 0000 0009",
        "place": "示例：北山货场",
        "lat_e6": 44_650_000,
        "lon_e6": 129_618_600,
        "accuracy_m": 20,
    }
    transport = httpx.ASGITransport(build_app(centre.engine))
    async with httpx.AsyncClient(transport=transport, base_url=centre.origin) as client:
        world = World(centre.engine, centre.engine.clock, client)
        duty = await world.device(centre.person(centre.scenario.codes["tablet"]), "tablet")
        await duty.settle()
        filing = uuid7(centre.engine.clock())
        duty.write("move.file", 1, Change("create", "equipment_move", filing, fields))
        assert [one.verdict for one in (await duty.sync()).verdicts] == ["merged"]


def test_two_people_s_filings_of_one_machine_wait_until_the_duty_room_says_which_stands(
    centre, operator, tablet, desk
):
    """4.3#12"""
    operator.press("operator.file")
    operator.sees("±18")
    operator.press("operator.submit")
    eventually(lambda: len(centre.rows("equipment_move")) == 1, operator.page)
    [filing] = centre.rows("equipment_move")
    machine = next(row for row in centre.rows("equipment") if row.id == filing.fields["equipment"])
    centre.call(filed_elsewhere(centre, machine))
    desk.page.goto("/desk/inbox")
    desk.sees("示例：北山货场")
    tablet.at("conflicts")
    tablet.sees("示例：北山货场")
    tablet.page.locator("article.card li").filter(has_text="44.5513").get_by_role("button").click()
    eventually(lambda: len(centre.rows("move_ruling")) == 1, tablet.page)
    assert [one.fields["state"] for one in centre.rows("conflict")] == ["decided"]
    assert centre.rows("move_ruling")[0].fields["filing"] == filing.id
    tablet.sees(zh("tablet.conflicts.none"))
    expect(desk.page.get_by_text(zh("desk.inbox.none"))).to_be_visible()

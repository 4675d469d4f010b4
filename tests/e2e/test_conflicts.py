"""Where two people meant different things, both see it and one decides."""

from playwright.sync_api import expect

from schema.wire import Change
from tests.e2e.hands import eventually, zh

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

"""The web view's pages over HTTP: who gets in, what a form does, and what a refusal says."""

import re

import pytest

from schema.clocks import CLOCK_DEFAULTS
from schema.wire import Change
from schema.words import say
from server.accounts import new_login
from server.web.issuing import clock_ms, due_ms, local_ms
from server.web.session import safe_next
from tests.server.world import small_centre
from tests.sync.builders import NOW

PASSWORD = "example-password"


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as world:
        for login, actor in (("lead", "lead"), ("unit", "duty"), ("keeper", "keeper")):
            await new_login(world.engine, login, PASSWORD, actor)
        keeper = {"name": "示例管理", "unit": None, "roles": ["admin"]}
        await world.engine.load([Change("create", "person", "keeper", keeper)])
        yield world


async def sign_in(world, login="lead", password=PASSWORD):
    form = await world.client.get("/desk/login")
    fields = {"csrf": token(form), "login": login, "password": password, "next": "/desk"}
    return await world.client.post("/desk/login", data=fields)


def token(response):
    return re.search(r'name="csrf" value="([^"]+)"', response.text)[1]


async def post(world, url, fields):
    """Fill in the form at `url` as a browser would: its hidden fields go along."""
    form = await world.client.get(url)
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.text))
    action = re.search(r'<main.*?<form[^>]* action="([^"]+)"', form.text, re.DOTALL)
    return await world.client.post(action[1] if action else url, data=hidden | fields)


# --- Getting in ---------------------------------------------------------------------------------


async def test_without_a_session_every_page_leads_to_the_sign_in(world):
    for path in ("/desk", "/desk/inbox", "/desk/units", "/desk/directives/new"):
        response = await world.client.get(path)
        assert response.status_code == 303
        assert response.headers["location"].startswith("/desk/login?next=%2Fdesk")


async def test_a_fragment_without_a_session_says_so_and_leads_nowhere(world):
    response = await world.client.get("/desk/fleet", headers={"HX-Request": "true"})
    assert response.status_code == 401


async def test_signing_in_opens_the_board(world):
    response = await sign_in(world)
    assert (response.status_code, response.headers["location"]) == (303, "/desk")
    board = await world.client.get("/desk")
    assert board.status_code == 200 and "示例lead" in board.text


async def test_a_wrong_password_keeps_the_name_and_says_why(world):
    response = await sign_in(world, password="wrong")
    assert response.status_code == 401
    assert 'value="lead"' in response.text and say("zh-CN", "error.login") in response.text


async def test_too_many_tries_are_told_to_wait(world):
    for _ in range(6):
        response = await sign_in(world, password="wrong")
    assert response.status_code == 429
    assert say("zh-CN", "desk.login.wait", n=15) in response.text
    assert response.headers["retry-after"] == "15"


async def test_a_sign_in_form_of_another_site_is_refused(world):
    fields = {"csrf": "made-up", "login": "lead", "password": PASSWORD}
    response = await world.client.post("/desk/login", data=fields)
    assert response.status_code == 403 and "lingda_session" not in world.client.cookies


async def test_after_signing_out_the_session_is_worth_nothing(world):
    await sign_in(world)
    kept = dict(world.client.cookies)
    await world.client.post("/desk/logout", data={"csrf": token(await world.client.get("/desk"))})
    world.client.cookies.update(kept)
    assert (await world.client.get("/desk")).status_code == 303


@pytest.mark.parametrize(
    "target", ["//elsewhere.example", "https://elsewhere.example/desk", "/\\elsewhere", "/app"]
)
def test_sign_in_leads_only_to_pages_of_our_own(target):
    assert safe_next(target) == "/desk"


async def test_a_unit_s_person_sees_nothing_of_the_centre(world):
    await sign_in(world, "unit")
    for path in ("/desk", "/desk/units", "/desk/contacts?unit=u1", "/desk/poll"):
        assert (await world.client.get(path)).status_code == 403


async def test_an_administrator_keeps_devices_and_sees_no_orders_or_phones(world):
    await sign_in(world, "keeper")
    assert (await world.client.get("/desk")).headers["location"] == "/desk/devices"
    assert (await world.client.get("/desk/devices")).status_code == 200
    for path in ("/desk/contacts?unit=u1", "/desk/inbox", "/desk/alerts", "/desk/equipment"):
        assert (await world.client.get(path)).status_code == 403


async def test_a_post_without_the_session_s_token_changes_nothing(world):
    await sign_in(world)
    fields = {"id": "i9", "title": "示例"}
    response = await world.client.post("/desk/incidents/new", data=fields)
    assert response.status_code == 403
    assert await world.row("incident", "i9") is None


async def test_pages_run_no_inline_code_and_say_so(world):
    await sign_in(world)
    await world.order("u1")
    for path in ("/desk", "/desk/directives/d1", "/desk/directives/new", "/desk/units"):
        response = await world.client.get(path)
        policy = response.headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy
        assert not re.search(r'\sstyle="|\son\w+="|<style', response.text), path


async def test_the_language_is_kept_and_switches_every_word(world):
    await sign_in(world)
    await world.client.get("/desk/language?to=en&next=/desk")
    board = await world.client.get("/desk")
    assert '<html lang="en"' in board.text and say("en", "desk.board.title") in board.text


# --- Incidents and orders -----------------------------------------------------------------------


async def test_an_incident_is_opened_edited_and_closed(world):
    await sign_in(world)
    opened = await post(
        world,
        "/desk/incidents/new",
        {"title": "示例积水", "level": "III", "lat": "44.5", "lon": "129.6", "place": "示例路"},
    )
    id = opened.headers["location"].rpartition("/")[2]
    summary = await world.row("incident_summary", id)
    assert (summary.fields["title"], summary.fields["lat_e6"]) == ("示例积水", 44_500_000)

    await post(world, f"/desk/incidents/{id}/edit", {"title": "示例积水", "level": "II"})
    edited = await world.row("incident_summary", id)
    assert edited.fields["level"] == "II" and set(edited.writes) >= {"level"}
    assert "title" not in edited.writes

    await post(world, f"/desk/incidents/{id}/close", {})
    assert (await world.row("incident", id)).fields["state"] == "closed"


async def test_an_incident_without_a_title_or_off_the_globe_keeps_what_was_typed(world):
    await sign_in(world)
    response = await post(world, "/desk/incidents/new", {"title": "", "place": "示例路"})
    assert response.status_code == 422 and 'value="示例路"' in response.text
    for lat in ("91", "9e999999", "9e9999999999", "nan"):
        response = await post(world, "/desk/incidents/new", {"title": "示例", "lat": lat})
        assert response.status_code == 422 and f'value="{lat}"' in response.text
        assert say("zh-CN", "field.lat") in response.text.partition('id="refused"')[2][:60]


@pytest.mark.parametrize("id", ["", "no/id"])
async def test_an_incident_s_form_without_its_id_is_shown_again_with_a_new_one(world, id):
    await sign_in(world)
    typed = {"title": "示例积水", "id": id}
    response = await post(world, "/desk/incidents/new", typed)
    assert response.status_code == 422 and 'value="示例积水"' in response.text
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', response.text))
    again = await world.client.post("/desk/incidents/new", data=typed | hidden)
    assert again.headers["location"] == f"/desk/incidents/{hidden['id']}"


async def test_the_only_open_incident_is_chosen_for_a_new_order(world):
    await sign_in(world)
    await world.order("u1")
    chosen = 'value="i-d1" selected'
    assert chosen in (await world.client.get("/desk/directives/new")).text
    await world.order("u1", id="d2")
    assert "selected" not in (await world.client.get("/desk/directives/new")).text


async def issue(world, **more):
    await world.order("u1", id="d0")
    fields = {
        "incident": "i-d0",
        "urgency": "flash",
        "kind": "dispatch",
        "text": "示例指令",
        "clock.sign": "1.5",
        "unit": ["u1", "u2"],
        "lead": "u2",
    }
    return await post(world, "/desk/directives/new?incident=i-d0", fields | more)


async def test_an_order_goes_to_all_units_in_one_commit_one_signed_mutation_each(world):
    await sign_in(world)
    before = (await world.engine.head()).seq
    response = await issue(world)
    id = response.headers["location"].rpartition("/")[2]
    order = await world.row("directive", id)
    assert order.fields["clocks"] == {"sign": 90_000} and order.fields["no"]
    found = await world.engine.store.read(lambda txn: txn.children("target", id))
    assert {s.row.fields["unit"]: s.row.fields["lead"] for s in found} == {"u1": False, "u2": True}
    assert len({s.row.dot for s in found} | {order.dot}) == 3
    assert {s.row.arrived for s in found} == {order.arrived}
    assert (await world.engine.head()).seq == before + 7, "four of the helper's order, and these"


async def test_sending_the_same_form_twice_issues_one_order(world):
    await sign_in(world)
    first = await issue(world, id="same")
    form = await world.client.get("/desk/directives/new")
    again = {"csrf": token(form), "id": "same", "incident": "i-d0", "text": "示例", "unit": "u1"}
    again |= {"urgency": "urgent", "kind": "dispatch"}
    second = await world.client.post("/desk/directives/new", data=again)
    assert second.headers["location"] == first.headers["location"]
    assert (await world.row("directive", "same")).fields["text"] == "示例指令"


BAD = [
    *({"text": ""}, {"unit": []}, {"clock.sign": "-1"}, {"clock.sign": "9e999999"}),
    *({"clock.sign": "0.001"}, {"clock.sign": "129601"}, {"close_due": "0001-01-01T00:00"}),
    *({"close_due": "9999-12-31T23:59"}, {"close_due": "soon"}, {"id": ""}, {"id": "no/id"}),
]


@pytest.mark.parametrize("bad", BAD)
async def test_an_order_that_lacks_something_keeps_what_was_typed(world, bad):
    await sign_in(world)
    response = await issue(world, **bad)
    assert response.status_code == 422 and 'role="alert"' in response.text
    assert re.search(r'value="flash" checked', response.text)
    assert (await world.client.get("/desk")).status_code == 200


@pytest.mark.parametrize(
    ("bad", "label"),
    [
        ({"clock.sign": "9e999999"}, "clock.sign"),
        ({"close_due": "0001-01-01T00:00"}, "field.close_due"),
        ({"close_due": "9999-12-31T23:59"}, "field.close_due"),
    ],
)
async def test_a_deadline_that_cannot_be_is_named_as_the_form_names_it(world, bad, label):
    await sign_in(world)
    response = await issue(world, **bad)
    assert say("zh-CN", label) in re.search(r'id="refused">([^<]*)', response.text)[1]
    assert next(iter(bad.values())) in response.text


async def test_the_form_offers_the_default_deadlines_in_minutes(world):
    await sign_in(world)
    form = await world.client.get("/desk/directives/new?urgency=flash")
    minutes = re.search(r'name="clock.receipt"[^>]*value="([^"]*)"', form.text)[1]
    assert clock_ms(minutes) == CLOCK_DEFAULTS["flash"]["receipt"]


def test_a_deadline_lies_ahead_and_within_two_years():
    now = local_ms("2026-11-24T10:00")
    ahead = due_ms("2026-11-24T10:01", now)
    assert ahead == now + 60_000
    far = ("2026-11-24T10:00", "2028-11-25T10:00", "0001-01-01T00:00", "soon")
    assert [due_ms(one, now) for one in far] == [None] * 4


def test_deadlines_are_read_exactly_and_nonsense_is_none():
    assert clock_ms("0.25") == 15_000
    assert [clock_ms(one) for one in ("0", "-1", "nan", "x", "1e9")] == [None] * 5
    assert local_ms("2026-11-24T10:00") == 1_795_485_600_000 and local_ms("soon") is None


# --- Decisions about units ----------------------------------------------------------------------


async def phone_does(world, *steps):
    phone = await world.device("phone", "phone")
    for name in steps:
        phone.step(name)
    await phone.sync()


async def test_a_reported_unit_is_closed_by_the_centre(world):
    await sign_in(world)
    await world.order("u1")
    await phone_does(world, "signed", "reported")
    await post(world, "/desk/directives/d1/close?target=d1-u1", {"note": "示例"})
    page = await world.client.get("/desk/directives/d1")
    assert say("zh-CN", "step.closed") in page.text
    steps = await world.engine.store.read(lambda txn: txn.children("step", "d1-u1"))
    closed = next(s.row for s in steps if s.row.fields["step"] == "closed")
    assert closed.fields["route"] == "centre" and closed.actor == "lead"


async def test_a_unit_without_feedback_is_closed_only_with_words_on_how_it_came(world):
    await sign_in(world)
    await world.order("u1")
    await phone_does(world, "signed", "reported")
    url = "/desk/directives/d1/close?target=d1-u1"
    refused = await post(world, url, {"note": " "})
    assert refused.status_code == 422
    name = say("zh-CN", "field.feedback_note")
    assert say("zh-CN", "desk.form.missing", field=name) in refused.text
    assert (await post(world, url, {"note": "示例电话"})).status_code == 303


async def test_a_unit_with_feedback_in_this_round_is_closed_without_a_word(world):
    await sign_in(world)
    await world.order("u1")
    phone = await world.device("phone", "phone")
    fields = {"target": "d1-u1", "directive": "d1", "unit": "u1", "round": 1, "at": NOW}
    fields |= {"kind": "progress", "text": "示例反馈"}
    phone.write("feedback.add", 1, Change("create", "feedback", "f1", fields))
    await phone.sync()
    url = "/desk/directives/d1/close?target=d1-u1"
    assert (await post(world, url, {"note": ""})).status_code == 303


async def test_a_decision_opened_as_a_page_has_one_main_heading(world):
    await sign_in(world)
    await world.order("u1")
    whole = await world.client.get("/desk/directives/d1/recall")
    part = await world.client.get("/desk/directives/d1/recall", headers={"HX-Request": "true"})
    assert (whole.text.count("<h1"), part.text.count("<h1")) == (1, 0)


async def test_sending_back_needs_a_reason_and_opens_the_next_round(world):
    await sign_in(world)
    await world.order("u1")
    await phone_does(world, "reported")
    url = "/desk/directives/d1/send_back?target=d1-u1"
    assert (await post(world, url, {"reason": ""})).status_code == 422
    await post(world, url, {"reason": "示例原因"})
    rounds = await world.engine.store.read(lambda txn: txn.children("round", "d1-u1"))
    assert [s.row.fields["round"] for s in rounds] == [2]
    page = await world.client.get("/desk/directives/d1")
    assert say("zh-CN", "desk.old_round") in page.text and "示例原因" in page.text


async def test_recalling_a_unit_on_the_scene_needs_the_call_written_down(world):
    await sign_in(world)
    await world.order("u1")
    await phone_does(world, "arrived")
    url = "/desk/directives/d1/recall?target=d1-u1"
    assert (await post(world, url, {"reason": "示例"})).status_code == 422
    await post(world, url, {"reason": "示例", "call": "示例电话"})
    recalls = await world.engine.store.read(lambda txn: txn.children("recall", "d1-u1"))
    assert [(s.row.fields["rank_seen"], s.row.fields["call"]) for s in recalls] == [(5, "示例电话")]


async def test_all_units_are_recalled_at_once_with_the_rank_that_was_seen(world):
    await sign_in(world)
    await world.order("u1", "u2")
    form = await world.client.get("/desk/directives/d1/recall")
    await phone_does(world, "signed")
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.text))
    await world.client.post("/desk/directives/d1/recall", data=hidden | {"reason": "示例"})
    recalls = await world.engine.store.read(lambda txn: txn.children("recall", None))
    assert {s.row.fields["unit"]: s.row.fields["rank_seen"] for s in recalls} == {"u1": 0, "u2": 0}


async def test_a_contested_recall_waits_for_a_ruling_and_is_settled_by_it(world):
    await sign_in(world)
    await world.order("u1")
    await post(world, "/desk/directives/d1/recall?target=d1-u1", {"reason": "示例"})
    world.time.now += 1
    await phone_does(world, "arrived")
    waits = say("zh-CN", "desk.conflicts_waiting", n=1)
    assert waits in (await world.client.get("/desk")).text
    url = "/desk/directives/d1/rule?target=d1-u1"
    await post(world, url, {"verdict": "accept_result"})
    assert waits not in (await world.client.get("/desk")).text
    page = await world.client.get("/desk/directives/d1")
    assert say("zh-CN", "recall.accepted") in page.text


async def test_a_decision_that_no_longer_fits_is_not_offered(world):
    await sign_in(world)
    await world.order("u1")
    for verb in ("send_back", "rule", "nonsense"):
        response = await world.client.get(f"/desk/directives/d1/{verb}?target=d1-u1")
        assert response.status_code == 404


async def test_a_call_for_help_is_on_every_page_until_answered(world):
    await sign_in(world)
    await world.order("u1")
    phone = await world.device("phone", "phone")
    call = {"unit": "u1", "target": "d1-u1", "text": "示例求助", "at": NOW}
    phone.write("help.call", 0, Change("create", "help_call", "h1", call))
    await phone.sync()
    assert "示例求助" in (await world.client.get("/desk/incidents/new")).text
    await post(world, "/desk/help/h1/answer", {"text": "示例应答"})
    assert 'id="help-h1"' not in (await world.client.get("/desk")).text
    await phone.sync()
    assert phone.sees("help_answer")


# --- Conflicts, contacts, devices ---------------------------------------------------------------


async def disputed(world):
    tablet = await world.device("duty", "tablet")
    phones = await world.engine.store.read(lambda txn: txn.children("contact_phone", "c1"))
    row = phones[0].row
    await tablet.sync()
    change = Change("set", "contact_phone", "p1", {"number": "1000000002"})
    base = {"contact_phone/p1": {"number": (row.dot,)}}
    await world.engine.act(world.lead, "contact.edit_any", [change], base)
    number = {"number": "1000000003"}
    tablet.write("contact.edit", 2, Change("set", "contact_phone", "p1", number))
    await tablet.sync()


async def test_both_numbers_are_dialable_until_one_is_chosen(world):
    await sign_in(world)
    await disputed(world)
    contacts = await world.client.get("/desk/contacts?unit=u1")
    assert "tel:1000000002" in contacts.text and "tel:1000000003" in contacts.text
    inbox = await world.client.get("/desk/inbox")
    url = re.search(r'href="(/desk/inbox/[^"]+/decide)"', inbox.text)[1]
    form = await world.client.get(url)
    dots = re.findall(r'name="dot" value="([^"]+)"', form.text)
    fields = {"csrf": token(form), "dot": dots, "value": "1000000003"}
    await world.client.post(url, data=fields)
    row = await world.row("contact_phone", "p1")
    assert (row.fields["number"], row.open) == ("1000000003", {})
    assert say("zh-CN", "desk.inbox.none") in (await world.client.get("/desk/inbox")).text


async def test_a_conflict_about_a_removed_number_is_settled_and_says_so(world):
    await sign_in(world)
    await disputed(world)
    inbox = await world.client.get("/desk/inbox")
    url = re.search(r'href="(/desk/inbox/[^"]+/decide)"', inbox.text)[1]
    form = await world.client.get(url)
    await world.engine.act(
        world.lead, "contact.edit_any", [Change("remove", "contact_phone", "p1")]
    )
    fields = {"csrf": token(form), "value": "1000000003"}
    response = await world.client.post(url, data=fields)
    assert response.status_code == 404 and say("zh-CN", "desk.inbox.gone") in response.text
    inbox = await world.client.get("/desk/inbox")
    assert url not in inbox.text and say("zh-CN", "desk.inbox.none") in inbox.text


async def test_a_shift_lead_edits_a_number_and_only_what_changed_is_written(world):
    await sign_in(world)
    fields = {"number": "1000000009", "kind": "mobile"}
    await post(world, "/desk/cards/contact_phone/p1/edit", fields)
    row = await world.row("contact_phone", "p1")
    assert row.fields["number"] == "1000000009" and set(row.writes) == {"number"}


async def test_a_code_for_a_device_is_shown_once_with_its_picture(world):
    await sign_in(world)
    form = await world.client.get("/desk/devices")
    made = await world.client.post(
        "/desk/devices/code", data={"csrf": token(form), "for": "phone phone"}
    )
    assert re.search(r"[0-9A-Z]{5}-[0-9A-Z]{5}", made.text)
    assert 'src="data:image/svg+xml' in made.text


# --- Live parts ---------------------------------------------------------------------------------


async def test_a_part_that_has_not_changed_is_not_sent_again(world):
    await sign_in(world)
    await world.order("u1")
    asking = {"HX-Request": "true"}
    first = await world.client.get("/desk", headers=asking)
    assert "<html" not in first.text and "示例指令" in first.text
    known = asking | {"If-None-Match": first.headers["etag"]}
    assert (await world.client.get("/desk", headers=known)).status_code == 304
    await phone_does(world, "signed")
    assert (await world.client.get("/desk", headers=known)).status_code == 200


async def test_a_poll_answers_at_once_when_the_log_has_moved(world):
    await sign_in(world)
    answer = await world.client.get("/desk/poll?seq=0")
    assert answer.json() == {"seq": (await world.engine.head()).seq}


async def test_what_people_type_is_never_markup(world):
    await sign_in(world)
    nasty = "<script>alert(1)</script>\"'"
    await post(world, "/desk/incidents/new", {"title": nasty, "note": nasty})
    for path in ("/desk", "/desk/directives/new"):
        assert "<script>alert" not in (await world.client.get(path)).text

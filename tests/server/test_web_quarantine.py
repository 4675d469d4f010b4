"""The web view's inbox: what was not applied, or only a device has, until a person decides."""

import re

import msgspec
import pytest

from schema.entities import ENTITIES
from schema.tags import Tag
from schema.wire import Change, LateRequest, Row, Verdict
from schema.words import say, words
from server.accounts import new_login
from server.batch import keep_words
from server.offers import note_seen
from server.shelves import STRANGERS
from server.waiting import SEEN, WORDS, waiting_count
from server.web.contents import TEXT_CHARS_MAX, shown_value
from server.web.render import when
from sync.mutation import void_id
from sync.quarantine import row_id
from tests.server.test_web import PASSWORD, post, sign_in
from tests.server.world import person, small_centre
from tests.sync.builders import NOW

DAY_MS = 24 * 3_600_000
THUMB = "data:image/png;base64,iVBORw0KGgo="
PHOTO = {"sha256": "a" * 64, "size": 9, "type": "image/png", "thumb": THUMB}


def zh(key, **values):
    return say("zh-CN", key, **values)


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        for login in ("lead", "desk"):
            await new_login(made.engine, login, PASSWORD, login)
        await made.engine.load([person("desk", None, "dispatcher")])
        await sign_in(made)
        yield made


async def page(world, path="/desk/inbox"):
    return (await world.client.get(path)).text


def card(html, id):
    """One entry of the inbox."""
    return html.partition(f'id="{id}"')[2].partition('<li class="card')[0]


def offered(html, id):
    return set(re.findall(rf"/desk/kept/{id}/(\w+)", html))


async def feedback(world, revoked=True, **more):
    """Feedback of a phone: its device was revoked meanwhile, or it cannot be."""
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    fields = {"target": "d1-u1", "directive": "d1", "unit": "u1", "round": 1, "at": NOW}
    fields |= {"kind": "progress", "text": "示例反馈", "photos": [PHOTO]}
    fields |= {"place": "示例路口", "lat_e6": 44_551_300, "lon_e6": 129_618_600, "accuracy_m": 18}
    dot = phone.write("feedback.add", 1, Change("create", "feedback", "f1", fields | more))
    if revoked:
        await revoke(world, phone)
    world.time.now += 5 * 60_000
    await phone.sync()
    return row_id(dot)


async def revoke(world, phone):
    def work(txn):
        doc = txn.get("replica", phone.reply.replica)
        txn.put("replica", phone.reply.replica, {**doc, "revoked_at": world.time()})

    await world.engine.store.write(work)


async def late_words(world):
    """The last words of a device that may not sign in any more."""
    phone = await world.device("phone", "phone")
    phone.write("help.call", 0, Change("create", "help_call", "h1", call("示例求助")))
    runs = phone.replica.request(phone.signer.sign, world.time()).runs
    me = phone.replica.identity
    body = LateRequest(me.centre, me.replica, phone.signer.public, runs)
    response = await world.client.post("/v1/late", content=msgspec.json.encode(body))
    assert response.status_code == 200, response.text


def call(text, **more):
    return {"unit": "u1", "text": text, "at": NOW} | more


async def seen_row(world, id="f9", dot="gone/1/1", **fields):
    """A row that only a device still has after a restore."""
    phone = await world.device("phone", "phone")
    row = Row("feedback", id, 9, dot, f"{NOW:012x}-0000-gone", "duty", NOW, fields)
    await world.engine.store.write(lambda txn: txn.put("epoch", "1-lost", {"fork": 1}))
    await world.engine.store.write(
        lambda txn: note_seen(txn, [row], phone.reply.replica, world.time())
    )
    return row_id(f"feedback/{id}")


# --- What was not applied -----------------------------------------------------------------------


async def test_words_that_were_not_applied_are_shown_with_whose_when_what_and_why(world):
    id = await feedback(world)
    shown = card(await page(world), f"kept-{id}")
    for said in ("示例phone", "示例单位u1", zh("kind.phone"), zh("intent.feedback.add")):
        assert said in shown, said
    for said in ("示例反馈", zh("kind.progress"), "示例路口", "44.551300", f'src="{THUMB}"'):
        assert said in shown, said
    assert zh("error.revoked") in shown and zh("desk.kept.todo.quarantined") in shown
    wrote, came = when(NOW, world.time()), when(world.time(), world.time())
    assert wrote != came
    assert f"{zh('desk.kept.written')} <time" in shown and f">{wrote}<" in shown
    assert f"{zh('field.arrived')} <time" in shown and f">{came}<" in shown


async def test_a_shift_lead_lets_it_in_and_is_told_what_it_got(world):
    id = await feedback(world)
    assert offered(await page(world), id) == {"release", "reject"}
    form = await world.client.get(f"/desk/kept/{id}/release")
    assert zh("desk.kept.release_warning") in form.text
    done = await post(world, f"/desk/kept/{id}/release", {"note": "示例核实"})
    told = await page(world, done.headers["location"])
    banner = re.search(r'role="status">(<strong>.*?)</p>', told)[1]
    assert zh("desk.kept.state.released") in banner and zh("desk.kept.got.applied") in banner
    assert (await world.row("feedback", "f1")).actor == "phone"
    past = card(told.partition('id="kept-done"')[2], f"kept-{id}")
    assert "示例lead" in past and "示例核实" in past and zh("desk.kept.got.applied") in past
    assert zh("desk.kept.none") in told


async def test_what_was_let_in_and_still_cannot_be_says_why(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    dot = duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": "示例乙"}))
    await world.engine.load([Change("remove", "contact", "c1")])
    await duty.sync()
    done = await post(world, f"/desk/kept/{row_id(dot)}/release", {})
    told = await page(world, done.headers["location"])
    got = zh("desk.kept.got.quarantined") + zh("desk.colon") + zh("error.removed")
    assert got in re.search(r'role="status">(<strong>.*?)</p>', told)[1]


async def test_an_edit_is_shown_beside_what_stands_now(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    dot = duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": "示例乙"}))
    await revoke(world, duty)
    await duty.sync()
    shown = card(await page(world), f"kept-{row_id(dot)}")
    assert "示例乙" in shown and shown.index(zh("desk.now_stands")) < shown.rindex("示例甲")


async def test_what_is_not_used_stays_without_effect_and_on_record(world):
    id = await feedback(world)
    await post(world, f"/desk/kept/{id}/reject", {"note": "示例原因"})
    assert await world.row("feedback", "f1") is None
    past = card((await page(world)).partition('id="kept-done"')[2], f"kept-{id}")
    assert zh("desk.kept.state.rejected") in past and "示例原因" in past and "示例反馈" in past


async def test_a_dispatcher_closes_what_was_refused_and_judges_nothing_else(world):
    refused = await feedback(world, revoked=False, round=9)
    await sign_in(world, "desk")
    assert offered(await page(world), refused) == {"close"}
    await post(world, f"/desk/kept/{refused}/close", {})
    assert (await world.row("quarantine", refused)).fields["state"] == "closed"


async def test_a_dispatcher_cannot_let_in_what_waits_for_a_shift_lead(world):
    id = await feedback(world)
    await sign_in(world, "desk")
    assert offered(await page(world), id) == set()
    assert (await world.client.get(f"/desk/kept/{id}/release")).status_code == 403
    assert (await world.row("quarantine", id)).fields["state"] == "open"


async def test_refused_words_cannot_be_let_in(world):
    id = await feedback(world, revoked=False, round=9)
    assert offered(await page(world), id) == {"close"}
    assert (await world.client.get(f"/desk/kept/{id}/release")).status_code == 403


async def test_a_second_decision_is_told_that_somebody_was_faster(world):
    id = await feedback(world)
    await post(world, f"/desk/kept/{id}/reject", {})
    again = await world.client.get(f"/desk/kept/{id}/release")
    assert again.status_code == 400 and zh("error.not_quarantined") in again.text


async def test_a_call_for_help_stands_before_what_has_waited_longer(world):
    feedback_id = await feedback(world, revoked=False, round=9)
    phone = await world.device("driver", "operator")
    dot = phone.write("help.call", 0, Change("create", "help_call", "h1", call("示例求助")))
    await revoke(world, phone)
    await phone.sync()
    html = await page(world)
    assert html.index(f'id="kept-{row_id(dot)}"') < html.index(f'id="kept-{feedback_id}"')


async def test_words_that_hold_anything_are_shown_as_they_came_and_never_as_markup(world):
    nasty = {"<b>": 1, "kind": ["x"], "at": "soon", "lat_e6": 9**20 % 2**53, "photos": "none"}
    id = await feedback(world, revoked=False, text="<script>alert(1)</script>", **nasty)
    shown = card(await page(world), f"kept-{id}")
    assert "<script>" not in shown and "<b>" not in shown
    assert "&lt;script&gt;" in shown and "soon" in shown


async def test_the_band_counts_what_waits_and_the_part_moves_without_a_reload(world):
    asking = {"HX-Request": "true"}
    first = await world.client.get("/desk/inbox", headers=asking)
    assert zh("desk.kept_waiting", n=1) not in await page(world, "/desk/alerts")
    id = await feedback(world)
    known = asking | {"If-None-Match": first.headers["etag"]}
    moved = await world.client.get("/desk/inbox", headers=known)
    assert f"kept-{id}" in moved.text and "<html" not in moved.text
    assert zh("desk.kept_waiting", n=1) in await page(world, "/desk/alerts")
    await post(world, f"/desk/kept/{id}/reject", {})
    assert zh("desk.kept_waiting", n=1) not in await page(world, "/desk/alerts")


async def test_the_order_s_record_says_that_a_fact_was_let_in(world):
    id = await feedback(world)
    await post(world, f"/desk/kept/{id}/release", {})
    assert zh("tag.released") in await page(world, "/desk/directives/d1")


async def test_a_decision_that_names_no_base_does_not_take_the_inbox_down(world):
    id = await feedback(world)
    change = Change("set", "quarantine", id, {"state": "rejected", "note": "示例说明"})
    await world.engine.act(world.lead, "quarantine.reject", [change])
    assert zh("entity.quarantine") in await page(world)


# --- Beside the log -----------------------------------------------------------------------------


async def test_late_words_are_shown_with_why_and_stay_on_record_once_closed(world):
    await late_words(world)
    html = await page(world)
    id = re.search(r"/desk/beside/words/(\w+)/close", html)[1]
    shown = card(html, f"words-{id}")
    assert "示例求助" in shown and "示例phone" in shown and zh("error.late") in shown
    assert zh("desk.kept_waiting", n=1) in await page(world, "/desk/alerts")
    world.time.now += 60_000
    await post(world, f"/desk/beside/words/{id}/close", {"note": "示例已问"})
    [doc] = (await world.engine.store.read(lambda txn: txn.find(WORDS))).values()
    assert (doc["closed_by"], doc["closed_at"], doc["note"]) == ("lead", world.time(), "示例已问")
    assert doc["raw"], "the words themselves stay"
    assert zh("desk.kept_waiting", n=1) not in await page(world, "/desk/alerts")
    past = card((await page(world)).partition('id="kept-done"')[2], f"words-{id}")
    assert "示例lead" in past and "示例已问" in past and "示例求助" in past
    again = await world.client.get(f"/desk/beside/words/{id}/close")
    assert zh("error.not_quarantined") in again.text


async def test_words_that_prove_nothing_are_marked_so(world):
    await late_words(world)
    assert zh("desk.kept.unproven") not in await page(world)
    [(key, doc)] = (await world.engine.store.read(lambda txn: txn.find(WORDS))).items()
    forged = doc | {"code": "signature"}
    await world.engine.store.write(lambda txn: txn.put(WORDS, key, forged))
    assert zh("desk.kept.unproven") in await page(world)


async def test_words_that_cannot_be_read_are_shown_as_they_came(world):
    verdict = Verdict("", "00", "refused", 0, "bad_mutation")
    await world.engine.store.write(lambda txn: keep_words(txn, STRANGERS, verdict, b"<b>hi", NOW))
    html = await page(world)
    assert "&lt;b&gt;hi" in html and zh("desk.kept.unreadable") in html


async def test_a_row_that_only_a_device_has_waits_until_it_is_closed(world):
    id = await seen_row(world, text="示例丢失的反馈", kind="progress")
    shown = card(await page(world), f"seen-{id}")
    assert "示例丢失的反馈" in shown and "示例phone" in shown and "示例duty" in shown
    await post(world, f"/desk/beside/seen/{id}/close", {})
    assert await world.engine.store.read(lambda txn: waiting_count(txn, SEEN)) == 0
    [doc] = (await world.engine.store.read(lambda txn: txn.find(SEEN))).values()
    assert doc["closed_by"] == "lead"


async def test_a_row_that_came_back_by_signed_words_waits_no_more(world):
    phone = await world.device("phone", "phone")
    await seen_row(world, dot=f"{phone.reply.replica}/0/1", text="示例丢失的反馈")
    assert "示例丢失的反馈" in await page(world)
    phone.write("help.call", 0, Change("create", "help_call", "h1", call("示例求助")))
    await phone.sync()
    assert "示例丢失的反馈" not in await page(world)


# --- Lost words ---------------------------------------------------------------------------------


async def lose(world):
    """A device says that it lost the words of one number."""
    phone = await world.device("phone", "phone")
    fields = {"replica": phone.reply.replica, "of_lane": 1, "n": 1, "lost": None}
    fields |= {"reason": "corrupt", "at": NOW}
    id = void_id(phone.reply.replica, 1, 1)
    phone.write("lane.void", 1, Change("create", "void", id, fields))
    reply = await phone.sync()
    assert [one.verdict for one in reply.verdicts] == ["applied"]
    return id


@pytest.mark.parametrize("path", ["/desk/inbox", "/desk/devices"])
async def test_what_a_device_lost_is_told_for_ninety_days_with_whom_to_ask(world, path):
    id = await lose(world)
    shown = card(await page(world, path), f"void-{id}")
    assert "示例phone" in shown and zh("desk.void.reason.corrupt") in shown
    assert zh("desk.void.which", n=1) in shown
    assert zh("desk.void.hint") in await page(world, path)
    world.time.now += 91 * DAY_MS
    await world.engine.load([Change("set", "unit", "u1", {"name": "示例新名"})])
    await sign_in(world)
    assert f'id="void-{id}"' not in await page(world, path)


# --- Removals and late calls in the conflict inbox ----------------------------------------------


async def test_a_removal_from_a_page_that_had_not_seen_an_edit_shows_the_edit(world):
    form = await world.client.get("/desk/cards/contact_phone/p1/remove")
    duty = await world.device("duty", "tablet")
    await duty.settle()
    change = Change("set", "contact_phone", "p1", {"number": "1000000077"})
    duty.write("contact.edit", 2, change)
    await duty.sync()
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form.text))
    await world.client.post("/desk/cards/contact_phone/p1/remove", data=hidden)
    assert (await world.row("contact_phone", "p1")).removed
    [found] = await world.engine.store.read(lambda txn: txn.children("conflict", "p1"))
    shown = card(await page(world), f"conflict-{found.row.id}")
    assert "1000000077" in shown and zh("desk.op.remove") in shown and zh("rule.removal") in shown
    assert "示例单位u1" in shown


async def test_a_removal_of_what_its_author_saw_opens_nothing(world):
    await post(world, "/desk/cards/contact_phone/p1/edit", {"number": "1000000009"})
    await post(world, "/desk/cards/contact_phone/p1/remove", {})
    assert (await world.row("contact_phone", "p1")).removed
    assert await world.engine.store.read(lambda txn: txn.children("conflict", "p1")) == []


async def called_after_close(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    await post(world, "/desk/incidents/i-d1/close", {})
    help_call = Change("create", "help_call", "h1", call("示例求助", target="d1-u1"))
    phone.write("help.call", 0, help_call)
    reply = await phone.sync()
    assert Tag.AFTER_CLOSE in reply.verdicts[0].tags


@pytest.mark.parametrize(("verb", "state"), [("reopen", "open"), ("keep_closed", "closed")])
async def test_a_call_after_the_incident_was_closed_asks_whether_to_reopen_it(world, verb, state):
    await called_after_close(world)
    html = await page(world)
    assert zh("rule.4.3#9") in html and zh("desk.incident.closed_then") in html
    assert f"/desk/incidents/i-d1/{verb}" in html and "示例事件" in html
    await post(world, f"/desk/incidents/i-d1/{verb}", {})
    assert (await world.row("incident", "i-d1")).fields["state"] == state
    [found] = await world.engine.store.read(lambda txn: txn.children("conflict", "i-d1"))
    assert found.row.fields["state"] == "decided"
    assert zh("desk.inbox.none") in await page(world)


# --- Words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_field_that_may_stand_in_refused_words_has_a_label(language):
    shown = [name for name in ENTITIES if name not in ("conflict", "verdict", "quarantine")]
    labels = {f"field.{field}" for name in shown for field in ENTITIES[name].fields}
    assert labels - set(words(language)) == set()


@pytest.mark.parametrize("value", [{"a": [1]}, "x" * 9_999, 2**60, True, ["x"]])
def test_a_value_that_its_field_cannot_hold_is_text_of_bounded_length(value):
    shown = shown_value(None, "feedback", "at", value)
    assert shown.kind == "text" and len(shown.value) <= TEXT_CHARS_MAX + 1

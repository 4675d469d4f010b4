"""What was not applied: its author and a duty officer see it, and a person decides on it."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from schema.codes import Code
from schema.tags import Tag
from schema.versions import HELD_MS, LANES, PROTOCOL_VERSION, SCHEMA_VERSION
from schema.wire import Change
from server.device import WebUser
from sync.quarantine import row_id
from sync.rows import base_of
from tests.server.world import small_centre

DISPATCHER = WebUser("desk", "示例desk", None, frozenset(), "web", "csrf")


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def decide(world, who, dot, intent, note=None):
    """Decide on the row of these words, as somebody who sees it."""
    row = await world.row("quarantine", row_id(dot))
    state = {"release": "released", "reject": "rejected", "close": "closed"}[intent]
    change = Change("set", "quarantine", row.id, {"state": state, "note": note})
    base = {f"quarantine/{row.id}": {name: base_of(row, name) for name in change.fields}}
    return await world.engine.act(who, f"quarantine.{intent}", [change], base)


async def revoked(world, phone):
    def work(txn):
        doc = txn.get("replica", phone.reply.replica)
        txn.put("replica", phone.reply.replica, {**doc, "revoked_at": world.time()})

    await world.engine.store.write(work)


async def quarantined_step(world):
    """A step that came after its device was revoked."""
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    dot = phone.step("received")
    await revoked(world, phone)
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", Code.REVOKED)
    return phone, dot


async def test_quarantined_words_stand_in_a_row_with_their_author_and_content(world):
    _, dot = await quarantined_step(world)
    row = await world.row("quarantine", row_id(dot))
    told = row.fields
    assert (told["author"], told["unit"], told["intent"]) == ("phone", "u1", "target.step")
    assert (told["verdict"], told["code"], told["state"]) == ("quarantined", "revoked", "open")
    assert told["changes"][0]["fields"]["step"] == "received"


async def test_refused_words_stand_in_a_row_too_and_its_author_is_told(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    dot = phone.step("signed", round=9)
    await phone.settle()
    assert [verdict.code for _, verdict in phone.replica.refused] == [Code.FIELD]
    assert phone.replica.rows["quarantine", row_id(dot)].fields["verdict"] == "refused"


async def test_a_release_judges_the_original_by_its_own_author_and_stamp(world):
    phone, dot = await quarantined_step(world)
    world.time.now += 60_000
    verdict = await decide(world, world.lead, dot, "release")
    assert verdict.verdict == "applied"
    [saved, _] = phone.replica.refused[0]
    step = await world.row("step", saved.mutation.changes[0].id)
    assert (step.actor, step.stamp, step.dot) == ("phone", saved.mutation.stamp, dot)
    logged = (await world.engine.store.read(lambda txn: txn.logged([dot])))[dot]
    assert logged.verdict.verdict == "applied" and Tag.RELEASED in logged.verdict.tags
    told = await world.row("verdict", row_id(dot))
    assert (told.fields["verdict"], told.fields["tags"]) == ("applied", ["released"])


async def test_a_repeat_after_the_release_gets_the_new_verdict(world):
    phone, dot = await quarantined_step(world)
    await decide(world, world.lead, dot, "release")
    phone.replica.outbox = [phone.replica.refused[0][0]]
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].repeat) == ("applied", True)


async def test_what_was_released_and_cannot_be_applied_says_so(world):
    await world.order("u1")
    duty = await world.device("duty", "tablet")
    await duty.settle()
    dot = duty.write("contact.edit", 2, Change("set", "contact", "c1", {"name": "示例乙"}))
    await world.engine.load([Change("remove", "contact", "c1")])
    await duty.settle()
    assert duty.replica.refused[0][1].code == Code.REMOVED
    await decide(world, world.lead, dot, "release")
    row = await world.row("quarantine", row_id(dot))
    assert (row.fields["state"], row.fields["verdict"]) == ("released", "quarantined")
    assert row.fields["code"] == "removed"
    assert (await world.row("contact", "c1")).removed, "nothing rises from the dead"


async def test_a_rejection_closes_it_and_changes_nothing_else(world):
    phone, dot = await quarantined_step(world)
    done = await decide(world, world.lead, dot, "reject", "示例说明")
    assert done.verdict == "applied"
    row = await world.row("quarantine", row_id(dot))
    assert (row.fields["state"], row.fields["note"]) == ("rejected", "示例说明")
    [saved, _] = phone.replica.refused[0]
    assert await world.row("step", saved.mutation.changes[0].id) is None


async def test_a_second_decision_is_refused(world):
    _, dot = await quarantined_step(world)
    await decide(world, world.lead, dot, "reject")
    again = await decide(world, world.lead, dot, "release")
    assert (again.verdict, again.code) == ("refused", Code.NOT_QUARANTINED)


async def test_refused_words_cannot_be_released_only_closed(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    dot = phone.step("signed", round=9)
    await phone.settle()
    tried = await decide(world, world.lead, dot, "release")
    assert (tried.verdict, tried.code) == ("refused", Code.NOT_QUARANTINED)
    done = await decide(world, world.lead, dot, "close")
    assert done.verdict == "applied"


async def test_who_is_no_duty_officer_releases_nothing(world):
    _, dot = await quarantined_step(world)
    tried = await decide(world, DISPATCHER, dot, "release")
    assert (tried.verdict, tried.code) == ("refused", Code.NO_RIGHT)


async def test_what_was_held_too_long_is_quarantined_and_can_be_let_in_later(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    duty = await world.device("duty", "tablet")
    await phone.settle()
    dot = duty.write("contact.edit", 2, Change("set", "contact", "late", {"name": "示例丙"}))
    reply = await duty.sync()
    assert reply.verdicts[0].verdict == "held"
    world.time.now += HELD_MS + 1
    phone.step("received")
    await phone.sync()
    await duty.settle()
    assert duty.replica.refused[0][1].verdict == "quarantined"
    contact = {"unit": "u1", "duty": "head", "name": "示例丁"}
    await world.engine.load([Change("create", "contact", "late", contact)])
    await decide(world, world.lead, dot, "release")
    logged = (await world.engine.store.read(lambda txn: txn.logged([dot])))[dot]
    assert logged.verdict.verdict == "merged", "it had not seen the row, so both are shown"
    await duty.settle()
    assert duty.replica.refused == []


def of_version(phone, protocol):
    """The device's request as an app of this protocol writes it."""
    more = {"protocol": protocol, "wishes": [{"x": None}], "outbox": {"count": 9, "photos": 2}}
    return msgspec.json.encode(json.loads(phone.body()) | more)


async def test_the_next_version_s_app_is_served_and_what_it_adds_is_kept(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    phone.step("received")
    phone.step("read")
    saved = phone.replica.outbox.pop()
    phone.put(replace(saved.mutation, intent="weather.report", schema=SCHEMA_VERSION + 1))
    response = await phone.post(of_version(phone, PROTOCOL_VERSION + 1))
    assert response.status_code == 200, response.text
    reply = response.json()
    told = [(one["verdict"], one["code"]) for one in reply["verdicts"]]
    assert told == [("applied", None), ("quarantined", "newer_version")]
    assert reply["pages"] and set(reply["complete"]["unit/u1"]) == set(LANES)


async def test_an_app_two_versions_ahead_is_told_so_and_nothing_of_it_is_taken(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    phone.step("received")
    response = await phone.post(of_version(phone, PROTOCOL_VERSION + 2))
    told = response.json()
    assert (response.status_code, told["code"]) == (426, "protocol")
    assert told["detail"] == str(PROTOCOL_VERSION)
    assert [one.verdict for one in (await phone.sync()).verdicts] == ["applied"]


async def test_a_newer_client_s_unknown_intent_is_kept_not_refused(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    write = phone.replica.write
    write("help.call", 0, [Change("create", "help_call", "h1", {"unit": "u1"})], world.time())
    saved = phone.replica.outbox.pop()
    newer = replace(saved.mutation, intent="weather.report", schema=99)
    phone.put(newer)
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", Code.NEWER)
    row = await world.row("quarantine", row_id(saved.dot))
    assert row.fields["intent"] == "weather.report"


async def test_a_void_takes_the_number_of_lost_words_and_the_lane_goes_on(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    phone.step("read")
    phone.step("signed")
    phone.replica.damage(0, 2, world.time())
    reply = await phone.settle()
    assert phone.replica.outbox == [] and reply.missing == {}
    voids = [row for (entity, _), row in phone.replica.rows.items() if entity == "void"]
    assert [(row.fields["n"], row.fields["reason"]) for row in voids] == [(2, "corrupt")]
    steps = {r.fields["step"] for (e, _), r in phone.replica.rows.items() if e == "step"}
    assert steps == {"received", "signed"}


async def test_numbers_that_the_device_has_no_words_for_are_said_to_be_lost(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    phone.step("read")
    phone.step("signed")
    del phone.replica.outbox[1]
    reply = await phone.sync()
    assert reply.missing == {"0": [2]}
    reply = await phone.settle()
    assert reply.missing == {} and phone.replica.refused == []


async def test_a_void_for_another_number_is_refused(world):
    phone = await world.device("phone", "phone")
    await phone.settle()
    told = {"replica": phone.reply.replica, "of_lane": 0, "n": 7, "reason": "missing"}
    told |= {"at": world.time(), "lost": None}
    phone.write("lane.void", 0, Change("create", "void", "v1", told))
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("refused", Code.VOID)

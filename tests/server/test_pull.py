"""What a device is told: snapshots, restarts, digests, the horizon, and what it loses."""

import msgspec
import pytest
from msgspec.structs import replace

from schema.versions import DAY_MS, GONE_MS, LANES
from schema.wire import Change, LateReply, LateRequest, SyncReply
from server.accounts import device_of
from server.node import NODE_SESSION, Wish
from server.store.sqlite import SqliteTxn
from server.verify import SYSTEM_ACTOR
from tests.server.world import person, small_centre
from tests.sync.builders import NOW

BIG_ROWS = 900
LONG_NAME = "示例" * 15


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        yield made


async def moved(world, actor, unit, *roles):
    """The person works for another unit from now on."""
    fields = person(actor, unit, *roles).fields
    row = await world.row("person", actor)
    base = {name: (row.dot, *row.writes.get(name, ())[1:]) for name in fields}
    change = Change("set", "person", actor, fields)
    await world.engine._write(_as_node(change, {f"person/{actor}": base}))


def _as_node(change, base):
    return Wish(SYSTEM_ACTOR, NODE_SESSION, "register.load", (change,), base)


async def filled(world, rows=BIG_ROWS, unit="u1"):
    """A register big enough to be told by snapshot."""
    for start in range(0, rows, 300):
        changes = [
            Change(
                "create", "contact", f"x{n}", {"unit": unit, "duty": "head", "name": "示例" * 15}
            )
            for n in range(start, min(start + 300, rows))
        ]
        await world.engine.load(changes)


async def as_told(world, device):
    """What the centre would tell a device that has nothing."""
    doc = await world.engine.store.read(lambda txn: txn.get("replica", device.reply.replica))
    scopes = [one["scope"] for one in doc["grants"] if one["to_seq"] is None]

    def work(txn):
        return {
            (scope, lane): txn.page(scope, lane, 0, 2**60).page.rows
            for scope in scopes
            for lane in LANES
        }

    found = await world.engine.store.read(work)
    return {pair: len(rows) for pair, rows in found.items() if rows}


def holds(device):
    living = device.replica.rows
    return {
        pair: n
        for pair, keys in device.replica.holds.items()
        if (n := sum(not living[key].removed for key in keys))
    }


async def test_a_big_scope_is_told_by_snapshot_and_the_rest_by_pages(world):
    await filled(world)
    duty = await world.device("duty", "tablet")
    request = duty.replica.request(duty.signer.sign, world.time())
    reply = await duty.sync()
    assert [(one.scope, one.lane) for one in reply.snapshots] == [("register/u1", 2)]
    assert ("register/u1", 2) in reply.restart and 2 not in reply.complete["register/u1"]
    assert request.cursors == {}
    await duty.settle()
    assert holds(duty) == await as_told(world, duty)
    assert len(duty.sees("contact")) == BIG_ROWS + 1


async def test_an_app_of_the_first_protocol_is_told_everything_in_pages(world):
    await filled(world)
    duty = await world.device("duty", "tablet")
    request = duty.replica.request(duty.signer.sign, world.time())
    device = await device_of(world.engine, duty.reply.token)
    reply = await world.engine.sync(device, replace(request, protocol=1, max_bytes=2**22))
    assert reply.snapshots == [] and 2 in reply.complete["register/u1"]


async def test_a_pair_that_is_told_from_nothing_in_pages_is_read_once(world, monkeypatch):
    read = []
    page = SqliteTxn.page

    def watched(self, scope, lane, after, room):
        read.append((scope, lane))
        return page(self, scope, lane, after, room)

    monkeypatch.setattr(SqliteTxn, "page", watched)
    await (await world.device("duty", "tablet")).sync()
    assert ("register/u1", 2) in read and len(read) == len(set(read))


async def test_a_pair_that_does_not_fit_the_answer_comes_in_parts(world):
    for n in range(40):
        fields = {"unit": "u1", "duty": "head", "name": LONG_NAME}
        await world.engine.load([Change("create", "contact", f"x{n}", fields)])
    duty = await world.device("duty", "tablet")
    device = await device_of(world.engine, duty.reply.token)
    request = duty.replica.request(duty.signer.sign, world.time())
    reply = await world.engine.sync(device, replace(request, max_bytes=4096))
    assert reply.snapshots == [] and 2 not in reply.complete.get("register/u1", [])
    assert sum(len(msgspec.json.encode(one)) for one in reply.pages) < 3 * 4096
    await duty.settle()
    assert len(duty.sees("contact")) == 41


async def test_two_devices_are_given_the_same_bytes(world):
    await filled(world)
    first, second = await world.device("duty", "tablet"), await world.device("duty", "tablet")
    parts = [(await device.sync()).snapshots[0].parts for device in (first, second)]
    assert parts[0] == parts[1]


async def test_a_snapshot_is_nothing_to_who_does_not_hold_its_scope(world):
    await filled(world)
    duty, other = await world.device("duty", "tablet"), await world.device("other", "phone")
    reply = await duty.sync()
    part = reply.snapshots[0].parts[0]
    found = await world.client.get(f"/v1/snap/{part.sha256}", headers=other.headers)
    nothing = await world.client.get(f"/v1/snap/{'0' * 64}", headers=other.headers)
    assert (found.status_code, nothing.status_code) == (404, 404)
    assert (await world.client.get(f"/v1/snap/{part.sha256}")).status_code == 401


async def test_what_changed_after_the_snapshot_follows_in_pages(world):
    await filled(world)
    first = await world.device("duty", "tablet")
    await first.settle()
    await world.engine.load([Change("remove", "contact", "x1")])
    await world.engine.load([Change("set", "contact", "x2", {"name": "示例新"})])
    second = await world.device("duty", "tablet")
    await second.settle()
    await first.settle()
    assert holds(first) == holds(second) == await as_told(world, second)
    assert second.replica.rows["contact", "x2"].fields["name"] == "示例新"
    assert second.replica.view(("contact", "x1")) is None


async def staffed(world):
    """A unit of so many people that it is told by snapshot."""
    people = [person(f"x{n}", "u1", "responder") for n in range(BIG_ROWS)]
    named = [replace(one, fields=one.fields | {"name": LONG_NAME}) for one in people]
    for start in range(0, BIG_ROWS, 300):
        await world.engine.load(named[start : start + 300])


async def dropped(world):
    await world.engine.load([Change("remove", "contact", "x1")])


async def reassigned(world):
    await moved(world, "x1", "u2", "responder")


LEAVINGS = [(filled, dropped, "contact"), (staffed, reassigned, "person")]


@pytest.mark.parametrize(("fill", "leave", "entity"), LEAVINGS)
async def test_an_older_snapshot_gives_nobody_a_row_that_has_left(world, fill, leave, entity):
    await fill(world)
    first = await world.device("duty", "tablet")
    [offered] = (await first.sync()).snapshots
    await leave(world)
    path = f"/v1/snap/{offered.parts[0].sha256}"
    assert (await world.client.get(path, headers=first.headers)).status_code == 404
    second = await world.device("duty", "tablet")
    [anew] = [one for one in (await second.sync()).snapshots if one.scope == offered.scope]
    for part in anew.parts:
        rows = (await second.part(part)).rows
        assert (entity, "x1") not in [(row.entity, row.id) for row in rows]
    await second.settle()
    assert f"x{BIG_ROWS - 1}" in second.sees(entity) and "x1" not in second.sees(entity)


async def test_a_snapshot_that_was_taken_back_meanwhile_is_offered_anew(world):
    await filled(world)
    duty = await world.device("duty", "tablet")
    request = duty.replica.request(duty.signer.sign, world.time())
    response = await duty.post(msgspec.json.encode(request))
    duty.replica.receive(msgspec.json.decode(response.content, type=SyncReply), request, NOW)
    await dropped(world)
    await duty.settle()
    assert len(duty.sees("contact")) == BIG_ROWS


async def test_an_edit_alone_leaves_a_snapshot_as_it_is(world):
    await filled(world)
    duty = await world.device("duty", "tablet")
    [offered] = (await duty.sync()).snapshots
    await world.engine.load([Change("set", "contact", "x2", {"name": "示例新"})])
    [again] = (await (await world.device("duty", "tablet")).sync()).snapshots
    assert again == offered


async def test_every_complete_pair_has_a_digest_and_the_device_agrees(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    phone.step("received")
    reply = await phone.settle()
    for scope, lanes in reply.complete.items():
        assert set(reply.digests[scope]) == {str(lane) for lane in lanes}
    assert phone.replica.bad == set()
    assert reply.digests["unit/u1"]["0"] != "0"


async def test_only_a_pair_that_does_not_match_is_told_anew(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    key = ("target", "d1-u1")
    broken = replace(phone.replica.rows[key], fields={"unit": "u1", "lead": "bit rot"})
    phone.replica.rows[key] = broken
    phone.replica.audit(("unit/u1", 0))
    assert phone.replica.bad == {("unit/u1", 0)}
    reply = await phone.sync()
    assert reply.restart == [("unit/u1", 0)]
    assert {page.scope for page in reply.pages} == {"unit/u1"}
    assert phone.replica.rows[key].fields["lead"] is False
    assert phone.replica.bad == set()


async def test_a_row_that_a_device_should_not_hold_goes_with_the_repair(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    key = ("step", "ghost")
    row = replace(phone.replica.rows["target", "d1-u1"], entity="step", id="ghost")
    phone.replica.rows[key] = row
    phone.replica.digests[key] = 7
    phone.replica.held_by[key] = frozenset({"unit/u1"})
    phone.replica.holds["unit/u1", 0].add(key)
    await phone.settle()
    assert key not in phone.replica.rows


async def test_a_device_behind_the_horizon_starts_anew_and_keeps_its_outbox(world):
    await world.order("u1")
    duty, phone = await world.device("duty", "tablet"), await world.device("phone", "phone")
    await duty.settle()
    await phone.settle()
    await world.engine.load([Change("remove", "contact", "c1")])
    duty.step("received")
    world.time.now += GONE_MS + DAY_MS
    phone.step("received")
    await phone.sync()
    floor = await world.engine.forget_old()
    assert floor > 0
    reply = await duty.sync()
    assert reply.verdicts[0].verdict == "applied"
    assert {tuple(pair) for pair in reply.restart} >= {("register/u1", 2), ("unit/u1", 0)}
    await duty.settle()
    assert duty.sees("contact") == set(), "a tombstone that is not told any more rises not again"
    assert holds(duty) == await as_told(world, duty)


async def test_an_id_that_was_removed_is_never_used_again(world):
    duty = await world.device("duty", "tablet")
    await duty.settle()
    await world.engine.load([Change("remove", "contact", "c1")])
    world.time.now += GONE_MS + DAY_MS
    await world.engine.forget_old()
    again = {"unit": "u1", "duty": "head", "name": "示例己"}
    duty.write("contact.edit", 2, Change("create", "contact", "c1", again))
    reply = await duty.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "removed")


async def test_who_moves_to_another_unit_loses_the_one_and_gains_the_other(world):
    await world.order("u1", "u2")
    phone = await world.device("phone", "phone")
    await phone.settle()
    before = (await world.engine.head()).seq
    await moved(world, "phone", "u2", "responder")
    reply = await phone.sync()
    assert (reply.revoked, reply.gained) == (["unit/u1"], ["unit/u2"])
    await phone.settle()
    assert phone.sees("target") == {"d1-u2"}
    assert not [
        key
        for key, row in phone.replica.rows.items()
        if row.fields.get("unit") == "u1" and key[0] in ("target", "step")
    ]
    doc = await world.engine.store.read(lambda txn: txn.get("replica", phone.reply.replica))
    spans = {one["scope"]: (one["from_seq"], one["to_seq"]) for one in doc["grants"]}
    assert spans["unit/u1"][1] > before and spans["unit/u2"] == (spans["unit/u1"][1], None)


async def test_proofs_and_staged_pages_of_a_lost_scope_go_too(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    assert phone.replica.proofs
    await moved(world, "phone", "u2", "responder")
    await phone.settle()
    assert not any('"u1"' in proof.raw for proof, _ in phone.replica.proofs.values())
    assert not [pair for pair in phone.replica.staged if pair[0] == "unit/u1"]


async def test_work_written_before_the_move_is_judged_by_the_old_rights_and_says_so(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 60_000
    phone.step("received")
    world.time.now += 60_000
    await moved(world, "phone", "u2", "responder")
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].tags) == ("applied", ("before_cut",))


async def test_work_written_after_the_move_waits_for_a_person(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 60_000
    await moved(world, "phone", "u2", "responder")
    world.time.now += 60_000
    phone.step("received")
    fields = phone.replica.outbox[0].mutation.changes[0].fields
    assert fields["unit"] == "u1"
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "role_cut")


async def test_whoever_leaves_has_their_earlier_work_taken(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 60_000
    phone.step("received")
    world.time.now += 60_000
    await world.engine.load([Change("remove", "person", "phone")])
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].tags) == ("applied", ("before_cut",))
    assert "unit/u1" in reply.revoked
    assert phone.sees("target") == set()


async def test_words_of_an_earlier_time_than_the_lane_has_reached_wait_for_a_person(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    await phone.sync()
    phone.step_dated("read", world.time() - 30 * 60_000)
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].code) == ("quarantined", "backdated")


async def test_what_follows_a_void_is_not_taken_for_backdated(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    for name in ("received", "read", "signed"):
        world.time.now += 60_000
        phone.step(name)
    world.time.now += 60_000
    phone.replica.damage(0, 2, world.time())
    later = phone.replica.outbox.pop(1)
    assert later.n == 3
    await phone.sync()
    phone.replica.outbox.append(later)
    reply = await phone.sync()
    assert reply.verdicts[0].verdict == "applied"


async def test_a_late_copy_of_a_request_tells_no_time_that_has_not_come(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 3_600_000  # Until the centre's clock is set right.
    phone.step("received")
    request = phone.body()
    world.time.now -= 3_600_000
    assert (await phone.sync()).verdicts[0].tags == ("clock_ahead",)
    phone.step("read")
    world.time.now += 660_000
    await phone.post(request)
    assert [one.code for one in (await phone.sync()).verdicts] == [None]


async def test_a_device_whose_clock_ran_ahead_is_told_and_set_back(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    world.time.now += 10 * 365 * DAY_MS
    phone.step("received")
    world.time.now -= 10 * 365 * DAY_MS
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].tags) == ("applied", ("clock_ahead",))
    assert phone.replica.stamp.wall_ms == reply.now
    world.time.now += 1_000
    phone.step("read")
    reply = await phone.sync()
    assert (reply.verdicts[0].verdict, reply.verdicts[0].tags) == ("applied", ())


async def test_a_late_answer_brings_back_nothing_that_has_left_since(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    early = phone.replica.request(phone.signer.sign, world.time())
    phone.step("received")
    await phone.settle()
    device = await device_of(world.engine, phone.reply.token)
    stale = await world.engine.sync(device, early)
    await moved(world, "phone", "u2", "responder")
    await phone.settle()
    phone.replica.receive(stale, early, world.time())
    assert not [key for key in phone.replica.rows if key[0] == "target"]


async def test_last_words_of_a_device_that_may_not_sign_in_are_kept(world):
    await world.order("u1")
    phone = await world.device("phone", "phone")
    await phone.settle()
    phone.step("received")
    request = phone.replica.request(phone.signer.sign, world.time())
    late = LateRequest("centre", phone.reply.replica, phone.signer.public, request.runs)
    answer = await world.client.post("/v1/late", content=msgspec.json.encode(late))
    told = msgspec.json.decode(answer.content, type=LateReply)
    assert [(one.verdict, one.code) for one in told.verdicts] == [("quarantined", "late")]
    kept = await world.engine.store.read(lambda txn: txn.find("kept"))
    assert len(kept) == 1
    reply = await phone.sync()
    assert reply.verdicts[0].verdict == "applied", "it uses no number of the device itself"


async def test_a_stranger_s_words_under_a_known_name_prove_nothing(world):
    phone, thief = await world.device("phone", "phone"), await world.device("other", "phone")
    await world.order("u1")
    await phone.settle()
    phone.step("received")
    request = phone.replica.request(thief.signer.sign, world.time())
    late = LateRequest("centre", phone.reply.replica, thief.signer.public, request.runs)
    answer = await world.client.post("/v1/late", content=msgspec.json.encode(late))
    told = msgspec.json.decode(answer.content, type=LateReply)
    assert [one.code for one in told.verdicts] == ["signature"]

"""What a broken or hostile device may send: a named verdict, and nobody else notices."""

import asyncio

import msgspec
import pytest

from schema.wire import Change, SyncReply
from sync.mutation import encode_mutation, hash_of, signing_bytes
from tests.server.world import small_centre
from tests.sync.builders import NOW


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as centre:
        yield centre


async def ready(world):
    phone = await world.device("phone", "phone")
    await world.order("u1")
    await phone.sync()
    return phone


def signed(phone, lane, raws, n):
    """A push of these bytes as one run, signed as its owner would."""
    me = phone.replica.identity
    data = signing_bytes(me.realm, me.replica, lane, n, hash_of(raws[-1]))
    run = {"lane": lane, "sig": phone.signer.sign(data), "mutations": list(map(msgspec.Raw, raws))}
    where = {"centre": me.centre, "epoch": me.epoch, "replica": me.replica}
    return msgspec.json.encode({**where, "cursors": phone.replica.cursors, "runs": [run]})


async def verdicts(phone, body):
    response = await phone.post(body)
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=SyncReply).verdicts


def altered(phone, **fields):
    """The bytes of a good 签收 with these fields changed."""
    phone.step("signed")
    mutation = phone.replica.outbox.pop().mutation
    phone.replica.tips.clear()
    return msgspec.json.encode(msgspec.to_builtins(mutation) | fields)


async def steps(world):
    rows = await world.engine.store.read(lambda txn: txn.children("step", "d1-u1"))
    return [one.row.fields["step"] for one in rows]


@pytest.mark.parametrize("after", [["x"], ["a/b/c"], [""], ["r/0/99999999999999999999"], ["r/9/1"]])
async def test_an_after_that_names_no_dot_is_refused(world, after):
    phone = await ready(world)
    raw = altered(phone, after=after)
    got = await verdicts(phone, signed(phone, 0, [raw], 1))
    assert [(one.verdict, one.code) for one in got] == [("refused", "bad_mutation")]


@pytest.mark.parametrize("n", [0, -1, 2**31, 2**50, 2**64, 2**70])
async def test_a_number_that_no_lane_has_is_refused_under_its_hash(world, n):
    phone = await ready(world)
    raw = altered(phone, n=n)
    got = await verdicts(phone, signed(phone, 0, [raw], n))
    assert [(one.dot, one.hash, one.code) for one in got] == [("", hash_of(raw), "bad_mutation")]
    kept = await world.engine.store.read(lambda txn: txn.find("kept"))
    assert len(kept) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b'{"lane":0,"n":1,"what":"?"}',
        b'{"n":1,"replica":"\xff\xfe"}',
    ],
    ids=["no mutation", "no text"],
)
async def test_words_that_cannot_be_read_are_refused_and_kept_under_their_number(world, raw):
    phone = await ready(world)
    got = await verdicts(phone, signed(phone, 0, [raw], 1))
    assert [(one.verdict, one.code) for one in got] == [("refused", "bad_mutation")]
    assert got[0].dot.endswith("/0/1")


BODIES = {
    "too deep": b'{"centre":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not a number": b'{"centre":NaN}',
    "no text": b"\xff",
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_request_is_refused_as_such(world, body):
    phone = await ready(world)
    response = await phone.post(body)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


async def test_a_far_number_costs_nothing_and_the_gap_is_asked_for(world):
    phone = await ready(world)
    raw = altered(phone, n=2**31 - 1)
    body = signed(phone, 0, [raw], 2**31 - 1)
    reply = msgspec.json.decode((await phone.post(body)).content, type=SyncReply)
    assert reply.verdicts[0].verdict == "applied"
    assert reply.missing["0"] == list(range(1, 501))


async def test_a_lane_that_does_not_exist_leaves_no_trace_in_the_replicas_record(world):
    phone = await ready(world)
    raw = altered(phone, lane=7)
    await verdicts(phone, signed(phone, 7, [raw], 1))
    doc = await world.engine.store.read(lambda txn: txn.get("replica", phone.reply.replica))
    assert set(doc["lanes"]) <= {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize("cursor", [-5, 2**62, 2**53])
async def test_a_cursor_from_nowhere_breaks_nothing(world, cursor):
    phone = await ready(world)
    phone.replica.cursors = {"directory": {"2": cursor, "abc": 5}, "nonsense": {"0": 1}}
    reply = await phone.sync()
    assert reply.revoked == ["nonsense"]
    assert world.engine.fleet()


async def test_a_forged_push_cannot_use_up_a_phones_next_numbers(world):
    phone, thief = await ready(world), await world.device("other", "phone")
    forged = altered(phone)
    thief_signed = signed(phone, 0, [forged], 1)
    body = msgspec.json.decode(thief_signed)
    body["runs"][0]["sig"] = thief.signer.sign(b"anything")
    got = await verdicts(phone, msgspec.json.encode(body))
    assert [(one.verdict, one.code) for one in got] == [("quarantined", "signature")]
    phone.step("signed")
    assert (await phone.sync()).verdicts[0].verdict == "applied"


async def test_the_proof_of_a_run_is_not_overwritten_by_sending_it_again(world):
    phone = await ready(world)
    phone.step("signed")
    good = phone.body()
    await phone.sync()
    before = await world.engine.store.read(lambda txn: txn.find("run"))
    body = msgspec.json.decode(good)
    body["runs"][0]["sig"] = "A" * 86
    await phone.post(msgspec.json.encode(body))
    assert await world.engine.store.read(lambda txn: txn.find("run")) == before


async def test_one_bad_mutation_fails_nobody_elses_push(world):
    bad, good = await ready(world), await world.device("phone", "phone")
    await good.sync()
    raw = altered(bad, after=["x"])
    good.step("signed")
    answers = await asyncio.gather(bad.post(signed(bad, 0, [raw], 1)), good.sync())
    assert answers[1].verdicts[0].verdict == "applied"
    assert await steps(world) == ["signed"]


async def test_what_a_device_waits_for_never_stops_the_centre_from_ordering(world):
    """A ring of bases, held until the node's next number: once it came, orders went on."""
    tablet = await world.device("duty", "tablet")
    await tablet.sync()
    node, head = world.engine.node.replica, await world.row("incident", "none")
    assert head is None
    me = tablet.replica.identity
    fields = {"unit": "u1", "duty": "head", "name": "示例"}
    tablet.write("contact.edit", 2, Change("create", "contact", "cz", fields))
    for _ in range(2):
        tablet.write("contact.edit", 2, Change("set", "contact", "cz", {"name": "示例二"}))
    raws, prev = [], ""
    for saved, base in zip(tablet.replica.outbox, ([], [3], [2]), strict=True):
        of = [f"{me.replica}/2/{n}" for n in base]
        changed = {"prev": prev, "base": {"contact/cz": {"name": of}} if of else {}}
        if saved.n == 3:
            changed["after"] = [f"{node}/0/1"]
        mutation = msgspec.structs.replace(saved.mutation, **changed)
        raws.append(encode_mutation(mutation))
        prev = hash_of(raws[-1])
    got = await verdicts(tablet, signed(tablet, 2, raws, 3))
    assert [one.verdict for one in got] == ["applied", "applied", "held"]
    await world.order("u1")
    await world.order("u1", id="d2")
    assert (await world.row("contact", "cz")).fields["name"] == "示例二"


async def test_a_large_push_lets_a_signature_pass(world):
    """Both are asked for at once; the signature is committed before the register is through."""
    tablet, phone = await world.device("duty", "tablet"), await ready(world)
    await tablet.sync()
    for block in range(12):
        changes = [
            Change(
                "create", "contact", f"c{block}-{n}", {"unit": "u1", "duty": "head", "name": "示"}
            )
            for n in range(300)
        ]
        tablet.write("contact.edit", 2, *changes)
    phone.step("signed")
    register, urgent = await asyncio.gather(tablet.sync(), phone.sync())
    assert {one.verdict for one in register.verdicts} == {"applied"}
    assert urgent.verdicts[0].seq < register.verdicts[-1].seq


async def test_an_edit_of_the_incident_pokes_the_units_that_hold_its_summary(world):
    await world.order("u1")
    with world.engine.hub.listen({"unit/u1"}) as listener:
        dot = (await world.row("incident_summary", "i-d1")).dot
        await world.engine.act(
            world.lead,
            "incident.edit",
            [Change("set", "incident_summary", "i-d1", {"title": "示例：改"})],
            {"incident_summary/i-d1": {"title": (dot,)}},
        )
        poke = (await listener.take())[0]
    assert (poke.scope, poke.lane) == ("unit/u1", 0)


async def test_an_edit_of_a_card_that_was_removed_meanwhile_is_kept(world):
    tablet = await world.device("duty", "tablet")
    await tablet.sync()
    await world.engine.act(
        world.lead, "contact.edit_any", [Change("remove", "contact_phone", "p1")]
    )
    tablet.write("contact.edit", 2, Change("set", "contact_phone", "p1", {"number": "111"}))
    verdict = (await tablet.sync()).verdicts[0]
    assert (verdict.verdict, verdict.code) == ("quarantined", "removed")


async def test_feedback_with_nine_photos_is_taken(world):
    phone = await ready(world)
    photos = [
        {"sha256": f"{n:064x}", "size": 300_000, "type": "image/jpeg", "thumb": "A" * 10_900}
        for n in range(9)
    ]
    fields = {
        "target": "d1-u1",
        "directive": "d1",
        "unit": "u1",
        "round": 1,
        "at": NOW,
        "kind": "progress",
        "text": "示例",
        "photos": photos,
    }
    phone.write("feedback.add", 1, Change("create", "feedback", "f1", fields))
    assert (await phone.sync()).verdicts[0].verdict == "applied"

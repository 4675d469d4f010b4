"""Two people file one machine's move differently: the centre sees both and says which stands."""

import re

import pytest

from schema.wire import Change
from server.accounts import new_login
from sync.fold import position_of
from tests.server.test_web import PASSWORD, post, sign_in
from tests.server.test_web_quarantine import card, page, zh
from tests.server.world import small_centre


@pytest.fixture
async def world(tmp_path):
    async with small_centre(tmp_path) as made:
        await new_login(made.engine, "lead", PASSWORD, "lead")
        await sign_in(made)
        yield made


async def file(world, who, kind, id, **place):
    device = await world.device(who, kind)
    await device.settle()
    fields = {"equipment": "e1", "unit": "u1", "kind": "move", "at": world.time(), **place}
    fields |= {"manager": "示例甲", "operator": "示例乙", "operator_phone": "1000000002"}
    device.write("move.file", 1, Change("create", "equipment_move", id, fields))
    await device.sync()
    return device


async def contradicted(world):
    """The operator measured one place; the duty room says another. The duty room's tablet."""
    await file(
        world, "driver", "operator", "m-east", place="桥东", lat_e6=44_551_000, lon_e6=129_633_000
    )
    return await file(world, "duty", "tablet", "m-west", place="桥西")


async def conflict(world):
    found = await world.engine.store.read(lambda txn: txn.children("conflict", "e1"))
    return [one.row for one in found][-1]


async def position(world):
    def work(txn):
        filed, ruled = (txn.children(of, "e1") for of in ("equipment_move", "move_ruling"))
        return position_of([one.row for one in filed], [one.row for one in ruled])

    return await world.engine.store.read(work)


async def test_the_inbox_shows_both_filings_and_which_stands_for_now(world):
    await contradicted(world)
    shown = card(await page(world), f"conflict-{(await conflict(world)).id}")
    assert "桥东" in shown and "桥西" in shown and "44.551000" in shown
    assert "示例driver" in shown and "示例duty" in shown and "示例单位u1" in shown
    assert zh("rule.4.3#12") in shown and zh("field.position") in shown
    assert re.search(r'class="won">\s*<span class="value">\s*<bdi>桥东', shown)


async def test_a_shift_lead_says_which_filing_stands_and_everybody_has_it_so(world):
    tablet = await contradicted(world)
    found = await conflict(world)
    assert (await position(world))["move"] == "m-east"
    fields = {"filing": "m-west", "note": "已电话核实"}
    response = await post(world, f"/desk/inbox/{found.id}/decide", fields)
    assert response.status_code == 303
    told = (await conflict(world)).fields
    assert (told["state"], told["decided_by"]) == ("decided", "lead")
    assert ((await position(world))["move"], (await position(world))["to_check"]) == ("m-west", [])
    assert "桥西" in (await world.client.get("/desk/equipment")).text
    await tablet.sync()
    [ruling] = [row for key, row in tablet.replica.rows.items() if key[0] == "move_ruling"]
    assert (ruling.fields["over"], ruling.fields["note"]) == (["m-east"], "已电话核实")
    assert zh("desk.inbox.none") in await page(world)


@pytest.mark.parametrize("filing", ["", "m-nobody-s"])
async def test_one_of_the_filings_has_to_be_chosen(world, filing):
    await contradicted(world)
    found = await conflict(world)
    response = await post(world, f"/desk/inbox/{found.id}/decide", {"filing": filing})
    assert response.status_code == 422 and zh("field.filing") in response.text
    assert (await conflict(world)).fields["state"] == "open"


async def test_a_dispute_that_moved_on_meanwhile_is_not_decided_from_an_old_page(world):
    tablet = await contradicted(world)
    found = await conflict(world)
    fields = {"equipment": "e1", "unit": "u1", "filing": "m-east", "over": ["m-west"]}
    change = Change("create", "move_ruling", "r1", fields | {"at": world.time()})
    tablet.write("conflict.decide_own", 1, change)
    await tablet.sync()
    response = await post(world, f"/desk/inbox/{found.id}/decide", {"filing": "m-west"})
    assert response.status_code == 404 and zh("desk.inbox.moved_on") in response.text
    assert (await position(world))["move"] == "m-east"
    assert (await conflict(world)).fields["decided_by"] == "duty"

"""What a dispatcher alone is offered of an incident at level II, and what a shift lead is."""

import re

import pytest

from schema.words import say
from server.accounts import new_login
from tests.server.test_web import PASSWORD, post, sign_in
from tests.server.world import person, small_centre

SENTENCE = say("zh-CN", "error.level_limit")


@pytest.fixture
async def world(tmp_path):
    """An order, and two people at the centre; nobody has signed in."""
    async with small_centre(tmp_path) as made:
        await made.engine.load([person("desk", None, "dispatcher")])
        for login in ("lead", "desk"):
            await new_login(made.engine, login, PASSWORD, login)
        await made.order("u1")
        yield made


async def levelled(world, level):
    await sign_in(world)
    response = await post(world, "/desk/incidents/i-d1/edit", {"title": "示例", "level": level})
    assert response.status_code == 303
    assert (await world.row("incident_summary", "i-d1")).fields["level"] == level


async def offered(world, path):
    """The decisions that a page links to."""
    return set(
        re.findall(r'href="/desk/(?:directives/d1|incidents/i-d1)/(\w+)', await text(world, path))
    )


async def text(world, path):
    return (await world.client.get(path)).text


async def levels(world, path):
    select = (await text(world, path)).partition('id="f-level"')[2].partition("</select>")[0]
    return re.findall(r'value="(\w+)"', select)


@pytest.mark.parametrize(("level", "there"), [("II", False), ("III", True)])
async def test_a_dispatcher_is_not_offered_to_close_what_is_at_level_ii(world, level, there):
    await levelled(world, level)
    await sign_in(world, "desk")
    assert ("close" in await offered(world, "/desk/directives/d1")) == there
    assert ("close" in await offered(world, "/desk/incidents/i-d1")) == there
    assert "recall" in await offered(world, "/desk/directives/d1")
    await sign_in(world)
    assert "close" in await offered(world, "/desk/directives/d1")
    assert "close" in await offered(world, "/desk/incidents/i-d1")


async def test_who_closes_it_all_the_same_is_told_whose_it_is(world):
    await levelled(world, "II")
    await sign_in(world, "desk")
    note = {"note": "已电话核实"}
    for path in ("/desk/directives/d1/close?target=d1-u1", "/desk/incidents/i-d1/close"):
        response = await post(world, path, note)
        assert response.status_code == 422 and SENTENCE in response.text
    assert (await world.row("incident", "i-d1")).fields["state"] == "open"
    await sign_in(world)
    assert (await post(world, "/desk/incidents/i-d1/close", {})).status_code == 303


async def test_a_form_offers_the_levels_that_its_reader_may_set_and_the_one_that_stands(world):
    await levelled(world, "II")
    assert await levels(world, "/desk/incidents/new") == ["I", "II", "III", "IV"]
    await sign_in(world, "desk")
    assert await levels(world, "/desk/incidents/new") == ["III", "IV"]
    assert await levels(world, "/desk/incidents/i-d1/edit") == ["II", "III", "IV"]
    response = await post(world, "/desk/incidents/i-d1/edit", {"title": "示例", "level": "IV"})
    assert response.status_code == 422 and SENTENCE in response.text


async def test_a_dispatcher_goes_on_editing_all_else_of_a_grave_incident(world):
    await levelled(world, "II")
    await sign_in(world, "desk")
    fields = {"title": "示例改名", "level": "II"}
    assert (await post(world, "/desk/incidents/i-d1/edit", fields)).status_code == 303
    summary = (await world.row("incident_summary", "i-d1")).fields
    assert (summary["title"], summary["level"]) == ("示例改名", "II")

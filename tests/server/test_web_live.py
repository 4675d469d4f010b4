"""The desk's socket: the head first, then what moved; nothing for strangers."""

import json
import urllib.parse
import urllib.request

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.accounts import COOKIE, new_login, sign_in
from tests.e2e.centre import PASSWORD, UNIT, LiveCentre


@pytest.fixture
def centre(tmp_path):
    live = LiveCentre(tmp_path)
    yield live
    live.stop()


def session(centre, login):
    return centre.call(sign_in(centre.engine, login, PASSWORD, "test"))


def listening(centre, login="demo", origin=None):
    token = session(centre, login) if login else "none"
    return connect(
        f"ws://127.0.0.1:{centre.port}/desk/live",
        origin=origin or centre.origin,
        additional_headers={"Cookie": f"{COOKIE}={token}"},
    )


async def test_the_socket_says_where_the_log_stands_and_then_what_moved(centre):
    async with listening(centre) as socket:
        first = json.loads(await socket.recv())
        assert first == {"seq": centre.call(centre.engine.head()).seq}
        centre.order("示例", UNIT)
        poke = json.loads(await socket.recv())
        assert (poke["scope"], poke["lane"]) == ("centre", 0) and poke["seq"] > first["seq"]


async def test_many_changes_are_told_as_few_pokes(centre):
    async with listening(centre) as socket:
        await socket.recv()
        for _ in range(10):
            centre.order("示例", UNIT)
        head = centre.call(centre.engine.head()).seq
        heard = 0
        while json.loads(await socket.recv())["seq"] < head:
            heard += 1
        assert heard < 9


async def test_an_administrator_hears_of_devices_but_not_of_orders(centre):
    async with listening(centre, "admin") as socket:
        await socket.recv()
        centre.order("示例", UNIT)
        change = {"actor": centre.person("@geng")}
        centre.call(new_login(centre.engine, "again", PASSWORD, **change))
        centre.engine.hub.publish({("directory", 2): 99})
        assert json.loads(await socket.recv())["scope"] == "directory"


@pytest.mark.parametrize(("login", "origin"), [(None, None), ("demo", "http://elsewhere.example")])
async def test_strangers_and_foreign_pages_are_not_let_in(centre, login, origin):
    with pytest.raises(InvalidStatus) as refused:
        async with listening(centre, login, origin):
            pass
    assert refused.value.response.status_code == 403


async def test_a_poll_waits_until_something_moves(centre):
    query = urllib.parse.urlencode({"seq": centre.call(centre.engine.head()).seq - 1})
    request = urllib.request.Request(f"{centre.origin}/desk/poll?{query}")
    request.add_header("Cookie", f"{COOKIE}={session(centre, 'demo')}")
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["seq"] == centre.call(centre.engine.head()).seq

"""Pokes over real WebSockets."""

import asyncio
import json
from contextlib import ExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.live import Hub
from server.routes.live import Speaker
from tests.e2e.centre import UNIT, LiveCentre
from tests.server.world import enrolled_at


@pytest.fixture
def centre(tmp_path):
    live = LiveCentre(tmp_path)
    yield live
    live.stop()


def address(centre):
    return f"ws://127.0.0.1:{centre.port}/v1/live"


async def greeted(socket, reply):
    await socket.send(json.dumps({"token": reply.token, "replica": reply.replica}))
    return json.loads(await socket.recv())


async def test_a_device_is_poked_about_its_own_scopes_and_no_others(centre):
    reply = enrolled_at(centre, "phone")
    async with connect(address(centre)) as socket:
        assert set((await greeted(socket, reply))["hello"]["scopes"]) == set(reply.scopes)
        centre.order("示例", "2-13")
        centre.order("示例", UNIT)
        poke = json.loads(await socket.recv())
        assert (poke["scope"], poke["lane"]) == (f"unit/{UNIT}", 0)
        head = centre.call(centre.engine.head())
        assert poke["seq"] == head.seq


async def test_a_ping_is_answered(centre):
    async with connect(address(centre)) as socket:
        await greeted(socket, enrolled_at(centre, "phone"))
        await socket.send("ping")
        assert await socket.recv() == "pong"


async def test_an_open_socket_shows_as_live_until_it_ends(centre):
    reply = enrolled_at(centre, "phone")

    def live():
        return {one.replica: one.live for one in centre.engine.fleet()}[reply.replica]

    async with connect(address(centre)) as socket:
        await greeted(socket, reply)
        assert live()


@pytest.mark.parametrize("frame", ["{}", "nonsense", '{"token":"x.y","replica":"x"}'])
async def test_without_proof_the_socket_is_closed(centre, frame):
    async with connect(address(centre)) as socket:
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1008


async def test_a_page_from_elsewhere_is_refused(centre):
    reply = enrolled_at(centre, "phone")
    async with connect(address(centre), origin="http://elsewhere.example") as socket:
        with pytest.raises(ConnectionClosed):
            await greeted(socket, reply)


async def test_what_is_told_late_takes_nobody_back():
    hub = Hub(lambda: 0)
    with hub.listen(["unit/u1"]) as listener:
        hub.publish({("unit/u1", 0): 10})
        hub.publish({("unit/u1", 0): 9})
        assert [poke.seq for poke in await listener.take()] == [10]
    assert hub.stands("unit/u1") == {"0": 10}


async def test_of_another_log_everything_is_news():
    hub = Hub(lambda: 0)
    hub.publish({("unit/u1", 0): 100})
    hub.forget()
    with hub.listen(["unit/u1"]) as listener:
        hub.publish({("unit/u1", 0): 51})
        assert [poke.seq for poke in await listener.take()] == [51]


async def test_nobody_hears_of_a_scope_after_the_last_listener_to_it_has_gone():
    hub = Hub(lambda: 0)
    with hub.listen(["unit/u1"]) as first, hub.listen(["unit/u1", "directory"]) as second:
        hub.publish({("unit/u1", 0): 1})
        assert len(await first.take()) == len(await second.take()) == 1
    with hub.listen(["unit/u1"]) as third:
        hub.publish({("unit/u1", 0): 2})
        assert [poke.seq for poke in await third.take()] == [2]
    assert not hub._waiters.hears_of("unit/u1") and not hub._waiters.hears_of("directory")


class Line:
    """A line that takes nothing until it is told to."""

    def __init__(self):
        self.takes, self.said = asyncio.Event(), []

    async def send(self, message):
        await self.takes.wait()
        self.said.append(json.loads(message["text"])["seq"])


class Welcoming:
    async def may_stay(self, guest, lately):
        return True


async def test_a_slow_line_keeps_nobody_waiting_and_is_told_the_newest_in_the_end():
    hub = Hub(lambda: 1)
    slow, quick = Line(), Line()
    quick.takes.set()
    with ExitStack() as stack:
        for line in (slow, quick):
            speaker = Speaker(line.send, Welcoming(), None)
            listener = stack.enter_context(hub.told(["unit/u1"], speaker.news))
            stack.enter_context(speaker.telling(listener))
        for seq in (5, 6, 7):
            hub.publish({("unit/u1", 0): seq}, {("unit/u1", 0)})
            await turns()
        assert (slow.said, quick.said) == ([], [5, 6, 7])
        slow.takes.set()
        await turns(5)
        assert slow.said == [5, 7]


async def test_what_moved_before_a_device_was_greeted_is_said_after_it():
    hub, line = Hub(lambda: 1), Line()
    line.takes.set()
    speaker = Speaker(line.send, Welcoming(), None)
    with hub.told(["unit/u1"], speaker.news) as listener:
        hub.publish({("unit/u1", 0): 5})
        await turns()
        assert line.said == []
        with speaker.telling(listener):
            await turns()
            assert line.said == [5]


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)

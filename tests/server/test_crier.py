"""Many are told one after the other, and nobody waits for one that is slow."""

import asyncio
from functools import partial

import pytest

from server.crier import TOLD_AT_ONCE, Crier, begin


def cancelled():
    raise asyncio.CancelledError


def says(told, word):
    return lambda: partial(told.append, word)


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_everybody_is_told_once_in_the_order_of_the_first_call():
    crier, told = Crier(), []
    tells = {name: says(told, name) for name in "abc"}
    for name in "abacb":
        crier.call(tells[name])
    assert told == []
    await turns()
    assert told == ["a", "b", "c"]


async def test_who_is_due_again_while_others_are_told_is_told_again():
    crier, told = Crier(), []

    def once_more():
        if len(told) < 2:
            crier.call(once_more)
        return partial(told.append, "again")

    crier.call(once_more)
    await turns(5)
    assert told == ["again"] * 3


async def test_others_have_a_turn_before_all_of_a_crowd_are_told():
    crier, told = Crier(), []
    for number in range(3 * TOLD_AT_ONCE):
        crier.call(says(told, number))
    heard = []

    async def other():
        heard.append(len(told))

    await asyncio.sleep(0)
    await asyncio.create_task(other())
    await turns(5)
    assert heard[0] < 3 * TOLD_AT_ONCE == len(told)


async def test_one_that_cannot_be_told_keeps_nobody_from_it():
    crier, told = Crier(), []
    crier.call(lambda: 1 / 0)
    crier.call(lambda: lambda: 1 / 0)
    crier.call(lambda: None)
    crier.call(lambda: cancelled)
    crier.call(says(told, "after"))
    await turns()
    assert told == ["after"]


async def test_work_that_waits_for_nothing_is_done_at_once():
    done = []

    async def work():
        done.append(await asyncio.sleep(0, "not at once") if done else "at once")

    assert begin(work()) is None
    assert done == ["at once"]


async def test_work_that_waits_goes_on_in_a_task_with_what_it_waited_for():
    ready, done = asyncio.get_running_loop().create_future(), []

    async def work():
        for _ in range(2):
            done.append(await ready)
            await asyncio.sleep(0)

    rest = begin(work())
    await turns()
    assert done == []
    ready.set_result("came")
    await rest
    assert done == ["came"] * 2


async def test_what_was_waited_for_in_vain_fails_in_the_work_which_may_go_on():
    ready, done = asyncio.get_running_loop().create_future(), []

    async def work():
        try:
            await ready
        except OSError as error:
            done.append(str(error))
            await asyncio.sleep(0)
            done.append("went on")

    rest = begin(work())
    ready.set_exception(OSError("line cut"))
    await rest
    assert done == ["line cut", "went on"]


async def test_work_is_cancelled_where_it_waits():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    rest = begin(work())
    await turns()
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest
    assert ended == [True]


async def test_an_error_before_the_first_wait_is_raised_where_it_began():
    async def work():
        raise OSError("at once")

    with pytest.raises(OSError, match="at once"):
        begin(work())

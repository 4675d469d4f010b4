"""What a ferry must come to: all has arrived, late sticks change nothing, nor does the way."""

from typing import TYPE_CHECKING

import msgspec

from sync.bundle import pack
from sync.bundle_parts import Contents, SignedRun
from sync.mutation import dot_of
from sync.vector import covers, minus
from tests.sim.broken import Broken
from tests.sim.county import County
from tests.sim.disk import CENTRE
from tests.sim.landing import REGISTERED, dots_in
from tests.sim.speech import runs_in

if TYPE_CHECKING:
    from tests.sim.ferry import Ferry
    from tests.sim.world import Message

ROUNDS_MAX = 60


def heal(ferry: "Ferry") -> None:
    """Every stick arrives, and the centre gets all that counties were given."""
    left = ROUNDS_MAX
    while ferry.way and left:
        left -= 1
        ferry.deliver(ferry.way.pop(0), {})
    for number, county in enumerate(ferry.counties):
        if county.epoch:
            _come_to_agree(ferry, number, county)


def _come_to_agree(ferry: "Ferry", number: int, county: County) -> None:
    for _ in range(ROUNDS_MAX):
        ferry.step({"what": "exchange", "pick": number, "r": 1})
        book, same = county.book, county.epoch == ferry.world.centre.epoch()
        if same and covers(book.peer, book.vector) and not _lost_by(ferry, county):
            return
    lacks = minus(county.book.vector, county.book.peer)
    raise Broken("relay_lost", f"{county.name} still has {lacks or _lost_by(ferry, county)[:3]}")


def _lost_by(ferry: "Ferry", county: County) -> list[str]:
    """What a county was given for the newest log, and the centre has not."""
    enrolled, log = ferry.enrolled(), ferry.world.model.log
    held = ((life, dot_of(life, int(lane), n)) for life, lane, n in dots_in(county.book.vector))
    return sorted(dot for life, dot in held if life in enrolled and dot not in log)


def check_late_sticks(ferry: "Ferry") -> None:
    """Whatever stick turns up after everything else changes nothing.

    But one may hold the last words of a device that is no more; then it changes nothing again.
    """
    world = ferry.world
    living = {one.life for one in world.handsets if not one.gone}
    known, before = set(world.model.log), world.model.chain
    _bring_all(ferry)
    last = set(world.model.log) - known
    world.states["last_words_by_stick"] += len(last)
    if any(dot.partition("/")[0] in living for dot in last):
        raise Broken("late_stick", f"{sorted(last)[:3]} came last of all")
    if last:
        before = world.model.chain
        _bring_all(ferry)
    if world.model.chain != before:
        raise Broken("late_stick", "the log moved for words that it had")


def _bring_all(ferry: "Ferry") -> None:
    for stick in list(ferry.written):
        if ferry.is_there(stick.to):
            ferry.deliver(stick, {})
    ferry.way = []


def bring_first(ferry: "Ferry", messages: "list[Message]", by: str) -> None:
    """Bring the words of these requests by stick, all or every second; then they are known."""
    for message in messages:
        if by == "stick" or message.made // 2 % 2:
            _bring(ferry, message)


def _bring(ferry: "Ferry", message: "Message") -> None:
    seal, request = (
        ferry.world.handsets[message.number].device.seal,
        msgspec.json.decode(message.body),
    )
    runs = tuple(
        SignedRun(message.life, run.lane, n, seal.public, run.sig, raws)
        for run, n, raws in runs_in(message.body)
    )
    if not runs or message.life not in ferry.enrolled():
        return
    heading = ferry.heading(message.life, CENTRE, request["epoch"], REGISTERED[0])
    stick = ferry.stick(heading, pack(heading, Contents(runs), seal.sign))
    landed = ferry.land(stick, {})
    if landed is None or landed.plan.refused:
        raise Broken("good_bundle", f"{message.life} by stick")

"""One load from end to end: a served centre, its phones, and what came of it."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tests.bench.centre import Made, Size, served
from tests.bench.desk import Dispatcher
from tests.bench.harness import BenchFailed, percentile
from tests.bench.live import crowd, hello_of, with_dispatcher
from tests.load.amounts import Amount
from tests.load.kept import lost, newest_order, unread_photos
from tests.load.phones import Phones
from tests.load.words import script

TARGETS = 4
"""Orders that each unit has: more than one phone comes to sign."""

LATE_MS_MAX = 50
"""Phones that are later than this, at the 99th of 100, measure themselves and not the server."""


class Outcome(Struct):
    """What a load came to, in milliseconds for each push, photo and socket."""

    amount: Amount
    pushes: list[float]
    photos: list[float]
    fanout: list[float]
    """From when the order was judged to a poke that names it."""

    pressed: list[float]
    """The same from when the dispatcher sent the order."""

    late: list[float]
    server_cores: float
    phones_cores: float
    lost: list[str]

    def must_be_measured(self) -> None:
        """BenchFailed where the phones were too late for their figures to count."""
        late = percentile(self.late, 0.99)
        if late > LATE_MS_MAX:
            raise BenchFailed(f"phones late by {late:.0f} ms at p99, at most {LATE_MS_MAX} count")

    def said(self) -> str:
        return (
            f"{self.amount.said()}: push {spoken(self.pushes)}; photo {spoken(self.photos)};"
            f" fan-out {spoken(self.fanout)}, since it was sent {spoken(self.pressed)};"
            f" phones late {spoken(self.late)}; server {self.server_cores:.2f} cores,"
            f" phones {self.phones_cores:.2f}; lost {len(self.lost)}"
        )


def spoken(ms: Sequence[float]) -> str:
    """How long it took half of them, 99 of 100, and the slowest."""
    if not ms:
        return "none"
    return "/".join(f"{one:.0f}" for one in (*(percentile(ms, s) for s in (0.5, 0.99)), max(ms)))


async def centre_for(folder: Path, amount: Amount, store: str = "") -> Made:
    """A centre with as many phones as this load has on the line."""
    size = Size(amount.units, amount.sockets, TARGETS, machines=0, kind="phone")
    return await with_dispatcher(folder, size, store)


async def loaded(made: Made, amount: Amount, seed: int) -> Outcome:
    """Serve this centre under this load, then look for everything that it answered."""
    told = script(made, amount, seed)
    hellos, sent = [hello_of(one) for one in made.writers], list[float]()
    async with served(made.folder, store=made.store) as at:
        dispatcher, phones = Dispatcher(at.port), Phones(at.port, told)
        await dispatcher.sign_in()
        async with crowd(at.port, hellos, beats=True) as ears:
            drafted = await dispatcher.draft(made.incident, sorted(made.targets))
            dispatcher.rest()

            async def order(due: float) -> None:
                sent.append(due)
                await dispatcher.issue(drafted)

            began, server, own = time.monotonic(), cpu_s(at.pid), time.process_time()
            await phones.speak([(amount.ordered_s, order)])
            took_s = time.monotonic() - began
            server, own = cpu_s(at.pid) - server, time.process_time() - own
            ordered = await newest_order(made)
            heard = await ears.reached(ordered.seqs)
            dropped = len(hellos) - await ears.alive()
            wrong = await unread_photos(at.port, made, told, phones)
    wrong += await lost(made, told, phones)
    wrong += ["a socket was dropped"] * dropped
    wrong += ["a socket heard nothing of the order"] * heard.count(0.0)
    return Outcome(
        amount,
        [one.took_s * 1000 for one in phones.words.values() if one.done],
        [one.took_s * 1000 for one in phones.photos.values() if one.done],
        [(at - ordered.judged) * 1000 for at in heard if at],
        [(at - sent[0]) * 1000 for at in heard if at],
        [one * 1000 for one in phones.late_s],
        server / took_s,
        own / took_s,
        wrong,
    )


def cpu_s(pid: int) -> float:
    """The seconds that a process has computed until now, in all its threads."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

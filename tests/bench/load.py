"""Everything at once: how long a push takes, when everybody knows of an order, what is lost."""

import os
from collections.abc import Sequence

from msgspec.structs import replace

from tests.bench.harness import Bench, Samples, percentile, plain
from tests.load.amounts import FULL
from tests.load.everything import LATE_MS_MAX, Outcome, centre_for, loaded

LOAD = ("load_push_p99_ms", "load_fanout_p99_ms", "load_lost")


async def load(bench: Bench) -> None:
    """A whole load in each round, on one centre that is started anew for each."""
    sizes = bench.sizes
    amount = replace(
        FULL, sockets=sizes.load_sockets, seconds=sizes.load_s, ordered_s=sizes.load_s / 3
    )
    made = await centre_for(bench.folder / "load", amount)
    rounds: list[Outcome] = []
    for number in range(sizes.rounds):
        bench.told("load", number, sizes.rounds)
        rounds.append(await loaded(made, amount, seed=number))
        rounds[-1].must_be_measured()
    pushes = [one.pushes for one in rounds]
    photos = Samples("photo whole", "ms", _p99([one.photos for one in rounds]))
    cores = Samples("server", "cores", [one.server_cores for one in rounds])
    push = [Samples("p99", "ms", _p99(pushes)), Samples("half of them", "ms", _p50(pushes))]
    fanout = Samples("p99", "ms", _p99([one.fanout for one in rounds]))
    pressed = Samples("since it was sent", "ms", _p99([one.pressed for one in rounds]))
    lost = Samples("lost", "", [float(sum(len(one.lost) for one in rounds))])
    note, small = _note(rounds), "" if amount == FULL else f"{amount.sockets:,} sockets"
    result = plain(LOAD[0], push[0], note, small)
    bench.found(
        replace(result, sides=[*push, photos, cores]),
        replace(plain(LOAD[1], fanout, note, small), sides=[fanout, pressed]),
        plain(LOAD[2], lost, note, small),
    )


def _p99(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [percentile(one, 0.99) for one in rounds]


def _p50(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [percentile(one, 0.5) for one in rounds]


def _note(rounds: Sequence[Outcome]) -> str:
    late_ms = max(_p99([one.late for one in rounds]))
    return (
        f"{rounds[0].amount.said()}. Each push and photo is counted from the instant it fell due,"
        " whatever the others waited for; an order from when it was judged, before its commit, to a"
        " poke that names it. Phones on the line hear pokes and send heartbeats, and pull nothing."
        " Afterwards the log is read and every photo fetched by a colleague. Phones and sockets"
        f" share the {os.cpu_count()} cores with the server; phones were at most {late_ms:.0f} ms"
        f" late at p99 (more than {LATE_MS_MAX} ms would not count)"
    )

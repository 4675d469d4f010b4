"""Pushes, single pushes and pulls, with the peers started once for all three."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.bench.harness import TROUBLE, Bench
from tests.bench.kinto import kinto
from tests.bench.peers import Peer
from tests.bench.pouchdb import pouchdb
from tests.bench.pull import PULLED, pulls
from tests.bench.push import PUSHED, SINGLE, pushes, singles

ROWS = (*PUSHED, *SINGLE, *PULLED)
PEERS = {"kinto": kinto, "pouchdb": pouchdb}


async def rows(bench: Bench) -> None:
    """All figures of rows a second."""
    async with started(bench) as peers:
        for measure, names in ((pushes, PUSHED), (singles, SINGLE), (pulls, PULLED)):
            met = [peer for peer in peers if bench.wants(*_beside(peer.name, names))]
            if met or bench.wants(*_beside("raw", names)):
                bench.found(*await measure(bench, met))


@asynccontextmanager
async def started(bench: Bench) -> AsyncIterator[list[Peer]]:
    """The peers that this run needs, installed on first use."""
    found: list[Peer] = []
    async with AsyncExitStack() as stack:
        for name, start in PEERS.items():
            if bench.peers and bench.wants(*_beside(name, ROWS)):
                bench.told(f"{name}: start", 0, 1)
                try:
                    peer: Peer = await stack.enter_async_context(start(bench.folder))
                except TROUBLE as error:
                    bench.failed[name] = str(error)
                    continue
                found.append(peer)
                bench.settings[name] = peer.settings
        yield found


def _beside(side: str, names: tuple[str, ...]) -> list[str]:
    """The figures that compare with this side."""
    return [name for name in names if name.endswith(f"_vs_{side}")]

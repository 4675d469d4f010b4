"""A long log, written through the store alone: over HTTP it would take an hour."""

from collections.abc import Iterator
from pathlib import Path

from schema.wire import Mutation, Verdict
from server.clock import system_clock
from server.config import Config
from server.store.protocol import Commit
from server.store.sqlite import open_store
from sync.known import Arrival, Entry
from sync.mutation import dot_of, encode_mutation, hash_of
from sync.rows import Author, Moment, at_home, created
from sync.scope import memberships
from sync.stamp import Stamp
from tests.crash.town import step

REPLICA = "filler"
AT_ONCE = 5_000
STEPS_PER_ORDER = 100


async def filled(folder: Path, lines: int) -> None:
    """Afterwards so many lines more are in the log: steps of orders, with their rows and scopes."""
    config = Config(data=folder)
    store = await open_store(config.database, config.centre)
    began = system_clock() - lines
    for first in range(1, lines + 1, AT_ONCE):
        last = min(first + AT_ONCE, lines + 1)
        commits = list(_commits(range(first, last), config.centre, began))
        await store.write(lambda txn, commits=commits: txn.commit(commits))
    await store.close()


def _commits(numbers: range, centre: str, began: int) -> Iterator[Commit]:
    for n in numbers:
        unit = f"u{n % 100}"
        order = f"f{n // STEPS_PER_ORDER}"
        change = step((f"{order}-{unit}", order), unit, "signed")
        stamp = Stamp(began + n, 0, REPLICA).encode()
        mutation = Mutation(
            REPLICA, 0, n, "", "", stamp, "session", "actor", "target.step", (change,)
        )
        raw = encode_mutation(mutation)
        dot, hash = dot_of(REPLICA, 0, n), hash_of(raw)
        row = at_home(created(change, Author("actor", 0), Moment(dot, stamp, began + n)), centre)
        entry = Entry(Arrival(mutation, raw, hash), Verdict(dot, hash, "applied", 0))
        yield Commit(entry, [row], memberships(None, row.row), began + n)

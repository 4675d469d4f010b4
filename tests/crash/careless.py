"""The server with one promise broken, for tests that must notice: `careless WHICH serve …`.

`normal` commits without a sync; `files` syncs no file and no folder of its own making;
`async` commits on PostgreSQL without waiting for its disk;
`0:synchronous=1` opens its first connection with another setting, `1:…` its second.
"""

import os
import re
import sqlite3
import sys
from itertools import count

from server.cli.main import main

SYNCHRONOUS = "pragma synchronous"
FLIPPED = re.compile(r"(\d):(\w+)=(\w+)")
WRITER = 0


class Normal(sqlite3.Connection):
    """Commits without waiting for the disk, and says that it waits."""

    def execute(self, query, *values):
        if query.lower() == SYNCHRONOUS:
            return super().execute("SELECT 2")
        if query.lower().startswith(SYNCHRONOUS):
            query = "PRAGMA synchronous=NORMAL"
        return super().execute(query, *values)


def flipped(which: int, name: str, value: str) -> type[sqlite3.Connection]:
    """Connections of which one cannot be brought to use another setting.

    A reader cannot leave the log's mode that the writer has set, so it only says that it has.
    """
    opened = count()
    can_be_set = which == WRITER or name == "synchronous"

    class Flipped(sqlite3.Connection):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            self.is_it = next(opened) == which

        def execute(self, query, *values):
            asked = query.lower()
            if self.is_it and can_be_set and asked.startswith(f"pragma {name}="):
                query = f"PRAGMA {name}={value}"
            elif self.is_it and not can_be_set and asked == f"pragma {name}":
                query, values = "SELECT ?", ((value,),)
            return super().execute(query, *values)

    return Flipped


def connecting_with(factory: type[sqlite3.Connection]) -> None:
    real = sqlite3.connect
    sqlite3.connect = lambda *args, **more: real(*args, **{**more, "factory": factory})


def connecting_at_ease() -> None:
    """Connections to PostgreSQL whose commits return before they are on disk."""
    from server.store.postgres import database

    real = database.connect

    def at_ease(url):
        db = real(url)
        db.execute("SET synchronous_commit=off")
        return db

    database.connect = at_ease


def break_promise(which: str) -> None:
    """Afterwards this process keeps all promises but this one."""
    if which == "normal":
        connecting_with(Normal)
    elif which == "files":
        os.fsync = lambda handle: None
    elif which == "async":
        connecting_at_ease()
    elif found := FLIPPED.fullmatch(which):
        connecting_with(flipped(int(found[1]), found[2], found[3]))
    else:
        raise SystemExit(f"no such promise: {which}")


if __name__ == "__main__":
    break_promise(sys.argv.pop(1))
    main()

"""The server with one promise broken, for tests that must notice: `careless WHICH serve …`.

`normal` commits without a sync; `files` syncs no file and no folder of its own making.
"""

import os
import sqlite3
import sys

from server.cli.main import main

SETTING = "PRAGMA SYNCHRONOUS"


class Normal(sqlite3.Connection):
    """Commits without waiting for the disk, and says that it waits."""

    def execute(self, query, *values):
        if query.upper() == SETTING:
            return super().execute("SELECT 2")
        if query.upper().startswith(SETTING):
            query = "PRAGMA synchronous=NORMAL"
        return super().execute(query, *values)


def break_promise(which: str) -> None:
    """Afterwards this process keeps all promises but this one."""
    if which == "normal":
        real = sqlite3.connect
        sqlite3.connect = lambda *args, **more: real(*args, **{**more, "factory": Normal})
    elif which == "files":
        os.fsync = lambda handle: None
    else:
        raise SystemExit(f"no such promise: {which}")


if __name__ == "__main__":
    break_promise(sys.argv.pop(1))
    main()

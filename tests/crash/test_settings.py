"""A server whose database would lose commits does not serve, whichever connection it is."""

import pytest

from server.cli.spoken import EXIT_TROUBLE
from server.store.sqlite.database import READERS
from tests.crash.process import ADDRESS, Server

UNSAFE = ("synchronous=0", "synchronous=1", "journal_mode=delete", "journal_mode=off")


@pytest.mark.parametrize("setting", UNSAFE)
@pytest.mark.parametrize("connection", range(2 + READERS))
async def test_a_setting_that_loses_commits_is_told_and_nothing_is_served(
    tmp_path, connection, setting
):
    module = ("tests.crash.careless", f"{connection}:{setting}")
    server = Server(tmp_path / "data", module=module)
    await server.spawn()
    try:
        said = []
        async for line in server.process.stdout:
            said.append(line)
            if ADDRESS.search(line):
                break
        assert [line for line in said if ADDRESS.search(line)] == []
        assert await server.process.wait() == EXIT_TROUBLE
    finally:
        await server.kill()
    assert f"{setting}, wanted" in server.log.read_text()


async def test_the_same_server_serves_with_its_own_settings(tmp_path):
    server = Server(tmp_path / "data", module=("tests.crash.careless", "9:synchronous=0"))
    try:
        await server.start()
    finally:
        await server.kill()

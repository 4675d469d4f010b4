"""A start on a disk that fails is told in a sentence, and spoils nothing for the next one."""

from pathlib import Path

import pytest

from server.cli.spoken import EXIT_TROUBLE
from server.config import Config
from server.data_folder import SETTINGS
from tests.crash.disk import BROKEN, FULL, SYNCS, WRITES, Disk, needs_recorder
from tests.crash.process import READY, Server

CALLS = (1, 3, 6, 14, 40)
NODE_KEY = Config(data=Path()).node_key.name


@pytest.mark.timeout(600)
@needs_recorder
@pytest.mark.parametrize(
    ("error", "on"),
    [(FULL, WRITES), (BROKEN, WRITES), (BROKEN, SYNCS)],
    ids=["full", "broken at a write", "broken at a sync"],
)
async def test_a_start_on_a_failing_disk_says_so_and_the_next_one_succeeds(tmp_path, error, on):
    disk = Disk(tmp_path / "disk", tmp_path / "beside", recorded=False)
    server = Server(disk.under / "data", disk.env, log=tmp_path / "server.log")
    for call in CALLS:
        disk.fail(error, at=call, on=on)
        code, said = await _tried(server)
        assert (code == EXIT_TROUBLE) == bool(disk.faults), said
        assert "Traceback" not in said and said.count("\n") == 2 * bool(disk.faults)
        disk.heal()
    await server.start()
    await server.kill()


async def _tried(server: Server) -> tuple[int | None, str]:
    """How a start ended, None for one that serves, and what it said of it."""
    server.log.unlink(missing_ok=True)
    await server.spawn()
    try:
        async for line in server.process.stdout:
            if READY in line:
                return None, server.log.read_text()
        return await server.process.wait(), server.log.read_text()
    finally:
        await server.kill()


@pytest.mark.parametrize("name", [SETTINGS, NODE_KEY])
async def test_a_file_that_a_power_cut_left_empty_is_named(tmp_path, name):
    server = Server(tmp_path / "data")
    await server.start()
    await server.kill()
    (server.data / name).write_bytes(b"")
    code, said = await _tried(server)
    assert code == EXIT_TROUBLE and said.count(name) == 2 and said.count("\n") == 2

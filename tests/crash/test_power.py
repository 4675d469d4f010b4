"""A power cut at any moment loses nothing that anybody was told, and the test would notice."""

from pathlib import Path

import pytest

from tests.crash.disk import lines_of, needs_recorder
from tests.crash.power import job, survey

SYNCS_MIN = 100
"""A job that was synced less often was not seen by the recorder, and proves nothing."""

FAULTS_MIN = 5

pytestmark = needs_recorder


async def cut(folder: Path, images: int, controls: int) -> list[str]:
    """The job with all promises kept, and with each one broken; what each came to, in words."""
    told = []
    done = await job(folder, seed=1)
    found = await survey(done, images, seed=1, folder=folder, serve=5)
    told.append(f"kept: {found}, {found.served} served")
    assert found.wrong == [] and found.served >= 5
    assert found.syncs > SYNCS_MIN and done.disk.control.syncs == found.syncs
    assert found.unseen == [], "the record tells all that became of the files"
    for broken, kind in (("normal", "verdict"), ("files", "photo")):
        module = ("tests.crash.careless", broken)
        done = await job(folder / broken, seed=1, module=module)
        found = await survey(done, controls, seed=1, folder=folder / broken)
        told.append(f"{broken}: {found}")
        assert found.of(kind) > 0, found
    return told


@pytest.mark.timeout(600)
async def test_a_power_cut_loses_nothing_that_was_told_and_a_careless_server_is_found_out(tmp_path):
    print("\n".join(await cut(tmp_path, images=100, controls=25)))


async def cut_after_faults(folder: Path, images: int) -> str:
    """The job on a disk of which some syncs fail; what it came to, in words."""
    done = await job(folder, seed=2, failing=True)
    found = await survey(done, images, seed=2, folder=folder)
    failed = sum(line.kind == "e" for line in lines_of(done.disk.record))
    assert found.wrong == [] and failed > FAULTS_MIN
    return f"failing: {found}, {failed} syncs failed"


@pytest.mark.timeout(600)
async def test_a_power_cut_after_syncs_that_failed_loses_nothing_that_was_told(tmp_path):
    print(await cut_after_faults(tmp_path, images=60))


@pytest.mark.long("power")
@pytest.mark.timeout(3_600)
async def test_a_thousand_power_cuts_after_syncs_that_failed_lose_nothing(tmp_path):
    print(await cut_after_faults(tmp_path, images=1_000))


@pytest.mark.long("power")
@pytest.mark.timeout(3_600)
async def test_a_thousand_power_cuts_lose_nothing(tmp_path):
    print("\n".join(await cut(tmp_path, images=1_000, controls=1_000)))

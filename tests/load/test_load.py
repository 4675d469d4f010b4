"""Everybody at once: phones on the line, receipts, photos, and an order to all; nothing is lost."""

import pytest

from tests.bench.__main__ import run
from tests.bench.limits import raise_limits
from tests.load.amounts import FULL, Amount
from tests.load.everything import centre_for, loaded

FEW = Amount(
    sockets=100,
    units=20,
    seconds=1,
    signs_per_s=40,
    photos_per_s=5,
    photo_bytes=100_000,
    ordered_s=0.5,
)


@pytest.fixture
def store(request):
    """The PostgreSQL that `--store` names, in a database of its own; else SQLite."""
    asked = request.config.getoption("--store")
    return request.getfixturevalue("database") if asked else ""


async def test_under_load_no_word_photo_or_line_is_lost_and_everybody_hears_the_order(
    store, tmp_path
):
    made = await centre_for(tmp_path / "data", FEW, store)
    found = await loaded(made, FEW, seed=1)
    assert found.lost == []
    assert len(found.fanout) == FEW.sockets
    assert found.pushes and found.photos


@pytest.mark.long("load")
@pytest.mark.timeout(1_200)
def test_three_thousand_on_the_line_lose_nothing_under_the_whole_load(store, tmp_path, capsys):
    async def work():
        made = await centre_for(tmp_path / "data", FULL, store)
        found = await loaded(made, FULL, seed=1)
        with capsys.disabled():
            print(f"\n{found.said()}")
        assert found.lost == []
        found.must_be_measured()

    raise_limits()
    run(work())

"""The PostgreSQL that tests and measurements start for themselves."""

import subprocess
from pathlib import Path

import pytest

from tests.postgres import NoPostgres, postgres, programs

try:
    PROGRAMS = programs()
except NoPostgres as missing:
    pytest.skip(str(missing), allow_module_level=True)


def ask(url: str, query: str) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAMS / "psql"), url, "-Atc", query]
    return subprocess.run(command, capture_output=True, text=True)


def folder_of(url: str) -> Path:
    return Path(ask(url, "SHOW data_directory").stdout.strip())


@pytest.fixture(scope="module")
def url():
    with postgres(max_connections="7") as url:
        yield url


def test_it_waits_for_the_disk_and_takes_the_settings_it_is_given(url):
    told = ask(url, "SELECT current_setting('fsync'), current_setting('max_connections')")
    assert told.stdout.strip() == "on|7"


def test_it_listens_on_loopback_alone_and_asks_for_the_password(url):
    assert ask(url, "SHOW listen_addresses").stdout.strip() == "127.0.0.1"
    user, _, where = url.rpartition("@")
    refused = ask(f"{user.rpartition(':')[0]}:wrong@{where}", "SELECT 1")
    assert "password authentication failed" in refused.stderr


def test_nothing_is_left_of_it_however_its_block_ends():
    with pytest.raises(ZeroDivisionError), postgres() as url:
        folder = folder_of(url)
        assert folder.is_dir()
        raise ZeroDivisionError
    assert not folder.parent.exists()
    assert ask(url, "SELECT 1").returncode == 2


def test_a_setting_that_it_does_not_know_is_named():
    with pytest.raises(NoPostgres, match="no_such_setting"), postgres(no_such_setting="1"):
        pass

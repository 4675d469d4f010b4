"""What all tests of the server share."""

from collections.abc import Iterator

import pytest

from tests.passwords import QUICK, checked_by


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """What a password costs is a matter of tests/server/test_accounts.py alone."""
    with checked_by(QUICK):
        yield

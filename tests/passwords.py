"""Passwords that cost next to nothing to check, for tests that are about something else."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from argon2 import PasswordHasher

from server.accounts import sessions

AS_SERVED = sessions._hasher
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@contextmanager
def checked_by(hasher: PasswordHasher) -> Iterator[None]:
    """Inside, this process makes and checks passwords by `hasher`."""
    sessions._nobody.cache_clear()
    with patch.object(sessions, "_hasher", hasher):
        yield
    sessions._nobody.cache_clear()

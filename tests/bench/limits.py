"""How many files a process may have open: a socket is one."""

import resource


def raise_limits() -> None:
    """As many as this machine lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

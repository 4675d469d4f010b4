"""Rules for all tests: long ones by name, browser ones in one worker, the same ones every time."""

import os
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=slow)
settings.load_profile("same")
"""A test depends neither on how fast the machine is nor on what was drawn this time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", metavar="NAME", help="only long tests of this name; “all” for every one"
    )
    parser.addoption(
        "--store", metavar="URL", help="a PostgreSQL-compatible server to use instead of our own"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("e2e"):
        item.add_marker(pytest.mark.xdist_group("e2e"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--long")
    config.hook.pytest_deselected(items=[item for item in items if not asked_for(item, wanted)])
    items[:] = [item for item in items if asked_for(item, wanted)]
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def asked_for(item: pytest.Item, wanted: str | None) -> bool:
    """Without --long, every test that is not long; with it, only the long ones of that name."""
    mark = item.get_closest_marker("long")
    if mark is None or wanted is None:
        return mark is None and wanted is None
    return wanted == "all" or wanted in mark.args


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under CI a missing part is a failure, not a reason to look away."""
    if (
        report.outcome == "skipped"
        and os.environ.get("CI") == "true"
        and not hasattr(report, "wasxfail")
    ):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {reason}"


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A PostgreSQL server: the one that `--store` names, else our own for as long as we run."""
    from tests.postgres import NoPostgres, postgres  # Only here: other runs need none of it.

    given = pytestconfig.getoption("--store")
    if given:
        yield given
        return
    try:
        with postgres() as url:
            yield url
    except NoPostgres as missing:
        pytest.skip(str(missing))


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database of this test's own, gone afterwards."""
    name = f"lingda_test_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        try:
            yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as the server does."""
    return "asyncio"

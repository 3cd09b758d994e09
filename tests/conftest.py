"""The whole platform in one process, on a real Postgres that is made for this run and forgotten after it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import tables
from tests.api import Api, Person, new_person
from tests.running import solo, split

__all__ = ["solo", "split", "tally"]

tally = tables.tally

RUNNING = (
    *("tests/browser/", "tests/journeys/test_back_doors.py", "tests/journeys/test_readme.py"),
    *("tests/journeys/test_business.py", "tests/journeys/test_stories.py", "tests/gateway/test_documents.py"),
    *("tests/gateway/test_forward_auth.py", "tests/security/test_probes.py", "tests/seeds/test_quick_starts.py"),
)
SETTINGS = {
    "ENV": "test",
    "LOG_LEVEL": "WARNING",
    "PASSWORD_HASH_MEMORY_KIB": "64",
    "REVOCATION_POLL_SECONDS": "0",  # each request sees what was revoked before it, without waiting
    "RATE_LIMIT_LOGIN": "0",  # every person of every test registers from one address
    "RATE_LIMIT_ADDRESS": "0",
}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The gateway's WSGI app, with every service mounted behind it."""
    from alicerce import databases, keys, solo
    from alicerce.migrate import migrate
    from alicerce.postgres import EmbeddedPostgres
    from alicerce.services import services
    from kit import transport

    folder: Path = tmp_path_factory.mktemp("alicerce")
    before = dict(os.environ)
    os.environ.update(SETTINGS, ALICERCE_HOME=str(folder))
    postgres = EmbeddedPostgres(folder, durable=False)
    try:
        url = postgres.start()
        keys.ensure(keys.components())
        os.environ.update(databases.prepare(url, services()))
        migrate(services())
        yield solo.create_app()
    finally:
        transport.unmount_all()
        postgres.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def api(platform: Any) -> Api:
    """Nobody in particular, before the gateway."""
    return Api(platform)


@pytest.fixture
def register(platform: Any) -> Callable[..., Person]:
    """Makes a new person who is logged in and owns a new tenant."""
    return lambda **fields: new_person(platform, **fields)


@pytest.fixture
def owner(register: Callable[..., Person]) -> Person:
    """The owner of a new tenant."""
    return register()


@pytest.fixture
def stranger(register: Callable[..., Person]) -> Person:
    """The owner of another new tenant."""
    return register()


@pytest.fixture
def service(platform: Any) -> Callable[[str], Api]:
    """A service by its name, called directly, past the gateway."""
    from kit import transport

    return lambda name: Api(transport.mounted(name))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes long to `make test-long`, `make attack` and `make faults`, which set LONG=yes."""
    if not os.environ.get("LONG"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(tables.LONG)])
        items[:] = [item for item in items if not item.get_closest_marker(tables.LONG)]


class Together(LoadScopeScheduling):
    """A file stays on one worker, so that what its tests need is made once. Those that need a running platform all stay
    on one, which starts each topology once; being so many, they begin first, and nobody waits for them at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "running" if file.startswith(RUNNING) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Which worker gets which tests."""
    return Together(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of what was tried, where tests kept one."""
    if os.environ.get("LONG"):
        tables.show(terminalreporter)

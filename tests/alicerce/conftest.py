"""What the tests of the composition root share: a deadline instead of a sleep, and a server in a temporary folder."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alicerce.postgres import EmbeddedPostgres
from tests.alicerce.standin import Project

PATIENCE_S = 60.0


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds; fail with `what` was expected when it does not within a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.02)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[[Callable[[], object], str], None]:
    return eventually


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The generated folder of this test alone."""
    folder = tmp_path / "generated"
    monkeypatch.setenv("ALICERCE_HOME", str(folder))
    monkeypatch.delenv("KEYS_DIRECTORY", raising=False)
    monkeypatch.delenv("DATABASE_SERVER_URL", raising=False)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A Postgres for the tests of one file."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("server"), durable=False)
    postgres.start()
    yield postgres
    postgres.stop()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    (tmp_path / "go-on").touch()
    for process in made.supervisors:
        process.terminate()
        process.wait()

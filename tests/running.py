"""Fixtures of real topologies, each started once by every worker that needs it."""

from collections.abc import Iterator

import pytest

from tests.topologies import Running, running


@pytest.fixture(scope="session")
def solo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The platform as one process."""
    with running("solo", tmp_path_factory.mktemp("solo")) as platform:
        yield platform


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The platform as one process per service."""
    with running("split", tmp_path_factory.mktemp("split")) as platform:
        yield platform

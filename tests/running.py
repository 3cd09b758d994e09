"""Fixtures of real topologies. Each is started once a run, however many workers there are."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.topologies import Running, running, shared


def common(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def solo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The platform as one process."""
    with shared(common(tmp_path_factory) / "solo", partial(running, "solo")) as platform:
        yield platform


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The platform as one process per service."""
    with shared(common(tmp_path_factory) / "split", partial(running, "split")) as platform:
        yield platform

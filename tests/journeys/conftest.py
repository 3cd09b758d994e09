"""Each story is told three times: in this process, to the one-process platform, and to a process per service."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import Person, new_person


@pytest.fixture(params=["in process", "solo", "split"])
def target(request: pytest.FixtureRequest) -> Any:
    """What `Api` and `new_person` speak to."""
    if request.param == "in process":
        return request.getfixturevalue("platform")
    return request.getfixturevalue(request.param).url


@pytest.fixture
def register(target: Any) -> Callable[..., Person]:
    """Makes a new person who is logged in and owns a new tenant."""
    return lambda **fields: new_person(target, **fields)

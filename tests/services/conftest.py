from typing import Any

import pytest

from tests.api import Person, new_person


@pytest.fixture(scope="module")
def owner_of_all(platform: Any) -> Person:
    """One owner for all tests of a module that leave nothing behind."""
    return new_person(platform)

"""What the tests of the seed documents share: requests that carry what a document shows, and nothing else."""

import json
from typing import Any

import pytest

from tests.api import Answer, Api, Person


@pytest.fixture(params=["", "/"], ids=["bare", "slash"])
def slash(request: pytest.FixtureRequest) -> str:
    """Documents write their addresses with and without a trailing slash; both work."""
    return str(request.param)


def shown(target: Any, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
    """A request as a document shows it: a JSON body without a Content-Type, and at most an Authorization header."""
    data = None if body is None else json.dumps(body).encode()
    return Api(target, token).request(method, path, data=data)


def as_shown(person: Person) -> Any:
    """The same, by somebody who is logged in."""
    return lambda method, path, body=None: shown(person.target, method, path, body, person.token)

"""The words in which the story is told."""

from dataclasses import dataclass, field
from typing import Any

FRESH = "{{fresh}}"  # becomes each tool's own tag for a new UUID
NOBODY = ""
DEFAULT_TOKEN = "accessToken"


@dataclass(frozen=True)
class Step:
    """One request. Method, path, expected status and envelope come from the operation of the OpenAPI document.

    Texts may hold variables, `{{customerId}}`, that an earlier step keeps. A path parameter is the variable of its own
    name (`customer_id` is `customerId`) unless `at` says otherwise.
    """

    operation: str  # operationId
    name: str  # unique: what happens
    body: Any = None  # JSON, or a text for anything else
    about: str = ""  # what a newcomer should know, in Markdown
    at: dict[str, str] = field(default_factory=dict)  # values of path parameters
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # an empty one leaves a required header out
    token: str = DEFAULT_TOKEN
    status: int = 0  # of an expected refusal
    code: str = ""  # of an expected refusal
    members: tuple[str, ...] = ()  # of the answer, when it lacks some that the document names
    shows: dict[str, Any] = field(default_factory=dict)  # path in the answer: the value that stands there
    keeps: dict[str, str] = field(default_factory=dict)  # variable: path in the answer


@dataclass(frozen=True)
class Chapter:
    """Steps that belong together: a folder."""

    name: str
    about: str
    steps: tuple[Step, ...]

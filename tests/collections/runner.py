"""Sends the requests of an Insomnia export in their order, as Insomnia's own runner would, and judges the answers.

Of Insomnia's language it knows what our generator writes: `_.` variables, the tags `uuid` and `response`, bearer
authentication, and scripts of one assertion a line. Anything else is an error, so that nothing is left out silently.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from scripts.collections.plan import REFERENCE
from tests.api import Answer, Api

TAG = re.compile(
    r"{{ _\.(\w+) }}|{% uuid 'v4' %}|{% response 'body', '(\w+)', 'b64::([\w=+/]+)::46b', 'no-history', 60 %}"
)
ASSERTION = re.compile(
    r'insomnia\.test\((?P<title>"(?:[^"\\]|\\.)*"), \(\) => insomnia\.expect\((?P<subject>[\w.\[\]]+)\)'
    r"\.to\.(?P<claim>be\.ok|eql|have\.property)(?:\((?P<expected>.*)\))?\);"
)
PREAMBLE = "const json = insomnia.response.json();"

Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """A request that was sent, the status of its answer, and the assertions that failed."""

    name: str
    method: str
    path: str
    status: int
    failures: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = f"{'FAIL' if self.failures else 'ok':4} {self.status} {self.method:6} {self.path}  {self.name}"
        return "\n".join([line, *(f"       {failure}" for failure in self.failures)])


@dataclass
class Run:
    """One telling of the story against a platform: a base URL, or a WSGI app in this process."""

    export: Json
    target: Any
    answers: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Outcome]:
        """Send each request, and say what came of it."""
        for request in requests_of(self.export):
            yield self._send(request)

    def _send(self, request: Json) -> Outcome:
        try:
            path = self._resolved(request["url"])
            query = [(one["name"], self._resolved(one["value"])) for one in request["parameters"]]
            headers = {one["name"]: self._resolved(one["value"]) for one in request["headers"]}
            if request["authentication"]:
                headers["Authorization"] = f"Bearer {self._resolved(request['authentication']['token'])}"
            body = self._resolved(request["body"]["text"]).encode() if request["body"] else None
        except (LookupError, TypeError) as missing:
            failure = f"an earlier answer lacks what this request needs: {missing}"
            return Outcome(request["name"], request["method"], request["url"], 0, (failure,))
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        answer = Api(self.target).request(request["method"], target, data=body, headers=headers)
        self.answers[request["_id"]] = answer.json
        failures = tuple(judged(request["afterResponseScript"], answer))
        return Outcome(request["name"], request["method"], path, answer.status, failures)

    def _resolved(self, text: str) -> str:
        resolved = TAG.sub(self._value, text)
        assert "{{" not in resolved and "{%" not in resolved, f"this tag is not known: {resolved}"
        return resolved

    def _value(self, tag: re.Match[str]) -> str:
        name, request, filter = tag.groups()
        if name:
            return str("" if name == "baseUrl" else environment_of(self.export)[name])
        if request:
            return str(at(self.answers[request], base64.b64decode(filter).decode().removeprefix("$.")))
        return str(uuid.uuid4())


def requests_of(export: Json, *, examples: bool = False) -> list[Json]:
    """The requests as Insomnia shows them from the top; those of the reference folder only as `examples`."""
    groups = sorted(_of_type(export, "request_group"), key=lambda one: one["metaSortKey"])
    return [
        request
        for group in groups
        if examples or group["name"] != REFERENCE
        for request in sorted(_of_type(export, "request"), key=lambda one: one["metaSortKey"])
        if request["parentId"] == group["_id"]
    ]


def environment_of(export: Json) -> Json:
    """The variables of the base environment."""
    (environment,) = _of_type(export, "environment")
    return dict(environment["data"])


def _of_type(export: Json, kind: str) -> list[Json]:
    return [resource for resource in export["resources"] if resource["_type"] == kind]


def judged(script: str, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer, by the script that runs after it."""
    for line in script.splitlines():
        if line == PREAMBLE:
            continue
        found = ASSERTION.fullmatch(line)
        assert found, f"this line of a script is not known: {line}"
        title, subject, claim, expected = found.group("title", "subject", "claim", "expected")
        try:
            actual = answer.status if subject == "insomnia.response.code" else at({"json": answer.json}, subject)
            holds = _holds(actual, claim, expected)
        except (KeyError, IndexError, TypeError):
            actual, holds = "nothing", False
        if not holds:
            yield f"{json.loads(title)}: {str(actual)[:300]}"


def _holds(actual: Any, claim: str, expected: str) -> bool:
    if claim == "be.ok":
        return bool(actual)
    wanted = json.loads(expected)
    return wanted in actual if claim == "have.property" else bool(actual == wanted)


def at(value: Any, path: str) -> Any:
    """What stands at a path such as `tenants[0].role`. Raises LookupError or TypeError when nothing does."""
    for step in re.findall(r"[^.\[\]]+", path):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value

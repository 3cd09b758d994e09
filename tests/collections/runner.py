"""Sends the requests of an Insomnia export in their order, as Insomnia's own runner would, and judges the answers.

Of Insomnia's language it knows what our generator writes: variables, the tag `uuid`, bearer authentication, and scripts
that assert or set a variable line by line. Anything else is an error, so that nothing is left out silently.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from scripts.collection_files.plan import REFERENCE
from tests.api import Answer, Api

TAG = re.compile(r"{{ _\.(\w+) }}|{% uuid 'v4' %}")
ASSERTION = re.compile(
    r'insomnia\.test\((?P<title>"(?:[^"\\]|\\.)*"), \(\) => insomnia\.expect\((?P<subject>[\w.\[\]]+)\)'
    r"\.to\.(?P<claim>be\.ok|eql|have\.property)(?:\((?P<expected>.*)\))?\);"
)
KEEPING = re.compile(r'insomnia\.environment\.set\("(\w+)", (json\.[\w.\[\]]+)\);')
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


class Run:
    """One telling of the story against a platform: a base URL, or a WSGI app in this process."""

    def __init__(self, export: Json, target: Any) -> None:
        self.export, self.target = export, target
        self.environment = environment_of(export) | {"baseUrl": ""}

    def __iter__(self) -> Iterator[Outcome]:
        """Send each request, and say what came of it."""
        for request in requests_of(self.export):
            yield self._send(request)

    def _send(self, request: Json) -> Outcome:
        path = self._resolved(request["url"])
        query = [(one["name"], self._resolved(one["value"])) for one in request["parameters"]]
        headers = {one["name"]: self._resolved(one["value"]) for one in request["headers"]}
        if request["authentication"]:
            headers["Authorization"] = f"Bearer {self._resolved(request['authentication']['token'])}"
        body = self._resolved(request["body"]["text"]).encode() if request["body"] else None
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        answer = Api(self.target).request(request["method"], target, data=body, headers=headers)
        failures = tuple(after(request["afterResponseScript"], answer, self.environment))
        return Outcome(request["name"], request["method"], path, answer.status, failures)

    def _resolved(self, text: str) -> str:
        resolved = TAG.sub(lambda tag: self.environment[tag[1]] if tag[1] else str(uuid.uuid4()), text)
        assert "{{" not in resolved and "{%" not in resolved, f"this tag is not known: {resolved}"
        return resolved


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


def after(script: str, answer: Answer, environment: dict[str, str]) -> Iterator[str]:
    """Run the script that follows an answer: set variables, and say which assertions fail."""
    for line in script.splitlines():
        assertion, keeping = ASSERTION.fullmatch(line), KEEPING.fullmatch(line)
        assert assertion or keeping or line == PREAMBLE, f"this line of a script is not known: {line}"
        if assertion:
            yield from _judged(assertion, answer)
        elif keeping:
            environment[keeping[1]] = str(_value(keeping[2], answer))


def _judged(assertion: re.Match[str], answer: Answer) -> Iterator[str]:
    actual = _value(assertion["subject"], answer)
    if assertion["claim"] == "be.ok":
        holds = bool(actual)
    else:
        expected = json.loads(assertion["expected"])
        holds = actual == expected if assertion["claim"] == "eql" else isinstance(actual, dict) and expected in actual
    if not holds:
        yield f"{json.loads(assertion['title'])}: {str(actual)[:300]}"


def _value(subject: str, answer: Answer) -> Any:
    """What a script's `json.tenants[0].role` is, or its status; None when the answer has no such thing."""
    if subject == "insomnia.response.code":
        return answer.status
    value = answer.json
    for step in re.findall(r"[^.\[\]]+", subject)[1:]:
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError):
            return None
    return value

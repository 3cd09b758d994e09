"""The story and the OpenAPI document joined: every request as it will be sent, and what is expected of its answer."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from scripts.collection_files.step import DEFAULT_TOKEN, FRESH, NOBODY, Chapter, Step

REFERENCE = "Reference"
REFERENCE_ABOUT = "What the story does not tell. These requests are examples; a run leaves this folder out."
SOMETIMES = {"total_exact", "next_cursor"}  # members of an envelope that an answer may lack
JSON = "application/json"
SPACE = uuid5(NAMESPACE_URL, "alicerce/collections")

Document = dict[str, Any]


@dataclass(frozen=True)
class Expectation:
    """What an answer has to be: its status, members that it has, values that it shows, variables that it fills."""

    status: int
    members: tuple[str, ...] = ()
    shows: dict[str, Any] = field(default_factory=dict)
    keeps: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request whose texts may still hold variables; `expected` is None for one that is only an example."""

    operation: str
    name: str
    about: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    token: str
    expected: Expectation | None


@dataclass(frozen=True)
class Folder:
    """A chapter, planned."""

    name: str
    about: str
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Operation:
    """An operation of the document, and where it is."""

    method: str
    path: str
    told: Document

    @property
    def id(self) -> str:
        return str(self.told["operationId"])


def operations(document: Document) -> dict[str, Operation]:
    """Every operation of a document by its operationId."""
    found = [
        Operation(method.upper(), path, told)
        for path, item in document["paths"].items()
        for method, told in item.items()
    ]
    return {operation.id: operation for operation in found}


def plan(document: Document, chapters: Sequence[Chapter]) -> list[Folder]:
    """A folder for each chapter, and one more for the operations that no chapter asks.

    Raises LookupError for a step whose operation is not in the document.
    """
    known = operations(document)
    unknown = sorted({step.operation for chapter in chapters for step in chapter.steps} - known.keys())
    if unknown:
        raise LookupError(f"Not public, but in scripts/collection_files/story: {', '.join(unknown)}.")
    folders = [
        Folder(
            chapter.name,
            chapter.about,
            tuple(_request(document, known[step.operation], step) for step in chapter.steps),
        )
        for chapter in chapters
    ]
    told = {request.operation for folder in folders for request in folder.requests}
    left = tuple(_example(operation) for id, operation in sorted(known.items()) if id not in told)
    return [*folders, Folder(REFERENCE, REFERENCE_ABOUT, left)] if left else folders


def variables(folders: Iterable[Folder]) -> list[str]:
    """Every variable that a request fills or needs, beside the address."""
    requests = [request for folder in folders for request in folder.requests]
    needed = re.findall(r"{{(\w+)}}", str([(one.path, one.query, one.headers, one.body) for one in requests]))
    kept = [name for one in requests if one.expected for name in one.expected.keeps]
    return sorted({*needed, *kept} - {FRESH.strip("{}")})


def stable_id(*parts: str) -> UUID:
    """The same id for the same thing in every generated file."""
    return uuid5(SPACE, "/".join(parts))


def variable(parameter: str) -> str:
    """The variable of a path parameter: `customer_id` is `customerId`."""
    first, *others = parameter.split("_")
    return first + "".join(word.capitalize() for word in others)


def _request(document: Document, operation: Operation, step: Step) -> Request:
    return Request(
        operation=operation.id,
        name=step.name,
        about=_about(operation, step.about),
        method=operation.method,
        path=_path(operation, step.at),
        query=step.query,
        headers=_headers(operation, step.headers, step.body),
        body=_text(step.body),
        token=step.token if operation.told["security"] else NOBODY,
        expected=_expectation(document, operation, step),
    )


def _example(operation: Operation) -> Request:
    """An operation that the story leaves out, with the document's own example as its body."""
    content = operation.told.get("requestBody", {}).get("content", {})
    body = content.get(JSON, {}).get("example")
    return Request(
        operation=operation.id,
        name=f"{operation.told['summary']} ({operation.id})",
        about=_about(operation, ""),
        method=operation.method,
        path=_path(operation, {}),
        query={},
        headers=_headers(operation, {}, body),
        body=_text(body),
        token=DEFAULT_TOKEN if operation.told["security"] else NOBODY,
        expected=None,
    )


def _about(operation: Operation, about: str) -> str:
    lines = [about, f"`{operation.id}`: {operation.told['summary']}", operation.told.get("description", "")]
    return "\n\n".join(line for line in lines if line)


def _path(operation: Operation, at: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: at.get(found[1], f"{{{{{variable(found[1])}}}}}"), operation.path)


def _headers(operation: Operation, given: dict[str, str], body: Any) -> dict[str, str]:
    wanted = [one["name"] for one in operation.told.get("parameters", ()) if one["in"] == "header" and one["required"]]
    content_type = {"Content-Type": JSON} if body is not None else {}
    headers = content_type | dict.fromkeys(wanted, FRESH) | given
    return {name: value for name, value in headers.items() if value}


def _text(body: Any) -> str:
    if body is None or isinstance(body, str):
        return body or ""
    return json.dumps(body, ensure_ascii=False, indent=2)


def _expectation(document: Document, operation: Operation, step: Step) -> Expectation:
    if step.code:
        return Expectation(step.status, ("message", "request_id"), {"code": step.code, **step.shows}, step.keeps)
    status = next(status for status in operation.told["responses"] if status.startswith("2"))
    members = step.members or _envelope(document, operation.told["responses"][status])
    return Expectation(int(status), members, step.shows, step.keeps)


def _envelope(document: Document, answer: Document) -> tuple[str, ...]:
    """The members that a successful JSON answer always has."""
    schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return tuple(name for name in schema.get("properties", {}) if name not in SOMETIMES)

"""`/openapi.json`: one document of everything that is public, put together from what each service says of itself.

The table of routes decides what is in it, the services' own documents how it looks: an operation that is not in the
table is left out, and with it every schema that only it needed.
"""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from flask import Flask, Response, request

from gateway.chapters import CHAPTERS, Chapter, chapter_of
from gateway.routes import OPEN, OPTIONAL, Door, Operation, operations
from gateway.upstream import Upstream
from kit import documents, errors
from kit.config import VERSION
from kit.errors import Problem

AGE_S = 60.0
AGE_INCOMPLETE_S = 2.0
TIMEOUT_S = 2.0

REF = "#/components/"
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` that `POST /auth/login` answers.",
    },
    "publishableKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Publishable-Key",
        "description": "The key of a public catalogue, for visitors who are not logged in.",
    },
}
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    OPEN: [],
    OPTIONAL: [{}, {"bearer": []}, {"publishableKey": []}],
    "": [{"bearer": []}],
}
BAD_GATEWAY = {
    "description": errors.BadGateway.__doc__,
    "content": {
        errors.CONTENT_TYPE: {
            "schema": {"$ref": f"{REF}schemas/kit.Problem"},
            "example": documents.problem_example(errors.BadGateway),
        }
    },
}

INTRODUCTION = """\
One platform for a company's daily business: who works there, whom they sell to, what they sell, what happened.

**To try it here**, register and log in below, copy the `access_token` from the answer, and give it to *Authorize*.

Every refusal is a problem document (RFC 9457) with a `message` that says what to do, a stable `code`, and a
`request_id`. Times are UTC, money is in whole minor units beside its currency, ids are UUIDs.
"""

Document = dict[str, Any]


class Documents:
    """The merged document, kept for a minute; for a moment only while a service is away."""

    def __init__(self, table: tuple[Door, ...], upstreams: dict[str, Upstream]) -> None:
        self.table, self.upstreams = table, upstreams
        self._known = b""
        self._until = float("-inf")
        self._lock = threading.Lock()

    def current(self) -> bytes:
        """The document's bytes; the same bytes for the same services."""
        # Whoever comes while somebody else builds takes the last one, and waits only for the very first.
        if time.monotonic() > self._until and self._lock.acquire(blocking=not self._known):
            try:
                if time.monotonic() > self._until:
                    self._build()
            finally:
                self._lock.release()
        return self._known

    def _build(self) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            told = dict(zip(self.upstreams, pool.map(_ask, self.upstreams.values()), strict=True))
        merged = merge(self.table, told)
        self._known = orjson.dumps(merged)
        self._until = time.monotonic() + (AGE_INCOMPLETE_S if "x-unavailable" in merged else AGE_S)


def _ask(upstream: Upstream) -> Document | None:
    """What a service says of itself, or None when it is away or says nothing that can be used."""
    try:
        answer = upstream.get("/openapi.json", TIMEOUT_S)
        told = orjson.loads(b"".join(answer.body))
    except (Problem, orjson.JSONDecodeError):
        return None
    usable = answer.status == 200 and isinstance(told, dict) and {"paths", "components"} <= told.keys()
    return told if usable else None


def merge(table: tuple[Door, ...], told: dict[str, Document | None]) -> Document:
    """One document of the public operations. `x-unavailable` names the services that are missing from it."""
    paths: dict[str, Document] = {}
    components: dict[str, Document] = {}
    for service, document in told.items():
        if document is not None:
            _take(paths, components, service, document, [op for op in operations(table) if op.service == service])
    merged: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Alicerce",
            "version": VERSION,
            "description": INTRODUCTION,
        },
        "servers": [{"url": "/", "description": "This platform."}],
        "tags": _tags(paths, told),
        "paths": paths,
        "components": {
            **{kind: dict(sorted(named.items())) for kind, named in sorted(components.items())},
            "securitySchemes": SCHEMES,
        },
    }
    away = sorted(service for service, document in told.items() if document is None)
    if away:
        merged["x-unavailable"] = away
    return merged


def _tags(paths: Document, told: dict[str, Document | None]) -> list[Document]:
    """The chapters that have operations, in their order, then those of services that stand in none."""
    used = {tag for item in paths.values() for operation in item.values() for tag in operation["tags"]}
    known = [Chapter(service.capitalize(), _about(document)) for service, document in told.items() if document]
    return [
        {"name": chapter.title, "description": chapter.description}
        for chapter in [*CHAPTERS, *known]
        if chapter.title in used
    ]


def _about(document: Document) -> str:
    return str(document.get("info", {}).get("description", "")).partition("\n")[0]


def _take(paths: Document, components: Document, service: str, document: Document, public: list[Operation]) -> None:
    """Take the public operations of a service into the merged document, and the components that they need."""
    known = {_bare(path): path for path in document["paths"]}
    taken: dict[str, Document] = {}
    for operation in public:
        path = known.get(operation.path)
        item = document["paths"].get(path, {})
        if operation.prefix != operation.door.prefixes[0] or operation.method.lower() not in item:
            continue
        address = operation.prefix + str(path).rstrip("/")
        taken.setdefault(address, {})[operation.method.lower()] = _public(operation, item, document["components"])
    needed = _needed(taken, document["components"])
    # What two services call by one name has to be one thing; if it is not, this service's things get its name.
    if any(components.get(kind, {}).get(name, part) != part for (kind, name), part in needed.items()):
        needed, taken = _renamed(service, needed), _with_names(service, taken)
    for (kind, name), part in needed.items():
        components.setdefault(kind, {})[name] = part
    for address, item in taken.items():
        paths.setdefault(address, {}).update(item)


def _bare(path: str) -> str:
    return re.sub(r"{[^}]+}", "<id>", path.rstrip("/"))


def _public(operation: Operation, item: Document, components: Document) -> Document:
    """An operation as it looks from outside."""
    told = item[operation.method.lower()]
    shown = {
        **told,
        "operationId": told.get("operationId") or _id(operation),
        "tags": [chapter_of(operation)],
        "parameters": [*item.get("parameters", []), *told.get("parameters", [])],
        "responses": dict(sorted({**told["responses"], "502": BAD_GATEWAY}.items())),
        "security": SECURITY[operation.mark],
    }
    if not shown["parameters"]:
        del shown["parameters"]
    return shown


def _id(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.replace("<id>", "one"))
    return f"{operation.service}.{'_'.join([operation.method.lower(), *words])}"


def _refs(part: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of every component that something points at."""
    if isinstance(part, dict):
        ref = part.get("$ref")
        if isinstance(ref, str) and ref.startswith(REF):
            kind, _, name = ref.removeprefix(REF).partition("/")
            yield kind, name
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _refs(inner)


def _needed(taken: Any, components: Document) -> dict[tuple[str, str], Any]:
    """Every component that something needs, also by way of others."""
    needed: dict[tuple[str, str], Any] = {}
    waiting = list(_refs(taken))
    while waiting:
        kind, name = waiting.pop()
        if (kind, name) not in needed and name in components.get(kind, {}):
            needed[kind, name] = components[kind][name]
            waiting += _refs(components[kind][name])
    return needed


def _renamed(service: str, needed: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    return {(kind, f"{service}.{name}"): _with_names(service, part) for (kind, name), part in needed.items()}


def _with_names(service: str, part: Any) -> Any:
    """The same, pointing at this service's own components."""
    if isinstance(part, list):
        return [_with_names(service, inner) for inner in part]
    if not isinstance(part, dict):
        return part
    changed = {key: _with_names(service, value) for key, value in part.items()}
    for kind, name in _refs({"$ref": part.get("$ref")}):
        changed["$ref"] = f"{REF}{kind}/{service}.{name}"
    return changed


def attach(app: Flask, table: tuple[Door, ...], upstreams: dict[str, Upstream]) -> None:
    """Give the gateway its document and its page. Neither needs a token, and neither names a tenant or a person."""
    merged = Documents(table, upstreams)

    @app.get("/openapi.json", endpoint="/openapi.json")
    def show() -> Response:
        answer = Response(merged.current(), content_type="application/json")
        answer.headers["Cache-Control"] = "no-cache"
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    documents.attach(app, "Alicerce")

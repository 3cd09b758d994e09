"""What every OpenAPI document of ours says beyond the schemas, and the page at `/docs` that makes it interactive.

Whatever stands beside a view already is told from there: its name, its permission, whether it obeys an
`Idempotency-Key`, what it answers when something is wrong. Nothing is written a second time for the document.
"""

import hashlib
import mimetypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from apispec import BasePlugin
from flask import Flask, Response
from markupsafe import escape

from kit import database_errors, errors, examples, idempotency, identity
from kit.errors import NotFound, snake_case
from kit.raised import raised_by
from kit.schema import Email, LanguageTag, Problem, TimeZone

# --- Operations ------------------------------------------------------------------------------------------------------

ALWAYS = (400, 401, 403, 404, 422, 429, 500, 503, 504)
CHANGING = (409,)
CONDITIONAL = (412,)
WITH_BODY = (413, 415)
WITH_QUERY = (414,)
KEY_PATTERN = "^[!-~]{1,255}$"
REQUEST_ID = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2c"
UNUSED = ("kit.ErrorSchema", "kit.PaginationMetadataSchema")  # the library's own, which we never answer
TOKEN = "internalToken"  # noqa: S105 - a name
SCHEME = {
    "type": "apiKey",
    "in": "header",
    "name": identity.HEADER,
    "description": "A minute-long token that the gateway signs for a person, or a sibling service with its own key for "
    "itself. There is no other way in: go through the gateway, whose document is the one to try things out in.",
}


@dataclass(frozen=True)
class Call:
    """A view and the address that it answers at."""

    view: Callable[..., Any]
    rule: str

    @property
    def access(self) -> Any:
        """Who may call it; None for a view that does not say, which the start refuses."""
        return getattr(self.view, "access", None)


def complete(doc: dict[str, Any], call: Call, *, app: Any, spec: Any, method: str) -> dict[str, Any]:
    """An operation with everything that its view tells: id, permission, headers, the kind of file, errors."""
    _introduce(spec, app.name)
    doc["operationId"] = f"{app.name}.{call.view.__name__}"
    doc |= _access(call)
    headers = _headers(call, method, obeys_keys=getattr(getattr(app, "db", None), "replays", None) is not None)
    if headers:
        doc["parameters"] = [*doc.get("parameters", []), *headers]
    responses = doc.setdefault("responses", {})
    responses.pop("default", None)  # the library's own shape of an error, which we never answer
    kind = mimetypes.guess_type(call.rule)[0]
    if kind and kind.startswith("text/"):
        responses["200"] = _file(kind)
    specific = _specific(call, method)
    for status in sorted({*_statuses(call, method), *specific}):
        responses[str(status)] = _answer(spec, status, specific.get(status, []))
    return doc


def _introduce(spec: Any, name: str) -> None:
    """What a document says before its first operation."""
    if TOKEN in spec.components.security_schemes:
        return
    spec.components.security_scheme(TOKEN, SCHEME)
    spec.plugins.append(Finish(spec))
    for unused in UNUSED:
        spec.components.schemas.pop(unused, None)
    package = sys.modules.get(f"services.{name}")
    spec.options["info"] = {"description": (getattr(package, "__doc__", "") or "").strip()}
    spec.options["servers"] = [{"url": "/", "description": "This service."}]


def _access(call: Call) -> dict[str, Any]:
    """Who may call it."""
    access = call.access
    if access is None or access.kind == "public":
        return {"security": []}
    told: dict[str, Any] = {"security": [{}, {TOKEN: []}] if access.visitors else [{TOKEN: []}]}
    if access.permission:
        told["x-permission"] = access.permission
    if access.kind == "internal":
        told["x-callers"] = sorted(access.callers)
    return told


class Finish(BasePlugin):
    """What can be said of an operation once its docstring is in it and its schemas are known: who may, and examples."""

    def __init__(self, spec: Any) -> None:
        super().__init__()
        self.spec = spec

    def operation_helper(self, path: str | None = None, operations: Any = None, **_: Any) -> None:
        """Called by the library for the operations of each path."""
        for operation in (operations or {}).values():
            sentences = [operation.get("description", ""), _sentence(operation)]
            if any(sentences):
                operation["description"] = "\n\n".join(filter(None, sentences))
            if "requestBody" in operation:
                self._show(operation["requestBody"], answered=False)
                self._add(operation, WITH_BODY)
            if any(part.get("in") == "query" for part in operation.get("parameters", [])):
                self._add(operation, WITH_QUERY)
            for answer in operation["responses"].values():
                if isinstance(answer, dict):
                    self._show(answer, answered=True)

    def _add(self, operation: dict[str, Any], statuses: tuple[int, ...]) -> None:
        for status in statuses:
            operation["responses"].setdefault(str(status), _problem(self.spec, status))

    def _show(self, part: dict[str, Any], *, answered: bool) -> None:
        body = part.get("content", {}).get("application/json")
        if not body:
            return
        schemas = self.spec.components.schemas
        named = schemas.get(body["schema"].get("$ref", "").rpartition("/")[2])
        if named and not named["properties"]:
            named.pop("additionalProperties", None)  # an answer without a schema may hold anything
        body["example"] = examples.example(body["schema"], {"schemas": schemas}, answered=answered)


def _sentence(operation: dict[str, Any]) -> str:
    if "x-permission" in operation:
        return f"Needs the permission `{operation['x-permission']}`."
    if "x-callers" in operation:
        return f"For {' and '.join(operation['x-callers'])} only."
    return ""


def _headers(call: Call, method: str, *, obeys_keys: bool) -> list[dict[str, Any]]:
    if call.access is None or call.access.kind != "person":
        return []
    if method == "post" and obeys_keys:
        return [
            {
                "in": "header",
                "name": idempotency.HEADER,
                "required": hasattr(call.view, "key_required"),
                "description": "A text of your choice, new for each intention. Repeating the request with the same "
                "key repeats the answer, and does nothing twice.",
                "schema": {"type": "string", "pattern": KEY_PATTERN},
            }
        ]
    if method in ("put", "patch", "delete"):
        return [
            {
                "in": "header",
                "name": "If-Match",
                "required": False,
                "description": "The ETag of the answer that you last saw. When there is a newer one: 412.",
                "schema": {"type": "string"},
            }
        ]
    return []


def _file(kind: str) -> dict[str, Any]:
    name = {"description": "The name to save it by.", "required": True, "schema": {"type": "string"}}
    return {
        "description": "A file.",
        "headers": {"Content-Disposition": name},
        "content": {kind: {"schema": {"type": "string"}}},
    }


def _statuses(call: Call, method: str) -> set[int]:
    statuses = {*ALWAYS}
    if method != "get":
        statuses |= {*CHANGING}
    if method in ("put", "patch", "delete"):
        statuses |= {*CONDITIONAL}
    if hasattr(call.view, "key_required"):
        statuses.add(idempotency.IdempotencyKeyRequired.status)
    return statuses


def _specific(call: Call, method: str) -> dict[int, list[type[errors.Problem]]]:
    """By status: the errors of its own that an operation can raise, beyond the general one."""
    raised = raised_by(call.view)
    if method in ("post", "put", "patch"):
        raised.add(database_errors.AlreadyExists)
    if method == "delete":
        raised.add(database_errors.StillReferenced)
    by_status: dict[int, list[type[errors.Problem]]] = {}
    for kind in sorted(raised - {*_kinds().values()}, key=lambda kind: kind.__name__):
        by_status.setdefault(kind.status, []).append(kind)
    return by_status


def _answer(spec: Any, status: int, specific: list[type[errors.Problem]]) -> Any:
    """The answer of a status: what every operation says, or with codes of this one's own."""
    general = _kinds()[status]
    if not specific:
        return _problem(spec, status)
    shown = [*specific, general]
    content = {"schema": Problem, "examples": {code_of(kind): _example(kind) for kind in shown}}
    told = "\n".join(f"* `{code_of(kind)}`: {_message(kind)}" for kind in shown)
    return {"description": told, "content": {errors.CONTENT_TYPE: content}}


def _problem(spec: Any, status: int) -> str:
    """The name of a status's answer among the components of the document, which gets it when it has none."""
    name = f"Problem{status}"
    if name not in spec.components.responses:
        content = {errors.CONTENT_TYPE: {"schema": Problem, "example": problem_example(_kinds()[status])}}
        spec.components.response(name, {"description": _message(_kinds()[status]), "content": content})
    return name


def _kinds() -> dict[int, type[errors.Problem]]:
    """The most general error of each status."""
    found: list[type[errors.Problem]] = [idempotency.IdempotencyKeyRequired]
    found += [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Problem)]
    return {kind.status: kind for kind in found}


def code_of(kind: type[errors.Problem]) -> str:
    """The code that an error of this type has when nobody gives it another."""
    return "internal_error" if kind is errors.Problem else snake_case(kind.__name__)


def _message(kind: type[errors.Problem]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _example(kind: type[errors.Problem]) -> dict[str, Any]:
    return {"summary": _message(kind), "value": problem_example(kind)}


def problem_example(kind: type[errors.Problem]) -> dict[str, Any]:
    """How a problem of this type looks."""
    by_field = {"name": ["Missing data for required field."]} if kind is errors.ValidationError else None
    return errors.document(kind.status, code_of(kind), _message(kind), REQUEST_ID, errors=by_field)


# --- Fields ----------------------------------------------------------------------------------------------------------

FIELDS: dict[type, dict[str, Any]] = {
    Email: {"format": "email", "examples": ["ana@example.com"]},
    LanguageTag: {"examples": ["pt-BR"]},
    TimeZone: {"examples": ["America/Sao_Paulo"]},
}


def describe(converter: Any, field: Any, ret: dict[str, Any]) -> dict[str, Any]:
    """What the library cannot know of a field, and what it says in a way that no reader of JSON Schema takes.

    A type of field with an attribute `documented` (members of JSON Schema) speaks for itself; a schema's `example` says
    how its members look, and those that it leaves out are left out of examples.
    """
    known = next((FIELDS[kind] for kind in type(field).__mro__ if kind in FIELDS), {})
    told = {**known, **getattr(field, "documented", {})}
    record = getattr(field.parent, "example", {})
    name = field.data_key or field.name
    if record:
        told.pop("examples", None)
    if name in record:
        told["examples"] = [record[name]]
    if str(ret.get("pattern", "")).endswith(r"\Z"):
        told["pattern"] = ret["pattern"].removesuffix(r"\Z") + "$"  # ECMA 262 has no \Z
    if ret.get("type") == "object" and "maxLength" in ret:
        told["maxProperties"] = ret.pop("maxLength")
    if isinstance(ret.get("type"), str) and _is_nullable(field):
        told["type"] = [ret["type"], "null"]
    return told


def _is_nullable(field: Any) -> bool:
    """Whether the column that a field shows may be empty."""
    table = getattr(getattr(getattr(field.parent, "Meta", None), "model", None), "__table__", None)
    column = None if table is None else table.columns.get(field.attribute or field.name)
    return column is not None and bool(column.nullable)


def know_fields(converter: Any) -> None:
    """Teach the library's converter our types of fields, once."""
    if not hasattr(converter, describe.__name__):
        converter.add_attribute_function(describe)


# --- The page --------------------------------------------------------------------------------------------------------

PACKAGE = "flask-swagger-ui"
FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
START = """\
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png?v={version}">
<link rel="stylesheet" href="/docs/swagger-ui.css?v={version}">
</head>
<body>
<main id="docs"><noscript>This page needs JavaScript; the document itself is at /openapi.json.</noscript></main>
<script src="/docs/swagger-ui-bundle.js?v={version}"></script>
<script src="/docs/start.js?v={start}"></script>
</body>
</html>
"""
# Only what this origin serves, and pictures inside the style sheet. What a reader types in goes to this origin alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOREVER = "public, max-age=31536000, immutable"
ENDPOINTS = ("/docs", "/docs/<name>")


def attach(app: Flask, title: str) -> None:
    """Give an app its page at `/docs`, over its own `/openapi.json`. Both need no token: they say what, not whose."""
    start = hashlib.sha256(START.encode()).hexdigest()[:12]
    page = PAGE.format(title=escape(title), version=version(PACKAGE), start=start)

    def show() -> Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        return Response(page, content_type="text/html; charset=utf-8", headers=headers)

    app.add_url_rule(ENDPOINTS[0], ENDPOINTS[0], show, strict_slashes=False)
    app.add_url_rule(ENDPOINTS[1], ENDPOINTS[1], asset)


def asset(name: str) -> Response:
    """A file of the page. Only listed names exist, so that no name can lead anywhere else."""
    if name == "start.js":
        answer = Response(START, content_type=FILES["swagger-ui-bundle.js"])
    elif name in FILES:
        answer = Response(_content(name), content_type=FILES[name])
    else:
        raise NotFound("There is nothing at this address.")
    # The page asks with a version, so what was fetched once is never asked for again.
    answer.headers["Cache-Control"] = FOREVER
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


@cache
def _content(name: str) -> bytes:
    return (files(PACKAGE.replace("-", "_")) / "dist" / name).read_bytes()

"""What every OpenAPI document of ours says beyond the schemas, and the page at `/docs` that makes it interactive.

Whatever stands beside a view already is told from there: its name, its permission, whether it obeys an
`Idempotency-Key`, what it answers when something is wrong. Nothing is written a second time for the document.
"""

import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from flask import Flask, Response
from markupsafe import escape

from kit import errors, idempotency
from kit.errors import NotFound, snake_case
from kit.schema import Email, LanguageTag, Problem, TimeZone

# --- Operations ------------------------------------------------------------------------------------------------------

ALWAYS = (400, 401, 403, 404, 409, 422, 429, 500, 503, 504)
CHANGING = (412, 413, 415)
KEY_PATTERN = "^[!-~]{1,255}$"
REQUEST_ID = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2c"


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
    doc["operationId"] = f"{app.name}.{call.view.__name__}"
    if call.access and call.access.permission:
        doc["x-permission"] = call.access.permission
    headers = _headers(call, method, obeys_keys=getattr(getattr(app, "db", None), "replays", None) is not None)
    if headers:
        doc["parameters"] = [*doc.get("parameters", []), *headers]
    responses = doc.setdefault("responses", {})
    responses.pop("default", None)  # the library's own shape of an error, which we never answer
    kind = mimetypes.guess_type(call.rule)[0]
    if kind and kind.startswith("text/"):
        responses["200"] = _file(kind)
    for status in _statuses(call, method):
        responses[str(status)] = _problem(spec, status)
    return doc


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
    name = {"description": "The name to save it by.", "schema": {"type": "string"}}
    return {
        "description": "A file.",
        "headers": {"Content-Disposition": name},
        "content": {kind: {"schema": {"type": "string"}}},
    }


def _statuses(call: Call, method: str) -> list[int]:
    statuses = {*ALWAYS} if method == "get" else {*ALWAYS, *CHANGING}
    if hasattr(call.view, "key_required"):
        statuses.add(idempotency.IdempotencyKeyRequired.status)
    return sorted(statuses)


def _problem(spec: Any, status: int) -> str:
    """The name of a status's answer among the components of the document, which gets it when it has none."""
    name = f"Problem{status}"
    if name not in spec.components.responses:
        content = {errors.CONTENT_TYPE: {"schema": Problem, "example": problem_example(status)}}
        spec.components.response(name, {"description": _kinds()[status].__doc__, "content": content})
    return name


def _kinds() -> dict[int, type[errors.Problem]]:
    """The most general error of each status."""
    found: list[type[errors.Problem]] = [idempotency.IdempotencyKeyRequired]
    found += [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Problem)]
    return {kind.status: kind for kind in found}


def problem_example(status: int) -> dict[str, Any]:
    """How a problem of this status looks."""
    kind = _kinds()[status]
    code = "internal_error" if kind is errors.Problem else snake_case(kind.__name__)
    return errors.document(status, code, kind().message, REQUEST_ID)


# --- Fields ----------------------------------------------------------------------------------------------------------

FIELDS: dict[type, dict[str, Any]] = {
    Email: {"format": "email", "examples": ["ana@example.com"]},
    LanguageTag: {"examples": ["pt-BR"]},
    TimeZone: {"examples": ["America/Sao_Paulo"]},
}


def describe(converter: Any, field: Any, ret: dict[str, Any]) -> dict[str, Any]:
    """What the library cannot know of a field, and what it says in a way that no reader of JSON Schema takes.

    A type of field with an attribute `documented` (members of JSON Schema) speaks for itself.
    """
    known = next((FIELDS[kind] for kind in type(field).__mro__ if kind in FIELDS), {})
    told = {**known, **getattr(field, "documented", {})}
    if str(ret.get("pattern", "")).endswith(r"\Z"):
        told["pattern"] = ret["pattern"].removesuffix(r"\Z") + "$"  # ECMA 262 has no \Z
    if ret.get("type") == "object" and "maxLength" in ret:
        told["maxProperties"] = ret.pop("maxLength")
    return told


def know_fields(converter: Any) -> None:
    """Teach the library's converter our types of fields, once."""
    if not hasattr(converter, describe.__name__):
        converter.add_attribute_function(describe)


# --- Examples --------------------------------------------------------------------------------------------------------

MADE_UP = {
    "uuid": "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2d",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ana@example.com",
}
MADE_UP_PASSWORD = "correct horse battery staple"  # noqa: S105 - nobody's


def example(schema: dict[str, Any], components: dict[str, Any], name: str = "") -> Any:
    """A value that a schema takes: what is required, and what says itself how it looks. `name` is the member's."""
    if "$ref" in schema:
        return example(components["schemas"][schema["$ref"].rpartition("/")[2]], components, name)
    stated = schema.get("example") or next(iter(schema.get("examples", ())), None)
    if stated is not None:
        return stated
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return _example_object(schema, components)
    if kind == "array":
        return [example(schema.get("items", {}), components, name)]
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    return True if kind == "boolean" else _example_text(schema, name)


def _example_object(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    writable = {key: part for key, part in schema.get("properties", {}).items() if not part.get("readOnly")}
    required = [key for key in schema.get("required", ()) if key in writable]
    shown = {key: example(writable[key], components, key) for key in required}
    for key, part in writable.items():
        value = example(part, components, key)
        # The same value twice is the same thing under an older name.
        if ("examples" in part or key in MADE_UP) and key not in shown and value not in shown.values():
            shown[key] = value
    if not shown:
        shown = {key: example(part, components, key) for key, part in [*writable.items()][:1]}
    return shown


def _example_text(schema: dict[str, Any], name: str) -> str:
    if schema.get("writeOnly"):
        return MADE_UP_PASSWORD
    for word in (schema.get("format"), name):
        if word in MADE_UP:
            return MADE_UP[word]
    text = name or "text"
    return text if "pattern" in schema else text.replace("_", " ").capitalize()


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
  defaultModelsExpandDepth: 0,
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

"""`GET /forward-auth`: may this request pass? For a proxy (nginx, Traefik, Envoy) that carries the data itself.

It names the request in two headers, and gets a 204 that says which service answers it at which path, with the headers
that prove the identity there; or the refusal that the gateway itself would have given.
"""

from typing import Any

from gateway import routes
from gateway.headers import Headers
from gateway.incoming import TRUSTED_PROXIES, is_within
from gateway.routes import Node, Operation
from kit.config import setting
from kit.errors import BadRequest, NotFound

FORWARD_AUTH_ENABLED = setting(
    "FORWARD_AUTH_ENABLED", False, "Whether a proxy of TRUSTED_PROXIES may ask at /forward-auth if a request may pass."
)
PATH = "/forward-auth"
NAMED = (
    ("HTTP_X_ORIGINAL_METHOD", "HTTP_X_ORIGINAL_URI"),
    ("HTTP_X_FORWARDED_METHOD", "HTTP_X_FORWARDED_URI"),
)


class UnclearQuestion(BadRequest):
    """Name the request once: X-Original-Method and X-Original-URI, or X-Forwarded-Method and X-Forwarded-Uri."""


def is_asked(environ: dict[str, Any], path: str) -> bool:
    """Whether a proxy of ours asks. For everybody else there is nothing at this address."""
    is_question = path == PATH and environ["REQUEST_METHOD"] == "GET" and FORWARD_AUTH_ENABLED()
    return is_question and is_within(str(environ.get("REMOTE_ADDR", "")), TRUSTED_PROXIES())


def operation(environ: dict[str, Any], root: Node) -> Operation:
    """The operation that is asked about. Raises UnclearQuestion and NotFound."""
    method, path, query = _question(environ)
    node = routes.find(root, path) if routes.is_clean(path, query) else None
    if node is None or method not in node.operations:
        raise NotFound("There is nothing at this address.", code="not_found")
    return node.operations[method]


def destination(environ: dict[str, Any], operation: Operation) -> Headers:
    """Where the request goes: the service, and the target without the public prefix."""
    _, path, query = _question(environ)
    target = path[len(operation.prefix) :] + (f"?{query}" if query else "")
    return [("X-Upstream-Service", operation.service), ("X-Upstream-Uri", target)]


def _question(environ: dict[str, Any]) -> tuple[str, str, str]:
    """Method, path and query of the request that a proxy asks about."""
    # Proxies pass on what else the client sent. Were one pair preferred, a client could add it and have another request
    # judged than the one that is carried.
    named = [pair for pair in NAMED if any(name in environ for name in pair)]
    if len(named) != 1 or not all(environ.get(name) for name in named[0]):
        raise UnclearQuestion
    method, target = (environ[name] for name in named[0])
    path, _, query = target.partition("?")
    return method, path, query

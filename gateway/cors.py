"""Which pages of other origins may read our answers (Fetch standard, CORS): those that are listed, and nobody else.

There is no `*`. Tokens would not leak by it, for no cookie is believed here; but every page that somebody opens could
then speak to this gateway from inside their network: read a public catalogue that is meant for the company only, or
try passwords from a thousand visitors' addresses.
"""

import re
from typing import Any

from gateway.headers import Headers
from gateway.routes import Node
from kit.config import setting, words

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?\Z")
DEFAULT_PORTS = re.compile(r"http://.*:80\Z|https://.*:443\Z")
MAX_AGE_S = 7200  # as long as Chromium remembers at most
PREFLIGHT = (
    "Access-Control-Allow-Headers",
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Publishable-Key, X-Request-Id",
)
EXPOSED = (
    "Access-Control-Expose-Headers",
    "ETag, Idempotency-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id",
)


def origins(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of origins, each as browsers write it. Raises ValueError."""
    for word in words(text):
        if word == "*":
            raise ValueError("name each origin; with `*` every page that somebody opens could use this gateway")
        if not ORIGIN.match(word) or DEFAULT_PORTS.match(word):
            raise ValueError(f"write {word} as browsers do, like https://app.example.com: no path, no default port")
    return words(text)


NO_ORIGINS: tuple[str, ...] = ()
CORS_ORIGINS = setting(
    "CORS_ORIGINS", NO_ORIGINS, "Origins of web pages that may use the gateway, as in https://app.example.com.", origins
)


class Cors:
    """What answers say to pages of other origins."""

    def __init__(self) -> None:
        self.origins = frozenset(CORS_ORIGINS())

    def headers(self, environ: dict[str, Any]) -> Headers:
        """What every answer to this request says. Who is not listed is told nothing, not even who is."""
        if not self.origins:
            return []
        vary = ("Vary", "Origin")  # also where no origin was sent: a cache must not give that answer to a page
        origin = environ.get("HTTP_ORIGIN", "")
        return [vary, ("Access-Control-Allow-Origin", origin), EXPOSED] if origin in self.origins else [vary]

    def preflight(self, environ: dict[str, Any], node: Node | None) -> Headers | None:
        """What the answer to a browser's preliminary question adds; None when it is none, or not from a listed page."""
        if environ["REQUEST_METHOD"] != "OPTIONS" or node is None:
            return None
        if environ.get("HTTP_ORIGIN", "") not in self.origins or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        methods = ", ".join(sorted(node.operations))
        return [
            ("Allow", methods),
            ("Access-Control-Allow-Methods", methods),
            PREFLIGHT,
            ("Access-Control-Max-Age", str(MAX_AGE_S)),
        ]

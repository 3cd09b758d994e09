"""What every answer of the gateway says to browsers, and whether the platform is open at all.

Two files in the generated folder close it without a restart: `maintenance`, whose text is what people read meanwhile,
and `read-only`.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway.exchange import Exchange
from gateway.headers import NAMES, Headers
from gateway.routes import Operation
from kit.config import setting
from kit.errors import Unavailable

HSTS_ENABLED = setting(
    "HSTS_ENABLED", False, "Whether TLS ends before the gateway, so that browsers are told to use nothing else."
)
POLICY = "content-security-policy"
SECURITY: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]
HSTS = ("Strict-Transport-Security", "max-age=31536000")  # without sub-domains: they may be somebody else's
OURS = frozenset(name.lower() for name, _ in [*SECURITY, HSTS]) | {"ratelimit", "ratelimit-policy", "vary"}
EXCHANGE = "alicerce.exchange"  # where the gateway's own pages find it in their environ

PROBES = frozenset({"/live", "/ready", "/health"})  # of whatever keeps us running: neither counted nor closed
KEPT_OPEN = PROBES | {"/metrics", "/ops"}  # whoever repairs something has to see it
READING = frozenset({"GET", "HEAD"})
ENTRANCE = frozenset({"/login", "/refresh", "/validate-token"})
LOOK_S = 1.0
MAX_MESSAGE = 500
MAINTENANCE_RETRY_S = 60


class Maintenance(Unavailable):
    """The platform is being worked on. Try again in a few minutes."""


class ReadOnly(Unavailable):
    """The platform can be read just now, but not changed. Try again later."""


class Mode:
    """Whether the platform is closed, or can be read only, as files in a folder say; they are looked at every second.

    Nothing is locked: two threads that look at once see the same.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = folder, clock
        self._due = float("-inf")
        self._message: str | None = None
        self._is_read_only = False

    def check_open(self, path: str) -> None:
        """Raises Maintenance."""
        self._look()
        if self._message is not None and path not in KEPT_OPEN:
            raise Maintenance(self._message or None, retry_after_s=MAINTENANCE_RETRY_S)

    def check_writable(self, operation: Operation) -> None:
        """Raises ReadOnly. Logging in stays possible: who may not even do that cannot read either."""
        self._look()
        is_entrance = operation.door.credentials and operation.path in ENTRANCE
        if self._is_read_only and operation.method not in READING and not is_entrance:
            raise ReadOnly(retry_after_s=MAINTENANCE_RETRY_S)

    def _look(self) -> None:
        now = self.clock()
        if now >= self._due:
            self._due = now + LOOK_S
            self._message = _text(self.folder / "maintenance")
            self._is_read_only = _text(self.folder / "read-only") is not None


def _text(file: Path) -> str | None:
    """A file's text; empty when it cannot be read, for somebody put it there; None when it is not there."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_MESSAGE).decode(errors="ignore").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return ""


def security_headers() -> Headers:
    """What every answer says, whatever it is."""
    return [*SECURITY, HSTS] if HSTS_ENABLED() else SECURITY


def finished(exchange: Exchange, headers: Headers, *, is_page: bool = False) -> Headers:
    """An answer's headers with what every answer says. What a service says in their place is not heard.

    A page of the gateway's own has its own policy, because it has styles and scripts.
    """
    ours = [*exchange.headers, *(exchange.standing.headers if exchange.standing else ())]
    theirs = [header for header in headers if not _is_ours(header[0])]
    if is_page and (policy := [header for header in headers if header[0].lower() == POLICY]):
        ours = [header for header in ours if header[0].lower() != POLICY] + policy
    if varies := [value for name, value in (*headers, *ours) if name.lower() == "vary"]:
        ours = [header for header in ours if header[0] != "Vary"] + [("Vary", ", ".join(varies))]
    return theirs + ours


@lru_cache(maxsize=NAMES)
def _is_ours(name: str) -> bool:
    return name.lower() in OURS or name.lower().startswith("access-control-")


def finishing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Callable[..., Any]:
    """The `start_response` for the gateway's own pages, which says what every answer says."""
    exchange: Exchange = environ[EXCHANGE]

    def start(status: str, headers: Headers, *error: Any) -> Any:
        return start_response(status, finished(exchange, headers, is_page=True), *error)

    return start

"""The thread through a request: its id, and W3C Trace Context (`traceparent`)."""

import re
import secrets

from flask import g, has_app_context

REQUEST_ID = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


def request_id(offered: str | None) -> str:
    """The offered id when it is harmless to log and to echo, else a new one."""
    return offered if offered and _ID.match(offered) else secrets.token_hex(16)


def traceparent(offered: str | None) -> str:
    """A traceparent for the next hop: the same trace, a new span. A malformed offer starts a new trace."""
    if offered and _PARENT.match(offered):
        version, trace, _, flags = offered.split("-")
    else:
        version, trace, flags = "00", secrets.token_hex(16), "01"
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"


def current_request_id() -> str:
    """The id of the request in hand, or an empty text outside of one."""
    return str(g.get("request_id", "")) if has_app_context() else ""

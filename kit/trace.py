"""The thread through a request: its id, and W3C Trace Context (Level 1: `traceparent`, `tracestate`)."""

import os
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import g, has_app_context

REQUEST_ID = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
# A version that is not known yet may have more after the flags (4.3 of the recommendation); ff is no version.
_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?\Z"
)
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z")
_AHEAD = 256  # random numbers that are fetched at once: to ask the system for each costs more than all else here
_numbers: list[str] = []
os.register_at_fork(after_in_child=_numbers.clear)  # or two processes would give the same ids
MOST_MEMBERS = 32
MOST_STATE = 512  # characters that everybody has to pass on (3.3.1.5)


class Recording(Protocol):
    """The span of a hop, where it is recorded."""

    def ask(self, method: str, url: str, repeated: int) -> "Hop":
        """A span of a request to somebody else."""

    def execute(self, engine: Any, statement: str) -> "Hop":
        """A span of a statement."""

    def end(self, error: str = "", route: str = "", attributes: dict[str, Any] | None = None) -> None:
        """The span is over."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a trace. Ids are lower-case hex; `recording` is its span, where `kit.telemetry` is on."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    is_sampled: bool = True
    state: str = ""
    recording: Recording | None = field(default=None, compare=False, repr=False)

    def headers(self) -> dict[str, str]:
        """What the next hop is told: this one is its parent."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"}
        return headers | ({"tracestate": self.state} if self.state else {})

    def fields(self) -> dict[str, str]:
        """Its members of a line in the log."""
        fields = {"trace_id": self.trace_id, "span_id": self.span_id}
        return fields | ({"parent_span_id": self.parent_id} if self.parent_id else {})


def received(traceparent: str | None, tracestate: str | None) -> Hop | None:
    """The caller's hop as its headers tell it; None when it told none, or one that is malformed."""
    told = _PARENT.match(traceparent or "")
    if told is None or (told["version"] == "00" and told["more"]):
        return None
    is_sampled = bool(int(told["flags"], 16) & 1)
    return Hop(told["trace"], told["span"], is_sampled=is_sampled, state=_state(tracestate or ""))


def below(caller: Hop | None) -> Hop:
    """A hop below the caller's, or the first of a new trace: sampled, so that whoever records further down does."""
    if caller is None:
        return Hop(_random(), _random()[:16])
    return Hop(caller.trace_id, _random()[:16], caller.span_id, caller.is_sampled, caller.state)


def aside() -> Hop:
    """For what no request asked for, as polling: not sampled, or it would bury the rest."""
    return Hop(_random(), _random()[:16], is_sampled=False)


def _state(offered: str) -> str:
    """The vendors' list as it came, or nothing at all when a member is malformed or comes twice."""
    members = [member.strip(" \t") for member in offered.split(",")]
    keys = [match and match[1] for member in members if member for match in (_MEMBER.match(member),)]
    is_sound = len(offered) <= MOST_STATE and len(keys) <= MOST_MEMBERS and None not in keys
    return ",".join(filter(None, members)) if is_sound and len(set(keys)) == len(keys) else ""


def request_id(offered: str | None) -> str:
    """The offered id when it is harmless to log and to echo, else a new one."""
    return offered if offered and _ID.match(offered) else _random()


def _random() -> str:
    """128 random bits in hex, for once."""
    while True:
        try:
            return _numbers.pop()
        except IndexError:
            text = secrets.token_hex(16 * _AHEAD)
            _numbers.extend(text[start : start + 32] for start in range(0, len(text), 32))


def current_request_id() -> str:
    """The id of the request in hand, or an empty text outside of one."""
    return str(g.get("request_id", "")) if has_app_context() else ""


def current_hop() -> Hop | None:
    """The hop of the request or the work in hand; None outside of both."""
    return g.get("hop") if has_app_context() else None

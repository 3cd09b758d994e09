"""A service that answers with what it received, and gateways before it: what gunicorn runs for the probes."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gateway.app import Gateway, create_app
from gateway.routes import Door
from kit import transport

# The names are the real ones, so that the same bytes can be sent to the real platform.
TABLE = (
    Door(
        "customer",
        ("/api", "/customer"),
        """
        GET    /customers
        POST   /customers
        GET    /customers/<id>
        PUT    /customers/<id>
        DELETE /customers/<id>
        GET    /answers/<id>  open
        """,
    ),
    Door("auth", ("/auth",), "GET /answers/<id> open\nPOST /login open", credentials=True),
)
NAMES = ("auth", "tenant", "customer")  # the gateway reads revocations from the first two

seen: list[str] = []
released = threading.Event()


def service(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Echo, or answer in a special way below /answers."""
    path = environ["RAW_URI"]
    if path.startswith("/internal/revocations"):
        return _say(start_response, "200 OK", b'{"revocations": []}')
    if path in ("/ready", "/answers/seen"):
        return _say(start_response, "200 OK", json.dumps(seen).encode())
    seen.append(f"{environ['HTTP_X_REQUEST_ID']} {environ['REQUEST_METHOD']} {path}")
    if path.startswith("/answers/"):
        return ANSWERS[path.split("/")[2]](start_response)
    body = environ["wsgi.input"].read()
    received = {name: value for name, value in environ.items() if isinstance(value, str)}
    return _say(start_response, "200 OK", json.dumps({**received, "body": body.decode("latin-1")}).encode())


def _say(start_response: Callable[..., Any], status: str, body: bytes, *headers: tuple[str, str]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]


def _bare(start_response: Callable[..., Any], status: str) -> Iterable[bytes]:
    start_response(status, [("ETag", '"1"')])
    return []


def _stream(start_response: Callable[..., Any]) -> Iterator[bytes]:
    released.clear()
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first."
    released.wait(20)
    yield b"second."


def _release(start_response: Callable[..., Any]) -> Iterable[bytes]:
    released.set()
    return _say(start_response, "200 OK", b"{}")


def _break(start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"half"
    raise OSError("the service broke off")


ANSWERS: dict[str, Callable[..., Iterable[bytes]]] = {
    "redirect": lambda start: _say(start, "302 Found", b"", ("Location", "/customers/1")),
    "away": lambda start: _say(start, "302 Found", b"", ("Location", "http://127.0.0.1:1/x")),
    "cookie": lambda start: _say(start, "200 OK", b"{}", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
    "gzip": lambda start: _say(start, "200 OK", b"\x1f\x8b\x08\x00", ("Content-Encoding", "gzip")),
    "internal": lambda start: _say(start, "200 OK", b"{}", ("X-Internal-Note", "n"), ("X-Powered-By", "p")),
    "no-content": lambda start: _bare(start, "204 No Content"),
    "not-modified": lambda start: _bare(start, "304 Not Modified"),
    "odd-status": lambda start: _say(start, "299 Odd", b"{}"),
    "large": lambda start: _say(start, "200 OK", b"x" * 3_000_000),
    "stream": _stream,
    "release": _release,
    "break": _break,
}


def over_http() -> Gateway:
    """The gateway; the service is reached at its address."""
    return create_app(TABLE)


def mounted() -> Gateway:
    """The gateway with the service in the same process."""
    for name in NAMES:
        transport.mount(name, service)
    return create_app(TABLE)

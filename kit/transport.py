"""A request to a WSGI app in this process, as the wire would have carried it.

The environ is built from an allow-list, and a header name with `_` is refused: in an environ `X_User_Id` and
`X-User-Id` are one key, so a careless copy would let a client merge its own identity into ours.
"""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import unquote_to_bytes

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MAX_BODY_BYTES = 10 * 1024 * 1024  # of a request, however it came
NAMES = 512  # of headers that are remembered: few pass from one of our programs to another
ALWAYS = {
    "SCRIPT_NAME": "",
    "REMOTE_ADDR": "127.0.0.1",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}

_mounted: dict[str, WsgiApp] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status code, header pairs, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def mount(name: str, app: WsgiApp) -> None:
    """From now on the component `name` is reached in this process."""
    _mounted[name] = app


def unmount_all() -> None:
    """Forget every component of this process."""
    _mounted.clear()


def mounted(name: str) -> WsgiApp | None:
    """The app of a component in this process, or None when it is reached over HTTP."""
    return _mounted.get(name)


def environ(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """The WSGI environ (PEP 3333) of a request. `target` is the raw origin-form target, ASCII."""
    path, _, query = target.partition("?")
    said = {environ_key(name): value for name, value in headers}
    return said | {
        **ALWAYS,
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "CONTENT_LENGTH": str(len(body)),  # whatever the headers say of it
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }


@lru_cache(maxsize=NAMES)
def environ_key(name: str) -> str:
    """What a header's name becomes in an environ (PEP 3333). Raises ValueError for what two names could become."""
    if "_" in name:
        raise ValueError(f"A header name with an underscore cannot cross into an environ: {name}")
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


class Parts:
    """The body of an app's answer in pieces, and what has to be closed after it (PEP 3333)."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces, self.rest = pieces, iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.rest)

    def close(self) -> None:
        """Let the app clean up, whether or not its answer was read."""
        close = getattr(self.pieces, "close", None)
        if close:
            close()


def begin(app: WsgiApp, env: dict[str, Any]) -> tuple[int, list[tuple[str, str]], Parts]:
    """Run a WSGI app until it has answered: status, header pairs, and a body that has to be exhausted or closed."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., Any]:
        started[:] = [int(status[:3]), list(headers)]
        return lambda data: None

    parts = Parts(app(env, start_response))
    try:
        if not started:  # an app may wait with it until its first piece is wanted
            parts.rest = chain([next(parts.rest, b"")], parts.rest)
        status, headers = started
    except BaseException:
        parts.close()
        raise
    return status, headers, parts


def call(app: WsgiApp, env: dict[str, Any]) -> Answer:
    """Run a WSGI app to its end."""
    status, headers, parts = begin(app, env)
    try:
        return Answer(status, headers, b"".join(parts))
    finally:
        parts.close()

"""An application that lets the test decide: a request connects to it, says its path, and does what it is told."""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kit.waiting import SUSPEND, yielding

BODY = b"x" * 1_000_000


class Application:
    """`says_when_it_waits` is what kit.worker asks for."""

    def __init__(self, says_when_it_waits: bool) -> None:
        self.says_when_it_waits = says_when_it_waits

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        kind = environ["PATH_INFO"].split("/")[1]
        return KINDS[kind](environ, start_response)


def _say(start_response: Callable[..., Any], body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _call(environ: dict[str, Any]) -> socket.socket:
    called = socket.create_connection(("127.0.0.1", int(os.environ["CALLED"])))
    called.sendall(environ["PATH_INFO"].encode())
    return called


def _echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    return _say(start_response, environ["wsgi.input"].read())


def _held(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    with _call(environ) as called:
        yielding()
        return _say(start_response, called.recv(100))


class _Closing:
    """A body that tells the test of its end."""

    def __init__(self, pieces: Iterator[bytes], called: socket.socket) -> None:
        self.pieces, self.called = pieces, called

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        self.called.close()


def _suspended(environ: dict[str, Any], start_response: Callable[..., Any]) -> _Closing:
    """Answers with what the test says, or with `late`; the last part of the path is how long it waits, in ms."""
    called = _call(environ)
    called.setblocking(False)
    moment = time.monotonic() + int(environ["PATH_INFO"].rpartition("/")[2]) / 1000

    def pieces() -> Iterator[bytes]:
        while True:
            environ[SUSPEND](called.fileno(), moment)
            yield b""
            try:
                said = called.recv(100)
            except BlockingIOError:
                if time.monotonic() < moment:
                    continue
                said = b"late by %d ms" % ((time.monotonic() - moment) * 1000)
            if said == b"raise":
                environ[SUSPEND](called.fileno(), moment)
                raise RuntimeError("after it was suspended")
            yield from _say(start_response, said)
            return

    return _Closing(pieces(), called)


class _Reluctant(_Closing):
    """A body whose end takes as long as the test wants."""

    def close(self) -> None:
        self.called.sendall(b"closing")
        self.called.recv(1)
        self.called.close()


def _ending(environ: dict[str, Any], start_response: Callable[..., Any]) -> _Reluctant:
    return _Reluctant(iter(_say(start_response, b"whole")), _call(environ))


def _short(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "1000")])
    return [b"not a thousand bytes"]


def _raising(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    _, _, after, kind = environ["PATH_INFO"].split("/")
    if after == "later":
        start_response("200 OK", [])
        yield b"first"
    raise ERRORS[kind]("said so")


def _large(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    count = int(environ["PATH_INFO"].rpartition("/")[2])
    start_response("200 OK", [("Content-Length", str(count * len(BODY)))])
    for _ in range(count):
        yield BODY


ERRORS = {"error": RuntimeError, "gone": ConnectionResetError, "late": TimeoutError, "exit": SystemExit}
KINDS: dict[str, Callable[..., Iterable[bytes]]] = {
    "echo": _echo,
    "ignored": lambda environ, start_response: _say(start_response, b"unread"),
    "held": _held,
    "ending": _ending,
    "short": _short,
    "suspended": _suspended,
    "raising": _raising,
    "large": _large,
    "process": lambda environ, start_response: _say(start_response, str(os.getpid()).encode()),
}

speaking, silent = Application(True), Application(False)

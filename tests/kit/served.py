"""A gunicorn of ours before `tests.kit.called`."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.gateway.raw import parse
from tests.topologies import PATIENCE_S, ROOT, environment

THREADS = 4
CLOSE = "Connection: close\r\n"
CONFIGURATION = """
import select
if {kind!r} == "poll":
    del select.epoll
from kit.gunicorn import *
"""


@dataclass
class Served:
    """A gunicorn of ours before `tests.kit.called`, and the listener that its requests call."""

    port: int
    process: subprocess.Popen[bytes]
    calls: socket.socket
    log: Path
    opened: list[socket.socket] = field(default_factory=list)

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        self.opened.append(client)
        return client

    def begin(self, path: str) -> tuple[socket.socket, socket.socket]:
        """A client whose request is being answered, and the request's own call."""
        client = self.connect()
        client.sendall(get(path, CLOSE))
        called, _ = self.calls.accept()
        self.opened.append(called)
        called.settimeout(PATIENCE_S)
        assert called.recv(len(path)) == path.encode()
        return client, called

    def ask(self, path: str) -> bytes:
        with self.connect() as client:
            client.sendall(get(path, CLOSE))
            return body(client)


def get(path: str, *more: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{''.join(more)}\r\n".encode()


def post(path: str, sent: bytes, *more: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\n{''.join(more)}\r\n"
    return head.encode() + sent


def everything(client: socket.socket) -> bytes:
    received = b""
    try:
        while more := client.recv(1 << 20):
            received += more
    except ConnectionResetError:
        pass
    return received


def body(client: socket.socket) -> bytes:
    """The body of the one answer that comes until the other side closes."""
    (reply,) = parse(everything(client))
    assert (reply.status, reply.whole) == (200, True), reply
    return reply.body


@contextmanager
def serving(folder: Path, kind: str, app: str = "speaking", more: str = "", **settings: str) -> Iterator[Served]:
    """From its start to its end, which has to be a good one."""
    (folder / "configuration.py").write_text(CONFIGURATION.format(kind=kind) + more)
    words = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        str(folder / "configuration.py"),
        app if ":" in app else f"tests.kit.called:{app}",
    ]
    log = folder / "log"
    with (
        socket.create_server(("127.0.0.1", 0), backlog=128) as listener,
        socket.create_server(("127.0.0.1", 0), backlog=128) as calls,
        log.open("wb") as written,
    ):
        calls.settimeout(PATIENCE_S)
        told = {"WEB_THREADS": str(THREADS), "WEB_CONCURRENCY": "1", "CALLED": str(calls.getsockname()[1])}
        process = subprocess.Popen(
            [*words, "--bind", f"fd://{listener.fileno()}"],
            cwd=ROOT,
            env=environment(folder, {}) | told | settings,
            pass_fds=[listener.fileno()],
            stderr=written,
            stdout=written,
        )
        served = Served(listener.getsockname()[1], process, calls, log)
        try:
            yield served
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
            for sock in served.opened:
                sock.close()

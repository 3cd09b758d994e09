"""Real service processes at several addresses of one name, and clients that never pause."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.upstream import Request
from gateway.wire import Http
from kit.errors import Problem
from tests.topologies import PATIENCE_S, ROOT, environment, eventually

NAME = "replicas.test"
CLIENTS = 8


class Replicas:
    """A name, the addresses that it has now, and the processes that serve there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.addresses: list[str] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def resolve(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """Return what a resolver answers, in the same order each time."""
        addresses = self.addresses if host == NAME else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def start(self, address: str) -> None:
        """Start a replica that holds its own listener, as in a container, and name it once it answers."""
        words = [sys.executable, "-m", "gunicorn", "-c", "python:kit.gunicorn", "tests.gateway.echo:service"]
        words += ["--bind", f"{address}:{self.port}"]
        self.processes[address] = subprocess.Popen(words, cwd=ROOT, env=environment(self.folder, {}))
        eventually(lambda: not self.refuses(address), f"{address} listens")
        self.addresses.append(address)

    def refuses(self, address: str) -> bool:
        try:
            socket.create_connection((address, self.port), PATIENCE_S).close()
        except ConnectionRefusedError:
            return True
        return False

    def kill(self, address: str) -> None:
        """`kill -9` of a whole replica."""
        master = self.processes[address].pid
        workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        for pid in (master, *map(int, workers)):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(PATIENCE_S)


class Load:
    """Clients that send one request after the other, and where each was answered."""

    def __init__(self, replicas: Replicas, method: str) -> None:
        self.http = Http("customer", f"http://{NAME}:{replicas.port}")
        self.method = method
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self._is_over = threading.Event()
        self._lock = threading.Lock()

    def _send(self) -> None:
        while not self._is_over.is_set():
            headers = [("Host", "customer"), ("X-Request-Id", "0")]
            body = b"x" if self.method == "POST" else b""
            try:
                answer = self.http.send(Request(self.method, "/things", headers, body, time.monotonic() + PATIENCE_S))
                where = answerer(b"".join(answer.body))
            except Problem as problem:
                with self._lock:
                    self.failed.append(f"{problem.code}: {problem.__cause__!r}")
            else:
                with self._lock:
                    self.answered[where] += 1

    def more(self, count: int) -> Counter[str]:
        """Wait for more answers; where they came from."""
        with self._lock:
            before = self.answered.copy()
        eventually(lambda: self.answered.total() - before.total() >= count, f"{count} more answers")
        with self._lock:
            return self.answered - before

    @contextmanager
    def running(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(PATIENCE_S)
            self.http.close()


def answerer(body: bytes) -> str:
    _, _, rest = body.partition(b'"SERVER_NAME": "')
    return rest.partition(b'"')[0].decode()

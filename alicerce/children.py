"""The web processes under supervision, the sockets that they share with the supervisor, and the record of them."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from alicerce import home
from alicerce.processes import Process, die_with_parent, identify
from kit.config import SERVING, ConfigurationError

BACKLOG = 1024
SHORTEST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
STABLE_S = 10.0  # a child that lived this long starts again without a delay
GRACE_S = 30.0
LAST_LINES = 20
RELEASE_S = 5.0
CHUNK_BYTES = 64 * 1024
RECORD_BYTES = 1024**2  # a record that is cut is no record; other text may be cut anywhere


class Delay:
    """How long to wait before the next start: from 0.1 s, doubling to 5 s, until one has lived for a while."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.due_at = 0.0
        self._started_at = 0.0

    def started(self) -> None:
        """Note a start."""
        self._started_at = time.monotonic()
        self.due_at = 0.0

    def due(self) -> bool:
        """Whether the next start may happen. The first question after a death sets the moment."""
        now = time.monotonic()
        if not self.due_at:
            stable = now - self._started_at > STABLE_S
            doubled = min(max(self.seconds * 2, SHORTEST_DELAY_S), LONGEST_DELAY_S)
            self.seconds = SHORTEST_DELAY_S if stable else doubled
            self.due_at = now + self.seconds
        return now >= self.due_at


class Child:
    """One program: how to start it, what it said last, and when it may start again."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        listener: socket.socket | None = None,
    ) -> None:
        self.name, self.words, self.environment, self.listener = (
            name,
            list(words),
            dict(environment),
            listener,
        )
        self.host, self.port = "", 0
        if listener:
            self.host, self.port = listener.getsockname()[:2]
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.delay = Delay()
        self.leaving = False
        self.process: subprocess.Popen[bytes] | None = None
        self._pending = b""
        self._serving: int | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self.process.pid if self.process else 0

    def spawn(self) -> None:
        """Start the program. Only the main thread may: see `die_with_parent`."""
        self.close()
        self.delay.started()
        self.leaving = False
        self._serving, ready = os.pipe()
        os.set_blocking(self._serving, False)
        descriptors = [ready, self.listener.fileno()] if self.listener else [ready]
        try:
            self.process = subprocess.Popen(
                self.words,
                env={**self.environment, SERVING: str(ready)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                # Its own session: Ctrl-C reaches the supervisor alone, which then ends everything in order.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(ready)

    def successor(self) -> "Child":
        """The same program once more, for the same socket."""
        return Child(self.name, self.words, self.environment, self.listener)

    def has_said_it_serves(self) -> bool:
        """Whether a worker of it has been ready since this was last asked. Asking over the socket could not tell:
        there the answer may be its predecessor's."""
        if self._serving is None:
            return False
        with suppress(BlockingIOError):
            return bool(os.read(self._serving, CHUNK_BYTES))
        return False

    def lines(self) -> list[str] | None:
        """The complete lines that have come; None at the end of its output. Call it when there is something to read."""
        assert self.process is not None and self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), CHUNK_BYTES)
        *complete, self._pending = (self._pending + data).split(b"\n")
        longest = RECORD_BYTES if self._pending.startswith(b"{") else CHUNK_BYTES
        if not data or len(self._pending) > longest:
            complete, self._pending = [line for line in (*complete, self._pending) if line], b""
        texts = [line.decode("utf-8", "replace").rstrip("\r") for line in complete]
        self.last.extend(texts)
        return texts if data or texts else None

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Signal the program, or it and all that it started."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number) if group else self.process.send_signal(number)

    def fault(self) -> str:
        """Why it ended, from what it said last: the sentence of a ConfigurationError, or else the lines."""
        for line in reversed(self.last):
            if found := re.search(r'ConfigurationError: (.+?)(?:\\n|"[,}]|$)', line):
                return found[1]
        return "\n  ".join([f"{self.name} did not start:", *self.last])

    def close(self) -> None:
        """Close its output, after its end."""
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        if self._serving is not None:
            os.close(self._serving)
            self._serving = None


def gunicorn(name: str, application: str, listener: socket.socket, environment: Mapping[str, str]) -> Child:
    """A web child: gunicorn serving `module:create_app()` on a socket that is already bound."""
    words = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:kit.gunicorn",
        "--bind",
        f"fd://{listener.fileno()}",
    ]
    return Child(name, [*words, application], environment, listener)


def bind(name: str, host: str, port: int, patience: float = 0.0) -> socket.socket:
    """Listen on a port, waiting `patience` seconds for one that is just being released.

    Raises ConfigurationError that names the port and the variable that moves it.
    """
    deadline = time.monotonic() + patience
    while True:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise ConfigurationError(_refusal(name, host, port, error)) from error


def _refusal(name: str, host: str, port: int, error: OSError) -> str:
    variable = "GATEWAY_PORT" if name == "gateway" else f"{name.upper()}_SERVICE_PORT"
    move = f"{variable}={port + 10} make run"
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Stop it, or choose another one: {move}"
    if error.errno == errno.EACCES:
        return f"Port {port} may only be opened by root. Choose one above 1023: {variable}=8080 make run"
    return f"Alicerce cannot listen on {host}:{port} ({error.strerror}): set LISTEN_ADDRESS to an address it has."


def record(folder: Path, children: Iterable[tuple[str, int, str, int]]) -> None:
    """Remember (name, process id, host, port) of what runs, for `status` and for the start after a crash."""
    entries = []
    for name, pid, host, port in children:
        process = identify(pid)
        if process is not None:
            entries.append({"name": name, "pid": pid, "started": process.started, "host": host, "port": port})
    with suppress(OSError):  # a full disk must not end what runs
        home.write(folder / "children.json", json.dumps(entries, indent=1) + "\n")


def recorded(folder: Path) -> list[tuple[str, Process, str, int]]:
    """What was recorded last: (name, process, host, port)."""
    try:
        entries = json.loads((folder / "children.json").read_text("utf-8"))
        return [(e["name"], Process(e["pid"], e["started"]), e["host"], e["port"]) for e in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def end_leftovers(folder: Path) -> float:
    """End what a killed supervisor left behind; how many seconds its sockets may take to be released.

    The embedded Postgres ends its own leftovers, which takes more care.
    """
    left = recorded(folder)
    for name, process, _, _ in left:
        if name != "postgres":
            process.end((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0), group=True)
    return RELEASE_S if left else 0.0

"""How gunicorn serves every component: `gunicorn -c python:kit.gunicorn`.

Beside the settings that close known holes (header mapping, forwarder headers, control socket), the worker gives slow
clients a deadline, so that nobody holds a thread by sending one byte a second, and its own refusals are problem
documents like all others.
"""

import errno
import gc
import logging
import os
import select
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar

import gunicorn.util
from gunicorn.glogging import Logger
from gunicorn.workers import gthread
from gunicorn.workers.gthread import ThreadWorker

from kit import errors, logs, trace
from kit.config import SERVING, WEB_THREADS, setting

SLOW_CLIENT_SECONDS = setting("SLOW_CLIENT_SECONDS", 20.0, "How long a client may take to send one request.")
LINGER_S = 1.0
CHUNK = 64 * 1024


class Shares:
    """How much of something each address holds. Nobody may have more than half of it."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str, whole: int) -> bool:
        """Take one more; False when that would be more than half of the whole."""
        with self._lock:
            if self._held[address] >= max(1, whole // 2):
                return False
            self._held[address] += 1
            return True

    def give(self, address: str) -> None:
        """Give one back."""
        with self._lock:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]


class PatientSocket:
    """A client's socket that waits for a whole request no longer than it may, however the bytes drip in.

    One address may have at most half of the threads waiting for its bytes. Giving up looks like a reset to gunicorn,
    which then closes the connection without a log line.
    """

    _waiting: ClassVar[Shares] = Shares()

    def __init__(self, inner: socket.socket, address: str) -> None:
        self.inner, self.address = inner, address
        self.deadline = 0.0
        self.refused = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def begin(self) -> None:
        """A new request begins to arrive."""
        self.deadline = time.monotonic() + SLOW_CLIENT_SECONDS()

    def setblocking(self, flag: bool) -> None:
        """Blocking means: with a limit, so that a client that does not read its answer is given up too."""
        self.inner.settimeout(SLOW_CLIENT_SECONDS() if flag else 0.0)

    def shutdown(self, how: int) -> None:
        """Nothing is waited for after this: gunicorn does it in the one thread that accepts, to close a connection."""
        self.deadline = 0.0
        self.inner.shutdown(how)

    def recv(self, size: int, *flags: int) -> bytes:
        """The next bytes, as soon as there are any."""
        if not self._readable(0):
            self._wait()
        return self.inner.recv(size, *flags)

    def linger(self) -> None:
        """Read what a refused client still sends, for a moment: closing upon it would take the refusal away again."""
        self.deadline = min(self.deadline, time.monotonic() + LINGER_S)
        with suppress(OSError):
            while self.recv(CHUNK):
                pass

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()  # select.select cannot watch a descriptor above 1023
        poll.register(self.inner, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0 or not self._waiting.take(self.address, WEB_THREADS()):
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
        try:
            if not self._readable(left):
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
        finally:
            self._waiting.give(self.address)


class Worker(ThreadWorker):
    """gunicorn's threaded worker over patient sockets."""

    def handle(self, conn: Any) -> Any:
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, conn.client[0] if conn.client else "")
        if not conn.initialized and not conn.data_ready and not conn.wait_for_data(0):
            return gthread._DEFER  # gunicorn would wait five seconds in this thread for a client that says nothing
        conn.sock.begin()
        result = super().handle(conn)
        if not result and (conn.sock.refused or is_unread(conn.parser)):
            with suppress(OSError):
                conn.sock.inner.shutdown(socket.SHUT_WR)
                conn.sock.linger()
        return result


def is_unread(parser: Any) -> bool:
    """Whether a body was refused before its end, so that the client may still be sending it."""
    body = getattr(getattr(parser, "mesg", None), "body", None)
    reader = getattr(body, "reader", None)
    return bool(getattr(body, "failed", False) or getattr(reader, "length", 0) or getattr(reader, "parser", None))


@cache
def figures() -> str:
    """The folder in which the web processes of this component write their figures, so that each can show the sum."""
    return tempfile.mkdtemp(prefix="alicerce-metrics-")


class Log(Logger):
    """gunicorn's own lines in our form; requests are logged by the components themselves."""

    def setup(self, cfg: Any) -> None:
        # Said here, because gunicorn calls nothing else of ours before it loads the application, which looks for it.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures()
        logs.configure()
        self.error_log.propagate = True
        self.error_log.handlers = []
        self.error_log.setLevel(logging.WARNING)
        self.access_log.handlers = []


def when_ready(server: Any) -> None:
    """The application is loaded, and no web process forked yet: what they never write to, they share."""
    gc.collect()
    gc.freeze()


def on_exit(server: Any) -> None:
    """The component ends, and its figures with it."""
    shutil.rmtree(figures(), ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """A process has ended: its gauges go, its counts stay."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def post_worker_init(worker: Any) -> None:
    """A new process begins: so does its thread for work that outlives requests."""
    from kit import background  # not sooner: its figures go where `Log.setup` says

    background.start()
    # What was loaded stays for ever. Looking through it at each full collection would halt a request for 70 ms.
    gc.collect()
    gc.freeze()
    if SERVING in os.environ:
        with suppress(OSError):  # nobody listens any more: only the first word is waited for
            os.write(int(os.environ[SERVING]), b".")


def worker_exit(server: Any, worker: Any) -> None:
    """A process ends: so does that thread, after the step in hand, and what was recorded is sent."""
    from kit import background, telemetry

    background.stop()
    telemetry.stop()


def write_problem(sock: Any, status: int, reason: str, message: str) -> None:
    """Refuse what could not be parsed as HTTP, as a problem document, and close the connection."""
    reason = HTTPStatus(status).phrase
    problem = errors.BadRequest(f"{reason}: the request is not valid HTTP/1.1.", code="malformed_request")
    if status == 414 or status == 431:
        problem = errors.BadRequest(f"{reason}.", code="request_head_too_large")
    if status >= 500 and status != 501:
        problem = errors.BadRequest("Something went wrong on our side.", code="internal_error")
    problem.status = status
    body = errors.render(problem, trace.request_id(None))
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {errors.CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    sock.refused = True
    gunicorn.util.write_nonblock(sock, head.encode("latin-1") + body)


# gunicorn has no hook for the refusals of its parser; this is the one function that all of them go through.
gunicorn.util.write_error = write_problem

preload_app = True  # a second web process, or one in place of another, costs a fork
worker_class = Worker
logger_class = Log
threads = WEB_THREADS()
worker_connections = 1000
keepalive = 75  # longer than any client of ours keeps an idle connection
graceful_timeout = 30
timeout = 60
max_requests = 200_000
max_requests_jitter = 20_000
header_map = "drop"  # X_User_Id and X-User-Id are one key in an environ
forwarder_headers = ""  # nobody may change the path by a header
forwarded_allow_ips = ""
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
control_socket_disable = True

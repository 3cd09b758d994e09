"""How gunicorn serves every component: `gunicorn -c python:kit.gunicorn`.

Beside the settings that close known holes (header mapping, forwarder headers, control socket), the worker gives slow
clients a deadline, so that nobody holds a thread by sending one byte a second, and its own refusals are problem
documents like all others.
"""

import errno
import logging
import select
import socket
import threading
import time
from collections import Counter
from http import HTTPStatus
from typing import Any, ClassVar

import gunicorn.util
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from kit import errors, logs, trace
from kit.config import WEB_THREADS, setting

SLOW_CLIENT_SECONDS = setting("SLOW_CLIENT_SECONDS", 20.0, "How long a client may take to send one request.")


class PatientSocket:
    """A client's socket that waits for a whole request no longer than it may, however the bytes drip in.

    One address may have at most half of the threads waiting for its bytes. Giving up looks like a reset to gunicorn,
    which then closes the connection without a log line.
    """

    _waiting: ClassVar[Counter[str]] = Counter()
    _lock = threading.Lock()

    def __init__(self, inner: socket.socket, address: str) -> None:
        self.inner, self.address = inner, address
        self.deadline = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def begin(self) -> None:
        """A new request begins to arrive."""
        self.deadline = time.monotonic() + SLOW_CLIENT_SECONDS()

    def setblocking(self, flag: bool) -> None:
        """Blocking means: with a limit, so that a client that does not read its answer is given up too."""
        self.inner.settimeout(SLOW_CLIENT_SECONDS() if flag else 0.0)

    def recv(self, size: int, *flags: int) -> bytes:
        """The next bytes, as soon as there are any."""
        if not self._readable(0):
            self._wait()
        return self.inner.recv(size, *flags)

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()  # select.select cannot watch a descriptor above 1023
        poll.register(self.inner, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _wait(self) -> None:
        with self._lock:
            self._waiting[self.address] += 1
            crowded = self._waiting[self.address] > max(1, WEB_THREADS() // 2)
        try:
            if crowded or not self._readable(max(0.0, self.deadline - time.monotonic())):
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
        finally:
            with self._lock:
                self._waiting[self.address] -= 1
                if not self._waiting[self.address]:
                    del self._waiting[self.address]


class Worker(ThreadWorker):
    """gunicorn's threaded worker over patient sockets."""

    def enqueue_req(self, conn: Any) -> None:
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, conn.client[0] if conn.client else "")
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        conn.sock.begin()
        return super().handle(conn)


class Log(Logger):
    """gunicorn's own lines in our form; requests are logged by the components themselves."""

    def setup(self, cfg: Any) -> None:
        logs.configure()
        self.error_log.propagate = True
        self.error_log.handlers = []
        self.error_log.setLevel(logging.WARNING)
        self.access_log.handlers = []


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
    gunicorn.util.write_nonblock(sock, head.encode("latin-1") + body)


# gunicorn has no hook for the refusals of its parser; this is the one function that all of them go through.
gunicorn.util.write_error = write_problem

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

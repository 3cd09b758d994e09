"""How gunicorn serves every component: `gunicorn -c python:kit.gunicorn`.

Beside the settings that close known holes (header mapping, forwarder headers, control socket), the worker gives slow
clients a deadline, so that nobody holds a thread by sending one byte a second, and its own refusals are problem
documents like all others.
"""

import gc
import logging
import os
import resource
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any

import gunicorn.util
from gunicorn.glogging import Logger

from kit import errors, logs, trace
from kit.config import SERVING, WEB_THREADS
from kit.worker import Worker

# A request waits for the interpreter after each answer of the database. Behind threads that compute, five milliseconds
# each time (Python's default) would make a short request of one tenant as slow as a long one of another.
SWITCH_S = 0.001


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


def on_starting(server: Any) -> None:
    """Allow as many descriptors as this machine does: a request that waits takes one, and its client another."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def post_worker_init(worker: Any) -> None:
    """A new process begins: so does its thread for work that outlives requests."""
    from kit import background  # not sooner: its figures go where `Log.setup` says

    background.start()
    sys.setswitchinterval(SWITCH_S)
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
    problem: errors.Problem = errors.BadRequest(
        f"{reason}: the request is not valid HTTP/1.1.", code="malformed_request"
    )
    if status == 414:
        problem = errors.TargetTooLong()
    if status == 431:
        problem = errors.Problem(f"{reason}.", code="request_head_too_large")
    if status >= 500 and status not in (501, 505):
        problem = errors.Problem("Something went wrong on our side.", code="internal_error")
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
http_parser = "python"  # gunicorn_h1c, taken when it is installed, folds lines that RFC 9112, 5.2 has refused
header_map = "drop"  # X_User_Id and X-User-Id are one key in an environ
forwarder_headers = ""  # nobody may change the path by a header
forwarded_allow_ips = ""
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
control_socket_disable = True

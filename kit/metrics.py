"""Figures for Prometheus: how long requests took, what queues hold, at `/metrics` of every component.

Labels are few and bounded: a service, a route's template, a method, a status; never a tenant, a person or an id. With
several web processes the figures of all are added up (`PROMETHEUS_MULTIPROC_DIR`, set by `kit.gunicorn`).
"""

import hmac
import os
from functools import cache
from ipaddress import ip_address

from flask import request
from prometheus_client import Counter, Gauge, Histogram, values

from kit.config import setting
from kit.errors import Forbidden

METRICS_TOKEN = setting(
    "METRICS_TOKEN", "", "Bearer token that opens /metrics and /ops from elsewhere; empty: this machine only."
)


class _Process:
    """The id of this process. prometheus_client asks for it at each count, which is a system call each time."""

    def __init__(self) -> None:
        self._look()
        os.register_at_fork(after_in_child=self._look)

    def _look(self) -> None:
        self.pid = os.getpid()

    def __call__(self) -> int:
        return self.pid


if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(_Process())

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "How long requests took, by the component that answered.",
    ["service", "method", "route", "status"],
    buckets=BUCKETS,
)
ACTIVE = Gauge(
    "http_server_active_requests",
    "Requests that are being answered.",
    ["service"],
    multiprocess_mode="livesum",
)
POOL_WAIT = Histogram(
    "db_client_connection_wait_time_seconds",
    "How long a request waited for a connection, the making of a new one included.",
    ["service"],
    buckets=BUCKETS,
)
STEPS = Counter("queue_steps_total", "Steps of queues, by how they ended: done or failed.", ["service", "queue", "end"])
REPEATS = Counter("db_transactions_repeated_total", "Transactions that lost to another and were repeated.", ["service"])
OWN = (REQUESTS, ACTIVE, POOL_WAIT, STEPS, REPEATS)


class NotAnOperator(Forbidden):
    """This is for whoever runs the platform: ask from this machine, or with the METRICS_TOKEN as bearer token."""


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _answered(service, method, route, status).observe(seconds)


def waited(service: str, seconds: float) -> None:
    """Count one connection that was waited for."""
    _pool_wait(service).observe(seconds)


# As many as there are series anyway; to look one up in prometheus_client takes a lock and makes texts of all labels.
_answered = cache(REQUESTS.labels)
_pool_wait = cache(POOL_WAIT.labels)
active = cache(ACTIVE.labels)


def check_operator() -> None:
    """Raises NotAnOperator unless the request comes from this machine itself, or shows the token."""
    token = METRICS_TOKEN()
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic" and request.authorization:  # what a browser asks for
        shown = request.authorization.password or ""
    if token and scheme.lower() in ("bearer", "basic") and hmac.compare_digest(shown.encode(), token.encode()):
        return
    # Behind a proxy on this machine everybody comes from here; a proxy says so.
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if token or forwarded or not _is_loopback(request.remote_addr or ""):
        raise NotAnOperator


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False

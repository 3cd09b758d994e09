"""Figures for Prometheus: how long requests took, what queues hold, at `/metrics` of every component.

Labels are few and bounded: a service, a route's template, a method, a status; never a tenant, a person or an id. With
several web processes the figures of all are added up (`PROMETHEUS_MULTIPROC_DIR`, set by `kit.gunicorn`).
"""

import hmac
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Any

from flask import Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import QueuePool, func, select
from sqlalchemy.exc import SQLAlchemyError

from kit import clock
from kit.config import setting
from kit.errors import Forbidden

METRICS_TOKEN = setting(
    "METRICS_TOKEN", "", "Bearer token that opens /metrics and /ops from elsewhere; empty: this machine only."
)
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


class NotAnOperator(Forbidden):
    """This is for whoever runs the platform: ask from this machine, or with the METRICS_TOKEN as bearer token."""


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _answered(service, method, route, status).observe(seconds)


# As many as there are series anyway; to look one up in prometheus_client takes a lock and makes texts of all labels.
_answered = cache(REQUESTS.labels)
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


class TimedPool(QueuePool):
    """A pool of connections that counts how long each was waited for; its `logging_name` is the service."""

    def _do_get(self) -> Any:
        began = time.perf_counter()
        try:
            return super()._do_get()
        finally:
            POOL_WAIT.labels(self.logging_name or "").observe(time.perf_counter() - began)


class Build:
    """Which version this is. Not an `Info`, which cannot be added up over processes."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, as prometheus_client asks for it."""
        from kit.app import VERSION

        build = GaugeMetricFamily("build_info", "Always 1; the labels tell.", labels=["service", "version"])
        build.add_metric([current_app.name, VERSION], 1)
        yield build


class Queues:
    """At each reading: how long the oldest due row of every queue has waited, and how many are due.

    A service whose database is away shows none, so that the other figures are there when they are needed most.
    """

    def __init__(self, apps: Iterable[Any]) -> None:
        self.apps = apps

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as prometheus_client asks for them."""
        age = GaugeMetricFamily("queue_oldest_seconds", "Wait of the oldest due row.", labels=["service", "queue"])
        depth = GaugeMetricFamily("queue_due", "Rows that are due.", labels=["service", "queue"])
        for app in self.apps:
            with suppress(SQLAlchemyError):
                for labels, number, waited_s in _due(app):
                    depth.add_metric(labels, number)
                    age.add_metric(labels, waited_s)
        yield from (age, depth)


def _due(app: Any) -> Iterator[tuple[list[str], int, float]]:
    """Of each queue of a service: its labels, how many rows are due, and for how many seconds the oldest has been."""
    from kit.background import engine

    with engine(app.name).connect() as connection:
        for queue in app.queues:
            due = queue.model.__table__.c.due_at
            query = select(func.count(due), func.min(due)).where(due <= clock.now())
            number, oldest = connection.execute(query).one()
            waited_s = (clock.now() - oldest).total_seconds() if oldest else 0.0
            yield [app.name, queue.model.__tablename__], number, waited_s


def answer() -> Response:
    """All figures of this component's processes, in Prometheus' text form. Raises NotAnOperator."""
    from kit.background import apps

    check_operator()
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
    else:
        for collector in (REQUESTS, ACTIVE, POOL_WAIT, STEPS):
            registry.register(collector)
    registry.register(Build())
    registry.register(Queues(apps()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

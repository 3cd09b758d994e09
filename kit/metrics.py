"""Figures for Prometheus: how long requests took, what queues hold, at `/metrics` of every component.

Labels are few and bounded: a service, a route's template, a method, a status; never a tenant, a person or an id. With
several web processes the figures of all are added up (`PROMETHEUS_MULTIPROC_DIR`, set by `kit.gunicorn`).
"""

import hmac
import os
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from flask import Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import func, select

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
STEPS = Counter("queue_steps_total", "Steps of queues, by how they ended: done or failed.", ["service", "queue", "end"])


class NotAnOperator(Forbidden):
    """This is for whoever runs the platform: ask from this machine, or with the METRICS_TOKEN as bearer token."""


def observe(service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    REQUESTS.labels(service, method, route, status).observe(seconds)


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


class Queues:
    """At each reading: how long the oldest due row of every queue has waited, and how many are due."""

    def __init__(self, apps: Iterable[Any]) -> None:
        self.apps = apps

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, as prometheus_client asks for them."""
        from kit.background import engine

        age = GaugeMetricFamily("queue_oldest_seconds", "Wait of the oldest due row.", labels=["service", "queue"])
        depth = GaugeMetricFamily("queue_due", "Rows that are due.", labels=["service", "queue"])
        for app in self.apps:
            for queue in app.queues:
                due = queue.model.__table__.c.due_at
                query = select(func.count(due), func.min(due)).where(due <= clock.now())
                with engine(app.name).connect() as connection:
                    number, oldest = connection.execute(query).one()
                labels = [app.name, queue.model.__tablename__]
                depth.add_metric(labels, number)
                age.add_metric(labels, (clock.now() - oldest).total_seconds() if oldest else 0)
        yield from (age, depth)


def answer(apps: Iterable[Any]) -> Response:
    """All figures of this component's processes, in Prometheus' text form. Raises NotAnOperator."""
    check_operator()
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
    else:
        for collector in (REQUESTS, STEPS):
            registry.register(collector)
    registry.register(Queues(apps))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

"""The page `/metrics` of a component, in the text form of Prometheus: what was counted, and what queues hold."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from kit import clock, metrics
from kit.background import apps, job_transaction
from kit.config import VERSION


class Build:
    """Which version this is. Not an `Info`, which cannot be added up over processes."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge, as prometheus_client asks for it."""
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
    with job_transaction(app.name) as connection:
        for queue in app.queues:
            due = queue.model.__table__.c.due_at
            query = select(func.count(due), func.min(due)).where(due <= clock.now())
            number, oldest = connection.execute(query).one()
            waited_s = (clock.now() - oldest).total_seconds() if oldest else 0.0
            yield [app.name, queue.model.__tablename__], number, waited_s


def answer() -> Response:
    """All figures of this component's processes, in Prometheus' text form. Raises NotAnOperator."""
    metrics.check_operator()
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
    else:
        for collector in metrics.OWN:
            registry.register(collector)
    registry.register(Build())
    registry.register(Queues(apps()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

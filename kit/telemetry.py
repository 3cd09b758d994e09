"""Spans for OpenTelemetry, when `OTEL_ENABLED` says so: of each request, sibling call, statement and step of work.

Without it nothing of OpenTelemetry is loaded, and a `kit.trace.Hop` goes through here as it is.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kit import trace
from kit.config import ConfigurationError, setting
from kit.trace import Hop

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

OTEL_ENABLED = setting("OTEL_ENABLED", False, "Whether spans are sent to an OpenTelemetry collector.")
FOR_THE_SDK = (
    setting("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "Base URL of the collector (OTLP over HTTP)."),
    setting("OTEL_EXPORTER_OTLP_HEADERS", "", "Headers for the collector, as in name=value,name=value."),
    setting("OTEL_TRACES_SAMPLER", "parentbased_always_on", "Which traces are recorded."),
    setting("OTEL_TRACES_SAMPLER_ARG", "", "What the sampler wants to know, as the ratio 0.1."),
)
FLUSH_S = 3.0

_tracers: dict[str, "Tracer"] = {}  # of the components of this process
_processor: "SpanProcessor | None" = None  # one queue and one thread for all of them


def start(component: str, processor: "SpanProcessor | None" = None) -> None:
    """Record this component from now on, if it is switched on. `processor` takes the spans instead of the collector.

    The SDK starts its thread again in every process that is forked. Raises ConfigurationError without the packages.
    """
    global _processor
    if not OTEL_ENABLED.of(component) or component in _tracers:
        return
    try:
        from kit import spans
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "OTEL_ENABLED needs packages that are not installed: run `make telemetry`, or set OTEL_ENABLED=false."
        ) from error
    with _environment_of(component):
        _processor = processor or _processor or spans.to_collector()
        _tracers[component] = spans.tracer(component, _processor)
    spans.watch_statements()


@contextmanager
def _environment_of(component: str) -> Iterator[None]:
    """The SDK reads the process environment alone, once, and takes an empty text for a value: here it finds ours."""
    before = {variable.name: os.environ.get(variable.name) for variable in FOR_THE_SDK}
    _set({variable.name: variable.of(component) for variable in FOR_THE_SDK})
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value


def stop() -> None:
    """Send what waits, and record nothing any more. A collector that does not answer is not waited for."""
    global _processor
    _tracers.clear()
    if _processor is not None:
        sending = threading.Thread(target=_processor.shutdown, daemon=True)  # which itself would wait for half a minute
        sending.start()
        sending.join(FLUSH_S)
        _processor = None


def serve(component: str, caller: Hop | None, method: str, path: str) -> Hop:
    """A component begins to answer a request. `path` comes without its query."""
    tracer = _tracers.get(component)
    if tracer is None:
        return trace.below(caller)
    from kit import spans

    return spans.serve(tracer, caller, method, path)


def answered(hop: Hop, status: int, route: str, error: str = "") -> None:
    """It has answered. `route` is a template, empty when there is none; `error` is the kind of a failure."""
    if hop.recording:
        failed = (error or str(status)) if status >= 500 else ""
        hop.recording.end(failed, route, {"http.route": route or None, "http.response.status_code": status})


def ask(hop: Hop, method: str, url: str, repeated: int = 0) -> Hop:
    """A component begins to ask another one, which is told the hop that this gives. `url` comes without its query."""
    return hop.recording.ask(method, url, repeated) if hop.recording else hop


def heard(asked: Hop, status: int | None, error: str = "") -> None:
    """There is an answer, or there will be none. Of a client 4xx is an error too (semantic conventions for HTTP)."""
    if asked.recording:
        failed = str(status) if status is not None and status >= 400 else error
        asked.recording.end(failed, attributes={"http.response.status_code": status})


def work(component: str, follows: Hop | None, queue: str) -> Hop:
    """A step of work begins, which follows a request or nothing."""
    tracer = _tracers.get(component)
    if tracer is None:
        return trace.below(follows)
    from kit import spans

    return spans.work(tracer, follows, queue)


def worked(hop: Hop, error: str = "") -> None:
    """The step has ended."""
    if hop.recording:
        hop.recording.end(error)

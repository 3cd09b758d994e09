"""How spans are made, with OpenTelemetry's own SDK. Only `kit.telemetry` loads this, when it is switched on.

Names and attributes follow the stable semantic conventions for HTTP and databases (opentelemetry.io, 1.37). Parents are
given explicitly, never taken from a context variable, so that a tree is the same in one process and over the wire.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from sqlalchemy import Engine, event

from kit import trace
from kit.config import ENV, VERSION
from kit.trace import Hop

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
LONGEST_STATEMENT = 2048  # characters; one that writes a thousand rows is placeholders for the most part
LONGEST_PATH = 500
OPERATION = re.compile(r"\s*(\w+)")
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+([\w.\"]+)", re.IGNORECASE)


class Recorded:
    """A span that has begun, and who makes those below it."""

    def __init__(self, tracer: Tracer, span: Span, name: str) -> None:
        self.tracer, self.span, self.name = tracer, span, name

    def ask(self, method: str, url: str, repeated: int) -> Hop:
        """A span of a request to somebody else."""
        parts = urlsplit(url)
        attributes = {
            "http.request.method": _known(method),
            "http.request.resend_count": repeated or None,
            "server.address": parts.hostname,
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "url.full": url,
        }
        name = f"{_known(method, 'HTTP')} {parts.hostname}"
        return begin(self.tracer, SpanKind.CLIENT, name, set_span_in_context(self.span, Context()), attributes)

    def execute(self, engine: Engine, statement: str) -> Hop:
        """A span of a statement, which has placeholders where its values go."""
        operation, table = OPERATION.match(statement), TABLE.search(statement)
        attributes = {
            "db.system.name": "postgresql",
            "db.namespace": engine.url.database,
            "db.operation.name": operation and operation[1].upper(),
            "db.collection.name": table and table[1].strip('"'),
            "db.query.text": statement[:LONGEST_STATEMENT],
            "server.address": engine.url.host,
            "server.port": engine.url.port,
        }
        words = (attributes["db.operation.name"], attributes["db.collection.name"])
        name = " ".join(str(word) for word in words if word)
        return begin(self.tracer, SpanKind.CLIENT, name, set_span_in_context(self.span, Context()), attributes)

    def end(self, error: str = "", route: str = "", attributes: dict[str, Any] | None = None) -> None:
        """The span is over. `error` is the kind of a failure, never its text, which may quote somebody's data."""
        if route:
            self.span.update_name(f"{self.name} {route}")
        self.span.set_attributes(_told((attributes or {}) | {"error.type": error or None}))
        if error:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


def tracer(component: str, processor: SpanProcessor) -> Tracer:
    """What makes the spans of one component, whose resource is its own; one queue serves all of a process."""
    about = {
        "service.name": component,
        "service.namespace": "alicerce",
        "service.version": VERSION,
        "deployment.environment.name": ENV(),
    }
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider.get_tracer("kit.telemetry", VERSION)


def to_collector() -> SpanProcessor:
    """A bounded queue and a thread that empties it. Where it sends, and how often, the SDK's own variables say."""
    return BatchSpanProcessor(OTLPSpanExporter())


def begin(tracer: Tracer, kind: SpanKind, name: str, context: Context, attributes: dict[str, Any]) -> Hop:
    """Begin a span below the one that the context holds, if it holds one."""
    span = tracer.start_span(name, context, kind, _told(attributes))
    made, parent = span.get_span_context(), getattr(span, "parent", None)
    return Hop(
        trace_id=f"{made.trace_id:032x}",
        span_id=f"{made.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent else "",
        is_sampled=made.trace_flags.sampled,
        state=made.trace_state.to_header(),
        recording=Recorded(tracer, span, name),
    )


def serve(tracer: Tracer, caller: Hop | None, method: str, path: str) -> Hop:
    """A span of a request that came in."""
    attributes = {"http.request.method": _known(method), "url.path": path[:LONGEST_PATH], "url.scheme": "http"}
    return begin(tracer, SpanKind.SERVER, _known(method, "HTTP"), _below(caller, is_remote=True), attributes)


def work(tracer: Tracer, follows: Hop | None, queue: str) -> Hop:
    """A span of a step of work."""
    return begin(tracer, SpanKind.INTERNAL, f"work {queue}", _below(follows, is_remote=False), {})


def watch_statements() -> None:
    """From now on each statement of a request, or of a step of work, becomes a span."""
    for name, listener in (
        ("before_cursor_execute", _execute),
        ("after_cursor_execute", _executed),
        ("handle_error", _failed),
    ):
        if not event.contains(Engine, name, listener):
            event.listen(Engine, name, listener)


def _execute(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    hop = trace.current_hop()
    if hop and hop.recording and hop.is_sampled and context is not None:
        context.hop = hop.recording.execute(connection.engine, statement)


def _executed(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    _end(context)


def _failed(failure: Any) -> None:
    _end(failure.execution_context, getattr(failure.original_exception, "pgcode", None) or "connection")


def _end(context: Any, error: str = "") -> None:
    hop = context.__dict__.pop("hop", None) if context is not None else None
    if hop:
        hop.recording.end(error)


def _below(parent: Hop | None, *, is_remote: bool) -> Context:
    """A context that holds the parent alone, or nothing: then a new trace begins."""
    if parent is None:
        return Context()
    told = SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(parent.is_sampled),
        trace_state=TraceState.from_header([parent.state]),
    )
    return set_span_in_context(NonRecordingSpan(told), Context())


def _known(method: str, other: str = "_OTHER") -> str:
    return method if method in METHODS else other


def _told(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}

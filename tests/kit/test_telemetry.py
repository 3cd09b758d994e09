"""Spans, when they are switched on: the tree of a request, what they say, and what they never say."""

import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from alicerce.services import services
from kit import telemetry, transport
from kit.app import create_service
from kit.blueprint import Blueprint
from kit.db import Database
from kit.identity import public
from tests.api import Api, Person
from tests.services.helpers import app_of, drain, unreachable
from tests.topologies import free_ports

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CANARY = f"canary{secrets.token_hex(8)}"
TOLD = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=opaque"}


@pytest.fixture
def exporter(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Takes the spans of every component of this process."""
    monkeypatch.setenv("OTEL_ENABLED", "true")
    kept = InMemorySpanExporter()
    for component in ("gateway", *services()):
        telemetry.start(component, SimpleSpanProcessor(kept))
    yield kept
    telemetry.stop()


def said(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


def service_of(span: ReadableSpan) -> str:
    return str(span.resource.attributes["service.name"])


def parent_of(span: ReadableSpan) -> str:
    return f"{span.parent.span_id:016x}" if span.parent else ""


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def tree(spans: tuple[ReadableSpan, ...], parent: str, depth: int = 0) -> list[str]:
    """The spans below a parent, a line each, indented; statements without those that every transaction begins with."""
    lines = []
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if parent_of(span) == parent and span.name != "SELECT":
            lines.append(f"{'  ' * depth}{service_of(span)} {span.kind.name.lower()} {span.name}")
            lines += tree(spans, id_of(span), depth + 1)
    return lines


def record(owner: Person, customer_id: str, notes: str = "Called.") -> Any:
    body = {"ds_notes": notes, "id_interaction_type": "call"}
    return owner.post(f"/api/customers/{customer_id}/interactions/", body, headers=TOLD)


def new_customer(owner: Person) -> str:
    return str(owner.post("/api/customers", {"name": "Ana"}).ok(201)["customer"]["id"])


def test_a_request_is_a_tree_from_the_gateway_down_to_the_statements(
    owner: Person, exporter: InMemorySpanExporter
) -> None:
    customer_id = new_customer(owner)
    record(owner, customer_id).ok(201)  # the first of a tenant also makes its types
    exporter.clear()
    record(owner, customer_id).ok(201)
    spans = exporter.get_finished_spans()
    assert tree(spans, CALLER) == [
        "gateway server POST /api/customers/<id>/interactions",
        "  gateway client POST interaction",
        "    interaction server POST /customers/<uuid:customer_id>/interactions",
        "      interaction client GET customer",
        "        customer server GET /internal/customers/<uuid:customer_id>",
        "          customer client SELECT customer",
        "      interaction client SELECT departure",
        "      interaction client SELECT interaction_type",
        "      interaction client SELECT interaction_type",
        "      interaction client INSERT interaction",
        "      interaction client SELECT interaction_type",
    ]
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {TRACE}
    assert {span.context.trace_state.to_header() for span in spans if span.context} == {"vendor=opaque"}


def test_attributes_follow_the_semantic_conventions(owner: Person, exporter: InMemorySpanExporter) -> None:
    customer_id = new_customer(owner)
    exporter.clear()
    owner.get(f"/api/customers/{customer_id}?fields=name").ok()
    found = {f"{service_of(span)} {span.name}": span for span in exporter.get_finished_spans()}
    assert dict(found["gateway GET /api/customers/<id>"].attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/api/customers/<id>",
        "http.response.status_code": 200,
        "url.path": f"/api/customers/{customer_id}",
        "url.scheme": "http",
    }
    assert dict(found["gateway GET customer"].attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "customer",
        "server.port": 80,
        "url.full": f"http://customer/customers/{customer_id}",
    }
    statement = found["customer SELECT customer"]
    assert said(statement, "db.system.name") == "postgresql"
    assert said(statement, "db.namespace") == "customer_db"
    assert said(statement, "db.query.text").startswith("SELECT customer.")
    assert "%(" in said(statement, "db.query.text")
    about = statement.resource.attributes
    assert (about["service.name"], about["deployment.environment.name"]) == ("customer", "test")


def test_a_failure_marks_each_span_that_it_passes(owner: Person, exporter: InMemorySpanExporter) -> None:
    customer_id = new_customer(owner)
    exporter.clear()
    with unreachable("customer"):
        record(owner, customer_id).problem(503, "unavailable")
    failed = {
        f"{service_of(span)} {span.kind.name} {said(span, 'error.type')}"
        for span in exporter.get_finished_spans()
        if span.status.status_code is StatusCode.ERROR
    }
    assert failed == {"gateway SERVER 503", "gateway CLIENT 503", "interaction SERVER 503", "interaction CLIENT 503"}


def test_a_defect_is_named_by_its_kind_alone(platform: Any, exporter: InMemorySpanExporter) -> None:
    routes = Blueprint("things", __name__)

    @routes.get("/things")
    @public
    @routes.answers(200)
    def things() -> None:
        """Fail."""
        raise LookupError(CANARY)

    app = create_service("customer", port=1, db=Database(), blueprints=[routes])
    Api(app.wsgi_app).get("/things").problem(500, "internal_error")
    (span,) = exporter.get_finished_spans()
    assert (span.name, said(span, "error.type")) == ("GET /things", "LookupError")
    assert CANARY not in span.to_json()


def test_a_call_that_is_repeated_is_a_span_each_time(
    owner: Person, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = new_customer(owner)
    exporter.clear()
    monkeypatch.delitem(transport._mounted, "customer")
    monkeypatch.setenv("CUSTOMER_SERVICE_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    record(owner, customer_id).problem(503, "unavailable")
    calls = [span for span in exporter.get_finished_spans() if span.name == "GET 127.0.0.1"]
    assert [(said(span, "error.type"), said(span, "http.request.resend_count")) for span in calls] == [
        ("ConnectionError", None),
        ("ConnectionError", 1),
    ]


def test_a_refusal_is_the_clients_error_and_not_the_servers(owner: Person, exporter: InMemorySpanExporter) -> None:
    owner.get("/api/customers/0197a3c0-0000-7000-8000-000000000000").problem(404, "no_such_customer")
    status = {
        span.kind.name: span.status.status_code for span in exporter.get_finished_spans() if said(span, "url.path")
    }
    assert status == {"SERVER": StatusCode.UNSET}


def test_a_statement_that_fails_says_how_and_not_with_what(exporter: InMemorySpanExporter) -> None:
    app = app_of("customer")
    with app.test_request_context("/customers"), pytest.raises(SQLAlchemyError):
        app.preprocess_request()
        app.db.session.execute(text("SELECT 1 / (length(:canary) - length(:canary))"), {"canary": CANARY})
    span = exporter.get_finished_spans()[-1]
    assert (span.status.status_code, said(span, "error.type")) == (StatusCode.ERROR, "22012")
    assert CANARY not in span.to_json()


def test_nothing_that_people_write_is_in_a_span(api: Api, exporter: InMemorySpanExporter) -> None:
    # All digits of it, because a moment or an id of a span may hold a few of them by chance.
    phone = f"1198{secrets.randbelow(10**7):07}"
    email, password = f"{CANARY}@example.com", f"{CANARY}-seven-loaves-rise"
    api.post("/auth/register", {"email": email, "password": password, "name": CANARY}).ok(201)
    grant = api.post("/auth/login", {"email": email, "password": password}).ok()
    person = Api(api.target, grant["access_token"])
    body = {"name": CANARY, "notes": CANARY, "email": email, "phone": phone}
    customer_id = person.post("/api/customers/", body).ok(201)["customer"]["id"]
    person.get(f"/api/customers/?search={CANARY}").ok()
    person.post(f"/api/tenants/{grant['tenant_id']}/members", {"email": f"x{email}", "role": "agent"})
    record(person, customer_id, CANARY).ok(201)  # type: ignore[arg-type]
    person.post("/api/customers/", {"name": CANARY, "surprise": CANARY}).problem(422, "validation_error")
    spans = exporter.get_finished_spans()
    assert Counter(span.kind.name for span in spans).keys() == {"SERVER", "CLIENT"}
    everything = "\n".join(span.to_json() for span in spans)
    for secret in (CANARY, phone, grant["access_token"], grant["refresh_token"], "$argon2"):
        assert secret not in everything


def test_a_step_of_work_that_nobody_asked_for_is_a_trace_of_its_own(
    owner: Person, exporter: InMemorySpanExporter
) -> None:
    drain("customer")  # what other tests have left
    sent = {"data": b"name\nAna\n", "headers": {"Content-Type": "text/csv"}}
    owner.request("POST", "/api/customers/import", **sent).ok(202)
    exporter.clear()
    drain("customer")
    steps = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert {(service_of(span), span.name) for span in steps} == {("customer", "work customer_import")}
    assert len({span.context.trace_id for span in steps if span.context}) == len(steps)


def test_a_fact_is_delivered_in_the_trace_that_told_it(owner: Person, exporter: InMemorySpanExporter) -> None:
    kept, lost = new_customer(owner), new_customer(owner)
    record(owner, lost).ok(201)
    exporter.clear()
    owner.post(f"/api/customers/{kept}/merge", {"source_ids": [lost]}, headers=TOLD).ok()
    heard = [span for span in exporter.get_finished_spans() if span.name == "POST /internal/facts"]
    assert [(service_of(span), f"{span.context.trace_id:032x}") for span in heard if span.context] == [
        ("interaction", TRACE)
    ]


def test_a_trace_that_its_caller_does_not_sample_goes_on_unrecorded(
    owner: Person, exporter: InMemorySpanExporter
) -> None:
    owner.get("/api/customers", headers={"traceparent": f"00-{TRACE}-{CALLER}-00"}).ok()
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("path", ["/health", "/live", "/ready", "/metrics"])
def test_probes_and_polls_are_not_recorded(platform: Any, exporter: InMemorySpanExporter, path: str) -> None:
    Api(platform).get(path)
    assert exporter.get_finished_spans() == ()


def test_a_method_that_nobody_knows_does_not_become_a_name(platform: Any, exporter: InMemorySpanExporter) -> None:
    Api(platform).request("BREW", "/api/customers").problem(405, "method_not_allowed")
    (span,) = exporter.get_finished_spans()
    assert (span.name, said(span, "http.request.method")) == ("HTTP", "_OTHER")

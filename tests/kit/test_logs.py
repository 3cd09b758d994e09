"""Lines of the log as a real request writes them: their members, both forms, and the hops of its trace."""

import io
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from kit import logs, transport
from tests.api import Api, Person
from tests.services.helpers import app_of, unreachable

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOLD = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=opaque"}
ASKED = {"X-Request-Id": "request-12345"}
POLLED = "/internal/revocations"  # the gateway asks by itself, and in tests at each request

Lines = Callable[[], list[str]]


def written_by(formatter: logging.Formatter) -> Iterator[Lines]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    ours = logging.getLogger(logs.ROOT)
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    yield lambda: [line for line in stream.getvalue().splitlines() if POLLED not in line]
    ours.setLevel(logging.NOTSET)
    ours.removeHandler(handler)


@pytest.fixture
def lines(platform: Any) -> Iterator[Lines]:
    """What is logged from here on, in the form of programs."""
    yield from written_by(logs.JsonFormatter())


@pytest.fixture
def texts(platform: Any) -> Iterator[Lines]:
    """The same, in the form of people."""
    yield from written_by(logs.TextFormatter())


@pytest.fixture
def heard(platform: Any) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Each request that reaches a service: its name, and the headers of the trace that it got."""
    arrived: list[tuple[str, dict[str, str]]] = []
    apps = {name: app for name in ("interaction", "customer") if (app := transport.mounted(name))}

    def listening(name: str, app: transport.WsgiApp) -> transport.WsgiApp:
        def listen(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            told = {key: environ[key] for key in ("HTTP_TRACEPARENT", "HTTP_TRACESTATE") if key in environ}
            arrived.append((name, told))
            return app(environ, start_response)

        return listen

    for name, app in apps.items():
        transport.mount(name, listening(name, app))
    yield arrived
    for name, app in apps.items():
        transport.mount(name, app)


def record(owner: Person, customer_id: str, **headers: str) -> Any:
    body = {"ds_notes": "Called.", "id_interaction_type": "call"}
    return owner.post(f"/api/customers/{customer_id}/interactions/", body, headers=headers)


@pytest.fixture
def customer_id(owner: Person) -> str:
    return str(owner.post("/api/customers", {"name": "Ana"}).ok(201)["customer"]["id"])


def test_a_line_of_a_request_says_who_what_where_and_in_which_trace(
    owner: Person, customer_id: str, lines: Lines
) -> None:
    owner.get(f"/api/customers/{customer_id}?search=x", headers=TOLD | ASKED).ok()
    service, gateway = (json.loads(line) for line in lines())
    assert datetime.fromisoformat(service.pop("time")).utcoffset() is not None
    assert service.pop("ms") > 0
    assert (gateway["span_id"], gateway["parent_span_id"]) == (service.pop("parent_span_id"), CALLER)
    assert re.fullmatch("[0-9a-f]{16}", service.pop("span_id"))
    assert service == {
        "level": "INFO",
        "service": "customer",
        "environment": "test",
        "logger": "API",
        "message": "request",
        "request_id": "request-12345",
        "trace_id": TRACE,
        "method": "GET",
        "route": "/customers/<uuid:customer_id>",
        "status": 200,
        "tenant_id": owner.tenant_id,
        "user_id": owner.user_id,
        "caller": "gateway",
    }
    same = ("environment", "level", "logger", "request_id", "trace_id", "method", "tenant_id", "user_id")
    assert {name: gateway[name] for name in same} == {name: service[name] for name in same}
    assert (gateway["service"], gateway["upstream"], gateway["path"]) == (
        "gateway",
        "customer",
        f"/api/customers/{customer_id}",
    )


def test_each_hop_is_told_its_parent_and_logs_itself(
    owner: Person, customer_id: str, lines: Lines, heard: list[tuple[str, dict[str, str]]]
) -> None:
    record(owner, customer_id, **TOLD, **ASKED).ok(201)
    logged = {line["service"]: line for line in map(json.loads, lines())}
    assert [name for name, _ in heard] == ["interaction", "customer"]
    received = {name: told["HTTP_TRACEPARENT"].split("-") for name, told in heard}
    assert {told["HTTP_TRACESTATE"] for _, told in heard} == {"vendor=opaque"}
    assert {line["trace_id"] for line in logged.values()} == {TRACE} == {parts[1] for parts in received.values()}
    assert {line["request_id"] for line in logged.values()} == {"request-12345"}
    assert len({line["span_id"] for line in logged.values()}) == 3
    chain = [logged[name]["parent_span_id"] for name in ("gateway", "interaction", "customer")]
    assert chain == [CALLER, logged["gateway"]["span_id"], logged["interaction"]["span_id"]]
    assert chain[1:] == [received["interaction"][2], received["customer"][2]]


@pytest.mark.parametrize("flags", ["00", "01"])
def test_whether_a_trace_is_sampled_is_the_callers_choice(
    owner: Person, customer_id: str, heard: list[tuple[str, dict[str, str]]], flags: str
) -> None:
    record(owner, customer_id, traceparent=f"00-{TRACE}-{CALLER}-{flags}").ok(201)
    assert {told["HTTP_TRACEPARENT"][-2:] for _, told in heard} == {flags}


@pytest.mark.parametrize(
    "traceparent",
    [
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
    ],
)
def test_a_malformed_trace_is_replaced_by_one_new_trace(
    owner: Person, customer_id: str, lines: Lines, heard: list[tuple[str, dict[str, str]]], traceparent: str
) -> None:
    record(owner, customer_id, traceparent=traceparent, tracestate="vendor=opaque").ok(201)
    found = {line["service"]: line for line in map(json.loads, lines())}
    (trace_id,) = {line["trace_id"] for line in found.values()} | {told["HTTP_TRACEPARENT"][3:35] for _, told in heard}
    assert trace_id.lower() != TRACE
    assert "parent_span_id" not in found["gateway"]
    assert all("HTTP_TRACESTATE" not in told for _, told in heard)


def test_a_malformed_list_of_vendors_is_dropped_and_its_trace_kept(
    owner: Person, customer_id: str, heard: list[tuple[str, dict[str, str]]]
) -> None:
    record(owner, customer_id, traceparent=TOLD["traceparent"], tracestate="Vendor=1").ok(201)
    assert {told["HTTP_TRACEPARENT"][3:35] for _, told in heard} == {TRACE}
    assert all("HTTP_TRACESTATE" not in told for _, told in heard)


def test_what_follows_a_request_keeps_its_id_and_its_trace(owner: Person, customer_id: str, lines: Lines) -> None:
    other = str(owner.post("/api/customers", {"name": "Bia"}).ok(201)["customer"]["id"])
    before = len(lines())
    with unreachable("interaction"):
        owner.post(f"/api/customers/{other}/merge", {"source_ids": [customer_id]}, headers=TOLD | ASKED).ok()
    found = [json.loads(line) for line in lines()[before:]]
    late = next(line for line in found if "left for later" in line["message"])
    assert (late["service"], late["logger"], late["level"]) == ("customer", "main", "WARNING")
    assert (late["request_id"], late["trace_id"]) == ("request-12345", TRACE)


def test_the_text_form_is_timestamp_service_level_where_and_message(
    owner: Person, customer_id: str, texts: Lines
) -> None:
    owner.get(f"/api/customers/{customer_id}", headers=TOLD | ASKED).ok()
    form = re.compile(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 - (?P<service>\w+) - INFO - \w+:\d+ - request (?P<fields>.+)"
    )
    found = [form.fullmatch(line) for line in texts()]
    assert [match and match["service"] for match in found] == ["customer", "gateway"]
    for match in found:
        assert match and "request_id=request-12345" in match["fields"] and f"trace_id={TRACE}" in match["fields"]


def test_a_text_line_cannot_be_forged_or_move_the_cursor(texts: Lines) -> None:
    logs.logger("auth").warning("a\nb\r\x1b[2J\u2028%s", "c")
    (line,) = texts()
    assert line.endswith(r" - a\nb\r\x1b[2J\u2028c")


def test_the_rows_that_postgres_quotes_are_withheld(lines: Lines) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    # In two halves, because the statement itself may be shown.
    halves = f"'{canary[:9]}' || '{canary[9:]}"
    quoted = f"'Failing row contains (' || {halves},' || chr(10) || chr(10) || {halves}).'"
    quoting = f"DO $$ BEGIN RAISE 'refused' USING DETAIL = {quoted}; END $$"
    app = app_of("customer")

    def defect() -> Any:
        app.db.session.execute(text(quoting))

    with app.test_request_context("/customers"):
        app.preprocess_request()
        try:
            defect()
        except Exception as error:
            app.handle_user_exception(error)
    (line,) = lines()
    assert "refused" in line and "DETAIL: withheld" in line and canary not in line


def test_a_service_may_have_a_level_of_its_own(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_SERVICE_LOG_LEVEL", "ERROR")
    try:
        logs.configure("customer")
        logs.configure("tenant")
        assert not logs.logger("customer", logs.API).isEnabledFor(logging.WARNING)
        assert logs.logger("tenant", logs.API).isEnabledFor(logging.WARNING)
    finally:
        logs.logger("customer").setLevel(logging.NOTSET)


def test_what_a_library_says_while_it_serves_a_service_belongs_to_that_service(platform: Any) -> None:
    app = app_of("customer")
    with app.test_request_context("/customers"):
        app.preprocess_request()
        record = logging.LogRecord("urllib3.pool", logging.WARNING, "f.py", 1, "retrying", (), None)
        line = json.loads(logs.JsonFormatter().format(record))
    assert (line["service"], line["logger"]) == ("customer", "urllib3.pool")
    assert line["request_id"]


def test_a_refused_request_is_logged_with_the_code_of_its_refusal(platform: Any, lines: Lines) -> None:
    Api(platform).get("/api/customers", headers=ASKED).problem(401, "unauthenticated")
    (line,) = map(json.loads, lines())
    assert (line["status"], line["code"], line["request_id"]) == (401, "unauthenticated", "request-12345")

"""Spans as real processes send them: to a collector that listens, to one that does not, and not at all."""

import ast
import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from alicerce.services import services
from kit import telemetry
from tests import topologies
from tests.api import Person, new_person
from tests.gateway.stack import serving
from tests.topologies import ROOT, environment, eventually, running

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOLD = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
CREATE = "import sys; from alicerce.solo import create_app; create_app(); "


class Collector:
    """An OTLP receiver on loopback: what came, as (service, span), and the headers that it came with."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert (path, headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self.headers.append(headers)
        for group in ExportTraceServiceRequest.FromString(plain).resource_spans:
            about = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            self.spans += [(about["service.name"], span) for scope in group.scope_spans for span in scope.spans]

    def of(self, trace_id: str) -> list[tuple[str, Any]]:
        return [(service, span) for service, span in self.spans if span.trace_id.hex() == trace_id]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def python(code: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    urls = {f"{noun.upper()}_SERVICE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere" for noun in services()}
    whole = environment(folder, {}) | urls | settings
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=whole, capture_output=True, text=True, check=False
    )


def test_nothing_of_opentelemetry_is_loaded_when_it_is_off(tmp_path: Path) -> None:
    code = CREATE + "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    done = python(code, tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_switch_without_its_packages_says_how_to_install_them(tmp_path: Path) -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; " + CREATE
    done = python(code, tmp_path, OTEL_ENABLED="true")
    assert "ConfigurationError: OTEL_ENABLED needs packages that are not installed: run `make telemetry`" in done.stderr


def test_one_service_may_be_switched_on_alone(tmp_path: Path) -> None:
    code = CREATE + "from kit import telemetry; print(sorted(telemetry._tracers))"
    assert python(code, tmp_path, CUSTOMER_SERVICE_OTEL_ENABLED="true").stdout.strip() == "['customer']"


@pytest.mark.long
def test_each_component_may_have_a_sampler_of_its_own(tmp_path: Path) -> None:
    shown = "print({name: tracer.sampler.get_description() for name, tracer in telemetry._tracers.items()})"
    settings = {"OTEL_TRACES_SAMPLER": "always_on", "AUTH_SERVICE_OTEL_TRACES_SAMPLER": "always_off"}
    done = python(CREATE + "from kit import telemetry; " + shown, tmp_path, OTEL_ENABLED="true", **settings)
    samplers = ast.literal_eval(done.stdout.strip())
    others = {sampler for name, sampler in samplers.items() if name != "auth"}
    assert (samplers["auth"], others) == ("AlwaysOffSampler", {"AlwaysOnSampler"})


def test_a_request_through_processes_arrives_as_one_tree(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "OTEL_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=alicerce",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    for name, value in settings.items():
        monkeypatch.setitem(topologies.SETTINGS, name, value)
    with running("split", tmp_path) as platform:
        owner = new_person(platform.url)
        customer_id = owner.post("/api/customers", {"name": "Ana"}).ok(201)["customer"]["id"]
        body = {"ds_notes": "Called.", "id_interaction_type": "call"}
        owner.post(f"/api/customers/{customer_id}/interactions/", body, headers=TOLD).ok(201)
        wanted = {"gateway", "interaction", "customer"}
        eventually(lambda: {service for service, _ in collector.of(TRACE)} == wanted, "spans of all three")
    spans = {span.span_id.hex(): (service, span) for service, span in collector.of(TRACE)}
    assert len(spans) == len(collector.of(TRACE))
    parents = {span.parent_span_id.hex() for _, span in spans.values()}
    assert parents - {CALLER} <= spans.keys()
    crossings = {
        (spans[span.parent_span_id.hex()][0], service)
        for service, span in spans.values()
        if span.parent_span_id.hex() != CALLER
    }
    assert crossings == {(one, one) for one in wanted} | {("gateway", "interaction"), ("interaction", "customer")}
    assert {headers["x-team"] for headers in collector.headers} == {"alicerce"}


def test_what_waits_is_sent_when_a_process_ends(tmp_path: Path, collector: Collector) -> None:
    settings = environment(tmp_path, {}) | {
        "OTEL_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    }
    subprocess.run([sys.executable, "-m", "alicerce", "keys"], cwd=ROOT, env=settings, check=True)
    with serving("tests.gateway.echo:mounted()", settings) as port:
        eventually(lambda: _answers(f"http://127.0.0.1:{port}/api/nothing", 404), "the gateway answers")
        assert collector.spans == []
    assert {service for service, _ in collector.spans} == {"gateway"}


def _answers(url: str, status: int) -> bool:
    return requests.get(url, timeout=topologies.PATIENCE_S, headers=TOLD).status_code == status


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def away() -> str:
    """The address of a collector that is not there."""
    return f"http://127.0.0.1:{topologies.free_ports(1)[0]}"


@pytest.mark.parametrize("kind", ["silent", "away"])
def test_a_collector_that_fails_delays_no_request_and_no_end(
    owner: Person, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("OTEL_ENABLED", "true"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", request.getfixturevalue(kind)),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
    ):
        monkeypatch.setenv(name, value)
    before = set(threading.enumerate())
    for component in ("gateway", "customer"):
        telemetry.start(component)
    try:
        took = _seconds(lambda: [owner.get("/api/customers").ok() for _ in range(20)])
    finally:
        ended = _seconds(telemetry.stop)
    assert took < 10  # with the second that the exporter waits each time, it would be twenty
    assert ended < telemetry.FLUSH_S + 1
    # What still tries to send draws random pauses, which would disturb the properties of later tests.
    senders = {thread for thread in threading.enumerate() if "Otel" in thread.name} - before
    topologies.eventually(lambda: not any(thread.is_alive() for thread in senders), "nobody sends any more")


def _seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began

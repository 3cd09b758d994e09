"""Figures for Prometheus: right, bounded in their labels, and for operators only."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Response
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from kit import background
from kit.config import VERSION
from tests.api import Api, Person
from tests.gateway.stack import serving
from tests.services.helpers import app_of
from tests.topologies import PATIENCE_S, ROOT, environment, eventually

Service = Callable[[str], Api]


def read(service: str, **options: Any) -> Any:
    base = {"REMOTE_ADDR": options.pop("address", "127.0.0.1")}
    return Client(app_of(service)).get("/metrics", environ_base=base, **options)


def figures(service: str) -> dict[tuple[str, ...], float]:
    """Samples by their name and label values."""
    answer = read(service)
    assert answer.status_code == 200
    return samples(answer.text)


def samples(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, *(v for k, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_requests_are_counted_by_the_template_of_their_route(owner: Person) -> None:
    name = ("http_server_request_duration_seconds_count", "GET", "/customers/<uuid:customer_id>", "customer", "200")
    before = figures("customer").get(name, 0)
    made = owner.post("/api/customers", {"name": "Ana"}).ok(201)["customer"]["id"]
    for _ in range(3):
        owner.get(f"/api/customers/{made}").ok()
    after = figures("customer")
    assert after[name] - before == 3
    text = str(list(after))
    assert made not in text
    assert owner.tenant_id not in text


def test_queues_show_what_waits(owner: Person) -> None:
    data = b"name\nAna\n"
    owner.request("POST", "/api/customers/import", data=data, headers={"Content-Type": "text/csv"}).ok(202)
    shown = figures("customer")
    assert shown["queue_due", "customer_import", "customer"] >= 1
    assert shown["queue_oldest_seconds", "customer_import", "customer"] >= 0
    assert ("queue_due", "outbox", "customer") in shown


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "", "x"])
def test_strangers_see_nothing(platform: Any, address: str) -> None:
    assert read("customer", address=address).status_code == 403


def test_who_comes_through_a_proxy_on_this_machine_is_a_stranger(platform: Any) -> None:
    assert read("customer", headers={"X-Forwarded-For": "10.0.0.7"}).status_code == 403


def test_a_token_opens_from_anywhere_and_then_alone(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "long random text")
    assert read("customer").status_code == 403
    for token, status in (("long random text", 200), ("wrong", 403), ("", 403)):
        headers = {"Authorization": f"Bearer {token}"}
        assert read("customer", address="10.0.0.7", headers=headers).status_code == status


def test_what_runs_and_which_version_it_is_shows(platform: Any) -> None:
    app, active = app_of("customer"), ("http_server_active_requests", "customer")
    before = figures("customer").get(active, 0)
    with app.test_request_context("/customers"):
        app.preprocess_request()
        shown = figures("customer")
        app.process_response(Response())
    assert shown["build_info", "customer", VERSION] == 1
    assert shown[active] == before + 1
    assert figures("customer")[active] == before


def test_waiting_for_a_connection_is_counted(owner: Person) -> None:
    name = ("db_client_connection_wait_time_seconds_count", "customer")
    before = figures("customer").get(name, 0)
    owner.get("/api/customers").ok()
    assert figures("customer")[name] == before + 1


def test_the_gateway_shows_the_queues_of_the_services_of_its_process(platform: Any) -> None:
    shown = samples(Client(platform).get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text)
    assert ("queue_due", "outbox", "customer") in shown
    assert shown["build_info", "gateway", VERSION] == 1


def test_figures_are_there_while_a_database_is_away(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_JOB_URL", "postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    background.engine.cache_clear()
    try:
        shown = figures("customer")
    finally:
        background.engine.cache_clear()
    assert ("build_info", "customer", VERSION) in shown
    assert ("queue_due", "outbox", "customer") not in shown


def test_figures_are_the_sum_over_processes_and_outlive_them(tmp_path: Path) -> None:
    settings = environment(tmp_path, {}) | {"WEB_CONCURRENCY": "2", "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "alicerce", "keys"], cwd=ROOT, env=settings, check=True)
    counted = ("http_server_request_duration_seconds_count", "GET", "/api/answers/<id>", "gateway", "200")

    def processes() -> set[int]:
        return {int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("alicerce-metrics-*/gauge_livesum_*.db")}

    with serving("tests.gateway.echo:mounted()", settings) as port:
        url = f"http://127.0.0.1:{port}"
        asked, paths = 0, [f"{url}/api/answers/seen"] * 8
        # Many at once: one after the other may all come to the process that was there first.
        with ThreadPoolExecutor(8) as pool:
            while len(processes()) < 2:
                answers = list(pool.map(lambda path: requests.get(path, timeout=PATIENCE_S), paths))
                assert {answer.status_code for answer in answers} == {200}
                asked += len(answers)
                assert asked < 4000
        for _ in range(10):
            assert samples(requests.get(f"{url}/metrics", timeout=10).text)[counted] == asked
        killed = min(processes())
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: killed not in processes(), "the gauges of a dead process are gone")
        assert samples(requests.get(f"{url}/metrics", timeout=10).text)[counted] == asked
    assert not list(tmp_path.glob("alicerce-metrics-*"))

"""The operators' page shows what happened, and nobody else sees it."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from tests.api import Api, Person
from tests.services.helpers import unreachable
from tests.topologies import Running, eventually, running


def page(platform: Any, path: str = "/ops", address: str = "127.0.0.1", **headers: str) -> Any:
    return Client(platform).get(path, environ_base={"REMOTE_ADDR": address}, headers=headers)


def test_it_shows_services_operations_and_errors(platform: Any, owner: Person) -> None:
    owner.get("/api/customers").ok()
    with unreachable("tenant"):
        failed = owner.get(f"/api/tenants/{owner.tenant_id}")
    answer = page(platform)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert "GET /api/customers" in answer.text
    assert failed.status == 503
    assert failed.headers["X-Request-Id"] in answer.text
    for service in ("auth", "customer", "interaction", "product", "tenant"):
        assert f"<b>{service}</b><em>" in answer.text
    assert owner.token not in answer.text


def test_it_runs_no_scripts_and_escapes_what_clients_send(platform: Any, owner: Person) -> None:
    with unreachable("tenant"):
        Api(platform, owner.token).get("/api/tenants", headers={"X-Request-Id": "<script>alert(1)</script>"})
    answer = page(platform)
    assert "<script" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("path", ["/ops", "/metrics"])
def test_strangers_see_nothing(platform: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page(platform, path, address="10.0.0.7").status_code == 403
    forwarded = {"X-Forwarded-For": "10.0.0.7"}
    assert page(platform, path, **forwarded).status_code == 403
    monkeypatch.setenv("METRICS_TOKEN", "long random text")
    assert page(platform, path).status_code in (401, 403)
    basic = {"Authorization": "Basic b3BzOmxvbmcgcmFuZG9tIHRleHQ="}  # ops:long random text
    assert page(platform, path, address="10.0.0.7", **basic).status_code == 200
    asked = page(platform, "/ops", address="10.0.0.7")
    assert asked.headers["WWW-Authenticate"].startswith("Basic")


def test_prometheus_reads_the_gateways_requests(platform: Any, owner: Person) -> None:
    owner.get("/api/customers").ok()
    families = text_string_to_metric_families(page(platform, "/metrics").text)
    labels = [sample.labels for family in families for sample in family.samples]
    assert {"service": "gateway", "method": "GET", "route": "/api/customers", "status": "200"} in labels


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform that may be hurt."""
    with running("split", tmp_path_factory.mktemp("fragile")) as platform:
        yield platform


def states(platform: Running) -> dict[str, str]:
    """Each service and how the page says it is."""
    return {
        name: state for state, name in re.findall(r'<li class="(\w+)"><b>(\w+)<', Api(platform.url).get("/ops").json)
    }


def processes(platform: Running, name: str) -> list[int]:
    """The process ids of a service: its master's, then its workers'."""
    children = json.loads((platform.home / "children.json").read_text())
    master = next(child["pid"] for child in children if child["name"] == name)
    return [master, *(int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split())]


def test_a_service_that_hangs_shows_within_seconds(fragile: Running) -> None:
    workers = processes(fragile, "product")[1:]
    eventually(lambda: states(fragile)["product"] == "healthy", "product is healthy")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: states(fragile)["product"] == "unreachable", "product is not", seconds=6)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def test_a_service_that_was_killed_shows_within_seconds_and_so_does_its_return(fragile: Running) -> None:
    eventually(lambda: set(states(fragile).values()) == {"healthy"}, "all are healthy")
    supervisor = int((fragile.home / "supervisor.pid").read_text().split()[0])
    os.kill(supervisor, signal.SIGSTOP)  # or it would start the service again before anybody has looked
    try:
        for pid in processes(fragile, "product"):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: states(fragile)["product"] == "unreachable", "product is gone", seconds=6)
        assert "product is unreachable." in Api(fragile.url).get("/ops").json
        assert {state for name, state in states(fragile).items() if name != "product"} == {"healthy"}
    finally:
        os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: states(fragile)["product"] == "healthy", "product is back")

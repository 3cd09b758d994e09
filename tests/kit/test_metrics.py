"""Figures for Prometheus: right, bounded in their labels, and for operators only."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from tests.api import Api, Person
from tests.services.helpers import app_of

Service = Callable[[str], Api]


def read(service: str, **options: Any) -> Any:
    base = {"REMOTE_ADDR": options.pop("address", "127.0.0.1")}
    return Client(app_of(service)).get("/metrics", environ_base=base, **options)


def figures(service: str) -> dict[tuple[str, ...], float]:
    """Samples by their name and label values."""
    answer = read(service)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
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

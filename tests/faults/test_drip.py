"""A sibling that drips its answer: each byte is in time, and the whole never is."""

import time

import pytest

from kit import client, transport
from tests.api import Person
from tests.faults import proxy
from tests.faults.proxy import FaultProxy
from tests.gateway.upstreams import Server, saying

READ_S = 0.6
PATIENCE_S = 5.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n" + b" " * 400


@pytest.mark.parametrize("pieces", [0.05, 0.004], ids=["in its headers", "in its body"])
def test_a_sibling_that_drips_is_given_up_in_time(
    owner: Person, monkeypatch: pytest.MonkeyPatch, pieces: float
) -> None:
    customer = owner.post("/api/customers", {"name": "Ana"}).ok(201)["customer"]["id"]
    monkeypatch.setattr(client, "READ_S", READ_S)
    note = {"ds_notes": "They called.", "id_interaction_type": "call"}
    server = Server(saying(ANSWER))
    monkeypatch.delitem(transport._mounted, "customer")
    with FaultProxy(int(server.url.rpartition(":")[2])) as between:
        between.set(proxy.drip(pieces))
        monkeypatch.setenv("CUSTOMER_SERVICE_URL", between.url)
        began = time.monotonic()
        answer = owner.post(f"/api/customers/{customer}/interactions", note)
        took = time.monotonic() - began
    server.close()
    assert answer.problem(504, "deadline_exceeded")["upstream"] == "customer"
    assert took < PATIENCE_S

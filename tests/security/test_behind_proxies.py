"""The same raw bytes through real proxies: what arrives is a request that was routed, or nothing."""

import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from alicerce.services import services
from tests.gateway.proxies import Front, haproxy, nginx_example, nginx_plain, proxied
from tests.gateway.raw import Reply, parse, talk
from tests.gateway.stack import Stack, stack
from tests.security.probes import PASSING, REFUSED, Probe, get, post
from tests.tables import Tally

pytestmark = pytest.mark.long

FRONTS: tuple[Front, ...] = (nginx_plain, nginx_example, haproxy)
MODE = {"FORWARD_AUTH_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.0/8"}
ROUTED = re.compile(r"(GET|HEAD|POST|PUT|DELETE) /customers(/[A-Za-z0-9._~-]+)?/?(\?[!\"$-\[\]-~]*)?\Z")
ODD = {
    "HTTP/1.0",
    "HTTP/1.2",
    "a WebSocket",
    "bytes in a value",
    "X_User_Id",
    "Script-Name",
    "SCRIPT_NAME",
}  # which a proxy may refuse itself
PATIENCE = {"SLOW_CLIENT_SECONDS": "1"}
PACE_S, LONGEST_S = 0.05, 4.0
STALLED = 40  # more than the gateway has threads
ANNOUNCED = b"Content-Length: 1000\r\n"  # more than drips in that time
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SLOW: dict[str, tuple[bytes, bytes]] = {  # what comes at once, and what drips after it
    "a body that drips": (post(ANNOUNCED), b" "),
    "chunks that drip": (post(CHUNKED), b"1\r\n \r\n"),
    "a chunk's length that drips": (post(CHUNKED), b"0"),
    "half a body, then nothing": (post(ANNOUNCED, b"{" * 50), b""),
    "half a chunk, then nothing": (post(CHUNKED, b"50\r\n{{{"), b""),
}


@dataclass(frozen=True)
class Behind:
    """A proxy before a gateway before the echoing service."""

    port: int
    stack: Stack
    front: str


@pytest.fixture(scope="module", params=FRONTS, ids=lambda front: front.__name__)
def behind(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    settings = PATIENCE | (MODE if request.param is nginx_example else {})
    with stack("over_http", folder, **settings) as built:
        ports = {**dict.fromkeys(services(), built.service_port), "gateway": built.port}
        with proxied(request.param, folder, ports) as port:
            yield Behind(port, built, request.param.__name__)


def normal(behind: Behind, mark: str) -> bytes:
    headers = b"X-Request-Id: " + mark.encode() + b"\r\nConnection: close\r\n"
    return get("/api/customers", headers).replace(b"{auth}", behind.stack.authorization)


def answers(behind: Behind, probe: Probe, mark: str) -> list[Reply]:
    """What comes back for a probe and the request behind it; nothing where a proxy speaks HTTP/0.9 or 2."""
    # nginx drops a request whose client has half closed, so only what would wait for ever is ended like that.
    sent = probe.sent.replace(b"{auth}", behind.stack.authorization) + (normal(behind, mark) if probe.whole else b"")
    received = talk(behind.port, sent, half_close=not probe.whole)
    return parse(received) if received.startswith(b"HTTP/1.") else []


@pytest.mark.parametrize("probe", [*REFUSED, *PASSING], ids=lambda probe: probe.name)
def test_nothing_arrives_that_was_not_routed(behind: Behind, probe: Probe, tally: Tally) -> None:
    if b"HEAD " in probe.sent[:5]:
        pytest.skip("the end of an answer to HEAD cannot be told from the bytes alone")
    before, mark = len(behind.stack.seen()), secrets.token_hex(8)
    replies = answers(behind, probe, mark)
    seen = [line.split(" ", 1) for line in behind.stack.seen()[before:]]
    assert all(ROUTED.match(routed) for _, routed in seen), seen
    assert [routed for name, routed in seen if name == mark] in ([], ["GET /customers"])
    assert len([name for name, _ in seen if name != mark]) <= 1
    echoed = [reply.json for reply in replies if reply.status == 200]
    for got in echoed:
        assert (got["HTTP_X_USER_ID"], got["HTTP_X_TENANT_ID"]) == (behind.stack.user_id, behind.stack.tenant_id)
        assert f"{got['REQUEST_METHOD']} {got['RAW_URI']}" in [routed for _, routed in seen]
        assert "HTTP_COOKIE" not in got
    if probe in PASSING:
        assert [got["HTTP_X_REQUEST_ID"] for got in echoed][1:] in ([mark], []), replies
        assert echoed or probe.name in ODD, replies
    tally(f"raw-socket probes behind {behind.front}", tried=1)


def normal_is_answered(behind: Behind) -> str:
    """The mark of a request as it should be, which was answered as it should be."""
    mark = secrets.token_hex(8)
    replies = parse(talk(behind.port, normal(behind, mark), half_close=False))
    assert [(reply.status, reply.json["HTTP_X_REQUEST_ID"]) for reply in replies] == [(200, mark)]
    return mark


def dripped(client: socket.socket, drop: bytes) -> bytes:
    """What is first answered to bytes that come one by one; nothing when the other side closes, or waits for longer."""
    until = time.monotonic() + LONGEST_S
    client.settimeout(PACE_S)
    with suppress(ConnectionError):
        while time.monotonic() < until:
            with suppress(TimeoutError):
                return client.recv(65536)
            client.sendall(drop)
    return b""


@pytest.mark.parametrize("name", SLOW)
def test_a_body_that_does_not_come_to_its_end_arrives_nowhere(behind: Behind, name: str, tally: Tally) -> None:
    start, drop = SLOW[name]
    before = len(behind.stack.seen())
    with socket.create_connection(("127.0.0.1", behind.port), timeout=10) as client:
        client.sendall(start.replace(b"{auth}", behind.stack.authorization))
        replies = parse(dripped(client, drop))
    mark = normal_is_answered(behind)
    assert all(400 <= reply.status < 500 for reply in replies), replies
    assert behind.stack.seen()[before:] == [f"{mark} GET /customers"]
    tally(f"slow bodies behind {behind.front}", tried=1)


@pytest.mark.parametrize("ending", [socket.SHUT_WR, socket.SHUT_RDWR], ids=["half closed", "closed"])
def test_half_a_body_and_the_end_of_the_connection_arrive_nowhere(behind: Behind, ending: int, tally: Tally) -> None:
    before = len(behind.stack.seen())
    with socket.create_connection(("127.0.0.1", behind.port), timeout=10) as client:
        client.sendall(post(ANNOUNCED, b"{" * 50).replace(b"{auth}", behind.stack.authorization))
        client.shutdown(ending)
        replies = parse(dripped(client, b"")) if ending == socket.SHUT_WR else []
    mark = normal_is_answered(behind)
    assert all(400 <= reply.status < 500 for reply in replies), replies
    assert behind.stack.seen()[before:] == [f"{mark} GET /customers"]
    tally(f"slow bodies behind {behind.front}", tried=1)


def test_what_is_longer_than_was_announced_is_cut_there(behind: Behind) -> None:
    before = len(behind.stack.seen())
    sent = post(b"Content-Length: 2\r\n", b"{}" + b"{" * 50 + b"\r\n\r\n")
    received = talk(behind.port, sent.replace(b"{auth}", behind.stack.authorization), half_close=False)
    first, *others = parse(received)
    assert (first.status, first.json["body"], first.json["CONTENT_LENGTH"]) == (200, "{}", "2")
    assert all(400 <= reply.status < 500 for reply in others), others
    assert [line.partition(" ")[2] for line in behind.stack.seen()[before:]] == ["POST /customers"]


def test_slow_bodies_leave_room_for_others(behind: Behind) -> None:
    before = len(behind.stack.seen())
    with ExitStack() as stalled:
        for _ in range(STALLED):
            client = stalled.enter_context(socket.create_connection(("127.0.0.1", behind.port), timeout=10))
            client.sendall(post(ANNOUNCED, b"{").replace(b"{auth}", behind.stack.authorization))
        marks = [normal_is_answered(behind) for _ in range(5)]
    assert behind.stack.seen()[before:] == [f"{mark} GET /customers" for mark in marks]

"""The same raw bytes through real proxies: what arrives is a request that was routed, or nothing."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from alicerce.services import services
from tests.gateway.proxies import Front, haproxy, nginx_example, nginx_plain, proxied
from tests.gateway.raw import Reply, parse, talk
from tests.gateway.stack import Stack, stack
from tests.security.probes import PASSING, REFUSED, Probe, get
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


@dataclass(frozen=True)
class Behind:
    """A proxy before a gateway before the echoing service."""

    port: int
    stack: Stack
    front: str


@pytest.fixture(scope="module", params=FRONTS, ids=lambda front: front.__name__)
def behind(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    settings = MODE if request.param is nginx_example else {}
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

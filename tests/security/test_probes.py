"""Raw bytes to the gateway in every topology, and past it: each refusal is ours, what passes arrives as it was routed,
and the next request on the same connection gets its own answer or none."""

import re
import secrets

import pytest

from alicerce.services import services
from kit import tokens
from tests.api import new_person
from tests.gateway.raw import Reply, exchange, parse, talk
from tests.gateway.stack import Stack
from tests.security.probes import ANNOUNCED, BODIES, LENGTHS, PASSING, REFUSED, Probe, get, post
from tests.tables import Tally
from tests.topologies import Running

NORMAL = get("/api/customers")
FRAMING = [name for name in LENGTHS if name != "shorter than its CL"]  # what comes behind that one is its rest


@pytest.fixture(scope="session", params=["solo", "split"])
def real(request: pytest.FixtureRequest) -> tuple[Running, bytes]:
    """A real platform, and an Authorization line that it believes."""
    platform: Running = request.getfixturevalue(request.param)
    return platform, f"Authorization: Bearer {new_person(platform.url).token}\r\n".encode()


def filled(probe: Probe, authorization: bytes) -> bytes:
    return probe.sent.replace(b"{auth}", authorization)


def method_of(probe: Probe) -> str:
    return "HEAD" if b"HEAD " in probe.sent[:7] else "GET"


def is_refusal(reply: Reply) -> bool:
    return 400 <= reply.status < 500 or reply.status in (501, 505)


def check_refusal(replies: list[Reply], probe: Probe) -> list[Reply]:
    """The probe is refused. What comes after it: refusals of what it left behind, and at most one answer, the last."""
    assert replies, "the connection was closed without an answer"
    assert replies[0].status in probe.statuses, replies[0]
    for reply in replies[:-1] if len(replies) > 1 else replies:
        assert is_refusal(reply), reply
        reply.check_problem()
    if is_refusal(replies[-1]):
        replies[-1].check_problem()
        return []
    return replies[-1:]


def followed(probe: Probe, authorization: bytes, mark: str) -> bytes:
    """The probe, and behind it on the same connection a request as it should be."""
    after = NORMAL.replace(b"{auth}", b"{auth}X-Request-Id: " + mark.encode() + b"\r\n")
    return filled(probe, authorization) + (after.replace(b"{auth}", authorization) if probe.whole else b"")


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_an_odd_request_is_refused_and_reaches_no_service(echo: Stack, probe: Probe, tally: Tally) -> None:
    before, mark = len(echo.seen()), secrets.token_hex(8)
    answers = check_refusal(exchange(echo.port, followed(probe, echo.authorization, mark)), probe)
    assert echo.seen()[before:] == [f"{mark} GET /customers" for _ in answers]
    assert all((answer.status, answer.json["HTTP_X_REQUEST_ID"]) == (200, mark) for answer in answers)
    tally("raw-socket probes", tried=1)


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_an_odd_request_is_refused_by_the_real_platform(
    real: tuple[Running, bytes], probe: Probe, tally: Tally
) -> None:
    platform, authorization = real
    sent = followed(probe, authorization, secrets.token_hex(8))
    for answer in check_refusal(exchange(platform.ports["gateway"], sent), probe):
        assert (answer.status, answer.json["customers"]) == (200, [])
    tally("raw-socket probes", tried=1)


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_a_service_by_itself_opens_nothing_and_breaks_at_nothing(split: Running, probe: Probe, tally: Tally) -> None:
    bare = filled(probe, b"").replace(b"/api/", b"/")
    for service in services():
        for reply in exchange(split.ports[service], bare):
            assert reply.status < 500 or reply.status in (501, 505), (service, reply)
            if reply.status >= 400:
                reply.check_problem()
            else:  # which methods there are, or the address without its second slash
                assert (reply.status, reply.body) == (200, b"") or reply.status == 308, (service, reply)
    tally("raw-socket probes past the gateway", tried=len(services()))


@pytest.mark.parametrize("name", FRAMING)
def test_refused_framing_ends_the_connection(echo: Stack, name: str) -> None:
    before = len(echo.seen())
    sent = post(*LENGTHS[name]) + NORMAL
    (refusal,) = exchange(echo.port, sent.replace(b"{auth}", echo.authorization))
    assert is_refusal(refusal), refusal
    assert refusal.values("Connection") == ["close"]
    assert echo.seen()[before:] == []


@pytest.mark.parametrize("name", FRAMING)
def test_refused_framing_ends_the_connection_to_a_service_too(split: Running, name: str) -> None:
    sent = post(*LENGTHS[name]).replace(b"/api/", b"/").replace(b"{auth}", b"")
    replies = exchange(split.ports["customer"], sent + b"GET /live HTTP/1.1\r\nHost: customer\r\n\r\n")
    assert len(replies) == 1 and is_refusal(replies[0]), replies  # with or without a look at the body, and then no more


@pytest.mark.parametrize("name", ANNOUNCED)
@pytest.mark.parametrize("target", [b"/api/customers", b"/api/nothing"])
def test_a_body_is_judged_by_what_is_announced_of_it(echo: Stack, name: str, target: bytes) -> None:
    head = b"POST " + target + b" HTTP/1.1\r\nHost: gateway\r\n" + echo.authorization
    received = talk(echo.port, head + ANNOUNCED[name], half_close=False)
    if not (b"Expect" in ANNOUNCED[name] and b"chunked" in ANNOUNCED[name]):
        assert b" 100 " not in received
    (reply,) = parse(received)
    assert reply.status == (413 if b"customers" in target else 404), reply
    assert reply.values("Connection") == ["close"]
    reply.check_problem()


@pytest.mark.parametrize("probe", PASSING, ids=lambda probe: probe.name)
def test_what_passes_arrives_as_it_was_routed(echo: Stack, probe: Probe) -> None:
    replies = exchange(echo.port, filled(probe, echo.authorization), method=method_of(probe))
    assert [reply.status for reply in replies] == [200]
    assert replies[0].version in ("HTTP/1.1", "HTTP/1.0")
    if method_of(probe) == "HEAD":
        return
    got = replies[0].json
    target = re.search(rb"/api(\S+)", probe.sent)
    assert target and got["RAW_URI"] == target[1].decode()
    assert (got["HTTP_X_USER_ID"], got["HTTP_X_TENANT_ID"]) == (echo.user_id, echo.tenant_id)
    claims = tokens.Keyring(echo.home / "keys").verify(got["HTTP_TXN_TOKEN"], tokens.INTERNAL)
    assert (claims["uid"], claims["tid"]) == (echo.user_id, echo.tenant_id)
    assert got["HTTP_HOST"] == "customer"
    assert got["SCRIPT_NAME"] == ""
    allowed = {"HOST", "X_USER_ID", "X_TENANT_ID", "TXN_TOKEN", "X_FORWARDED_FOR", "X_REQUEST_ID", "TRACEPARENT"}
    allowed |= {"X_REQUEST_DEADLINE_MS", "USER_AGENT", "ACCEPT_ENCODING"}
    assert {name[5:] for name in got if name.startswith("HTTP_")} <= allowed
    assert got.get("HTTP_ACCEPT_ENCODING", "identity") == "identity"


@pytest.mark.parametrize("probe", PASSING, ids=lambda probe: probe.name)
def test_what_passes_is_answered_by_the_real_platform(real: tuple[Running, bytes], probe: Probe) -> None:
    platform, authorization = real
    replies = exchange(platform.ports["gateway"], filled(probe, authorization), method=method_of(probe))
    assert [reply.status for reply in replies] == [200]


@pytest.mark.parametrize(
    "query", ["a=1&a=2&b=", "q=%2e%2e%2f", "q=%zz", "a=1?b=2", "x=[]{}|^`\"<>'", "a;b;c", "&&", "filter[tags][in]=a,b"]
)
def test_a_query_arrives_byte_for_byte(echo: Stack, query: str) -> None:
    (reply,) = exchange(echo.port, get(f"/api/customers?{query}").replace(b"{auth}", echo.authorization))
    assert (reply.json["RAW_URI"], reply.json["QUERY_STRING"]) == (f"/customers?{query}", query)


@pytest.mark.parametrize("form", BODIES)
def test_a_body_arrives_with_one_length_however_it_came(echo: Stack, form: str) -> None:
    sent = post(*BODIES[form]).replace(b"{auth}", echo.authorization)
    (reply,) = exchange(echo.port, sent)
    assert (reply.json["body"], reply.json["CONTENT_LENGTH"]) == ("hello", "5")
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_TRAILER", "HTTP_X_TRAILER"} & set(reply.json)
    assert reply.json["HTTP_X_USER_ID"] == echo.user_id


def test_pipelined_requests_are_answered_in_order_and_apart(echo: Stack) -> None:
    first = post(b"Content-Length: 3\r\n", b"one")
    second = post(b"Transfer-Encoding: chunked\r\n", b"3\r\ntwo\r\n0\r\n\r\n")
    sent = (first + second + NORMAL).replace(b"{auth}", echo.authorization)
    replies = exchange(echo.port, sent)
    assert [reply.json["body"] for reply in replies] == ["one", "two", ""]


def test_a_body_is_never_taken_for_a_request(echo: Stack) -> None:
    inner = get("/api/customers/smuggled").replace(b"{auth}", echo.authorization)
    for headers in (b"Content-Length: %d\r\n" % len(inner), b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"):
        exchange(echo.port, post(headers, inner).replace(b"{auth}", echo.authorization))
        exchange(echo.port, get("/api/nothing", headers).replace(b"{auth}", echo.authorization) + inner)
    assert not any("smuggled" in line for line in echo.seen())


def test_after_a_refusal_a_kept_connection_serves_the_next_request(echo: Stack) -> None:
    sent = (get("/api/customers/%2e%2e") + get("/api/nothing") + NORMAL).replace(b"{auth}", echo.authorization)
    assert [reply.status for reply in exchange(echo.port, sent)] == [400, 404, 200]

"""What a service gets to see of a request, and a client of an answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import routes
from gateway.proxy import Proxy
from kit import identity, tokens, transport
from tests.api import Api, Person

TABLE = (
    routes.Door("echo", ("/api", "/echo"), "GET /things\nPOST /things\nDELETE /things\nGET /open open"),
    routes.Door("vault", ("/vault",), "GET /things open", credentials=True),
)


@pytest.fixture
def seen() -> dict[str, Any]:
    """The environ that the service got, last."""
    return {}


@pytest.fixture
def answer_headers() -> list[tuple[str, str]]:
    """What the service's answer says; a test may add to it."""
    return [("Content-Type", "text/plain")]


@pytest.fixture
def echo(platform: Any, seen: dict[str, Any], answer_headers: list[tuple[str, str]]) -> Iterator[Any]:
    """A proxy before two services that only remember what they got."""

    def service(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.clear()
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", answer_headers)
        return [b"seen"]

    for name in ("echo", "vault"):
        transport.mount(name, service)
    proxy = Proxy(platform.proxy.authenticator, TABLE)
    yield lambda environ, start_response: proxy(environ, start_response) or [b""]
    for name in ("echo", "vault"):
        transport._mounted.pop(name)


@pytest.fixture
def person(echo: Any, owner: Person) -> Api:
    return Api(echo, owner.token)


def test_identity_is_injected_and_the_clients_own_claims_are_gone(
    person: Api, owner: Person, seen: dict[str, Any]
) -> None:
    forged = {"X-User-Id": "root", "X-Tenant-Id": "all", "X-Internal-Role": "god", "Txn-Token": "forged"}
    assert person.get("/api/things", headers=forged).status == 200
    assert seen["HTTP_X_USER_ID"] == owner.user_id
    assert seen["HTTP_X_TENANT_ID"] == owner.tenant_id
    claims = tokens.keyring().verify(seen["HTTP_TXN_TOKEN"], tokens.INTERNAL)
    assert (claims["iss"], claims["uid"], claims["tid"]) == ("gateway", owner.user_id, owner.tenant_id)
    assert "HTTP_X_INTERNAL_ROLE" not in seen
    assert claims["exp"] - claims["iat"] == identity.LIFETIME_S


def test_an_open_route_carries_no_identity_at_all(echo: Any, seen: dict[str, Any]) -> None:
    forged = {"X-User-Id": "root", "X-Tenant-Id": "all", "Txn-Token": "forged"}
    assert Api(echo).get("/api/open", headers=forged).status == 200
    assert not {"HTTP_X_USER_ID", "HTTP_X_TENANT_ID", "HTTP_TXN_TOKEN"} & set(seen)


@pytest.mark.parametrize(
    "header",
    [
        *("Cookie", "Forwarded", "X-Real-IP", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Proxy"),
        *("TE", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Script-Name", "Path-Info", "X-Forwarded-Host"),
        *("X-Forwarded-Proto", "X-Request-Deadline-Ms", "Expect", "Connection"),
    ],
)
def test_headers_that_are_not_named_stay_outside(person: Api, seen: dict[str, Any], header: str) -> None:
    assert person.get("/api/things", headers={header: "1"}).status == 200
    assert seen.get("HTTP_" + header.upper().replace("-", "_")) != "1"


def test_what_a_service_needs_of_the_client_passes(person: Api, seen: dict[str, Any]) -> None:
    sent = {"If-Match": '"1"', "Idempotency-Key": "k", "Accept-Language": "pt-BR", "User-Agent": "me"}
    person.post("/api/things", {"a": 1}, headers=sent)
    assert {name: seen["HTTP_" + name.upper().replace("-", "_")] for name in sent} == sent
    assert seen["CONTENT_TYPE"] == "application/json"
    assert seen["body"] == b'{"a": 1}'
    assert seen["CONTENT_LENGTH"] == "8"


def test_only_a_door_with_credentials_sees_the_clients_own_token(echo: Any, person: Api, seen: dict[str, Any]) -> None:
    person.get("/api/things")
    assert "HTTP_AUTHORIZATION" not in seen
    Api(echo, "anything").get("/vault/things")
    assert seen["HTTP_AUTHORIZATION"] == "Bearer anything"


def test_the_path_and_query_arrive_byte_for_byte(person: Api, seen: dict[str, Any]) -> None:
    person.get("/api/things/?a=1&a=2&b=&c=%2F%zz")
    assert seen["RAW_URI"] == "/things/?a=1&a=2&b=&c=%2F%zz"
    assert seen["QUERY_STRING"] == "a=1&a=2&b=&c=%2F%zz"


def test_the_request_id_and_the_trace_go_all_the_way(person: Api, seen: dict[str, Any]) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"X-Request-Id": "request-12345", "Traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    assert person.get("/api/things", headers=sent).headers["X-Request-Id"] == "request-12345"
    assert seen["HTTP_X_REQUEST_ID"] == "request-12345"
    assert seen["HTTP_TRACEPARENT"].split("-")[1] == trace_id
    assert seen["HTTP_TRACEPARENT"] != sent["Traceparent"]


@pytest.mark.parametrize("offered", ["short", "x" * 65, "a b c d e f", "<script>alert</script>"])
def test_a_request_id_that_could_harm_a_log_is_replaced(person: Api, seen: dict[str, Any], offered: str) -> None:
    person.get("/api/things", headers={"X-Request-Id": offered})
    assert seen["HTTP_X_REQUEST_ID"] != offered


@pytest.mark.parametrize("named", ["X-User-Id", "close, x-tenant-id", "Authorization", "Txn-Token", "X-Forwarded-For"])
def test_connection_may_not_name_a_header_of_ours(person: Api, named: str) -> None:
    person.get("/api/things", headers={"Connection": named}).problem(400, "malformed_headers")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_read_or_a_removal_has_no_body(person: Api, method: str) -> None:
    person.request(method, "/api/things", {"a": 1}).problem(400, "body_not_allowed")


def test_a_method_that_is_not_taken_is_named_with_those_that_are(person: Api) -> None:
    answer = person.put("/api/things", {})
    answer.problem(405, "method_not_allowed")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, POST"


def test_an_answer_loses_what_is_not_meant_for_clients(person: Api, answer_headers: list[tuple[str, str]]) -> None:
    answer_headers += [("Set-Cookie", "sid=1"), ("Server", "x"), ("X-Internal-Note", "n"), ("X-Powered-By", "y")]
    headers = person.get("/api/things").headers
    assert not {"Set-Cookie", "Server", "X-Internal-Note", "X-Powered-By"} & set(headers.keys())


def test_a_door_with_credentials_may_set_cookies(echo: Any, answer_headers: list[tuple[str, str]]) -> None:
    answer_headers.append(("Set-Cookie", "sid=1"))
    assert Api(echo).get("/vault/things").headers["Set-Cookie"] == "sid=1"


def test_a_location_is_written_as_the_client_knows_it(person: Api, answer_headers: list[tuple[str, str]]) -> None:
    answer_headers.append(("Location", "/things/1"))
    assert person.get("/api/things").headers["Location"] == "/api/things/1"
    assert person.get("/echo/things").headers["Location"] == "/echo/things/1"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "client"),
    [
        ("", "1.1.1.1", "127.0.0.1"),
        ("127.0.0.0/8", "1.1.1.1", "1.1.1.1"),
        ("127.0.0.0/8", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("127.0.0.0/8,10.0.0.0/8", "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        ("127.0.0.0/8", "nonsense", "127.0.0.1"),
        ("10.0.0.0/8", "1.1.1.1", "127.0.0.1"),
    ],
)
def test_the_clients_address_is_believed_from_trusted_proxies_only(
    person: Api, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch, trusted: str, forwarded: str, client: str
) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", trusted)
    person.get("/api/things", headers={"X-Forwarded-For": forwarded})
    assert seen["HTTP_X_FORWARDED_FOR"] == client

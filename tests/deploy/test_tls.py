"""TLS before the gateway, with a certificate made here and a real nginx: beside one gateway, and before two."""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.edge import Edge, Names, edge
from tests.gateway.proxies import program
from tests.gateway.stack import Stack, serving, stack
from tests.topologies import PATIENCE_S, environment, eventually

TRUSTING = {"TRUSTED_PROXIES": "127.0.0.1/32", "HSTS_ENABLED": "true"}
ELSEWHERE = "127.0.0.2"  # where a second gateway listens, on the same port


class Client:
    """A client of an edge, which trusts its certificate and comes from an address of its own."""

    def __init__(self, edge: Edge, stack: Stack, address: str = "127.0.0.1") -> None:
        self.edge, self.session = edge, requests.Session()
        self.session.trust_env, self.session.verify = False, str(edge.certificate)
        self.session.mount("https://", _From(address))
        name, _, value = stack.authorization.decode().strip().partition(": ")
        self.session.headers[name] = value

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.edge.url + path, timeout=15, allow_redirects=False, **options)


class _From(requests.adapters.HTTPAdapter):
    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, source_address=(self.address, 0))


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The gateway that the edges stand before."""
    with stack("over_http", tmp_path_factory.mktemp("gateway"), **TRUSTING) as built:
        yield built


@pytest.fixture(scope="module", params=["beside", "edge"])
def front(request: Any, behind: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Either way to stand before it: at its address, or by its name."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as others:
        names = others.enter_context(Names(["127.0.0.1"]).serving()) if request.param == "edge" else None
        yield others.enter_context(edge(folder, behind.port, names))


@pytest.fixture
def client(front: Edge, behind: Stack) -> Client:
    return Client(front, behind)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_is_sent_to_https(front: Edge, behind: Stack, method: str) -> None:
    before = behind.seen()
    url = f"http://127.0.0.1:{front.http}/api/customers?page=2"
    answer = requests.request(method, url, allow_redirects=False, timeout=15)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://127.0.0.1/api/customers?page=2")
    assert "Strict-Transport-Security" not in answer.headers  # RFC 6797, 7.2
    assert behind.seen() == before


def test_what_is_asked_over_tls_arrives_byte_for_byte(client: Client) -> None:
    echoed = client.ask("POST", "/api/customers?search=%C3%A9&page=2", data=b"\xc3\xa9 {}").json()
    assert (echoed["REQUEST_METHOD"], echoed["RAW_URI"]) == ("POST", "/customers?search=%C3%A9&page=2")
    assert echoed["body"] == b"\xc3\xa9 {}".decode("latin-1")


def test_browsers_are_told_to_come_by_tls_when_that_is_switched_on(client: Client) -> None:
    assert client.ask("GET", "/api/customers").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_client_that_does_not_trust_the_certificate_stays_away(front: Edge) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(front.url + "/live", timeout=15)


def test_an_old_tls_is_refused(front: Edge) -> None:
    # By the configuration that nginx reads. A handshake would prove nothing: OpenSSL 3 refuses TLS 1.1 by itself.
    words = [program("nginx"), "-T", "-q", "-c", str(front.configuration), "-e", "stderr"]
    read = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^ *ssl_protocols +(.*);", read, re.MULTILINE) == ["TLSv1.2 TLSv1.3"]


def test_events_arrive_when_they_happen(client: Client) -> None:
    headers = {"Accept": "text/event-stream"}
    with client.ask("GET", "/api/answers/stream", headers=headers, stream=True) as answer:
        pieces = answer.iter_content(None)
        assert next(pieces) == b"first."
        client.ask("GET", "/api/answers/release")
        assert b"".join(pieces) == b"second."


def test_half_a_body_waits_at_the_edge(tmp_path: Path) -> None:
    with ExitStack() as others:
        gateway = others.enter_context(socket.create_server(("127.0.0.1", 0)))  # which gathers nothing, unlike ours
        gateway.settimeout(PATIENCE_S)
        front = others.enter_context(edge(tmp_path, gateway.getsockname()[1]))
        slow, quick = (others.enter_context(tls(front)) for _ in range(2))
        slow.sendall(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n" + b"{" * 50)
        quick.sendall(b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert others.enter_context(gateway.accept()[0]).recv(4) == b"GET "
        slow.sendall(b"}" * 50)
        assert others.enter_context(gateway.accept()[0]).recv(4) == b"POST"


def tls(front: Edge) -> ssl.SSLSocket:
    """A connection to an edge whose certificate it trusts."""
    trusting = ssl.create_default_context(cafile=front.certificate)
    sock = socket.create_connection(("127.0.0.1", front.https), timeout=PATIENCE_S)
    return trusting.wrap_socket(sock, server_hostname="localhost")


def test_a_body_that_nobody_would_take_is_refused_as_a_problem(client: Client) -> None:
    answer = client.ask("POST", "/api/customers", data=b" " * (17 << 20))
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert (answer.json()["code"], answer.json()["status"]) == ("too_large", 413)


def test_what_is_open_to_this_machine_alone_is_closed_to_whoever_comes_through_the_edge(client: Client) -> None:
    for path in ("/metrics", "/ops"):
        assert client.ask("GET", path, headers={"Forwarded": "", "X-Forwarded-For": ""}).status_code == 403


def test_limits_hold_for_the_address_of_the_client_whatever_it_claims(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = TRUSTING | {"RATE_LIMIT_ADDRESS": "5"}
    with ExitStack() as others:
        built = others.enter_context(stack("mounted", tmp_path_factory.mktemp("limited"), **settings))
        front = others.enter_context(edge(tmp_path_factory.mktemp("edge"), built.port))
        claiming, other = Client(front, built, "127.0.0.9"), Client(front, built, "127.0.0.10")
        headers = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(6)]
        statuses = [claiming.ask("GET", "/api/customers", headers=one).status_code for one in headers]
        assert statuses == [200] * 5 + [429]
        assert other.ask("GET", "/api/customers").status_code == 200


def test_without_a_gateway_the_edge_says_so_in_the_form_of_all_problems(
    behind: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Names(["127.0.0.3"]).serving() as names, edge(tmp_path_factory.mktemp("alone"), behind.port, names) as front:
        answer = Client(front, behind).ask("GET", "/api/customers")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["status"], problem["code"], problem["message"]) == (
            503,
            "gateway_unavailable",
            problem["detail"],
        )
        assert problem["request_id"]


# --- Two gateways ----------------------------------------------------------------------------------------------------


def second(behind: Stack) -> Any:
    """Another gateway with the same keys on the same port, at another address of this machine."""
    settings = environment(behind.home, {}) | TRUSTING
    urls = {f"{name}_SERVICE_URL": f"http://127.0.0.1:{behind.service_port}" for name in ("AUTH", "TENANT", "CUSTOMER")}
    return serving("tests.gateway.echo:over_http()", settings | urls, (ELSEWHERE, behind.port))


def answered(behind: Stack, address: str) -> float:
    """The requests that a gateway has answered, as its figures say."""
    text = requests.get(f"http://{address}:{behind.port}/metrics", timeout=15).text
    return sum(
        float(value) for value in re.findall(r"^http_server_request_duration_seconds_count\{.*\} (\S+)", text, re.M)
    )


def test_two_gateways_share_what_comes_and_one_of_them_may_end(
    behind: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as others:
        names = others.enter_context(Names(["127.0.0.1", ELSEWHERE]).serving())
        front = others.enter_context(edge(tmp_path_factory.mktemp("two"), behind.port, names))
        client = Client(front, behind)
        with second(behind):
            eventually(lambda: answered(behind, ELSEWHERE) >= 0, "the second answers")
            before = [answered(behind, address) for address in names.addresses]
            assert {client.ask("GET", "/api/customers").status_code for _ in range(20)} == {200}
            after = [answered(behind, address) for address in names.addresses]
            assert all(now - then >= 5 for now, then in zip(after, before, strict=True)), (before, after)
        # It is gone, and still named, as for the moment in which a container ends.
        assert {client.ask("POST", "/api/customers", data=b"{}").status_code for _ in range(20)} == {200}


# Threads: getsentry/self-hosted#4295, langgenius/dify#40448 (nginx keeps the address of a container that has gone).
def test_a_gateway_that_comes_at_another_address_is_found(
    behind: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as others:
        names = others.enter_context(Names(["127.0.0.3"]).serving())
        front = others.enter_context(edge(tmp_path_factory.mktemp("moved"), behind.port, names))
        client = Client(front, behind)
        assert client.ask("GET", "/api/customers").status_code == 503
        names.addresses = ["127.0.0.1"]
        eventually(lambda: client.ask("GET", "/api/customers").status_code == 200, "the new address is asked")

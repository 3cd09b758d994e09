"""A proxy that carries the data itself asks the gateway; here it is asked, and stands behind a real nginx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import identity, tokens
from tests.api import Answer, Api, Person, new_person
from tests.gateway.fronts import OFF, Build, Front, building
from tests.gateway.proxies import nginx_example, proxied
from tests.gateway.stack import serving
from tests.topologies import Running, environment

SWITCHED_ON = {"FORWARD_AUTH_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.0/8"}
PROOF = (identity.HEADER, "X-User-Id", "X-Tenant-Id")


@pytest.fixture
def build(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    with building(platform, monkeypatch) as build:
        yield build


@pytest.fixture
def front(build: Build) -> Front:
    return build(**SWITCHED_ON)


def question(front: Front, method: str, target: str, token: str | None = None, **headers: str) -> Answer:
    named = {"X-Original-Method": method, "X-Original-URI": target}
    sent = named | {name.replace("_", "-"): value for name, value in headers.items()}
    return Api(front, token).get("/forward-auth", headers=sent)


def test_a_request_that_may_pass_is_given_its_proof_and_its_way(front: Front, owner: Person) -> None:
    answer = question(front, "GET", "/api/things?page=2", owner.token)
    assert answer.status == 204
    assert (answer.headers["X-User-Id"], answer.headers["X-Tenant-Id"]) == (owner.user_id, owner.tenant_id)
    assert (answer.headers["X-Upstream-Service"], answer.headers["X-Upstream-Uri"]) == ("echo", "/things?page=2")
    claims = tokens.Keyring().verify(answer.headers[identity.HEADER], tokens.INTERNAL)
    assert claims["sub"] == owner.user_id
    assert answer.headers["Cache-Control"] == "no-store"
    assert front.service.asked == 0


def test_an_open_operation_passes_without_a_proof_whatever_the_client_sent(front: Front) -> None:
    answer = question(front, "GET", "/api/open", X_User_Id="root", Txn_Token="forged")
    assert answer.status == 204
    assert not set(PROOF) & set(answer.headers.keys())


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/api/things", 401),
        ("DELETE", "/api/things", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/internal/facts", 404),
        ("GET", "/api/things/../internal", 404),
        ("GET", "/api/%74hings", 404),
        ("GET", "//api/things", 404),
        ("GET", "http://echo/things", 404),
    ],
)
def test_what_the_gateway_refuses_it_refuses_here_too(front: Front, method: str, target: str, status: int) -> None:
    assert question(front, method, target).status == status


def test_a_wrong_token_is_refused(front: Front) -> None:
    assert question(front, "GET", "/api/things", "forged").problem(401, "invalid_token")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Original-Method": "GET"},
        {"X-Original-URI": "/api/things"},
        {"X-Original-Method": "GET", "X-Original-URI": ""},
        {
            "X-Original-Method": "POST",
            "X-Original-URI": "/api/things",
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Uri": "/api/open",
        },
        {"X-Original-Method": "GET", "X-Original-URI": "/api/open", "X-Forwarded-Uri": "/api/things"},
    ],
)
def test_a_question_that_could_mean_two_requests_is_refused(front: Front, headers: dict[str, str]) -> None:
    Api(front).get("/forward-auth", headers=headers).problem(400, "unclear_question")


def test_traefik_and_envoy_name_the_request_in_their_own_headers(front: Front, owner: Person) -> None:
    headers = {"X-Forwarded-Method": "POST", "X-Forwarded-Uri": "/api/things"}
    answer = Api(front, owner.token).get("/forward-auth", headers=headers)
    assert (answer.status, answer.headers["X-Upstream-Uri"]) == (204, "/things")


def test_limits_and_read_only_hold_for_what_passes_beside_the_gateway(
    build: Build, owner: Person, tmp_path: Path
) -> None:
    front = build(**SWITCHED_ON, RATE_LIMIT_USER="1")
    assert question(front, "GET", "/api/things", owner.token).status == 204
    assert question(front, "GET", "/api/things", owner.token).status == 429
    front = build(**SWITCHED_ON)
    front.proxy.mode.folder = tmp_path
    (tmp_path / "read-only").touch()
    assert question(front, "POST", "/api/things", owner.token).problem(503, "read_only")


@pytest.mark.parametrize("settings", [{}, {"FORWARD_AUTH_ENABLED": "true"}, {"TRUSTED_PROXIES": "127.0.0.0/8"}])
def test_without_the_switch_or_from_elsewhere_there_is_nothing(build: Build, settings: dict[str, str]) -> None:
    assert question(build(**settings), "GET", "/api/open").status == 404


# --- A real nginx ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nginx(split: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an nginx with our example file, before the services of a real platform."""
    ours = environment(split.home, split.ports) | SWITCHED_ON | OFF
    ours |= {f"{name.upper()}_SERVICE_URL": f"http://127.0.0.1:{port}" for name, port in split.ports.items()}
    with serving("gateway:create_app()", ours) as gateway:
        ports = {**split.ports, "gateway": gateway}
        with proxied(nginx_example, tmp_path_factory.mktemp("nginx"), ports) as port:
            yield f"http://127.0.0.1:{port}"


@pytest.fixture
def person(nginx: str) -> Person:
    return new_person(nginx)


def test_behind_nginx_a_story_works_as_at_the_gateway(person: Person, nginx: str) -> None:
    made = person.post("/api/customers", {"name": "Padaria São João"}).ok(201)["customer"]
    path = f"/api/customers/{made['id']}"
    assert person.get(path + "/").ok()["customer"]["name"] == "Padaria São João"
    assert person.put(path, {"name": "Padaria"}, headers={"If-Match": f'"{made["version"]}"'}).status == 200
    person.post(f"{path}/interactions", {"id_interaction_type": "note", "ds_notes": "Hello"}).ok(201)
    assert person.get(f"{path}/timeline").ok()["total"] == 1
    assert person.get("/api/customers?page=1&per_page=5").ok()["total"] == 1
    assert person.get("/auth/me").ok()["user"]["email"] == person.email


def test_behind_nginx_tenants_stay_apart(person: Person, nginx: str) -> None:
    made = person.post("/api/customers", {"name": "Mine"}).ok(201)["customer"]
    assert new_person(nginx).get(f"/api/customers/{made['id']}").problem(404, "no_such_customer")


def test_behind_nginx_a_client_cannot_say_who_it_is(person: Person, nginx: str) -> None:
    forged = {"X-User-Id": person.user_id, "X-Tenant-Id": person.tenant_id, "Txn-Token": "forged"}
    Api(nginx).get("/api/customers", headers=forged).problem(401, "unauthenticated")
    answer = person.get("/api/customers", headers={"X-Tenant-Id": person.user_id, "X-User-Id": person.tenant_id})
    assert answer.status == 200
    question = {"X-Original-Method": "GET", "X-Original-URI": "/auth/.well-known/jwks.json"}
    forwarded = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/auth/.well-known/jwks.json"}
    for pair in (question, forwarded):
        Api(nginx).get("/api/customers", headers=pair).problem(401, "unauthenticated")


def test_behind_nginx_the_question_itself_cannot_be_asked_from_outside(person: Person) -> None:
    named = {"X-Original-Method": "GET", "X-Original-URI": "/api/customers"}
    answer = person.get("/forward-auth", headers=named)
    assert answer.status == 404
    assert identity.HEADER not in answer.headers


def test_behind_nginx_refusals_are_the_gateways_own(person: Person, nginx: str) -> None:
    Api(nginx).get("/api/nothing").problem(404, "not_found")
    person.delete("/api/customers").problem(405, "method_not_allowed")
    person.post("/api/customers", {"name": ""}).problem(422, "validation_error")
    Api(nginx, "forged").get("/api/customers").problem(401, "invalid_token")
    assert Api(nginx).get("/health").ok()["services"]["customer"] == "healthy"

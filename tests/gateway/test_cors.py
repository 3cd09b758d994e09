"""Pages of listed origins may read answers; pages of any other origin are told nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.cors import CORS_ORIGINS
from kit.config import ConfigurationError
from tests.api import Answer, Api
from tests.gateway.fronts import Build, Front, building

OURS = "https://app.example.com"
LOCAL = "http://localhost:5173"


@pytest.fixture
def build(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    with building(platform, monkeypatch) as build:
        yield build


@pytest.fixture
def front(build: Build) -> Front:
    return build(CORS_ORIGINS=f"{OURS}, {LOCAL}")


def preflight(front: Front, path: str, origin: str = OURS, method: str = "POST") -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "if-match"}
    return Api(front).request("OPTIONS", path, headers=headers)


def said(answer: Answer) -> set[str]:
    return {name for name in dict(answer.headers) if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("origin", [OURS, LOCAL])
@pytest.mark.parametrize("path", ["/api/open", "/api/things", "/api/nothing", "/api/%2e", "/page"])
def test_a_listed_page_may_read_every_answer_also_a_refusal(front: Front, origin: str, path: str) -> None:
    headers = Api(front).get(path, headers={"Origin": origin}).headers
    assert headers["Access-Control-Allow-Origin"] == origin
    assert {"ETag", "Retry-After", "X-Request-Id"} <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert "Origin" in headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.example",
        "https://evil.example",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "null",
        "*",
        "",
    ],
)
def test_any_other_page_is_told_nothing(front: Front, origin: str) -> None:
    answer = Api(front).get("/api/open", headers={"Origin": origin})
    assert (answer.status, said(answer)) == (200, set())
    assert "Origin" in answer.headers["Vary"]
    refused = preflight(front, "/api/things", origin)
    assert said(refused) == set()


def test_a_browsers_preliminary_question_needs_no_token_and_reaches_no_service(front: Front) -> None:
    answer = preflight(front, "/api/things")
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST"
    assert {"Authorization", "If-Match", "Idempotency-Key"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert front.service.asked == 0


def test_an_options_without_a_question_is_refused_as_any_method_that_is_not_there(front: Front) -> None:
    answer = Api(front).request("OPTIONS", "/api/things", headers={"Origin": OURS})
    assert answer.problem(405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_without_a_list_no_page_is_told_anything_and_answers_do_not_vary(build: Build) -> None:
    front = build()
    answer = Api(front).get("/api/open", headers={"Origin": OURS})
    assert said(answer) == set()
    assert "Origin" not in answer.headers.get("Vary", "")
    assert preflight(front, "/api/things").status == 405


def test_what_a_service_says_of_other_origins_is_not_heard(front: Front) -> None:
    front.service.headers += [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("access-control-allow-private-network", "true"),
    ]
    assert said(Api(front).get("/api/open")) == set()
    headers = Api(front).get("/api/open", headers={"Origin": OURS}).headers
    assert headers.getlist("Access-Control-Allow-Origin") == [OURS]


def test_a_service_and_the_gateway_vary_in_one_header(front: Front) -> None:
    front.service.headers.append(("Vary", "Accept-Language"))
    varies = Api(front).get("/api/open").headers.getlist("Vary")
    assert len(varies) == 1
    assert set(varies[0].split(", ")) == {"Origin", "Accept-Language", "Accept-Encoding"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("*", "name each origin"),
        ("https://app.example.com/", "no path"),
        ("https://app.example.com/app", "no path"),
        ("app.example.com", "as browsers do"),
        ("https://*.example.com", "as browsers do"),
        ("https://App.example.com", "as browsers do"),
        ("https://app.example.com:443", "no default port"),
        ("http://app.example.com:80", "no default port"),
        ("null", "as browsers do"),
    ],
)
def test_an_origin_that_no_browser_sends_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str, what: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", f"{OURS},{text}")
    with pytest.raises(ConfigurationError, match=what):
        CORS_ORIGINS()

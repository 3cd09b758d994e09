"""What every answer tells browsers, and how the platform is closed and opened without a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.protection import LOOK_S, Mode
from tests.api import Api, Person
from tests.gateway.fronts import Build, Front, building

TIGHT = "default-src 'none'; frame-ancestors 'none'"


@pytest.fixture
def build(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    with building(platform, monkeypatch) as build:
        yield build


@pytest.fixture
def front(build: Build, tmp_path: Path) -> Front:
    """A gateway that looks for its files at every request."""
    front = build()
    moments = iter(range(10**6))
    front.proxy.mode = Mode(tmp_path, lambda: next(moments) * LOOK_S)
    return front


# --- Browsers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/open", "/api/things", "/api/nothing", "/api/%2e", "/live"])
def test_every_answer_says_what_browsers_may_do_with_it(front: Front, path: str) -> None:
    headers = Api(front).get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers.getlist("Content-Security-Policy") == [TIGHT]
    assert "Strict-Transport-Security" not in headers


def test_a_page_of_the_gateways_own_keeps_its_policy(front: Front) -> None:
    assert Api(front).get("/page").headers.getlist("Content-Security-Policy") == ["script-src 'self'"]


def test_a_service_cannot_loosen_it(front: Front) -> None:
    front.service.headers += [
        ("Content-Security-Policy", "default-src *"),
        ("x-frame-options", "ALLOWALL"),
        ("Strict-Transport-Security", "max-age=0"),
    ]
    headers = Api(front).get("/api/open").headers
    assert headers.getlist("Content-Security-Policy") == [TIGHT]
    assert headers.getlist("X-Frame-Options") == ["DENY"]
    assert "Strict-Transport-Security" not in headers


def test_where_tls_ends_before_the_gateway_browsers_are_kept_to_it(build: Build) -> None:
    assert Api(build(HSTS_ENABLED="true")).get("/live").headers["Strict-Transport-Security"] == "max-age=31536000"


# --- Maintenance -----------------------------------------------------------------------------------------------------


def test_a_file_closes_the_platform_with_its_own_words_and_its_absence_opens_it(front: Front, tmp_path: Path) -> None:
    api, file = Api(front), tmp_path / "maintenance"
    file.write_text("We move house until ten o'clock.\n")
    refused = api.get("/api/open")
    assert refused.problem(503, "maintenance")["message"] == "We move house until ten o'clock."
    assert refused.headers["Retry-After"] == "60"
    assert api.get("/api/nothing").status == 503
    assert front.service.asked == 0
    file.unlink()
    assert api.get("/api/open").status == 200


def test_an_empty_file_has_words_too(front: Front, tmp_path: Path) -> None:
    (tmp_path / "maintenance").touch()
    assert "worked on" in Api(front).get("/api/open").problem(503, "maintenance")["message"]


def test_words_that_are_no_text_close_it_all_the_same(front: Front, tmp_path: Path) -> None:
    (tmp_path / "maintenance").write_bytes(b"\xff\xfe" + b"x" * 100_000)
    assert len(Api(front).get("/api/open").problem(503, "maintenance")["message"]) <= 500
    (tmp_path / "maintenance").unlink()
    (tmp_path / "maintenance").mkdir()
    Api(front).get("/api/open").problem(503, "maintenance")


@pytest.mark.parametrize("path", ["/live", "/metrics"])
def test_whoever_repairs_it_sees_it_meanwhile(front: Front, tmp_path: Path, path: str) -> None:
    (tmp_path / "maintenance").touch()
    assert Api(front).get(path).status == 200


def test_a_page_of_another_origin_can_read_that_it_is_closed(build: Build, tmp_path: Path) -> None:
    front = build(CORS_ORIGINS="https://app.example.com")
    front.proxy.mode = Mode(tmp_path)
    (tmp_path / "maintenance").touch()
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    assert Api(front).request("OPTIONS", "/api/things", headers=asked).status == 204
    refused = Api(front).post("/api/things", {}, headers={"Origin": "https://app.example.com"})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (503, "https://app.example.com")


# --- Read only -------------------------------------------------------------------------------------------------------


def test_read_only_lets_people_read_and_log_in_and_change_nothing(front: Front, tmp_path: Path, owner: Person) -> None:
    (tmp_path / "read-only").touch()
    api = Api(front, owner.token)
    assert api.get("/api/things").status == 200
    assert api.request("HEAD", "/api/things").status == 200
    for path in ("/auth/login", "/auth/refresh", "/auth/validate-token"):
        assert Api(front).post(path, {}).status == 200
    before = front.service.asked
    for refused in (api.post("/api/things", {}), api.put("/api/things/7", {}), Api(front).post("/auth/register", {})):
        assert refused.problem(503, "read_only")
        assert refused.headers["Retry-After"] == "60"
    assert front.service.asked == before
    (tmp_path / "read-only").unlink()
    assert api.post("/api/things", {}).status == 200


def test_the_files_are_looked_at_once_a_second_however_many_ask(tmp_path: Path) -> None:
    now = [0.0]
    mode = Mode(tmp_path, lambda: now[0])
    mode.check_open("/api/things")
    (tmp_path / "maintenance").touch()
    now[0] += LOOK_S * 0.9
    mode.check_open("/api/things")
    now[0] += LOOK_S * 0.1
    with pytest.raises(Exception, match="worked on"):
        mode.check_open("/api/things")

"""Seeds 002 and 003: what they say about logging in, health, and configuration, which exists by now."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from alicerce.services import services
from kit.config import setting
from tests.seeds.conftest import shown

PASSWORD = "correct horse battery"


def test_002_authentication_under_api(platform: Any, slash: str) -> None:
    email = f"user.{secrets.token_hex(4)}@example.com"
    body = {"email": email, "password": PASSWORD}
    shown(platform, "POST", f"/api/auth/register{slash}", body).ok(201)
    token = shown(platform, "POST", f"/api/auth/login{slash}", body).ok()["access_token"]
    assert shown(platform, "GET", f"/api/auth/me{slash}", token=token).ok()["user"]["email"] == email


@pytest.mark.parametrize("name", services())
def test_002_and_003_every_service_has_its_health(service: Callable[[str], Any], name: str) -> None:
    assert shown(service(name).target, "GET", "/health").ok()["service"] == name


def test_003_a_variable_is_overridden_for_one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    level = setting("LOG_LEVEL", "INFO", "Least severity that is logged.")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setenv("CUSTOMER_SERVICE_LOG_LEVEL", "DEBUG")
    assert (level.of("customer"), level.of("auth")) == ("DEBUG", "WARNING")

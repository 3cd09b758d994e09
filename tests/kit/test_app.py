"""What the factory promises of every service."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from kit.app import create_service
from kit.config import ConfigurationError
from kit.db import Database
from tests.api import Api


@pytest.mark.parametrize("noun", ["auth", "tenant", "customer"])
def test_a_service_that_reaches_its_database_as_its_own_role_is_ready(service: Callable[[str], Api], noun: str) -> None:
    assert service(noun).get("/ready").ok() == {"status": "ready", "service": noun}


def test_a_role_that_could_bypass_the_fence_is_not_ready(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.customer import create_app

    owner = os.environ["CUSTOMER_SERVICE_DATABASE_OWNER_URL"]
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_URL", owner)
    Api(create_app().wsgi_app).get("/ready").problem(503, "powerful_role")


def test_a_service_whose_database_is_away_is_alive_but_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    from services.customer import create_app

    app = Api(create_app().wsgi_app)
    assert app.get("/live").ok() == {"status": "alive", "service": "customer"}
    app.get("/ready").problem(503, "database_unavailable")


def test_a_route_that_does_not_say_who_may_call_it_stops_the_start(platform: Any) -> None:
    from kit.blueprint import Blueprint as KitBlueprint

    routes = KitBlueprint("things", __name__)

    @routes.get("/things")
    def things() -> dict[str, str]:
        return {"things": "none"}

    with pytest.raises(ConfigurationError, match="/things"):
        create_service("customer", port=1, db=Database(), blueprints=[routes])


def test_an_unknown_address_is_a_problem_document(service: Callable[[str], Api]) -> None:
    service("customer").get("/nothing").problem(404, "not_found")


def test_the_openapi_document_names_its_schemas_after_the_service(service: Callable[[str], Api]) -> None:
    document = service("customer").get("/openapi.json").ok()
    assert document["openapi"].startswith("3.1")
    assert "customer.Customer" in document["components"]["schemas"]
    create = document["paths"]["/customers/"]["post"]
    assert {"201", "400", "401", "403", "409", "422"} <= set(create["responses"])

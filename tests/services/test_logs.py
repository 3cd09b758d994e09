import json
import logging
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from kit.logs import JsonFormatter, TextFormatter
from tests.api import Api
from tests.services.helpers import app_of, drain, unreachable


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("alicerce").setLevel(logging.DEBUG)
    yield caplog
    logging.getLogger("alicerce").setLevel(logging.NOTSET)


def test_no_secret_of_a_session_is_ever_logged(api: Api, written: pytest.LogCaptureFixture) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    email = f"{canary}x@example.com"
    register = {"email": email, "password": f"{canary}-seven-loaves-rise", "name": canary}
    api.post("/auth/register", register).ok(201)
    api.post("/auth/register", register).problem(409, "email_taken")
    api.post("/auth/login", {"email": email, "password": f"{canary}-wrong"}).problem(401, "invalid_credentials")
    grant = api.post("/auth/login", {"email": email, "password": f"{canary}-seven-loaves-rise"}).ok()
    refreshed = api.post("/auth/refresh", {"refresh_token": grant["refresh_token"]}).ok()
    person = Api(api.target, refreshed["access_token"])
    person.post("/api/customers/", {"name": canary, "notes": canary}).ok(201)
    person.get(f"/api/customers/?search={canary}").ok()
    person.post("/api/customers/", {"name": canary, "surprise": canary}).problem(422, "validation_error")
    rows = {"data": f"name,email\n{canary},x{email}\n".encode(), "headers": {"Content-Type": "text/csv"}}
    person.request("POST", "/api/customers/import", **rows).ok(202)
    drain("customer")
    other = person.get(f"/api/customers/?search={canary}").ok()["customers"][0]["id"]
    call = {"ds_notes": canary, "id_interaction_type": "call"}
    person.post(f"/api/customers/{other}/interactions/", call).ok(201)
    person.post("/api/products/", {"name": canary, "sku": canary, "price": "1.00"}).ok(201)
    person.post(f"/api/tenants/{grant['tenant_id']}/members", {"email": f"y{email}", "role": "viewer"}).ok(202)
    with unreachable("customer"):
        person.post(f"/api/customers/{other}/interactions/", call).problem(503, "unavailable")
    passwords = {"current_password": f"{canary}-seven-loaves-rise", "new_password": f"{canary}-another-horse"}
    person.post("/auth/password/change", passwords).ok()
    assert len(written.records) > 10
    assert {record.name.split(".")[1] for record in written.records} >= {
        "auth",
        "customer",
        "gateway",
        "interaction",
        "product",
        "tenant",
    }
    lines = "\n".join(f.format(record) for record in written.records for f in (JsonFormatter(), TextFormatter()))
    for secret in (canary, *(g[name] for g in (grant, refreshed) for name in ("access_token", "refresh_token"))):
        assert secret not in lines
    assert refreshed["access_token"].split(".")[1] not in lines
    assert "$argon2" not in lines


def test_a_line_is_one_json_object_whatever_it_holds() -> None:
    record = logging.LogRecord("alicerce.auth", logging.INFO, "f.py", 1, "a\n%s", ("b\u2028",), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert {k: json.loads(line)[k] for k in ("service", "level", "message")} == {
        "service": "auth",
        "level": "INFO",
        "message": "a\nb\u2028",
    }
    assert "\n" not in TextFormatter().format(record)


def test_a_line_is_never_lost_for_what_it_holds() -> None:
    record = logging.LogRecord("alicerce.auth", logging.INFO, "f.py", 1, "half \ud800", (), None)
    record.fields = {"number": 2**80}
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["number"]) == ("half \ud800", 2**80)


def test_a_defect_does_not_log_the_values_of_its_statement(platform: object) -> None:
    app = app_of("customer")
    with app.app_context(), pytest.raises(SQLAlchemyError) as raised:
        app.db.session.execute(text("SELECT :secret / 0"), {"secret": 424242})
    assert "{'secret'" not in str(raised.value)

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from services.auth.domain.people import SHARED_TENANT
from services.auth.models import User
from tests.api import PASSWORD, Api, Person, new_person
from tests.services.helpers import app_of, raced, statuses, unreachable

REGISTER, LOGIN = "/auth/register", "/auth/login"


def address() -> str:
    return f"r{secrets.token_hex(6)}@example.com"


def kept(user_id: str) -> Any:
    """The row that auth keeps of a person."""
    from uuid import UUID

    app = app_of("auth")
    with app.app_context():
        app.db.act_for(UUID(user_id))
        return app.db.session.get(User, UUID(user_id))


def test_the_answer_has_our_names_and_the_older_ones(api: Api) -> None:
    email = address()
    answer = api.post(
        REGISTER, {"email": email.upper(), "password": PASSWORD, "name": " Ana ", "username": "Ana." + email[:9]}
    )
    body = answer.ok(201)
    assert set(body) == {"message", "user"}
    user = body["user"]
    assert (user["name"], user["ds_user"], user["email"], user["ds_user_email"]) == ("Ana", "Ana", email, email)
    assert user["username"] == "ana." + email[:9]
    assert user["is_platform_admin"] is False
    assert not any("password" in name or "hash" in name for name in user)


def test_older_names_work_alone(api: Api) -> None:
    email = address()
    user = api.post(REGISTER, {"ds_user_email": email, "ds_user": "Bia", "password": PASSWORD}).ok(201)["user"]
    assert (user["email"], user["name"]) == (email, "Bia")


def test_two_names_of_one_thing_must_agree(api: Api) -> None:
    email = address()
    same = {"email": email, "ds_user_email": email, "name": "A", "ds_user": "A", "password": PASSWORD}
    for name in ("ds_user_email", "ds_user"):
        problem = api.post(REGISTER, same | {name: "b@example.com"}).problem(422, "validation_error")
        assert name in problem["errors"]
    api.post(REGISTER, same).ok(201)


def test_a_name_is_taken_from_the_address_when_none_is_given(api: Api) -> None:
    assert api.post(REGISTER, {"email": "solo" + address(), "password": PASSWORD}).ok(201)["user"]["name"][:4] == "solo"


def test_one_can_log_in_and_owns_a_tenant_of_that_name(api: Api) -> None:
    email = address()
    api.post(REGISTER, {"email": email, "password": PASSWORD, "organization_name": "Acme"}).ok(201)
    grant = api.post(LOGIN, {"email": email, "password": PASSWORD}).ok()
    (tenant,) = Api(api.target, grant["access_token"]).get("/auth/me").ok()["tenants"]
    assert tenant == {"tenant_id": grant["tenant_id"], "tenant_name": "Acme", "role": "owner"}


@pytest.mark.parametrize("field", ["email", "ds_user_email"])
def test_a_known_address_is_a_conflict_in_any_case(api: Api, owner: Person, field: str) -> None:
    problem = api.post(REGISTER, {field: owner.email.upper(), "password": PASSWORD}).problem(409, "email_taken")
    assert list(problem["errors"]) == ["email"]


def test_a_taken_user_name_is_a_conflict_and_leaves_the_address_free(api: Api) -> None:
    email, name = address(), f"u{secrets.token_hex(6)}"
    api.post(REGISTER, {"email": address(), "password": PASSWORD, "username": name}).ok(201)
    taken = {"email": email, "password": PASSWORD, "username": name.upper()}
    assert list(api.post(REGISTER, taken).problem(409, "username_taken")["errors"]) == ["username"]
    api.post(REGISTER, {"email": email, "password": PASSWORD}).ok(201)


def test_of_twenty_who_register_one_address_at_once_one_wins(service: Callable[[str], Api], api: Api) -> None:
    auth, body = service("auth"), {"email": address(), "password": PASSWORD}
    answers = raced(*[lambda: auth.post("/register", body)] * 20)
    assert statuses(answers) == [201] + [409] * 19
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"email_taken"}
    api.post(LOGIN, body).ok()


@pytest.mark.parametrize(
    "fields",
    [
        *({"password": password} for password in ("", "short", "1234567", "password1", "PASSWORD123", "x" * 1025)),
        *({"password": password} for password in (None, 12345678, ["correct horse"])),
        {"password": "ç" * 600},
        {"password": "my.own.address@example.com", "email": "My.own.address@example.com"},
        {"password": "somebody's name", "name": "Somebody's Name"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_a_password_that_is_easily_guessed_is_refused(api: Api, fields: dict[str, Any]) -> None:
    problem = api.post(REGISTER, {"email": address(), **fields}).json
    assert (problem["status"], list(problem["errors"])) == (422, ["password"])
    assert problem["code"] in ("weak_password", "validation_error")


@pytest.mark.parametrize(
    "password",
    ["ninechars", "só letras, e uma frase", "🔑🔒🚪🏠🐱🐶🌍🚀", "a long road " * 85, " kX9#mQ2v  ", "ключ от дома"],
)
def test_a_password_is_taken_exactly_as_it_is(api: Api, password: str) -> None:
    email = address()
    api.post(REGISTER, {"email": email, "password": password}).ok(201)
    api.post(LOGIN, {"email": email, "password": password}).ok()
    for other in ("x" + password[:-1] + "y", password[:-1], password[1:] + "z"):
        api.post(LOGIN, {"email": email, "password": other[-1024:]}).problem(401, "invalid_credentials")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("email", value)
            for value in ("", "x", "a@b", "a@b@c.example", "a" * 300 + "@example.com", None, 5, "a\u0000@example.com")
        ),
        *(("username", value) for value in ("", "ab", "a" * 65, "a b", "a@b", "-ab", "ção", None, 5)),
        *(("name", value) for value in ("", "x" * 201, "a\u0000", None)),
        *(("organization_name", value) for value in ("", "x" * 201)),
        *((name, True) for name in ("is_platform_admin", "tenant_id", "id", "role", "surprise")),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
def test_a_field_that_cannot_be_accepted_is_named(api: Api, field: str, value: Any) -> None:
    body = {"email": address(), "password": PASSWORD, field: value}
    assert list(api.post(REGISTER, body).problem(422, "validation_error")["errors"]) == [field]


@pytest.mark.parametrize("path", ["/auth/register", "/auth/register/", "/api/auth/register"])
def test_every_address_of_it_works(api: Api, path: str) -> None:
    api.post(path, {"email": address(), "password": PASSWORD}).ok(201)


def test_closed_registration_lets_nobody_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRATION", "closed")
    api.post(REGISTER, {"email": address(), "password": PASSWORD}).problem(403, "registration_closed")


def test_a_shared_tenant_has_one_owner_and_many_members(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRATION", "shared_tenant")
    people = [new_person(platform) for _ in range(3)]
    assert {person.tenant_id for person in people} == {str(SHARED_TENANT)}
    roles = [person.get("/auth/me").ok()["tenants"][0]["role"] for person in people]
    assert roles == ["owner", "member", "member"]


def test_a_dead_tenant_service_is_repaired_at_login(api: Api) -> None:
    body = {"email": address(), "password": PASSWORD}
    with unreachable("tenant"):
        user = api.post(REGISTER, body).ok(201)["user"]
        api.post(LOGIN, body).problem(503, "unavailable")
    assert kept(user["id"]).is_provisioned is False
    grants = raced(*[lambda: api.post(LOGIN, body).ok()] * 4)
    assert {grant["tenant_id"] for grant in grants} == {user["tenant_id"]}
    assert kept(user["id"]).is_provisioned is True


def test_a_password_is_kept_by_argon2id_at_the_recommended_cost(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = new_person(api.target)
    monkeypatch.delenv("PASSWORD_HASH_MEMORY_KIB")
    made = extract_parameters(kept(new_person(api.target).user_id).password_hash)
    assert (made.type, made.memory_cost, made.time_cost, made.parallelism) == (Type.ID, 19_456, 2, 1)
    assert made.salt_len >= 16 and made.hash_len >= 32
    assert extract_parameters(kept(cheap.user_id).password_hash).memory_cost == 64
    raced(*[cheap.login] * 3)
    assert extract_parameters(kept(cheap.user_id).password_hash).memory_cost == 19_456

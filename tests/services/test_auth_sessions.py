import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from sqlalchemy import func, select

from contracts.roles import permissions
from kit import clock
from services.auth.models import RefreshToken, Session
from tests.api import PASSWORD, Api, Person, add_member, join
from tests.services.helpers import app_of, raced, statuses, unreachable

LOGIN, REFRESH, LOGOUT = "/auth/login", "/auth/refresh", "/auth/logout"
CHANGE, SWITCH, VALIDATE = "/auth/password/change", "/auth/switch-tenant", "/auth/validate-token"


def refreshed(person: Api, token: str) -> Any:
    return Api(person.target).post(REFRESH, {"refresh_token": token})


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def is_live(person: Api, token: str) -> bool:
    return Api(person.target, token).get("/auth/me").status == 200


def live_sessions(person: Person) -> int:
    app = app_of("auth")
    with app.app_context():
        app.db.act_for(UUID(person.user_id))
        live = select(func.count()).where(Session.user_id == UUID(person.user_id), Session.revoked_at.is_(None))
        return int(app.db.session.scalar(live))


class TestLogin:
    def test_the_answer_has_the_agreed_names(self, owner: Person) -> None:
        body = Api(owner.target).post(LOGIN, {"email": owner.email, "password": PASSWORD}).ok()
        assert set(body) == {
            *("message", "access_token", "token_type", "expires_in", "refresh_token", "tenant_id", "user"),
            "device_token",
        }
        assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
        assert {"id", "name", "email", "ds_user", "ds_user_email", "tenant_id"} <= set(body["user"])
        held = claims(body["access_token"])
        assert held["exp"] - held["iat"] == 1800
        assert {k: held[k] for k in ("sub", "tenant_id", "roles")} == {
            "sub": owner.user_id,
            "tenant_id": owner.tenant_id,
            "roles": ["owner"],
        }

    @pytest.mark.parametrize("field", ["email", "username", "ds_user_email"])
    @pytest.mark.parametrize("which", ["email", "username"])
    def test_any_identifier_works_under_any_name(self, register: Callable[..., Person], field: str, which: str) -> None:
        name = f"N{uuid4().hex[:10]}"
        person = register(username=name)
        identifier = person.email.upper() if which == "email" else name.lower()
        assert Api(person.target).post(LOGIN, {field: f" {identifier} ", "password": PASSWORD}).ok()

    def test_identifiers_that_differ_are_refused(self, api: Api, owner: Person) -> None:
        body = {"email": owner.email, "username": "somebody", "password": PASSWORD}
        assert set(api.post(LOGIN, body).problem(422, "validation_error")["errors"]) == {"email", "username"}

    def test_an_unknown_person_and_a_wrong_password_get_one_answer(self, api: Api, owner: Person) -> None:
        wrong = api.post(LOGIN, {"email": owner.email, "password": "wrong horse battery"})
        unknown = api.post(LOGIN, {"email": f"{uuid4().hex}@example.com", "password": PASSWORD})
        wrong.problem(401, "invalid_credentials")
        assert {**wrong.json, "request_id": ""} == {**unknown.json, "request_id": ""}
        volatile = ("X-Request-Id",)
        headers = [{k: v for k, v in answer.headers.items() if k not in volatile} for answer in (wrong, unknown)]
        assert headers[0] == headers[1]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "password"),
            ({"password": "x"}, "email"),
            ({"email": "a@example.com"}, "password"),
            ({"email": None, "password": "x"}, "email"),
            ({"email": 5, "password": "x"}, "email"),
            ({"email": "a@example.com", "password": 5}, "password"),
            ({"email": "a@example.com", "password": "x" * 1025}, "password"),
            ({"email": "x" * 255, "password": "x"}, "email"),
            ({"email": "a@example.com", "password": "x", "tenant_id": "1"}, "tenant_id"),
            ({"email": "a@example.com", "password": "x", "role": "owner"}, "role"),
        ],
        ids=str,
    )
    def test_a_field_that_cannot_be_accepted_is_named(self, api: Api, body: dict[str, Any], field: str) -> None:
        assert field in api.post(LOGIN, body).problem(422, "validation_error")["errors"]

    def test_a_tenant_of_others_is_not_entered(self, api: Api, owner: Person, stranger: Person) -> None:
        body = {"email": owner.email, "password": PASSWORD, "tenant_id": stranger.tenant_id}
        api.post(LOGIN, body).problem(404, "not_a_member")

    def test_two_logins_at_once_are_two_sessions(self, owner: Person) -> None:
        people = raced(*[owner.login] * 4)
        assert len({claims(person.token)["sid"] for person in people}) == 4


class TestRefresh:
    def test_a_token_gives_a_new_pair_of_the_same_session(self, owner: Person) -> None:
        body = refreshed(owner, owner.refresh_token).ok()
        assert set(body) >= {"access_token", "refresh_token", "token_type", "expires_in", "user", "tenant_id"}
        assert body["refresh_token"] != owner.refresh_token
        assert claims(body["access_token"])["sid"] == claims(owner.token)["sid"]
        assert is_live(owner, body["access_token"])

    def test_a_repeat_within_the_grace_gets_the_same_successor(self, owner: Person) -> None:
        first = refreshed(owner, owner.refresh_token).ok()["refresh_token"]
        with clock.shifted(timedelta(seconds=9)):
            assert refreshed(owner, owner.refresh_token).ok()["refresh_token"] == first
        assert refreshed(owner, first).ok()["refresh_token"] != first

    def test_a_token_is_kept_as_a_hash_alone(self, owner: Person) -> None:
        encoded = owner.refresh_token.split("_", 2)[2]
        secret = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        app = app_of("auth")
        with app.app_context():
            app.db.act_for(UUID(owner.user_id))
            kept = [list(row) for row in app.db.session.execute(select(RefreshToken.__table__))]
        assert any(hashlib.sha256(secret).digest() in row for row in kept)
        shown = {value for row in kept for value in row if isinstance(value, bytes | str)}
        assert not {secret, encoded, encoded.encode(), owner.refresh_token} & shown

    def test_a_later_repeat_ends_the_session_for_good(self, owner: Person) -> None:
        successor = refreshed(owner, owner.refresh_token).ok()
        with clock.shifted(timedelta(seconds=11)):
            refreshed(owner, owner.refresh_token).problem(401, "refresh_token_reused")
        for token in (owner.refresh_token, successor["refresh_token"]):
            refreshed(owner, token).problem(401, "session_ended")
        for token in (owner.token, successor["access_token"]):
            Api(owner.target, token).get("/auth/me").problem(401, "token_revoked")
        assert live_sessions(owner) == 0
        assert is_live(owner, owner.login().token)

    def test_twenty_at_once_get_one_successor_and_stay_logged_in(
        self, owner: Person, service: Callable[[str], Api]
    ) -> None:
        auth, body = service("auth"), {"refresh_token": owner.refresh_token}
        answers = raced(*[lambda: auth.post("/refresh", body)] * 20)
        assert statuses(answers) == [200] * 20
        assert len({answer.json["refresh_token"] for answer in answers}) == 1
        assert {claims(answer.json["access_token"])["sid"] for answer in answers} == {claims(owner.token)["sid"]}
        assert live_sessions(owner) == 1
        assert refreshed(owner, answers[0].json["refresh_token"]).status == 200

    def test_many_at_once_after_the_tenant_was_lost_all_succeed(
        self, owner: Person, service: Callable[[str], Api]
    ) -> None:
        member = add_member(owner, "member")
        owner.delete(f"/api/tenants/{owner.tenant_id}/members/{member.user_id}").ok()
        auth, body = service("auth"), {"refresh_token": member.refresh_token}
        answers = raced(*[lambda: auth.post("/refresh", body)] * 6)
        assert statuses(answers) == [200] * 6
        assert len({answer.json["tenant_id"] for answer in answers} - {owner.tenant_id}) == 1

    @pytest.mark.parametrize("days", [15, 91])
    def test_an_idle_token_expires(self, owner: Person, days: int) -> None:
        with clock.shifted(timedelta(days=days)):
            refreshed(owner, owner.refresh_token).problem(401, "invalid_refresh_token")

    def test_a_session_that_is_kept_alive_ends_after_ninety_days(self, owner: Person) -> None:
        token = owner.refresh_token
        for day in range(10, 90, 10):
            with clock.shifted(timedelta(days=day)):
                token = refreshed(owner, token).ok()["refresh_token"]
        with clock.shifted(timedelta(days=91)):
            assert refreshed(owner, token).status == 401

    @pytest.mark.parametrize(
        "token",
        [
            "x",
            "rt_",
            "rt_x_y",
            "rt__",
            "rt_" + "0" * 32 + "_",
            "rt_" + "0" * 32 + "_" + "A" * 43,
            "rt_" + "0" * 32 + "_%%%",
        ],
    )
    def test_what_is_no_refresh_token_is_refused(self, api: Api, token: str) -> None:
        refreshed(api, token).problem(401, "invalid_refresh_token")

    def test_another_persons_name_on_a_token_opens_nothing(self, owner: Person, stranger: Person) -> None:
        _, _, secret = owner.refresh_token.split("_", 2)
        forged = f"rt_{UUID(stranger.user_id).hex}_{secret}"
        refreshed(owner, forged).problem(401, "invalid_refresh_token")
        refreshed(owner, owner.refresh_token).ok()

    @pytest.mark.parametrize(
        "body", [{}, {"refresh_token": None}, {"refresh_token": 5}, {"refresh_token": ""}], ids=str
    )
    def test_a_missing_token_is_named(self, api: Api, body: dict[str, Any]) -> None:
        assert list(api.post(REFRESH, body).problem(422, "validation_error")["errors"]) == ["refresh_token"]

    def test_an_access_token_does_not_refresh(self, owner: Person) -> None:
        assert refreshed(owner, owner.token).status in (401, 422)

    def test_while_tenant_is_down_the_token_is_not_used_up(self, owner: Person) -> None:
        with unreachable("tenant"):
            refreshed(owner, owner.refresh_token).problem(503, "unavailable")
        with clock.shifted(timedelta(seconds=12)):
            refreshed(owner, owner.refresh_token).ok()


class TestLogout:
    @pytest.mark.parametrize(
        ("scope", "ended"),
        [(None, [True, False, False]), ("local", [True, False, False]), ("others", [False, True, True])]
        + [("global", [True, True, True])],
    )
    def test_it_ends_the_sessions_it_names(self, owner: Person, scope: str | None, ended: list[bool]) -> None:
        people = [owner, owner.login(), owner.login()]
        assert set(owner.post(LOGOUT, {"scope": scope} if scope else None).ok()) == {"message"}
        for person, gone in zip(people, ended, strict=True):
            assert is_live(owner, person.token) is not gone
            assert refreshed(owner, person.refresh_token).status == (401 if gone else 200)

    def test_a_repeat_and_nobody_are_refused(self, api: Api, owner: Person) -> None:
        owner.post(LOGOUT).ok()
        owner.post(LOGOUT).problem(401, "token_revoked")
        api.post(LOGOUT).problem(401, "unauthenticated")

    def test_another_scope_is_refused(self, owner: Person) -> None:
        owner.post(LOGOUT, {"scope": "planet"}).problem(422, "validation_error")
        assert is_live(owner, owner.token)

    def test_it_ends_nobody_elses_session(self, owner: Person, stranger: Person) -> None:
        owner.post(LOGOUT, {"scope": "global"}).ok()
        assert is_live(stranger, stranger.token)

    def test_several_at_once_end_the_session(self, owner: Person) -> None:
        others = [owner.login() for _ in range(3)]
        answers = raced(*(lambda p=p: p.post(LOGOUT, {"scope": "global"}) for p in [owner, *others]))
        assert set(statuses(answers)) in ({200}, {200, 401})
        assert live_sessions(owner) == 0


class TestPasswordChange:
    NEW = "another horse entirely"

    def change(self, person: Person, current: str = PASSWORD, new: str = NEW) -> Any:
        return person.post(CHANGE, {"current_password": current, "new_password": new})

    def test_the_new_one_works_and_other_sessions_end(self, owner: Person) -> None:
        other = owner.login()
        assert set(self.change(owner).ok()) == {"message"}
        assert (is_live(owner, owner.token), is_live(owner, other.token)) == (True, False)
        assert [refreshed(owner, p.refresh_token).status for p in (owner, other)] == [200, 401]
        for password, status in ((PASSWORD, 401), (self.NEW, 200)):
            assert Api(owner.target).post(LOGIN, {"email": owner.email, "password": password}).status == status

    def test_a_wrong_password_changes_nothing(self, api: Api, owner: Person) -> None:
        self.change(owner, current="wrong").problem(401, "invalid_credentials")
        api.post(CHANGE, {"current_password": PASSWORD, "new_password": self.NEW}).problem(401, "unauthenticated")
        owner.login()

    @pytest.mark.parametrize(
        ("new", "code"),
        [
            ("short", "weak_password"),
            ("password1", "weak_password"),
            (PASSWORD, "same_password"),
            ("x" * 1025, "validation_error"),
        ],
        ids=["short", "common", "same", "long"],
    )
    def test_a_weak_one_is_refused(self, owner: Person, new: str, code: str) -> None:
        assert list(self.change(owner, new=new).problem(422, code)["errors"]) == ["new_password"]
        self.change(owner, new=owner.email).problem(422, "weak_password")

    def test_of_two_at_once_one_wins(self, owner: Person) -> None:
        answers = raced(*(lambda n=n: self.change(owner, new=f"another horse {n}") for n in range(3)))
        assert statuses(answers) == [200, 401, 401]


class TestSwitchTenant:
    def test_the_same_session_works_in_the_other_tenant(self, owner: Person, stranger: Person) -> None:
        join(stranger, owner, "viewer")
        grant = owner.post(SWITCH, {"tenant_id": stranger.tenant_id}).ok()
        held = claims(grant["access_token"])
        assert (held["tenant_id"], held["roles"]) == (stranger.tenant_id, ["viewer"])
        assert held["sid"] == claims(owner.token)["sid"]
        assert grant["refresh_token"] is None
        assert refreshed(owner, owner.refresh_token).ok()["tenant_id"] == stranger.tenant_id

    def test_only_ones_own_tenants_can_be_entered(self, api: Api, owner: Person, stranger: Person) -> None:
        for tenant_id in (stranger.tenant_id, str(uuid4())):
            owner.post(SWITCH, {"tenant_id": tenant_id}).problem(404, "not_a_member")
            api.post(SWITCH, {"tenant_id": tenant_id}).problem(401, "unauthenticated")
        for body in ({}, {"tenant_id": "1"}, {"tenant_id": None}):
            owner.post(SWITCH, body).problem(422, "validation_error")

    def test_switching_at_once_is_never_an_error(self, owner: Person) -> None:
        second = owner.post("/api/tenants/", {"name": "Second"}).ok(201)["tenant"]["id"]
        answers = raced(*(lambda t=t: owner.post(SWITCH, {"tenant_id": t}) for t in [second, owner.tenant_id] * 3))
        assert statuses(answers) == [200] * 6


class TestValidateToken:
    def test_a_valid_one_is_described(self, api: Api, owner: Person) -> None:
        verdict = api.post(VALIDATE, {"token": owner.token}).ok()
        held = claims(owner.token)
        assert verdict == {
            "valid": True,
            "user_id": owner.user_id,
            **{name: held[name] for name in ("sub", "sid", "tenant_id", "roles", "exp")},
            "permissions": sorted(permissions(["owner"])),
        }
        assert owner.post(VALIDATE).ok() == verdict

    def test_one_of_an_ended_session_is_not_valid(self, api: Api, owner: Person) -> None:
        owner.post(LOGOUT).ok()
        verdict = api.post(VALIDATE, {"token": owner.token}).ok()
        assert (verdict["valid"], verdict["reason"]) == (False, "session ended")

    @pytest.mark.parametrize("change", ["removed", "demoted", "closed"])
    def test_one_whose_grant_is_gone_is_not_valid(self, api: Api, owner: Person, change: str) -> None:
        member = add_member(owner, "admin")
        path = f"/api/tenants/{owner.tenant_id}"
        {
            "removed": lambda: owner.delete(f"{path}/members/{member.user_id}"),
            "demoted": lambda: owner.put(f"{path}/members/{member.user_id}", {"role": "viewer"}),
            "closed": lambda: owner.delete(path),
        }[change]().ok()
        member.get("/auth/me").problem(401, "token_revoked")
        assert api.post(VALIDATE, {"token": member.token}).ok()["valid"] is False

    def test_an_expired_one_is_not_valid(self, api: Api, owner: Person) -> None:
        with clock.shifted(timedelta(minutes=31)):
            assert api.post(VALIDATE, {"token": owner.token}).ok() == {"valid": False, "reason": "expired"}

    @pytest.mark.parametrize("token", ["x", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.e30.", "." * 8000])
    def test_garbage_is_not_valid(self, api: Api, token: str) -> None:
        assert api.post(VALIDATE, {"token": token}).ok()["valid"] is False

    def test_a_token_must_be_given(self, api: Api) -> None:
        api.post(VALIDATE).problem(400, "missing_token")
        api.post(VALIDATE, headers={"Authorization": "Basic eDp5"}).problem(400, "missing_token")
        api.post(VALIDATE, {"token": 5}).problem(422, "validation_error")


class TestMe:
    def test_it_shows_oneself_and_all_ones_tenants(self, owner: Person, stranger: Person) -> None:
        join(stranger, owner)
        me = owner.get("/auth/me").ok()
        assert (me["user"]["id"], me["tenant_id"]) == (owner.user_id, owner.tenant_id)
        assert [(t["tenant_id"], t["role"]) for t in me["tenants"]] == [
            (owner.tenant_id, "owner"),
            (stranger.tenant_id, "member"),
        ]

    def test_nobody_is_nobody(self, api: Api) -> None:
        api.get("/auth/me").problem(401, "unauthenticated")

    def test_auth_itself_takes_the_access_token(self, owner: Person, service: Callable[[str], Api]) -> None:
        past = Api(service("auth").target, owner.token)
        assert past.get("/me").ok() == owner.get("/auth/me").ok()
        owner.post(LOGOUT).ok()
        past.get("/me").problem(401, "session_ended")


class TestKeys:
    def test_a_stranger_can_check_a_token_with_the_published_keys(self, api: Api, owner: Person) -> None:
        keys = api.get("/auth/.well-known/jwks.json").ok()
        kid = jwt.get_unverified_header(owner.token)["kid"]
        key = jwt.PyJWKSet.from_dict(keys)[kid].key
        held = jwt.decode(owner.token, key, ["EdDSA"], audience="alicerce", issuer="access")
        assert held["sub"] == owner.user_id
        head, payload, signature = owner.token.split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        raw[0] ^= 1
        forged = f"{head}.{payload}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(forged, key, ["EdDSA"], audience="alicerce", issuer="access")

    def test_no_private_part_and_no_other_components_key_is_published(self, api: Api) -> None:
        for key in api.get("/auth/.well-known/jwks.json").ok()["keys"]:
            assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
            assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")

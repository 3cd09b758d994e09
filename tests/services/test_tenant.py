from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.api import PASSWORD, Api, Person, add_member
from tests.services.helpers import promoted, raced, statuses

PATH = "/api/tenants/"
DEFAULTS = {
    "locale": "pt-BR",
    "timezone": "America/Sao_Paulo",
    "currency": "BRL",
    "week_starts_on": "monday",
    "support_email": None,
}


def own(person: Person, rest: str = "") -> str:
    return f"{PATH}{person.tenant_id}{rest}"


class TestCreate:
    def test_ones_second_tenant_is_entered_by_switching(self, owner: Person) -> None:
        body = owner.post(PATH, {"name": " Second "}).ok(201)
        assert set(body) == {"message", "tenant"}
        tenant = body["tenant"]
        assert (tenant["name"], tenant["is_active"], tenant["version"]) == ("Second", True, 1)
        owner.get(PATH + tenant["id"]).problem(404, "no_such_tenant")
        second = Api(owner.target, owner.post("/auth/switch-tenant", {"tenant_id": tenant["id"]}).ok()["access_token"])
        assert second.get(PATH + tenant["id"]).ok() == {"tenant": tenant}
        assert [m["role"] for m in second.get(f"{PATH}{tenant['id']}/members").ok()["members"]] == ["owner"]

    def test_nobody_creates(self, api: Api) -> None:
        api.post(PATH, {"name": "x"}).problem(401, "unauthenticated")

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": ""}, {"name": None}, {"name": 5}, {"name": "x" * 201}, {"name": "a\u0000"}, {"name": "\n"}],
        ids=str,
    )
    def test_a_name_is_needed(self, owner_of_all: Person, body: dict[str, Any]) -> None:
        assert list(owner_of_all.post(PATH, body).problem(422, "validation_error")["errors"]) == ["name"]

    @pytest.mark.parametrize("field", ["id", "is_active", "settings", "tenant_id", "version"])
    def test_nothing_else_can_be_chosen(self, owner_of_all: Person, field: str) -> None:
        problem = owner_of_all.post(PATH, {"name": "x", field: str(uuid4())}).problem(422, "validation_error")
        assert list(problem["errors"]) == [field]

    def test_a_person_cannot_pose_as_another_by_a_user_name(
        self, owner: Person, register: Callable[..., Person]
    ) -> None:
        register(username=owner.user_id)
        tenant = owner.post(PATH, {"name": "Mine"}).ok(201)["tenant"]
        assert tenant["id"] in [mine["tenant_id"] for mine in owner.get("/auth/me").ok()["tenants"]]

    def test_several_at_once_are_several(self, owner: Person) -> None:
        raced(*[lambda: owner.post(PATH, {"name": "Same"}).ok(201)] * 4)
        assert owner.get(PATH).ok()["total"] == 5


class TestListAndGet:
    def test_people_list_their_own_and_administrators_all(self, owner: Person, stranger: Person) -> None:
        assert [tenant["id"] for tenant in owner.get(PATH).ok()["tenants"]] == [owner.tenant_id]
        admin = promoted(owner)
        seen = admin.get(PATH + "?sort=-created_at&per_page=100").ok()
        assert {owner.tenant_id, stranger.tenant_id} <= {tenant["id"] for tenant in seen["tenants"]}
        assert seen["total"] > 1
        assert admin.get(own(stranger)).ok()["tenant"]["id"] == stranger.tenant_id

    def test_an_administrator_of_the_platform_changes_no_tenant(self, owner: Person, stranger: Person) -> None:
        admin = promoted(owner)
        for method, rest, body in (("PUT", "", {"name": "x"}), ("DELETE", "", None), ("PUT", "/settings", {})):
            admin.request(method, own(stranger, rest), body).problem(404, "no_such_tenant")
        admin.get(own(stranger, "/members")).problem(404, "no_such_tenant")

    @pytest.mark.parametrize("rest", ["", "/settings", "/members"])
    def test_another_tenant_answers_as_one_that_does_not_exist(
        self, api: Api, owner: Person, stranger: Person, rest: str
    ) -> None:
        foreign, missing = stranger.get(own(owner, rest)), stranger.get(f"{PATH}{uuid4()}{rest}")
        foreign.problem(404, "no_such_tenant")
        assert {**foreign.json, "request_id": ""} == {**missing.json, "request_id": ""}
        api.get(own(owner, rest)).problem(401, "unauthenticated")

    @pytest.mark.parametrize("query", ["page=0", "per_page=101", "sort=colour", "cursor=x", "name=x"])
    def test_a_query_that_cannot_be_accepted_is_named(self, owner_of_all: Person, query: str) -> None:
        for path in (PATH, own(owner_of_all, "/members")):
            problem = owner_of_all.get(f"{path}?{query}").problem(422, "validation_error")
            assert list(problem["errors"]) == [query.partition("=")[0]]

    def test_an_id_that_is_none_is_not_found(self, owner: Person) -> None:
        owner.get(PATH + "1").problem(404, "not_found")

    def test_an_unchanged_one_is_not_sent_again(self, owner: Person) -> None:
        tag = owner.get(own(owner)).headers["ETag"]
        assert owner.get(own(owner), headers={"If-None-Match": tag}).status == 304


class TestPut:
    def test_what_was_read_may_be_sent_back_changed(self, owner: Person) -> None:
        tenant = owner.get(own(owner)).ok()["tenant"]
        changed = owner.put(own(owner), tenant | {"name": "New"}).ok()["tenant"]
        assert (changed["name"], changed["version"]) == ("New", tenant["version"] + 1)
        owner.put(own(owner), tenant | {"name": "Newer"}).problem(412, "precondition_failed")
        owner.put(own(owner), {"is_active": False}).problem(422, "validation_error")
        owner.put(own(owner), {"name": "x"}, headers={"If-Match": '"1"'}).problem(412, "precondition_failed")
        owner.put(own(owner), {"name": None}).problem(422, "validation_error")

    def test_strangers_change_nothing(self, owner: Person, stranger: Person) -> None:
        stranger.put(own(owner), {"name": "x"}).problem(404, "no_such_tenant")
        stranger.put(own(owner, "/settings"), {"currency": "USD"}).problem(404, "no_such_tenant")
        stranger.delete(own(owner)).problem(404, "no_such_tenant")
        assert owner.get(own(owner)).ok()["tenant"]["name"] == "Person"


class TestSettings:
    def test_they_are_the_defaults_until_changed_and_after_null(self, owner: Person) -> None:
        path = own(owner, "/settings")
        assert owner.get(path).ok() == {"settings": DEFAULTS}
        body = owner.put(path, {"currency": "USD", "support_email": "help@example.com"}).ok()
        assert set(body) == {"message", "settings"}
        changed = DEFAULTS | {"currency": "USD", "support_email": "help@example.com"}
        assert body["settings"] == owner.get(path).ok()["settings"] == changed
        assert owner.put(path, changed).ok()["settings"] == changed
        assert owner.put(path, dict.fromkeys(DEFAULTS)).ok()["settings"] == DEFAULTS

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("locale", value) for value in ("", 5, "portuguese", "pt_BR", "pt-BR\n.")),
            *(("timezone", value) for value in ("", 5, "Mars/Olympus", "../UTC")),
            *(("currency", value) for value in ("", 5, "real", "brl", "BRLX")),
            *(("week_starts_on", value) for value in ("", 1, "Monday", "friday")),
            *(("support_email", value) for value in ("", 5, "x", "a\u0000@example.com")),
            ("colour", "red"),
        ],
        ids=lambda value: str(value).encode("unicode_escape").decode(),
    )
    def test_a_value_that_cannot_be_accepted_is_named(self, owner_of_all: Person, name: str, value: Any) -> None:
        problem = owner_of_all.put(own(owner_of_all, "/settings"), {name: value}).problem(422, "validation_error")
        assert list(problem["errors"]) == [name]

    def test_changes_at_once_are_all_kept(self, owner: Person) -> None:
        changes = ({"currency": "USD"}, {"locale": "en-US"}, {"timezone": "UTC"}, {"week_starts_on": "sunday"})
        raced(*(lambda change=change: owner.put(own(owner, "/settings"), change).ok() for change in changes))
        kept = owner.get(own(owner, "/settings")).ok()["settings"]
        assert kept == {key: value for change in changes for key, value in change.items()} | {"support_email": None}


class TestClosing:
    def test_tokens_die_at_once_and_nothing_is_lost(self, owner: Person, stranger: Person) -> None:
        member = add_member(owner, "viewer")
        owner.post("/api/customers/", {"name": "Kept"}).ok(201)
        assert set(owner.delete(own(owner)).ok()) == {"message"}
        for person in (owner, member):
            person.get("/api/customers/").problem(401, "token_revoked")
            person.get("/auth/me").problem(401, "token_revoked")
        locked_out = Api(owner.target).post("/auth/login", {"email": owner.email, "password": PASSWORD}).ok()
        assert locked_out["tenant_id"] is None
        outside = Api(owner.target, locked_out["access_token"])
        outside.get("/api/customers/").problem(403, "forbidden")
        assert outside.get("/auth/me").ok()["tenants"] == []
        assert outside.get(PATH).ok()["tenants"] == []
        body = {"email": owner.email, "password": PASSWORD, "tenant_id": owner.tenant_id}
        assert Api(owner.target).post("/auth/login", body).status == 404
        assert member.login().tenant_id == member.login(member.login().tenant_id).tenant_id != owner.tenant_id

        admin = promoted(stranger)
        path = own(owner, "/activate")
        assert admin.patch(path).ok()["tenant"]["is_active"] is True
        admin.patch(path).problem(409, "already_active")
        assert [c["name"] for c in owner.login().get("/api/customers/").ok()["customers"]] == ["Kept"]
        owner.get("/api/customers/").problem(401, "token_revoked")

    def test_only_administrators_of_the_platform_reopen(self, api: Api, owner: Person, stranger: Person) -> None:
        owner.delete(own(owner)).ok()
        api.patch(own(owner, "/activate")).problem(401, "unauthenticated")
        stranger.patch(own(owner, "/activate")).problem(403, "forbidden")
        promoted(stranger).patch(f"{PATH}{uuid4()}/activate").problem(404, "no_such_tenant")

    def test_of_several_reopenings_at_once_one_happens(self, owner: Person, stranger: Person) -> None:
        owner.delete(own(owner)).ok()
        admin = promoted(stranger)
        assert statuses(raced(*[lambda: admin.patch(own(owner, "/activate"))] * 4)) == [200, 409, 409, 409]

    def test_a_refresh_after_closing_leads_out_of_it(self, owner: Person) -> None:
        owner.delete(own(owner)).ok()
        grant = Api(owner.target).post("/auth/refresh", {"refresh_token": owner.refresh_token}).ok()
        assert grant["tenant_id"] is None

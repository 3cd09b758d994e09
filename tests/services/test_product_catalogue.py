import base64
from typing import Any

import pytest
from werkzeug.test import Client

from kit import config, identity
from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import internal_token, raced, statuses
from tests.services.product_helpers import (
    CATALOGUE,
    FULL,
    GTIN,
    MISSING,
    PATH,
    at,
    bundle,
    category,
    created,
    found,
    listed,
)

ROTATE = CATALOGUE + "/rotate-key"
PUBLIC = {
    *("id", "kind", "name", "description", "sku", "gtin", "unit", "price", "price_amount", "currency"),
    *("category_id", "tags", "attributes", "components", "billing_period", "billing_count"),
}


def opened(person: Person) -> dict[str, str]:
    """The headers by which a visitor names this person's catalogue, which is open from now on."""
    catalogue = person.put(CATALOGUE, {"is_public": True}).ok()["catalogue"]
    return {"X-Publishable-Key": catalogue["publishable_key"]}


class TestSettings:
    def test_a_catalogue_is_closed_until_it_is_opened(self, owner: Person) -> None:
        assert owner.get(CATALOGUE).ok() == {"catalogue": {"is_public": False, "publishable_key": None}}
        answer = owner.put(CATALOGUE, {"is_public": True}).ok()
        assert set(answer) == {"message", "catalogue"}
        assert answer["catalogue"]["publishable_key"].startswith("pk_")
        assert owner.get(CATALOGUE + "/").ok()["catalogue"] == answer["catalogue"]
        closed = owner.put(CATALOGUE, {"is_public": False}).ok()["catalogue"]
        assert closed == answer["catalogue"] | {"is_public": False}

    def test_nobody_and_members_touch_none_and_tenants_have_their_own(
        self, api: Api, owner: Person, stranger: Person
    ) -> None:
        opened(owner)
        member = add_member(owner, "member")
        for method, path in (("GET", CATALOGUE), ("PUT", CATALOGUE), ("POST", ROTATE)):
            body = {"is_public": False} if method == "PUT" else None
            api.request(method, path, body).problem(401, "unauthenticated")
            member.request(method, path, body).problem(403, "forbidden")
        assert stranger.get(CATALOGUE).ok()["catalogue"] == {"is_public": False, "publishable_key": None}
        assert owner.get(CATALOGUE).ok()["catalogue"]["is_public"]

    @pytest.mark.parametrize("value", [None, "true", "yes", 1, 0, 1.0, 2, [], {}, ""])
    def test_only_yes_and_no_are_accepted(self, owner_of_all: Person, value: Any) -> None:
        problem = owner_of_all.put(CATALOGUE, {"is_public": value}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["is_public"]

    def test_what_was_read_may_be_sent_back_and_a_key_is_not_chosen(self, owner: Person) -> None:
        opened(owner)
        catalogue = owner.get(CATALOGUE).ok()["catalogue"]
        assert owner.put(CATALOGUE, catalogue).ok()["catalogue"] == catalogue
        chosen = catalogue | {"publishable_key": "pk_" + "a" * 32}
        assert list(owner.put(CATALOGUE, chosen).problem(422, "validation_error")["errors"]) == ["publishable_key"]

    def test_a_stale_version_is_not_changed(self, owner: Person) -> None:
        opened(owner)
        tag = owner.get(CATALOGUE).headers["ETag"]
        owner.post(ROTATE).ok()
        assert owner.get(CATALOGUE).headers["ETag"] != tag
        owner.put(CATALOGUE, {"is_public": False}, headers={"If-Match": tag}).problem(412, "precondition_failed")

    def test_first_writers_at_once_make_one_key(self, owner: Person) -> None:
        answers = raced(*[lambda: owner.put(CATALOGUE, {"is_public": True})] * 5)
        assert statuses(answers) == [200] * 5
        assert len({answer.json["catalogue"]["publishable_key"] for answer in answers}) == 1


class TestKey:
    def test_a_new_key_stops_the_old_one(self, api: Api, owner: Person) -> None:
        old = opened(owner)
        answer = owner.post(ROTATE).ok()
        new = {"X-Publishable-Key": answer["catalogue"]["publishable_key"]}
        assert set(answer) == {"message", "catalogue"}
        assert old != new
        api.get(PATH, headers=old).problem(401, "unknown_publishable_key")
        api.get(PATH, headers=new).ok()

    def test_the_first_one_may_be_made_by_rotating(self, api: Api, owner: Person) -> None:
        catalogue = owner.post(ROTATE).ok()["catalogue"]
        assert catalogue["is_public"] is False
        api.get(PATH, headers={"X-Publishable-Key": catalogue["publishable_key"]}).problem(401, "unauthenticated")

    def test_of_many_rotated_at_once_one_is_left(self, api: Api, owner: Person) -> None:
        opened(owner)
        keys = [answer.ok()["catalogue"]["publishable_key"] for answer in raced(*[lambda: owner.post(ROTATE)] * 4)]
        answers = [api.get(PATH, headers={"X-Publishable-Key": key}) for key in keys]
        assert statuses(answers) == [200, 401, 401, 401]

    @pytest.mark.parametrize(
        "key", ["x", "pk_", "pk_" + "a" * 32, "PK_" + "a" * 32, "pk_" + "a" * 5000, "pk_\xe9" + "a" * 31, "' OR 1=1 --"]
    )
    @pytest.mark.parametrize("path", [PATH, PATH + MISSING])
    def test_an_unknown_key_opens_nothing(self, api: Api, key: str, path: str) -> None:
        api.get(path, headers={"X-Publishable-Key": key}).problem(401, "unknown_publishable_key")

    def test_the_key_of_a_closed_catalogue_opens_nothing(self, api: Api, owner: Person) -> None:
        key, product = opened(owner), created(owner)
        owner.put(CATALOGUE, {"is_public": False}).ok()
        for path in (PATH, at(product), PATH + "?page=0"):
            api.get(path, headers=key).problem(401, "unauthenticated")


class TestVisitors:
    def test_they_see_active_products_and_of_these_what_is_public(self, api: Api, owner: Person) -> None:
        key = opened(owner)
        product = owner.post(PATH, {**FULL, "category_id": category(owner)["id"]}).ok(201)["product"]
        seen = {name: product[name] for name in PUBLIC}
        page = api.get(PATH, headers=key).ok()
        assert (page["products"], page["total"]) == ([seen], 1)
        answer = api.get(at(product), headers=key)
        assert answer.ok() == {"product": seen}
        assert "ETag" not in answer.headers
        made = bundle(owner, product)
        assert api.get(at(made), headers=key).ok()["product"]["components"] == made["components"]
        head = Client(owner.target).head(at(product), headers=key)
        assert (head.status_code, "ETag" in head.headers) == (200, False)

    def test_an_inactive_one_does_not_exist(self, api: Api, owner: Person) -> None:
        key, product = opened(owner), created(owner, sku="A")
        owner.delete(at(product)).ok()
        for query in ("", "active_only=false", "sku=A&active_only=false", "search=product&active_only=false"):
            assert listed(api, query, headers=key) == []
        inactive, missing = api.get(at(product), headers=key), api.get(PATH + MISSING, headers=key)
        inactive.problem(404, "no_such_product")
        assert {**inactive.json, "request_id": ""} == {**missing.json, "request_id": ""}

    def test_a_key_shows_its_own_tenant_only(self, api: Api, owner: Person, stranger: Person) -> None:
        key, mine, theirs = opened(owner), created(owner, name="mine"), created(stranger, name="theirs")
        opened(stranger)
        assert found(api, "", headers=key) == ["mine"]
        api.get(at(mine), headers=key).ok()
        api.get(at(theirs), headers=key).problem(404, "no_such_product")

    def test_they_find_by_what_they_see_alone(self, api: Api, owner: Person) -> None:
        key = opened(owner)
        created(owner, name="Café", sku="CAF", gtin=GTIN, external_id="ERP-77", tags=["hot"], price="3", ncm="09012100")
        for query in ("search=cafe", "search=caf", f"search={GTIN}", "search=hot", "sku=CAF", f"gtin={GTIN}"):
            assert found(api, query, headers=key) == ["Café"]
        for query in ("search=erp", "search=77", "search=09012100", "search=cafe+erp"):
            assert found(api, query, headers=key) == []
        for query in ("filter[price_amount][gte]=300", "filter[kind]=good", "filter[tags][in]=hot"):
            assert found(api, query, headers=key) == ["Café"]

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("external_id=1", "external_id"),
            ("created_from=2000-01-01T00:00:00Z", "created_from"),
            ("created_to=2000-01-01T00:00:00Z", "created_to"),
            ("updated_since=2000-01-01T00:00:00Z", "updated_since"),
            ("sort=updated_at", "sort"),
            ("sort=-created_at", "sort"),
            ("page=0", "page"),
            ("surprise=1", "surprise"),
        ],
    )
    def test_a_query_for_what_they_do_not_see_is_refused(
        self, api: Api, owner_of_all: Person, query: str, named: str
    ) -> None:
        problem = api.get(f"{PATH}?{query}", headers=opened(owner_of_all)).problem(422, "validation_error")
        assert list(problem["errors"]) == [named]

    def test_a_cursor_tells_them_nothing_more(self, api: Api, owner: Person) -> None:
        key = opened(owner)
        for name in "abc":
            created(owner, name=name)
        page = api.get(PATH + "?per_page=2", headers=key).ok()
        cursor = page["next_cursor"]
        assert b"created_at" not in base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        rest = api.get(f"{PATH}?per_page=2&cursor={cursor}", headers=key).ok()
        assert [row["name"] for row in (*page["products"], *rest["products"])] == ["a", "b", "c"]

    def test_they_do_nothing_but_read_products(self, api: Api, owner: Person) -> None:
        key, product = opened(owner), created(owner, price="1")
        shelf = category(owner)
        for method, path in (
            *(("POST", PATH), ("PUT", at(product)), ("DELETE", at(product)), ("PATCH", at(product) + "/activate")),
            *(
                ("GET", at(product) + "/prices"),
                ("GET", PATH + "categories"),
                ("GET", f"{PATH}categories/{shelf['id']}"),
            ),
            *(("GET", CATALOGUE), ("PUT", CATALOGUE), ("POST", ROTATE)),
        ):
            body = {} if method in ("POST", "PUT") else None
            api.request(method, path, body, headers=key).problem(401, "unauthenticated")
        assert owner.get(at(product)).ok()["product"] == product

    def test_a_bad_token_is_not_a_visitor(self, api: Api, owner: Person) -> None:
        answer = api.get(PATH, headers={**opened(owner), "Authorization": "Bearer x.y.z"})
        assert answer.status == 401

    def test_past_the_gateway_they_see_no_more(self, service: Any, owner: Person) -> None:
        key, product = opened(owner), created(owner)
        direct = service("product")
        direct.get("/products/").problem(401, "unauthenticated")
        assert set(direct.get(f"/products/{product['id']}", headers=key).ok()["product"]) == PUBLIC
        named = {"X-Tenant-Id": owner.tenant_id, "X-User-Id": owner.user_id}
        direct.get("/products/", headers=named).problem(401, "unauthenticated")


class TestPeople:
    def test_somebody_logged_in_sees_their_own_whatever_key_they_send(self, owner: Person, stranger: Person) -> None:
        mine, theirs = created(owner, name="mine"), created(stranger, name="theirs")
        for headers in (opened(stranger), {"X-Publishable-Key": "pk_" + "a" * 32}):
            assert owner.get(at(mine), headers=headers).ok()["product"] == mine
            owner.get(at(theirs), headers=headers).problem(404, "no_such_product")
            assert listed(owner, headers=headers) == [mine]

    def test_somebody_without_the_permission_is_no_visitor(self, service: Any, owner: Person) -> None:
        token = {identity.HEADER: internal_token(owner, role="nobody"), **opened(owner)}
        service("product").get("/products/", headers=token).problem(403, "forbidden")


class TestWithoutAKey:
    def test_the_catalogue_that_is_set_is_shown(
        self, platform: Any, api: Api, owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine, theirs = created(owner, name="mine"), created(stranger, name="theirs")
        key = opened(stranger)
        api.get(PATH).problem(401, "unauthenticated")
        monkeypatch.setenv("PRODUCT_SERVICE_PUBLIC_CATALOGUE_TENANT", owner.tenant_id)
        api.get(PATH).problem(401, "unauthenticated")
        opened(owner)
        assert found(api, "") == ["mine"]
        assert set(api.get(at(mine)).ok()["product"]) == PUBLIC
        assert found(api, "", headers=key) == ["theirs"]
        api.get(at(theirs)).problem(404, "no_such_product")
        api.get(PATH, headers={"X-Publishable-Key": "x"}).problem(401, "unknown_publishable_key")
        assert listed(new_person(platform)) == []

    def test_a_setting_that_is_no_id_stops_the_start(self, platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PUBLIC_CATALOGUE_TENANT", "acme")
        with pytest.raises(config.ConfigurationError, match="PUBLIC_CATALOGUE_TENANT"):
            config.check("product")

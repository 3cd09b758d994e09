from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import Client

from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses
from tests.services.product_helpers import FULL, GTIN, GTIN_12, GTIN_14, MISSING, PATH, at, bundle, category, created

CHANGING = ("updated_at", "version")


class TestGet:
    def test_one_is_found_with_and_without_a_slash_and_with_head(self, owner: Person) -> None:
        product = created(owner)
        assert owner.get(at(product)).ok() == owner.get(at(product) + "/").ok() == {"product": product}
        head = Client(owner.target).head(at(product), headers={"Authorization": f"Bearer {owner.token}"})
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", '"1"')

    def test_nobody_sees_it(self, api: Api, owner: Person) -> None:
        api.get(at(created(owner))).problem(401, "unauthenticated")

    def test_another_tenants_answers_exactly_as_one_that_does_not_exist(self, owner: Person, stranger: Person) -> None:
        foreign, missing = stranger.get(at(created(owner))), stranger.get(f"{PATH}{uuid4()}")
        foreign.problem(404, "no_such_product")
        assert {**foreign.json, "request_id": ""} == {**missing.json, "request_id": ""}

    @pytest.mark.parametrize("id", ["1", "abc", "-1", "null", "00000000-0000-0000-0000-00000000000g"])
    def test_an_id_that_is_none_is_not_found(self, owner_of_all: Person, id: str) -> None:
        owner_of_all.get(PATH + id).problem(404, "not_found")

    def test_an_unchanged_one_is_not_sent_again(self, owner: Person) -> None:
        assert owner.get(at(created(owner)), headers={"If-None-Match": '"1"'}).status == 304

    def test_a_deactivated_one_can_still_be_seen(self, owner: Person) -> None:
        product = created(owner)
        owner.delete(at(product)).ok()
        assert owner.get(at(product)).ok()["product"]["is_active"] is False


class TestPut:
    def test_each_field_can_be_changed_by_itself(self, owner: Person) -> None:
        product = created(owner, currency="USD")
        owner.put(at(product), {"currency": "BRL"}).ok()
        for name in (name for name in FULL if name not in ("kind", "currency", "price_amount")):
            product = owner.put(at(product), {name: FULL[name]}).ok()["product"]
            assert product[name] == FULL[name]
        assert {name: product[name] for name in FULL} == FULL

    def test_what_may_be_absent_can_be_taken_away(self, owner: Person) -> None:
        product = created(owner, **{**FULL, "category_id": category(owner)["id"]})
        gone = [name for name, value in created(owner).items() if value is None and name != "deactivated_at"]
        body = dict.fromkeys(name for name in gone if name != "ncm_formatted")
        product = owner.put(at(product), body).ok()["product"]
        assert {product[name] for name in gone} == {None}

    def test_nobody_viewers_and_strangers_change_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        product = created(owner)
        api.put(at(product), {"name": "x"}).problem(401, "unauthenticated")
        add_member(owner, "viewer").put(at(product), {"name": "x"}).problem(403, "forbidden")
        stranger.put(at(product), {"name": "x"}).problem(404, "no_such_product")
        assert owner.get(at(product)).ok()["product"] == product

    def test_an_empty_change_changes_nothing(self, owner: Person) -> None:
        product = owner.post(PATH, FULL).ok(201)["product"]
        assert owner.put(at(product), {}).ok()["product"] == product

    @pytest.mark.parametrize("name", [*(name for name in FULL if name != "price"), "surprise", "tenant_id", "parts"])
    def test_a_wrong_value_is_named_and_nothing_changes(self, owner_of_all: Person, name: str) -> None:
        product = created(owner_of_all)
        problem = owner_of_all.put(at(product), {name: 5.5}).problem(422, "validation_error")
        assert list(problem["errors"]) == [name]
        assert owner_of_all.get(at(product)).ok()["product"] == product

    def test_what_was_read_may_be_sent_back(self, owner: Person) -> None:
        part = created(owner)
        subscription = created(owner, kind="subscription", category_id=category(owner)["id"])
        for product in (owner.post(PATH, FULL).ok(201)["product"], subscription, bundle(owner, part)):
            assert owner.put(at(product), product).ok()["product"] == product
            changed = owner.put(at(product), product | {"name": "New"}).ok()["product"]
            assert (changed["name"], changed["version"]) == ("New", 2)

    @pytest.mark.parametrize("name", ["id", "ncm_formatted", "is_active", "deactivated_at", "created_at"])
    def test_a_changed_read_only_field_is_refused(self, owner_of_all: Person, name: str) -> None:
        product = created(owner_of_all)
        problem = owner_of_all.put(at(product), {"name": "x", name: "other"}).problem(422, "validation_error")
        assert list(problem["errors"]) == [name]

    @pytest.mark.parametrize("name", ["version", "updated_at"])
    def test_a_stale_echo_is_a_lost_update_in_the_making(self, owner: Person, name: str) -> None:
        product = created(owner)
        owner.put(at(product), {"name": "somebody else's"}).ok()
        owner.put(at(product), {"name": "mine", name: product[name]}).problem(412, "precondition_failed")

    @pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ("*", 200), ('"2"', 412), ('W/"1"', 412)])
    def test_if_match_is_obeyed(self, owner_of_all: Person, tag: str, status: int) -> None:
        product = created(owner_of_all)
        for method, body in (("PUT", {"tax_class": "x"}), ("DELETE", None)):
            answer = owner_of_all.request(method, at(product), body, headers={"If-Match": tag})
            assert answer.status == status
            tag = tag.replace("1", "2")

    def test_of_two_changes_of_one_version_one_is_refused(self, owner: Person) -> None:
        product = created(owner)
        tag = {"If-Match": '"1"'}
        calls = [lambda name=name: owner.put(at(product), {"name": name}, headers=tag) for name in "abcde"]
        assert statuses(raced(*calls)) == [200] + [412] * 4

    def test_changes_of_different_fields_at_once_are_all_kept(self, owner: Person) -> None:
        product = created(owner)
        changes: tuple[dict[str, Any], ...] = ({"sku": "a"}, {"description": "b"}, {"tags": ["c"]}, {"price": "4"})
        raced(*(lambda change=change: owner.put(at(product), change).ok() for change in changes))
        product = owner.get(at(product)).ok()["product"]
        assert [product[name] for name in ("sku", "description", "tags", "price")] == ["a", "b", ["c"], "4.00"]

    @pytest.mark.parametrize("taken", [{"sku": "A"}, {"external_id": "1"}, {"gtin": GTIN}], ids=str)
    def test_a_value_of_another_active_one_is_refused(self, owner: Person, taken: Any) -> None:
        created(owner, **taken)
        problem = owner.put(at(created(owner)), taken).problem(409, "already_exists")
        assert list(problem["errors"]) == list(taken)

    def test_one_gtin_may_be_written_anew(self, owner: Person) -> None:
        product = created(owner, gtin=GTIN_12)
        assert owner.put(at(product), {"gtin": GTIN_14}).ok()["product"]["gtin"] == GTIN_14
        problem = owner.post(PATH, {"name": "x", "gtin": GTIN_12}).problem(409, "already_exists")
        assert list(problem["errors"]) == ["gtin"]

    def test_a_deactivated_one_is_not_changed(self, owner: Person) -> None:
        product = created(owner)
        owner.delete(at(product)).ok()
        owner.put(at(product), {"name": "x"}).problem(409, "product_inactive")

    def test_its_kind_is_for_life(self, owner: Person) -> None:
        product = created(owner)
        for kind in ("service", "bundle", "subscription"):
            problem = owner.put(at(product), {"kind": kind}).problem(422, "validation_error")
            assert list(problem["errors"]) == ["kind"]

    def test_only_a_subscription_has_a_rhythm_and_never_loses_it(self, owner: Person) -> None:
        good, subscription = created(owner), created(owner, kind="subscription")
        for product, body in (
            (good, {"billing_count": 2}),
            (good, {"billing_period": "day"}),
            (subscription, {"billing_count": None}),
            (subscription, {"billing_period": None}),
        ):
            problem = owner.put(at(product), body).problem(422, "validation_error")
            assert list(problem["errors"]) == list(body)
        assert owner.put(at(subscription), {"billing_count": 2}).ok()["product"]["billing_period"] == "month"

    @pytest.mark.parametrize("id", [MISSING, "x", 5, [], ""])
    def test_a_category_that_does_not_exist_is_named(self, owner_of_all: Person, id: Any) -> None:
        problem = owner_of_all.put(at(created(owner_of_all)), {"category_id": id}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["category_id"]


class TestPrice:
    @pytest.mark.parametrize(
        ("change", "price", "amount", "currency"),
        [
            ({"price": "1.5"}, "1.50", 150, "BRL"),
            ({"price_amount": 5}, "0.05", 5, "BRL"),
            ({"price": "7", "currency": "JPY"}, "7", 7, "JPY"),
            ({"price_amount": 3412, "currency": "KWD"}, "3.412", 3412, "KWD"),
            ({"currency": "BRL"}, "34.12", 3412, "BRL"),
            ({"price": None}, None, None, "BRL"),
            ({"price": None, "currency": "USD"}, None, None, "USD"),
        ],
        ids=str,
    )
    def test_it_is_read_in_the_currency_that_holds(
        self, owner: Person, change: Any, price: str | None, amount: int | None, currency: str
    ) -> None:
        product = owner.put(at(created(owner, price="34.12")), change).ok()["product"]
        assert (product["price"], product["price_amount"], product["currency"]) == (price, amount, currency)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"currency": "JPY"}, "currency"),
            ({"price": "34.12", "currency": "JPY"}, "price"),
            ({"price": "34.123"}, "price"),
            ({"price": "35", "price_amount": 3412}, "price_amount"),
        ],
        ids=str,
    )
    def test_a_change_that_means_two_things_is_refused(self, owner: Person, change: Any, named: str) -> None:
        product = created(owner, price="34.12")
        assert list(owner.put(at(product), change).problem(422, "validation_error")["errors"]) == [named]
        assert owner.get(at(product)).ok()["product"] == product


class TestBundle:
    def test_its_parts_are_replaced_as_a_whole_and_its_version_tells(self, owner: Person) -> None:
        first, second, third = (created(owner) for _ in range(3))
        product = bundle(owner, first, second)
        for components in (
            [{"product_id": second["id"], "quantity": 5}, {"product_id": first["id"], "quantity": 1}],
            [{"product_id": third["id"], "quantity": 2}],
        ):
            changed = owner.put(at(product), {"components": components}).ok()["product"]
            assert (changed["components"], changed["version"]) == (components, product["version"] + 1)
            product = owner.get(at(product)).ok()["product"]
            assert product == changed

    def test_it_is_never_empty(self, owner: Person) -> None:
        product = bundle(owner, created(owner))
        owner.put(at(product), {"components": []}).problem(422, "validation_error")
        assert owner.get(at(product)).ok()["product"] == product

    def test_a_part_that_was_deactivated_may_stay_and_no_other_may_come(self, owner: Person) -> None:
        part, other = created(owner), created(owner)
        product = bundle(owner, part)
        for gone in (part, other):
            owner.delete(at(gone)).ok()
        assert owner.put(at(product), product | {"name": "x"}).ok()["product"]["components"] == product["components"]
        more = [*product["components"], {"product_id": other["id"]}]
        owner.put(at(product), {"components": more}).problem(422, "validation_error")

    def test_a_part_cannot_be_removed_for_good(self, owner: Person) -> None:
        part, other = created(owner), created(owner)
        product = bundle(owner, part)
        owner.delete(at(part) + "?hard_delete=true").problem(409, "product_in_bundle")
        owner.put(at(product), {"components": [{"product_id": other["id"]}]}).ok()
        owner.delete(at(part) + "?hard_delete=true").ok()
        owner.delete(at(product) + "?hard_delete=true").ok()
        owner.delete(at(other) + "?hard_delete=true").ok()


class TestDelete:
    def test_a_deactivated_one_leaves_the_list_and_stays_whole(self, owner: Person) -> None:
        owner.delete(at(owner.post(PATH, FULL).ok(201)["product"])).ok()
        assert owner.get(PATH).ok()["total"] == 0
        kept = owner.get(PATH + "?active_only=false").ok()["products"]
        assert [{name: row[name] for name in FULL} for row in kept] == [FULL]
        assert kept[0]["deactivated_at"] is not None

    def test_a_repeated_deactivation_is_a_conflict(self, owner: Person) -> None:
        product = created(owner)
        assert set(owner.delete(at(product)).ok()) == {"message"}
        owner.delete(at(product)).problem(409, "already_inactive")

    def test_one_can_be_removed_for_good_active_or_not_with_its_prices(self, owner: Person) -> None:
        first, second = created(owner, price="1"), created(owner, price="2")
        owner.delete(at(second)).ok()
        for product in (first, second):
            assert set(owner.delete(at(product) + "?hard_delete=true").ok()) == {"message"}
            for path in (at(product), at(product) + "/prices"):
                owner.get(path).problem(404, "no_such_product")
            owner.delete(at(product) + "?hard_delete=true").problem(404, "no_such_product")
        assert owner.get(PATH + "?active_only=false").ok()["total"] == 0

    def test_nobody_strangers_and_members_remove_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        product = created(owner)
        for query in ("", "?hard_delete=true"):
            api.delete(at(product) + query).problem(401, "unauthenticated")
            stranger.delete(at(product) + query).problem(404, "no_such_product")
            add_member(owner, "member").delete(at(product) + query).problem(403, "forbidden")
        assert owner.get(at(product)).ok()["product"] == product

    @pytest.mark.parametrize("query", ["hard_delete=perhaps", "hard=true", "hard_delete="])
    def test_an_odd_query_removes_nothing(self, owner_of_all: Person, query: str) -> None:
        product = created(owner_of_all)
        owner_of_all.delete(f"{at(product)}?{query}").problem(422, "validation_error")
        assert owner_of_all.get(at(product)).ok()["product"]["is_active"]

    def test_of_many_deactivations_at_once_one_happens(self, owner: Person) -> None:
        product = created(owner)
        assert statuses(raced(*[lambda: owner.delete(at(product))] * 5)) == [200] + [409] * 4


class TestActivate:
    def test_it_comes_back_whole(self, owner: Person) -> None:
        product = owner.post(PATH, FULL).ok(201)["product"]
        owner.delete(at(product)).ok()
        back = owner.patch(at(product) + "/activate").ok()
        assert set(back) == {"message", "product"}
        assert {k: v for k, v in back["product"].items() if k not in CHANGING} == {
            k: v for k, v in product.items() if k not in CHANGING
        }

    def test_an_active_one_is_active_already(self, owner: Person) -> None:
        owner.patch(at(created(owner)) + "/activate").problem(409, "already_active")

    def test_nobody_viewers_and_strangers_activate_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        product = created(owner)
        owner.delete(at(product)).ok()
        api.patch(at(product) + "/activate").problem(401, "unauthenticated")
        add_member(owner, "viewer").patch(at(product) + "/activate").problem(403, "forbidden")
        stranger.patch(at(product) + "/activate").problem(404, "no_such_product")

    @pytest.mark.parametrize("unique", [{"sku": "A"}, {"external_id": "1"}, {"gtin": GTIN}], ids=str)
    def test_a_value_is_freed_by_deactivation_and_may_be_taken_meanwhile(self, owner: Person, unique: Any) -> None:
        first = created(owner, **unique)
        owner.delete(at(first)).ok()
        second = created(owner, **unique)
        problem = owner.patch(at(first) + "/activate").problem(409, "already_exists")
        assert list(problem["errors"]) == list(unique)
        owner.delete(at(second)).ok()
        owner.patch(at(first) + "/activate").ok()

    def test_of_rivals_for_one_sku_one_comes_back(self, owner: Person) -> None:
        rivals = []
        for _ in range(3):
            rivals.append(created(owner, sku="A"))
            owner.delete(at(rivals[-1])).ok()
        answers = raced(*(lambda rival=rival: owner.patch(at(rival) + "/activate") for rival in rivals))
        assert statuses(answers) == [200, 409, 409]

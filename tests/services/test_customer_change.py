from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import Client

from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses
from tests.services.test_customer_create import FULL, PATH, created

READ_ONLY = ("id", "document_formatted", "is_active", "deactivated_at", "created_at", "updated_at", "version")


def at(customer: dict[str, Any]) -> str:
    return PATH + str(customer["id"])


class TestGet:
    def test_one_is_found_with_and_without_a_slash_and_with_head(self, owner: Person) -> None:
        customer = created(owner)
        assert owner.get(at(customer)).ok() == owner.get(at(customer) + "/").ok() == {"customer": customer}
        head = Client(owner.target).head(at(customer), headers={"Authorization": f"Bearer {owner.token}"})
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", '"1"')

    def test_nobody_sees_it(self, api: Api, owner: Person) -> None:
        api.get(at(created(owner))).problem(401, "unauthenticated")

    def test_another_tenants_answers_exactly_as_one_that_does_not_exist(self, owner: Person, stranger: Person) -> None:
        foreign, missing = stranger.get(at(created(owner))), stranger.get(f"{PATH}{uuid4()}")
        foreign.problem(404, "no_such_customer")
        assert {**foreign.json, "request_id": ""} == {**missing.json, "request_id": ""}

    @pytest.mark.parametrize("id", ["1", "abc", "0", "-1", "null", "00000000-0000-0000-0000-00000000000g"])
    def test_an_id_that_is_none_is_not_found(self, owner_of_all: Person, id: str) -> None:
        owner_of_all.get(PATH + id).problem(404, "not_found")

    def test_an_unchanged_one_is_not_sent_again(self, owner: Person) -> None:
        customer = created(owner)
        for tag in ('"1"', '"7", "1"', "*"):
            answer = owner.get(at(customer), headers={"If-None-Match": tag})
            assert (answer.status, answer.json) == (304, "")
        assert owner.get(at(customer), headers={"If-None-Match": '"2"'}).ok() == {"customer": customer}

    def test_a_weak_tag_is_enough_to_be_unchanged(self, owner: Person) -> None:
        assert owner.get(at(created(owner)), headers={"If-None-Match": 'W/"1"'}).status == 304

    def test_a_deactivated_one_can_still_be_seen(self, owner: Person) -> None:
        customer = created(owner)
        owner.delete(at(customer)).ok()
        assert owner.get(at(customer)).ok()["customer"]["is_active"] is False


class TestPut:
    def test_each_field_can_be_changed_by_itself(self, owner: Person) -> None:
        customer = created(owner)
        for name in (name for name in FULL if name not in ("document", "document_type")):
            customer = owner.put(at(customer), {name: FULL[name]}).ok()["customer"]
            assert customer[name] == FULL[name]
        pair = {"document_type": "cnpj", "document": "12.ABC.345/01DE-35"}
        customer = owner.put(at(customer), pair).ok()["customer"]
        assert {name: customer[name] for name in FULL} == FULL
        assert customer["version"] == len(FULL)

    def test_what_may_be_absent_can_be_taken_away(self, owner: Person) -> None:
        customer = created(owner, **{name: value for name, value in FULL.items() if name != "name"})
        gone = ("legal_name", "email", "phone", "document", "birth_date", "owner_id", "source", "external_id", "notes")
        customer = owner.put(at(customer), dict.fromkeys(gone)).ok()["customer"]
        assert {customer[name] for name in (*gone, "document_type", "document_formatted")} == {None}

    def test_a_document_never_loses_its_type(self, owner: Person) -> None:
        customer = created(owner, document_type="cpf", document="52998224725")
        owner.put(at(customer), {"document_type": None}).problem(422, "validation_error")
        owner.put(at(customer), {"document_type": "cnpj"}).problem(422, "validation_error")
        owner.put(at(customer), {"document": "11222333000181"}).problem(422, "validation_error")

    def test_parts_are_replaced_as_wholes(self, owner: Person) -> None:
        customer = created(owner, addresses=[{"city": "Recife"}], consents={"sms": {"granted": True}})
        changes = {"addresses": [{"street": "Rua A"}], "consents": {"email": {"granted": False}}}
        changed = owner.put(at(customer), changes).ok()["customer"]
        assert changed["addresses"] == [{"kind": "main", "country": "BR", "street": "Rua A"}]
        assert changed["consents"] == {"email": {"granted": False}}
        owner.put(at(customer), {"consents": {"email": {}}}).problem(422, "validation_error")

    def test_nobody_and_strangers_change_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        api.put(at(customer), {"name": "x"}).problem(401, "unauthenticated")
        stranger.put(at(customer), {"name": "x"}).problem(404, "no_such_customer")
        assert owner.get(at(customer)).ok()["customer"] == customer

    def test_an_empty_change_changes_nothing(self, owner: Person) -> None:
        customer = created(owner)
        assert owner.put(at(customer), {}).ok()["customer"] == customer

    @pytest.mark.parametrize("name", [*FULL, "surprise", "tenant_id"])
    def test_a_wrong_value_is_named_and_nothing_changes(self, owner_of_all: Person, name: str) -> None:
        customer = created(owner_of_all)
        problem = owner_of_all.put(at(customer), {"preferred_language": "en", name: 5.5}).problem(
            422, "validation_error"
        )
        assert name in problem["errors"]
        assert owner_of_all.get(at(customer)).ok()["customer"] == customer

    def test_what_was_read_may_be_sent_back(self, owner: Person) -> None:
        customer = owner.post(PATH, FULL).ok(201)["customer"]
        assert owner.put(at(customer), customer).ok()["customer"] == customer
        changed = owner.put(at(customer), customer | {"name": "New"}).ok()["customer"]
        assert (changed["name"], changed["version"]) == ("New", 2)

    @pytest.mark.parametrize("name", ["id", "document_formatted", "is_active", "deactivated_at", "created_at"])
    def test_a_changed_read_only_field_is_refused(self, owner_of_all: Person, name: str) -> None:
        customer = created(owner_of_all)
        problem = owner_of_all.put(at(customer), {"name": "x", name: "other"}).problem(422, "validation_error")
        assert list(problem["errors"]) == [name]

    @pytest.mark.parametrize("name", ["version", "updated_at"])
    def test_a_stale_echo_is_a_lost_update_in_the_making(self, owner: Person, name: str) -> None:
        customer = created(owner)
        owner.put(at(customer), {"name": "somebody else's"}).ok()
        owner.put(at(customer), {"name": "mine", name: customer[name]}).problem(412, "precondition_failed")
        assert owner.get(at(customer)).ok()["customer"]["name"] == "somebody else's"

    @pytest.mark.parametrize(
        ("tag", "status"),
        [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"2"', 412), ('W/"1"', 412), ('"7", "8"', 412)],
    )
    def test_if_match_is_obeyed(self, owner_of_all: Person, tag: str, status: int) -> None:
        customer = created(owner_of_all)
        for method, body in (("PUT", {"source": "x"}), ("DELETE", None)):
            answer = owner_of_all.request(method, at(customer), body, headers={"If-Match": tag})
            assert answer.status == status
            tag = tag.replace("1", "2")

    def test_of_two_changes_of_one_version_one_is_refused(self, owner: Person) -> None:
        customer = created(owner)
        tag = {"If-Match": '"1"'}
        calls = [lambda name=name: owner.put(at(customer), {"name": name}, headers=tag) for name in "abcde"]
        assert statuses(raced(*calls)) == [200] + [412] * 4
        assert owner.get(at(customer)).ok()["customer"]["version"] == 2

    def test_changes_of_different_fields_at_once_are_all_kept(self, owner: Person) -> None:
        customer = created(owner)
        changes = ({"source": "a"}, {"notes": "b"}, {"tags": ["c"]}, {"external_id": "d"})
        raced(*(lambda change=change: owner.put(at(customer), change).ok() for change in changes))
        customer = owner.get(at(customer)).ok()["customer"]
        assert (customer["source"], customer["notes"], customer["tags"], customer["external_id"]) == (
            *("a", "b", ["c"]),
            "d",
        )

    def test_a_value_of_another_active_one_is_refused(self, owner: Person) -> None:
        created(owner, email="a@example.com")
        problem = owner.put(at(created(owner)), {"email": "a@example.com"}).problem(409, "already_exists")
        assert list(problem["errors"]) == ["email"]

    def test_a_deactivated_one_is_not_changed(self, owner: Person) -> None:
        customer = created(owner)
        owner.delete(at(customer)).ok()
        owner.put(at(customer), {"name": "x"}).problem(409, "customer_inactive")


class TestDelete:
    def test_a_deactivated_one_leaves_the_list_and_stays_whole(self, owner: Person) -> None:
        customer = owner.post(PATH, FULL).ok(201)["customer"]
        assert set(owner.delete(at(customer)).ok()) == {"message"}
        assert owner.get(PATH).ok()["total"] == 0
        kept = owner.get(PATH + "?active_only=false").ok()["customers"]
        assert [{name: row[name] for name in FULL} for row in kept] == [FULL]
        assert kept[0]["deactivated_at"] is not None

    def test_a_repeated_deactivation_is_a_conflict(self, owner: Person) -> None:
        customer = created(owner)
        owner.delete(at(customer)).ok()
        owner.delete(at(customer)).problem(409, "already_inactive")

    def test_one_can_be_removed_for_good_active_or_not(self, owner: Person) -> None:
        first, second = created(owner), created(owner)
        owner.delete(at(second)).ok()
        for customer in (first, second):
            assert set(owner.delete(at(customer) + "?hard_delete=true").ok()) == {"message"}
            owner.get(at(customer)).problem(404, "no_such_customer")
            owner.delete(at(customer) + "?hard_delete=true").problem(404, "no_such_customer")
        assert owner.get(PATH + "?active_only=false").ok()["total"] == 0

    def test_nobody_strangers_and_members_remove_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        for query in ("", "?hard_delete=true"):
            api.delete(at(customer) + query).problem(401, "unauthenticated")
            stranger.delete(at(customer) + query).problem(404, "no_such_customer")
            add_member(owner, "member").delete(at(customer) + query).problem(403, "forbidden")
        assert owner.get(at(customer)).ok()["customer"] == customer

    @pytest.mark.parametrize("query", ["hard_delete=perhaps", "hard=true", "hard_delete=", "HARD_DELETE=true"])
    def test_an_odd_query_removes_nothing(self, owner_of_all: Person, query: str) -> None:
        customer = created(owner_of_all)
        owner_of_all.delete(f"{at(customer)}?{query}").problem(422, "validation_error")
        assert owner_of_all.get(at(customer)).ok()["customer"]["is_active"]

    def test_of_many_deactivations_at_once_one_happens(self, owner: Person) -> None:
        customer = created(owner)
        assert statuses(raced(*[lambda: owner.delete(at(customer))] * 5)) == [200] + [409] * 4

    def test_removal_and_change_at_once_end_in_removal(self, owner: Person) -> None:
        customer = created(owner)
        gone, changed = raced(
            lambda: owner.delete(at(customer) + "?hard_delete=true"),
            lambda: owner.put(at(customer), {"name": "Late Name"}),
        )
        assert (gone.status, changed.status) in ((200, 200), (200, 404))
        assert owner.get(PATH + "?active_only=false&search=late").ok()["total"] == 0


class TestActivate:
    def test_it_comes_back_whole(self, owner: Person) -> None:
        customer = owner.post(PATH, FULL).ok(201)["customer"]
        owner.delete(at(customer)).ok()
        back = owner.patch(at(customer) + "/activate").ok()
        assert set(back) == {"message", "customer"}
        changing = ("updated_at", "version")
        assert {k: v for k, v in back["customer"].items() if k not in changing} == {
            k: v for k, v in customer.items() if k not in changing
        }

    def test_an_active_one_is_active_already(self, owner: Person) -> None:
        owner.patch(at(created(owner)) + "/activate").problem(409, "already_active")

    def test_nobody_and_strangers_activate_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        owner.delete(at(customer)).ok()
        api.patch(at(customer) + "/activate").problem(401, "unauthenticated")
        stranger.patch(at(customer) + "/activate").problem(404, "no_such_customer")
        stranger.patch(f"{PATH}{uuid4()}/activate").problem(404, "no_such_customer")

    @pytest.mark.parametrize(
        "unique",
        [{"email": "a@example.com"}, {"external_id": "1"}, {"document": "52998224725", "document_type": "cpf"}],
        ids=lambda unique: next(iter(unique)),
    )
    def test_a_value_is_freed_by_deactivation_and_may_be_taken_meanwhile(
        self, owner: Person, unique: dict[str, str]
    ) -> None:
        first = created(owner, **unique)
        owner.delete(at(first)).ok()
        second = created(owner, **unique)
        problem = owner.patch(at(first) + "/activate").problem(409, "already_exists")
        assert list(problem["errors"]) == [next(iter(unique))]
        owner.delete(at(second)).ok()
        owner.patch(at(first) + "/activate").ok()

    def test_of_two_rivals_for_one_address_one_comes_back(self, owner: Person) -> None:
        rivals = []
        for _ in range(3):
            rivals.append(created(owner, email="a@example.com"))
            owner.delete(at(rivals[-1])).ok()
        answers = raced(*(lambda rival=rival: owner.patch(at(rival) + "/activate") for rival in rivals))
        assert statuses(answers) == [200, 409, 409]

    def test_a_stale_version_is_not_activated(self, owner: Person) -> None:
        customer = created(owner)
        owner.delete(at(customer)).ok()
        answer = owner.patch(at(customer) + "/activate", headers={"If-Match": '"1"'})
        answer.problem(412, "precondition_failed")

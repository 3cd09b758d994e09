"""Several records of one customer become one; nothing of theirs is lost."""

from functools import partial
from typing import Any

import pytest

from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses
from tests.services.test_customer_create import PATH, created

UNKNOWN = "0197a3c0-0000-7000-8000-000000000001"


def merged(person: Person, into: Any, *sources: Any, **options: Any) -> Any:
    return person.post(f"{PATH}{into['id']}/merge", {"source_ids": [one["id"] for one in sources], **options})


def shown(person: Person, customer: Any) -> Any:
    return person.get(f"{PATH}{customer['id']}").ok()["customer"]


@pytest.fixture
def twins(owner: Person) -> tuple[Any, Any]:
    """Two records of one customer."""
    first = created(owner, name="Ana Lima", email="ana@example.com", tags=["vip"], custom={"a": 1, "b": 1})
    second = created(
        owner,
        name="Ana L.",
        email="ana.lima@example.com",
        document_type="cpf",
        document="52998224725",
        phone="+5511987654321",
        tags=["fair", "vip"],
        custom={"b": 2, "c": 2},
        notes="Likes tea",
        addresses=[{"city": "São Paulo"}],
    )
    return first, second


class TestMerging:
    def test_the_survivor_gets_what_it_lacks(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        answer = merged(owner, first, second).ok()
        assert set(answer) == {"message", "customer"}
        one = answer["customer"]
        assert (one["id"], one["name"], one["email"]) == (first["id"], "Ana Lima", "ana@example.com")
        assert (one["document_type"], one["document"], one["phone"]) == ("cpf", "52998224725", "+5511987654321")
        assert (one["emails"], one["tags"], one["notes"]) == (["ana.lima@example.com"], ["vip", "fair"], "Likes tea")
        assert one["custom"] == {"a": 1, "b": 1, "c": 2}
        assert [address["city"] for address in one["addresses"]] == ["São Paulo"]
        assert shown(owner, first) == one

    def test_the_other_becomes_a_pointer(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        merged(owner, first, second).ok()
        left = shown(owner, second)
        assert (left["is_active"], left["merged_into_id"], left["name"]) == (False, first["id"], "Ana L.")
        path = f"{PATH}{second['id']}"
        for answer in (
            owner.put(path, {"name": "Anna"}),
            owner.patch(f"{path}/activate"),
            owner.post(f"{path}/erase"),
            merged(owner, second, created(owner)),
        ):
            assert answer.problem(409, "customer_merged")["merged_into_id"] == first["id"]
        assert owner.get(PATH).ok()["total"] == 2

    def test_rules_choose_whose_value_wins(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        rules = {"name": second["id"], "email": second["id"], "document": first["id"]}
        one = merged(owner, first, second, field_rules=rules).ok()["customer"]
        assert (one["name"], one["email"], one["emails"]) == ("Ana L.", "ana.lima@example.com", ["ana@example.com"])
        assert (one["document"], one["document_type"]) == (None, None)

    def test_a_dry_run_shows_the_outcome_and_changes_nothing(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        preview = merged(owner, first, second, dry_run=True).ok()["customer"]
        assert (shown(owner, first), shown(owner, second)) == (first, second)
        real = merged(owner, first, second).ok()["customer"]
        changing = {"version", "updated_at"}
        assert {k: v for k, v in preview.items() if k not in changing} == {
            k: v for k, v in real.items() if k not in changing
        }

    def test_the_last_word_about_consent_counts_and_a_refusal_more(self, owner: Person) -> None:
        early, late = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
        first = created(
            owner,
            consents={"email": {"granted": True, "at": early}, "sms": {"granted": True}, "whatsapp": {"granted": True}},
        )
        second = created(owner, consents={"email": {"granted": False, "at": late}, "sms": {"granted": False}})
        one = merged(owner, first, second).ok()["customer"]
        assert {name: consent["granted"] for name, consent in one["consents"].items()} == {
            "email": False,
            "sms": False,
            "whatsapp": True,
        }

    def test_a_refusal_within_the_same_second_came_later(self, owner: Person) -> None:
        first = created(owner, consents={"email": {"granted": True, "at": "2026-01-01T00:00:00Z"}})
        second = created(owner, consents={"email": {"granted": False, "at": "2026-01-01T00:00:00.5Z"}})
        assert merged(owner, first, second).ok()["customer"]["consents"]["email"]["granted"] is False

    def test_a_survivor_of_many_members_can_be_sent_back(self, owner: Person) -> None:
        first = created(owner, custom={f"a{number}": number for number in range(30)})
        second = created(owner, custom={f"b{number}": number for number in range(30)} | {"a0": "lost"})
        one = merged(owner, first, second).ok()["customer"]
        assert {name: one["custom"][name] for name in first["custom"]} == first["custom"]
        assert len(one["custom"]) == 50
        assert owner.put(f"{PATH}{first['id']}", one).ok()["customer"] == one

    def test_earlier_pointers_follow(self, owner: Person) -> None:
        first, second, third = (created(owner) for _ in range(3))
        merged(owner, second, third).ok()
        before = shown(owner, third)
        merged(owner, first, second).ok()
        after = shown(owner, third)
        assert (after["merged_into_id"], after["version"]) == (first["id"], before["version"] + 1)
        owner.delete(f"{PATH}{first['id']}?hard_delete=true").ok()
        for customer in (first, second, third):
            owner.get(f"{PATH}{customer['id']}").problem(404, "no_such_customer")

    def test_the_history_tells_it(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        merged(owner, first, second).ok()
        lines = owner.get(f"{PATH}{first['id']}/history").ok()["changes"]
        by = {(line["action"], line["customer_id"]): line["changes"] for line in lines}
        assert by["merged", first["id"]]["document"] == [None, "52998224725"]
        assert by["merged", second["id"]]["merged_into_id"] == [None, first["id"]]


class TestRefusing:
    def test_only_who_may_delete_merges(self, api: Api, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        merged(add_member(owner, "member"), first, second).problem(403, "forbidden")
        api.post(f"{PATH}{first['id']}/merge", {"source_ids": [second["id"]]}).problem(401, "unauthenticated")
        merged(add_member(owner, "admin"), first, second).ok()

    def test_customers_of_another_tenant_do_not_exist(self, owner: Person, stranger: Person) -> None:
        mine, theirs = created(owner), created(stranger)
        merged(owner, theirs, mine).problem(404, "no_such_customer")
        errors = merged(owner, mine, theirs).problem(422, "validation_error")["errors"]
        unknown = merged(owner, mine, {"id": UNKNOWN}).problem(422, "validation_error")["errors"]
        assert str(errors).replace(theirs["id"], UNKNOWN) == str(unknown)
        assert shown(stranger, theirs) == theirs

    @pytest.mark.parametrize(
        "body",
        [{}, {"source_ids": []}, {"source_ids": "x"}, {"source_ids": ["x"]}, {"source_ids": [UNKNOWN] * 21},
         {"source_ids": [UNKNOWN], "field_rules": {"id": UNKNOWN}}, {"source_ids": [UNKNOWN], "field_rules": []},
         {"source_ids": [UNKNOWN], "dry_run": "maybe"}, {"source_ids": [UNKNOWN], "more": 1}],
    )  # fmt: skip
    def test_a_body_that_means_nothing(self, owner: Person, body: Any) -> None:
        owner.post(f"{PATH}{created(owner)['id']}/merge", body).problem(422, "validation_error")

    def test_into_itself_by_strangers_rules_or_stale(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        merged(owner, first, first).problem(422, "validation_error")
        merged(owner, first, second, field_rules={"name": UNKNOWN}).problem(422, "validation_error")
        stale = {"If-Match": '"7"'}
        body = {"source_ids": [second["id"]]}
        owner.post(f"{PATH}{first['id']}/merge", body, headers=stale).problem(412, "precondition_failed")
        assert shown(owner, second)["is_active"]

    def test_inactive_ones_and_twice(self, owner: Person, twins: tuple[Any, Any]) -> None:
        first, second = twins
        owner.delete(f"{PATH}{second['id']}").ok()
        merged(owner, first, second).problem(409, "customer_inactive")
        owner.patch(f"{PATH}{second['id']}/activate").ok()
        merged(owner, first, second).ok()
        merged(owner, first, second).problem(409, "customer_merged")


class TestRacing:
    def test_a_into_b_and_b_into_a_has_one_winner(self, owner: Person) -> None:
        for first, second in [(created(owner), created(owner)) for _ in range(5)]:
            answers = raced(partial(merged, owner, first, second), partial(merged, owner, second, first))
            assert statuses(answers) == [200, 409]
            ends = [shown(owner, one) for one in (first, second)]
            assert sorted(one["is_active"] for one in ends) == [False, True]
            survivor = next(one for one in ends if one["is_active"])
            assert next(one for one in ends if not one["is_active"])["merged_into_id"] == survivor["id"]

    def test_one_source_goes_to_one_of_many(self, owner: Person) -> None:
        source, *others = (created(owner) for _ in range(6))
        answers = raced(*(lambda one=one: merged(owner, one, source) for one in others))
        assert statuses(answers) == [200, 409, 409, 409, 409]
        winner = next(one for one, answer in zip(others, answers, strict=True) if answer.status == 200)
        assert shown(owner, source)["merged_into_id"] == winner["id"]

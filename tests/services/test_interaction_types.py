from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses
from tests.services.interaction_helpers import NOBODY, customer_of, recorded

PATH = "/api/interaction-types"
STARTERS = ["call", "email", "meeting", "note", "visit", "whatsapp"]


def types(person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get(f"{PATH}?per_page=100&{query}").ok()["interaction_types"]
    return found


def codes(person: Person, query: str = "") -> list[str]:
    return sorted(one["code"] for one in types(person, query))


def starter(person: Person, code: str) -> str:
    return f"{PATH}/{uuid5(UUID(person.tenant_id), code)}"


class TestStarters:
    def test_six_are_there_before_and_after_the_first_write(self, owner: Person) -> None:
        before = types(owner)
        assert sorted(one["code"] for one in before) == STARTERS
        recorded(owner, customer_of(owner))
        assert types(owner) == before

    def test_one_is_shown_before_it_is_stored_and_can_be_sent_back(self, owner: Person) -> None:
        shown = owner.get(starter(owner, "call")).ok()["interaction_type"]
        changed = owner.put(starter(owner, "call"), shown | {"name": "Ligação"}).ok()["interaction_type"]
        assert (changed["code"], changed["name"], changed["version"]) == ("call", "Ligação", 2)

    def test_they_are_divided_into_pages(self, owner: Person) -> None:
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = owner.get(f"{PATH}?per_page=4&sort=-name" + (f"&cursor={cursor}" if cursor else "")).ok()
            seen += [one["code"] for one in page["interaction_types"]]
            cursor = page["next_cursor"]
        assert (page["total"], page["pages"], seen) == (6, 2, STARTERS[::-1])

    def test_the_first_writes_may_come_together(self, owner: Person) -> None:
        customer = customer_of(owner)
        calls = [lambda code=code: recorded(owner, customer, id_interaction_type=code) for code in STARTERS]
        raced(*calls, lambda: owner.post(PATH, {"code": "fair", "name": "Fair"}).ok(201))
        assert codes(owner) == sorted([*STARTERS, "fair"])

    def test_each_tenant_has_its_own(self, owner: Person, stranger: Person) -> None:
        assert {one["id"] for one in types(owner)}.isdisjoint(one["id"] for one in types(stranger))
        stranger.get(starter(owner, "call")).problem(404, "no_such_interaction_type")
        owner.put(starter(owner, "call"), {"name": "x"}).ok()
        stranger.put(starter(owner, "call"), {"name": "x"}).problem(404, "no_such_interaction_type")


class TestOwn:
    def test_one_is_created_renamed_retired_and_brought_back(self, owner: Person) -> None:
        answer = owner.post(PATH, {"code": "fair", "name": "Fair"})
        made = answer.ok(201)["interaction_type"]
        path = f"{PATH}/{made['id']}"
        assert owner.get(path).ok()["interaction_type"] == made
        assert owner.put(path, {"name": "Trade fair"}).ok()["interaction_type"]["name"] == "Trade fair"
        owner.delete(path).ok()
        assert codes(owner) == STARTERS
        assert codes(owner, "active_only=false") == sorted([*STARTERS, "fair"])
        owner.put(path, {"name": "x"}).problem(409, "interaction_type_inactive")
        owner.patch(path + "/activate").ok()
        owner.patch(path + "/activate").problem(409, "already_active")

    def test_a_code_is_unique_among_active_ones(self, owner: Person) -> None:
        owner.post(PATH, {"code": "call", "name": "x"}).problem(409, "already_exists")
        owner.delete(starter(owner, "call")).ok()
        owner.post(PATH, {"code": "call", "name": "x"}).ok(201)
        owner.patch(starter(owner, "call") + "/activate").problem(409, "already_exists")
        answers = raced(*[lambda: owner.post(PATH, {"code": "fair", "name": "x"})] * 4)
        assert statuses(answers) == [201, 409, 409, 409]

    def test_a_code_stays_what_it_is(self, owner: Person) -> None:
        problem = owner.put(starter(owner, "call"), {"code": "ring"}).problem(422, "validation_error")
        assert set(problem["errors"]) == {"code"}

    def test_one_in_use_is_not_removed_for_good(self, owner: Person) -> None:
        recorded(owner, customer_of(owner), id_interaction_type="call")
        owner.delete(starter(owner, "call") + "?hard_delete=true").problem(409, "interaction_type_in_use")
        owner.delete(starter(owner, "visit") + "?hard_delete=true").ok()
        assert "visit" not in codes(owner, "active_only=false")

    def test_the_last_one_is_not_removed_for_good_or_all_would_be_back(self, owner: Person) -> None:
        *others, last = sorted(codes(owner))
        for code in others:
            owner.delete(starter(owner, code) + "?hard_delete=true").ok()
        owner.delete(starter(owner, last) + "?hard_delete=true").problem(409, "last_interaction_type")
        owner.delete(starter(owner, last)).ok()
        assert codes(owner) == []

    def test_one_out_of_use_is_for_no_new_interaction(self, owner: Person) -> None:
        customer = customer_of(owner)
        owner.delete(starter(owner, "call")).ok()
        body = {"ds_notes": "x", "id_interaction_type": "call"}
        problem = owner.post(f"/api/customers/{customer}/interactions", body).problem(422, "validation_error")
        assert set(problem["errors"]) == {"id_interaction_type"}

    def test_who_may_not_manage_only_reads(self, api: Api, owner: Person) -> None:
        api.get(PATH).problem(401, "unauthenticated")
        member = add_member(owner, "member")
        assert codes(member) == STARTERS
        member.post(PATH, {"code": "x", "name": "x"}).problem(403, "forbidden")
        member.delete(starter(owner, "call")).problem(403, "forbidden")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"code": "x"},
            *({"code": code, "name": "x"} for code in ("", "X", "1x", "a b", "é", "x" * 41, None, 1, "a\x00")),
            *({"code": "x", "name": name} for name in ("", None, 1, "x" * 101, "a\x00")),
        ],
    )
    def test_a_body_that_cannot_be_is_refused(self, owner_of_all: Person, body: Any) -> None:
        owner_of_all.post(PATH, body).problem(422, "validation_error")

    def test_an_unknown_one_is_not_found(self, owner: Person) -> None:
        for method in ("GET", "PUT", "DELETE"):
            body = {} if method == "PUT" else None
            owner.request(method, f"{PATH}/{NOBODY}", body).problem(404, "no_such_interaction_type")

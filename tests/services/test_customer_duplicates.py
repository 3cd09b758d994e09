"""Customers who are likely one and the same are found, and shown together."""

from typing import Any

import pytest

from tests.api import Api, Person
from tests.services.test_customer_create import PATH, created

DUPLICATES = f"{PATH}duplicates"
PHONE = "+5511987654321"


def groups(person: Person, path: str = DUPLICATES) -> list[tuple[str, str, list[str]]]:
    found = person.get(path).ok()["duplicates"]
    return [(group["by"], group["value"], [one["id"] for one in group["customers"]]) for group in found]


def test_customers_with_one_address_document_or_name_and_phone_are_grouped(owner: Person) -> None:
    first = created(owner, name="Ana Lima", email="ana@example.com", phone=PHONE)
    second = created(owner, name="Anna L.", emails=["ana@example.com"], document_type="cpf", document="529.982.247-25")
    third = created(owner, name="ÁNA  lima", phones=[PHONE], document_type="other", document="529.982.247-25")
    created(owner, name="Bruno", phone=PHONE)
    assert groups(owner) == [
        ("document", "52998224725", [second["id"], third["id"]]),
        ("email", "ana@example.com", [first["id"], second["id"]]),
        ("name+phone", f"{PHONE} ana lima", [first["id"], third["id"]]),
    ]
    answer = owner.get(f"{DUPLICATES}?per_page=2").ok()
    assert (answer["total"], answer["pages"]) == (3, 2)
    rest = owner.get(f"{DUPLICATES}?per_page=2&cursor={answer['next_cursor']}").ok()
    assert [group["by"] for group in rest["duplicates"]] == ["name+phone"]


def test_of_very_many_as_many_are_shown_as_one_merge_takes(owner: Person) -> None:
    inputs = [{"name": f"Clerk {number}", "emails": ["office@example.com"]} for number in range(30)]
    made = owner.post(f"{PATH}batch/upsert", {"inputs": inputs}).ok()["results"]
    (group,) = owner.get(DUPLICATES).ok()["duplicates"]
    assert group["count"] == 30
    first, *others = [one["id"] for one in group["customers"]]
    assert {first, *others} <= {result["customer_id"] for result in made}
    owner.post(f"{PATH}{first}/merge", {"source_ids": others}).ok()
    (group,) = owner.get(DUPLICATES).ok()["duplicates"]
    assert group["count"] == 10


def test_the_likeness_can_be_chosen(owner: Person) -> None:
    created(owner, name="Ana", email="ana@example.com", phone=PHONE)
    created(owner, name="Ana", emails=["ana@example.com"], phone=PHONE)
    assert [group[0] for group in groups(owner, f"{DUPLICATES}?by=email")] == ["email"]
    assert [group[0] for group in groups(owner, f"{DUPLICATES}?by=name+phone")] == ["name+phone"]
    assert [group[0] for group in groups(owner, f"{DUPLICATES}?by=document,email")] == ["email"]
    assert owner.get(f"{DUPLICATES}?by=shoe").problem(422, "validation_error")["errors"]["by"]
    assert owner.get(f"{DUPLICATES}?by=").problem(422, "validation_error")["errors"]["by"]


def test_the_duplicates_of_one_customer(owner: Person) -> None:
    first = created(owner, email="ana@example.com")
    second = created(owner, emails=["ana@example.com", "bia@example.com"])
    third = created(owner, emails=["bia@example.com"])
    other = created(owner, name="Alone")
    assert groups(owner, f"{PATH}{first['id']}/duplicates") == [
        ("email", "ana@example.com", [first["id"], second["id"]])
    ]
    assert len(groups(owner, f"{PATH}{second['id']}/duplicates")) == 2
    assert len(groups(owner, f"{PATH}{third['id']}/duplicates")) == 1
    assert groups(owner, f"{PATH}{other['id']}/duplicates") == []


def test_what_is_changed_or_inactive_is_no_duplicate_any_more(owner: Person) -> None:
    first, second = (created(owner, emails=["ana@example.com"]) for _ in range(2))
    assert len(groups(owner)) == 1
    owner.put(f"{PATH}{second['id']}", {"emails": []}).ok()
    assert groups(owner) == []
    owner.put(f"{PATH}{second['id']}", {"emails": ["ana@example.com"]}).ok()
    owner.delete(f"{PATH}{first['id']}").ok()
    assert groups(owner) == []


def test_nobody_else_sees_them(api: Api, owner: Person, stranger: Person) -> None:
    customer: Any = None
    for person in (owner, stranger):
        customer = created(owner, emails=["ana@example.com"])
        created(person, emails=["ana@example.com"])
    assert groups(stranger) == []
    stranger.get(f"{PATH}{customer['id']}/duplicates").problem(404, "no_such_customer")
    api.get(DUPLICATES).problem(401, "unauthenticated")


@pytest.mark.parametrize("name", ["   ", "東京", "a" * 200, "😀"])
def test_any_name_has_a_key(owner: Person, name: str) -> None:
    if name.strip():
        created(owner, name=name, phone=PHONE)
        created(owner, name=name, phone=PHONE)
        assert len(groups(owner)) == 1

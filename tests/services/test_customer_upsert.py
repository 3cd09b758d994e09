"""Many customers in one request, each found again by what identifies it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import raced
from tests.services.test_customer_create import PATH, created

BATCH = f"{PATH}batch/upsert"


def upserted(person: Person, *inputs: Any, **options: Any) -> Any:
    return person.post(BATCH, {"inputs": list(inputs), **options}).ok()


def outcomes(answer: Any) -> list[str]:
    return [result["outcome"] for result in answer["results"]]


def test_new_ones_are_created_known_ones_updated_and_faulty_ones_named(owner: Person) -> None:
    known = created(owner, name="Ana", email="ana@example.com")
    answer = upserted(
        owner,
        {"name": "Bia", "email": "bia@example.com"},
        {"name": "Ana Lima", "email": "ANA@example.com"},
        {"name": "Caio", "email": "no address"},
        {"email": "dora@example.com"},
    )
    assert outcomes(answer) == ["created", "updated", "faulty", "faulty"]
    assert (answer["created"], answer["updated"], answer["unchanged"], answer["faulty"]) == (1, 1, 0, 2)
    assert answer["message"]
    assert answer["results"][1]["customer_id"] == known["id"]
    assert set(answer["results"][2]["errors"]) == {"email"}
    assert set(answer["results"][3]["errors"]) == {"name"}
    assert owner.get(f"{PATH}{known['id']}").ok()["customer"]["name"] == "Ana Lima"
    assert owner.get(PATH).ok()["total"] == 2


def test_repeating_it_changes_nothing(owner: Person) -> None:
    rows = (
        {"name": "Ana", "external_id": "1"},
        {"name": "Bia", "phone": "+5511987654321"},
        {"name": "Café Só"},
        {"name": "Doc", "document_type": "cnpj", "document": "12.ABC.345/01DE-35", "tags": ["a", "b"]},
    )
    assert outcomes(upserted(owner, *rows)) == ["created"] * 4
    before = owner.get(PATH).ok()["customers"]
    assert outcomes(upserted(owner, *rows)) == ["unchanged"] * 4
    assert owner.get(PATH).ok()["customers"] == before


def test_what_is_not_sent_stays(owner: Person) -> None:
    known = created(owner, name="Ana", external_id="7", tags=["vip"], notes="Tea")
    upserted(owner, {"external_id": "7", "source": "fair"})
    now = owner.get(f"{PATH}{known['id']}").ok()["customer"]
    assert (now["name"], now["tags"], now["notes"], now["source"]) == ("Ana", ["vip"], "Tea", "fair")


def test_the_strongest_mark_finds_and_weak_ones_only_alone(owner: Person) -> None:
    by_number = created(owner, name="A", external_id="1")
    by_email = created(owner, name="B", email="b@example.com")
    family = created(owner, name="Lima", phone="+5511987654321", email="c@example.com")
    answer = upserted(
        owner,
        {"external_id": "1", "source": "x"},
        {"external_id": "2", "email": "b@example.com"},
        {"name": "Lima", "phone": "+5511987654321", "email": "new@example.com"},
        {"name": "LIMA", "phone": "(11) 98765-4321"},
    )
    assert [result["customer_id"] for result in answer["results"]][:2] == [by_number["id"], by_email["id"]]
    assert outcomes(answer)[2] == "created"
    assert answer["results"][3]["customer_id"] == family["id"]


def test_an_address_that_a_merge_moved_is_known(owner: Person) -> None:
    first, second = created(owner, email="a@example.com"), created(owner, email="b@example.com")
    owner.post(f"{PATH}{first['id']}/merge", {"source_ids": [second["id"]]}).ok()
    answer = upserted(owner, {"name": first["name"], "email": "b@example.com"})
    assert (outcomes(answer), answer["results"][0]["customer_id"]) == (["unchanged"], first["id"])


def test_an_address_means_whose_own_it_is_and_not_an_older_one_who_shares_it(owner: Person) -> None:
    company = created(owner, name="Bakery", emails=["ana@example.com"])
    ana = created(owner, name="Ana", email="ana@example.com")
    created(owner, name="Cafe", emails=["ana@example.com"])
    answer = upserted(owner, {"name": "Ana Lima", "email": "ana@example.com"})
    assert answer["results"][0]["customer_id"] == ana["id"]
    assert owner.get(f"{PATH}{company['id']}").ok()["customer"] == company


def test_who_shares_a_further_address_is_somebody_else(owner: Person) -> None:
    shared = ["office@example.com"]
    rows = ({"name": "Ana", "emails": shared}, {"name": "Bia", "emails": shared})
    assert outcomes(upserted(owner, rows[0])) == ["created"]
    assert outcomes(upserted(owner, rows[1])) == ["created"]
    assert outcomes(upserted(owner, *rows)) == ["unchanged", "unchanged"]


def test_names_of_nothing_but_signs_are_different_names(owner: Person) -> None:
    rows = ({"name": "😀"}, {"name": "***"}, {"name": "🎉"})
    for row in rows:
        assert outcomes(upserted(owner, row)) == ["created"]
    assert outcomes(upserted(owner, *rows)) == ["unchanged"] * 3


def test_who_stands_in_one_request_twice_is_one_customer(owner: Person) -> None:
    rows = ({"name": "Ana", "phone": "+5511987654321"}, {"name": "Bia"}, {"name": "Bia"})
    assert outcomes(upserted(owner, *rows, rows[0] | {"notes": "Tea"})) == [
        "created",
        "created",
        "unchanged",
        "updated",
    ]
    assert [(one["name"], one["notes"]) for one in owner.get(PATH).ok()["customers"]] == [("Ana", "Tea"), ("Bia", None)]


def test_addresses_that_change_places_are_both_kept(owner: Person) -> None:
    known = created(owner, name="Ana", email="a@example.com", emails=["b@example.com"])
    row = {"name": "Ana", "email": "b@example.com", "emails": ["a@example.com"]}
    assert outcomes(upserted(owner, row)) == ["updated"]
    now = owner.get(f"{PATH}{known['id']}").ok()["customer"]
    assert (now["email"], now["emails"]) == ("b@example.com", ["a@example.com"])
    assert outcomes(upserted(owner, row)) == ["unchanged"]


@pytest.mark.parametrize(
    ("mode", "found"), [("insert", ["faulty", "created"]), ("update_only", ["unchanged", "faulty"])]
)
def test_a_mode_can_leave_out_either(owner: Person, mode: str, found: list[str]) -> None:
    created(owner, name="Ana", external_id="1")
    rows = ({"name": "Ana", "external_id": "1"}, {"name": "Bia", "external_id": "2"})
    assert outcomes(upserted(owner, *rows, mode=mode)) == found


def test_a_chosen_property_is_needed_in_each(owner: Person) -> None:
    created(owner, name="Ana", email="ana@example.com")
    answer = upserted(owner, {"name": "Ana", "email": "ana@example.com"}, id_property="external_id")
    assert answer["results"][0]["errors"] == {"external_id": ["Is needed to find this customer again."]}
    answer = upserted(owner, {"name": "Ana", "email": "ana@example.com", "external_id": "1"}, id_property="external_id")
    assert answer["results"][0]["errors"] == {"email": ["Is already in use."]}


def test_one_that_clashes_takes_no_other_with_it(owner: Person) -> None:
    created(owner, name="Ana", email="ana@example.com")
    created(owner, name="Bia", external_id="1")
    answer = upserted(
        owner,
        {"name": "New"},
        {"external_id": "1", "name": "Bia", "email": "ana@example.com"},
        {"name": "Newer"},
    )
    assert outcomes(answer) == ["created", "faulty", "created"]
    assert answer["results"][1]["errors"] == {"email": ["Is already in use."]}
    assert owner.get(PATH).ok()["total"] == 4
    assert owner.get(f"{PATH}?search=newer").ok()["total"] == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"inputs": []}, {"inputs": "x"}, {"inputs": [1]}, {"inputs": [{}] * 501}, {"inputs": [{}], "mode": "x"},
     {"inputs": [{}], "id_property": "name"}],
)  # fmt: skip
def test_a_body_that_means_nothing(owner: Person, body: Any) -> None:
    owner.post(BATCH, body).problem(422, "validation_error")


@pytest.mark.parametrize("one", [{}, {"name": None}, {"id": "x", "name": "A"}, {"name": "A\x00"}, {"name": ["A"]}])
def test_an_input_that_means_nothing_is_faulty(owner: Person, one: Any) -> None:
    assert outcomes(upserted(owner, one, {"name": "Good"})) == ["faulty", "created"]


def test_a_fault_inside_a_list_is_named_by_its_place(owner: Person) -> None:
    answer = upserted(owner, {"name": "Ana", "emails": ["ana@example.com", "no address"]}, {"name": "Good"})
    assert outcomes(answer) == ["faulty", "created"]
    assert list(answer["results"][0]["errors"]["emails"]) == ["1"]


def test_only_who_may_write_and_only_in_the_own_tenant(api: Api, owner: Person, stranger: Person) -> None:
    api.post(BATCH, {"inputs": [{"name": "A"}]}).problem(401, "unauthenticated")
    add_member(owner, "viewer").post(BATCH, {"inputs": [{"name": "A"}]}).problem(403, "forbidden")
    theirs = created(stranger, name="Ana", external_id="1")
    assert outcomes(upserted(owner, {"name": "Mine", "external_id": "1"})) == ["created"]
    assert stranger.get(f"{PATH}{theirs['id']}").ok()["customer"] == theirs


def test_ten_at_once_make_one_customer(owner: Person) -> None:
    answers = raced(*[lambda: owner.post(BATCH, {"inputs": [{"name": "Ana", "external_id": "1"}]})] * 10)
    assert owner.get(PATH).ok()["total"] == 1
    results = [answer.json["results"][0]["outcome"] for answer in answers if answer.status == 200]
    assert results.count("created") == 1


STEP = st.tuples(
    st.sampled_from(["create", "upsert", "deactivate", "activate", "merge"]), st.integers(0, 5), st.integers(0, 2)
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(steps=st.lists(STEP, max_size=12))
def test_no_sequence_leaves_two_active_ones_with_one_value(platform: Any, steps: list[tuple[str, int, int]]) -> None:
    owner = new_person(platform)
    ids: list[str] = []
    for verb, which, value in steps:
        fields = {"name": "N", "email": f"e{value}@example.com"}
        at = f"{PATH}{ids[which % len(ids)]}" if ids else ""
        if verb == "create":
            answer = owner.post(PATH, fields)
            ids += [answer.json["customer"]["id"]] if answer.status == 201 else []
        elif verb == "upsert":
            result = upserted(owner, fields)["results"][0]
            ids += [result["customer_id"]] if result["outcome"] == "created" else []
        elif ids and verb == "deactivate":
            assert owner.delete(at).status in (200, 409)
        elif ids and verb == "activate":
            assert owner.patch(f"{at}/activate").status in (200, 409)
        elif ids:
            source = ids[value % len(ids)]
            assert owner.post(f"{at}/merge", {"source_ids": [source]}).status in (200, 409, 422)
        active = [one for one in owner.get(f"{PATH}?per_page=100").ok()["customers"] if one["email"]]
        assert len({one["email"] for one in active}) == len(active)
        pointers = [owner.get(f"{PATH}{id}").ok()["customer"] for id in ids]
        alive = {one["id"] for one in pointers if not one["merged_into_id"]}
        assert all(one["merged_into_id"] in alive for one in pointers if one["merged_into_id"])

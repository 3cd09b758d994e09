from typing import Any
from urllib.parse import quote

import pytest

from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import unreachable
from tests.services.interaction_helpers import NOBODY, at, customer_of, recorded


@pytest.fixture(scope="module")
def shelf(platform: Any) -> tuple[Person, str]:
    """An owner, and their customer with 23 interactions; another customer has one."""
    person = new_person(platform)
    customer = customer_of(person)
    for number in range(23):
        kind = "call" if number % 2 else "visit"
        moment = f"2024-01-{1 + number // 3:02}T12:00:00Z"
        recorded(person, customer, ds_notes=f"n{number:02}", id_interaction_type=kind, happened_at=moment)
    recorded(person, customer_of(person), ds_notes="Reunião", subject="orçamento", outcome="ganho")
    return person, customer


def notes(person: Person, path: str) -> list[str]:
    return [one["ds_notes"] for one in person.get(path).ok()["interactions"]]


def test_the_envelope_has_its_members(shelf: tuple[Person, str]) -> None:
    person, customer = shelf
    page = person.get(at(customer, "interactions/")).ok()
    assert len(page.pop("interactions")) == 20
    assert page.pop("next_cursor")
    assert page == {"total": 23, "total_exact": True, "pages": 2, "page": 1, "per_page": 20}


def test_the_newest_come_first(shelf: tuple[Person, str]) -> None:
    person, customer = shelf
    moments = [one["happened_at"] for one in person.get(at(customer, "interactions")).ok()["interactions"]]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("sort", ["-happened_at", "happened_at", "created_at", "-id"])
def test_walking_by_cursor_is_walking_by_page(shelf: tuple[Person, str], sort: str) -> None:
    person, customer = shelf
    path = at(customer, f"interactions?sort={sort}&per_page=5")
    by_page = [note for page in range(1, 6) for note in notes(person, f"{path}&page={page}")]
    by_cursor: list[str] = []
    cursor = ""
    while cursor is not None:
        page = person.get(path + cursor).ok()
        by_cursor += [one["ds_notes"] for one in page["interactions"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert by_cursor == by_page
    assert len(set(by_cursor)) == 23


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("filter[type]=call", 11),
        ("filter[type]=fax", 0),
        (f"filter[type]={NOBODY}", 0),
        (f"filter[user_id]={NOBODY}", 0),
        ("happened_from=2024-01-02T00:00:00Z&happened_to=2024-01-03T00:00:00Z", 3),
        ("happened_from=2024-01-02T23:59:00%2B23:59&happened_to=2024-01-02T00:01:00-23:59", 3),
        ("happened_from=0001-01-01T00:00:00Z&happened_to=9999-12-31T23:59:59Z", 23),
        ("search=n1", 10),
        ("search=n07", 1),
        ("search=", 23),
    ],
)
def test_a_filter_narrows(shelf: tuple[Person, str], query: str, count: int) -> None:
    person, customer = shelf
    assert person.get(at(customer, f"interactions?{query}")).ok()["total"] == count


@pytest.mark.parametrize("word", ["reuniao", "ORÇ", "ganho orcamento"])
def test_notes_subject_and_outcome_are_searched(shelf: tuple[Person, str], word: str) -> None:
    assert notes(shelf[0], f"/api/interactions?search={quote(word)}") == ["Reunião"]


def test_all_customers_are_listed_together(shelf: tuple[Person, str]) -> None:
    person, customer = shelf
    assert person.get("/api/interactions/").ok()["total"] == 24
    assert person.get(f"/api/interactions?filter[customer_id]={customer}").ok()["total"] == 23
    type_id = person.get(at(customer, "interactions")).ok()["interactions"][0]["id_interaction_type"]
    assert person.get(f"/api/interactions?filter[type]={type_id}&filter[user_id]={person.user_id}").ok()["total"] == 12


def test_nobody_sees_nothing_and_a_viewer_all(api: Api, shelf: tuple[Person, str]) -> None:
    api.get("/api/interactions").problem(401, "unauthenticated")
    api.get(at(shelf[1], "interactions")).problem(401, "unauthenticated")
    assert add_member(shelf[0], "viewer").get("/api/interactions").ok()["total"] == 24


def test_another_tenant_sees_none_of_it(shelf: tuple[Person, str], stranger: Person) -> None:
    assert stranger.get(f"/api/interactions?filter[customer_id]={shelf[1]}").ok()["total"] == 0
    stranger.get(at(shelf[1], "interactions")).problem(404, "no_such_customer")


def test_a_customer_with_rows_is_listed_without_asking(owner: Person) -> None:
    customer, empty = customer_of(owner), customer_of(owner)
    recorded(owner, customer)
    with unreachable("customer"):
        assert owner.get(at(customer, "interactions")).ok()["total"] == 1
        assert owner.get(at(customer, "interactions?search=nothing")).ok()["total"] == 0
        owner.get(at(empty, "interactions")).problem(503, "unavailable")
    assert owner.get(at(empty, "interactions")).ok()["total"] == 0
    owner.get(at(NOBODY, "interactions")).problem(404, "no_such_customer")


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=abc", "per_page=101", "sort=ds_notes", "sort=tenant_id", "cursor=x", "active_only=maybe"),
        *(
            "filter[user_id]=x",
            "happened_from=yesterday",
            "happened_from=0001-01-01T00:00:00%2B14:00",
            "happened_to=2024-01-01",
            "colour=red",
        ),
        *("search=" + "x" * 201, "filter[customer_id]=" + NOBODY),
    ],
)
def test_a_query_that_cannot_be_is_refused(shelf: tuple[Person, str], query: str) -> None:
    shelf[0].get(at(shelf[1], f"interactions?{query}")).problem(422, "validation_error")

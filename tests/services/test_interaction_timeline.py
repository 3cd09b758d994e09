from datetime import timedelta
from typing import Any

import pytest

from kit import clock
from tests.api import Api, Person, new_person
from tests.services.helpers import unreachable
from tests.services.interaction_helpers import NOBODY, at, customer_of, day, done, entered, recorded


@pytest.fixture(scope="module")
def life(platform: Any) -> tuple[Person, str]:
    """A customer with ten interactions and ten transactions in turn, and a neighbour with some of both."""
    person = new_person(platform)
    customer, neighbour = customer_of(person), customer_of(person)
    recorded(person, neighbour)
    entered(person, neighbour)
    for number in range(10):
        moment = (clock.now() - timedelta(days=number)).replace(hour=12)
        recorded(person, customer, happened_at=(moment - timedelta(days=1)).isoformat())
        entered(person, customer, "income" if number % 2 else "receivable", occurred_on=day(-number))
    return person, customer


def events(person: Person, customer: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get(at(customer, f"timeline?{query}")).ok()["timeline"]
    return found


def test_both_stand_on_one_list_the_newest_first(life: tuple[Person, str]) -> None:
    person, customer = life
    page = person.get(at(customer, "timeline/")).ok()
    found = page.pop("timeline")
    assert page == {"total": 20, "total_exact": True, "pages": 1, "page": 1, "per_page": 20, "next_cursor": None}
    assert [one["kind"] for one in found] == ["transaction", "interaction"] * 10
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    assert {one["customer_id"] for event in found for one in (event["interaction"], event["transaction"]) if one} == {
        customer
    }
    for event in found:
        own, other = event[event["kind"]], event[{"interaction": "transaction"}.get(event["kind"], "interaction")]
        path = at(customer, event["kind"] + "s", own["id"])
        assert (own, other) == (person.get(path).ok()[event["kind"]], None)


@pytest.mark.parametrize("sort", ["", "sort=at&", "sort=-id&"])
@pytest.mark.parametrize("per_page", [3, 7])
def test_walking_by_cursor_is_walking_by_page(life: tuple[Person, str], sort: str, per_page: int) -> None:
    person, customer = life
    query = f"{sort}per_page={per_page}"
    by_page = [event for page in range(1, 8) for event in events(person, customer, f"{query}&page={page}")]
    by_cursor: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = person.get(at(customer, f"timeline?{query}{cursor}")).ok()
        by_cursor += page["timeline"]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert by_cursor == by_page
    assert len(by_cursor) == 20


def test_what_happened_today_is_the_newest(owner: Person) -> None:
    customer = customer_of(owner)
    first = recorded(owner, customer)
    second = entered(owner, customer, "receivable", 100)
    third = done(owner, second, "settle").ok(201)["transaction"]
    assert [(one[one["kind"]])["id"] for one in events(owner, customer)] == [third["id"], second["id"], first["id"]]
    assert events(owner, customer)[1]["transaction"]["status"] == "settled"


def test_an_inactive_interaction_is_not_on_it(owner: Person) -> None:
    customer = customer_of(owner)
    owner.delete(at(customer, "interactions", recorded(owner, customer)["id"])).ok()
    assert events(owner, customer) == []


def test_a_stranger_and_nobody_see_nothing(api: Api, stranger: Person, life: tuple[Person, str]) -> None:
    api.get(at(life[1], "timeline")).problem(401, "unauthenticated")
    stranger.get(at(life[1], "timeline")).problem(404, "no_such_customer")
    life[0].get(at(NOBODY, "timeline")).problem(404, "no_such_customer")


def test_a_customer_with_events_is_shown_without_asking(life: tuple[Person, str]) -> None:
    with unreachable("customer"):
        assert len(events(*life)) == 20
        life[0].get(at(NOBODY, "timeline")).problem(503, "unavailable")


@pytest.mark.parametrize("query", ["page=0", "per_page=101", "cursor=x", "sort=kind", "sort=tenant_id", "colour=red"])
def test_a_query_that_cannot_be_is_refused(life: tuple[Person, str], query: str) -> None:
    life[0].get(at(life[1], f"timeline?{query}")).problem(422, "validation_error")

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import app_of, raced
from tests.services.product_helpers import MISSING, PATH, at, created


def history(person: Person, product: dict[str, Any]) -> list[tuple[str | None, str]]:
    """What a product has cost, the newest first."""
    rows = person.get(at(product) + "/prices?per_page=100").ok()["prices"]
    return [(row["price"], row["currency"]) for row in rows]


def test_the_first_price_stands_in_it(owner: Person) -> None:
    product = created(owner, price="34.12")
    page = owner.get(at(product) + "/prices").ok()
    row = page.pop("prices")[0]
    assert (page["total"], page["pages"], page["next_cursor"]) == (1, 1, None)
    assert row.pop("from") >= product["created_at"]
    assert row == {"price": "34.12", "price_amount": 3412, "currency": "BRL", "by": owner.user_id}


def test_each_change_adds_a_line_and_nothing_else_does(owner: Person) -> None:
    product = created(owner)
    assert history(owner, product) == []
    changes: tuple[dict[str, Any], ...] = (
        {"price": "1"},
        {"price": "1.00"},
        {"price_amount": 100, "currency": "BRL"},
        {"name": "x"},
        {"price": "100", "currency": "JPY"},
        {"price": None},
        {"price": None, "currency": "USD"},
        {"price": "2"},
    )
    for change in changes:
        owner.put(at(product), change).ok()
    assert history(owner, product) == [("2.00", "USD"), (None, "JPY"), ("100", "JPY"), ("1.00", "BRL")]


def test_a_refused_change_leaves_no_line(owner: Person) -> None:
    created(owner, sku="A")
    product = created(owner, price="1")
    owner.put(at(product), {"price": "2", "sku": "A"}).problem(409, "already_exists")
    assert history(owner, product) == [("1.00", "BRL")]


def test_who_changed_a_price_is_named(owner: Person) -> None:
    product, member = created(owner, price="1"), add_member(owner, "member")
    member.put(at(product), {"price": "2"}).ok()
    rows = owner.get(at(product) + "/prices").ok()["prices"]
    assert [row["by"] for row in rows] == [member.user_id, owner.user_id]


def test_nobody_and_strangers_see_none(api: Api, owner: Person, stranger: Person) -> None:
    path = at(created(owner, price="1")) + "/prices"
    api.get(path).problem(401, "unauthenticated")
    stranger.get(path).problem(404, "no_such_product")
    owner.get(f"{PATH}{MISSING}/prices").problem(404, "no_such_product")


@pytest.mark.parametrize("query", ["page=0", "per_page=101", "sort=price", "cursor=x", "surprise=1"])
def test_a_query_that_cannot_be_accepted_is_named(owner_of_all: Person, query: str) -> None:
    problem = owner_of_all.get(f"{at(created(owner_of_all))}/prices?{query}").problem(422, "validation_error")
    assert list(problem["errors"]) == [query.partition("=")[0]]


def test_it_is_walked_by_cursor_in_either_direction(owner: Person) -> None:
    product = created(owner, price="0")
    for price in range(1, 5):
        owner.put(at(product), {"price": price}).ok()
    for sort, expected in (("", [4, 3, 2, 1, 0]), ("&sort=created_at", [0, 1, 2, 3, 4])):
        walked, cursor = [], ""
        while cursor is not None:
            page = owner.get(f"{at(product)}/prices?per_page=2{sort}{cursor and '&cursor=' + cursor}").ok()
            walked += [row["price_amount"] // 100 for row in page["prices"]]
            cursor = page["next_cursor"]
        assert walked == expected


def test_changes_at_once_each_add_their_line(owner: Person) -> None:
    product = created(owner, price="0")
    raced(*(lambda price=price: owner.put(at(product), {"price": price}).ok() for price in range(1, 6)))
    assert sorted(history(owner, product)) == [(f"{price}.00", "BRL") for price in range(6)]
    assert history(owner, product)[-1] == ("0.00", "BRL")


@pytest.mark.parametrize("statement", ["UPDATE price SET price_amount = 0", "DELETE FROM price"])
def test_the_service_itself_cannot_rewrite_history(platform: Any, statement: str) -> None:
    app = app_of("product")
    with app.app_context(), pytest.raises(ProgrammingError, match="permission denied"):
        app.db.session.execute(text(statement))


PRICES = st.sampled_from([None, "1", "1.0", "2", "3"])


@settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(prices=st.lists(st.tuples(PRICES, st.sampled_from(["BRL", "USD"])), min_size=1, max_size=8))
def test_its_newest_line_is_what_the_product_costs(platform: Any, prices: list[tuple[str | None, str]]) -> None:
    person = new_person(platform)
    product = created(person)
    for price, currency in prices:
        product = person.put(at(product), {"price": price, "currency": currency}).ok()["product"]
        lines = history(person, product)
        newest = lines[0] if lines else (None, product["currency"])
        assert newest[0] == product["price"]
        assert product["price"] is None or newest[1] == product["currency"]
        assert all(one != other for one, other in pairwise(lines))

from typing import Any

import pytest

from kit.money import MAX_AMOUNT
from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses, unreachable
from tests.services.interaction_helpers import NOBODY, again, at, balances, customer_of, day, done, entered, key
from tests.services.test_customer_create import PATH


@pytest.fixture
def customer(owner: Person) -> str:
    return customer_of(owner)


@pytest.fixture
def promise(owner: Person, customer: str) -> dict[str, Any]:
    return entered(owner, customer, "receivable", 100, category="rent", currency="USD")


@pytest.mark.parametrize(("kind", "by", "sign"), [("receivable", "income", 1), ("payable", "expense", -1)])
def test_all_that_is_left_unless_an_amount_is_named(
    owner: Person, customer: str, kind: str, by: str, sign: int
) -> None:
    promise = entered(owner, customer, kind, 100, category="rent")
    answer = done(owner, promise, "settle", amount=30, method="pix", occurred_on=day(-1), description="first")
    first = answer.ok(201)["transaction"]
    assert set(answer.json) == {"message", "transaction"}
    assert (first["kind"], first["amount"], first["settles_id"]) == (by, 30, promise["id"])
    assert (first["method"], first["occurred_on"], first["description"]) == ("pix", day(-1), "first")
    assert (first["category"], first["currency"], first["due_date"]) == ("rent", "BRL", None)
    partly = again(owner, promise)
    assert (partly["status"], partly["settled_amount"], partly["outstanding_amount"]) == ("partly_settled", 30, 70)
    assert done(owner, promise, "settle").ok(201)["transaction"]["amount"] == 70
    whole = again(owner, promise)
    assert (whole["status"], whole["settled_amount"], whole["outstanding_amount"]) == ("settled", 100, 0)
    assert balances(owner, customer) == {"BRL": (100 * sign, 0, 0, 0)}
    done(owner, promise, "settle").problem(409, "already_settled")


def test_never_more_than_what_is_left(owner: Person, promise: dict[str, Any]) -> None:
    done(owner, promise, "settle", amount=60).ok(201)
    for amount in (41, MAX_AMOUNT):
        problem = done(owner, promise, "settle", amount=amount).problem(422, "settles_too_much")
        assert (problem["left"], set(problem["errors"])) == (40, {"amount"})
    done(owner, promise, "settle", amount=40).ok(201)


def test_only_a_promise_that_stands(owner: Person, customer: str, promise: dict[str, Any]) -> None:
    for kind in ("income", "expense"):
        done(owner, entered(owner, customer, kind), "settle").problem(409, "not_settleable")
    reversal = done(owner, promise, "reverse").ok(201)["transaction"]
    done(owner, reversal, "settle").problem(409, "not_settleable")
    done(owner, promise, "settle").problem(409, "already_reversed")
    done(owner, promise | {"id": NOBODY}, "settle").problem(404, "no_such_transaction")
    done(owner, promise | {"customer_id": NOBODY}, "settle").problem(404, "no_such_transaction")


def test_who_has_left_may_still_pay(owner: Person, customer: str, promise: dict[str, Any]) -> None:
    owner.delete(PATH + customer).ok()
    with unreachable("customer"):
        done(owner, promise, "settle").ok(201)


def test_nobody_and_who_may_only_read_cannot(api: Api, owner: Person, customer: str, promise: dict[str, Any]) -> None:
    path = at(customer, "transactions", promise["id"], "settle")
    api.post(path, headers=key()).problem(401, "unauthenticated")
    add_member(owner, "viewer").post(path, headers=key()).problem(403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        *({"amount": amount} for amount in (0, -1, None, "1", 1.5, True, 2**63, 10**30, [], {})),
        *({"occurred_on": value} for value in ("0001-01-01", "9999-12-31", 1, None, "x")),
        *({"method": "barter"}, {"description": "\x00"}, {"kind": "income"}, {"currency": "BRL"}),
    ],
)
def test_a_body_that_cannot_be_is_refused(owner: Person, promise: dict[str, Any], body: Any) -> None:
    problem = done(owner, promise, "settle", **body).problem(422, "validation_error")
    assert set(problem["errors"]) == set(body)


def test_no_version_of_it_can_be_matched(owner: Person, customer: str, promise: dict[str, Any]) -> None:
    path = at(customer, "transactions", promise["id"], "settle")
    for tag in ('"1"', '"x"', "W/1"):
        owner.post(path, {}, headers=key() | {"If-Match": tag}).problem(412, "precondition_failed")
    assert "ETag" not in owner.get(at(customer, "transactions", promise["id"])).headers


def test_the_same_key_settles_once(owner: Person, customer: str, promise: dict[str, Any]) -> None:
    path, header = at(customer, "transactions", promise["id"], "settle"), key()
    first, second = (owner.post(path, {"amount": 10}, headers=header).ok(201) for _ in range(2))
    assert first == second
    assert again(owner, promise)["outstanding_amount"] == 90


def test_twenty_at_once_never_settle_more_than_there_is(owner: Person, promise: dict[str, Any]) -> None:
    answers = raced(*[lambda: done(owner, promise, "settle", amount=15)] * 20)
    assert set(statuses(answers)) <= {201, 409, 422, 503}
    paid = [answer.json["transaction"]["amount"] for answer in answers if answer.status == 201]
    assert sum(paid) <= 100
    after = again(owner, promise)
    assert (after["settled_amount"], after["outstanding_amount"]) == (sum(paid), 100 - sum(paid))

from typing import Any

import pytest

from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses, unreachable
from tests.services.interaction_helpers import NOBODY, again, at, balances, customer_of, day, done, entered, key


@pytest.fixture
def customer(owner: Person) -> str:
    return customer_of(owner)


@pytest.mark.parametrize("kind", ["income", "expense", "receivable", "payable"])
def test_it_is_as_if_it_had_never_been(owner: Person, customer: str, kind: str) -> None:
    wrong = entered(owner, customer, kind, 100, category="rent", method="card", reference="NF 1")
    answer = done(owner, wrong, "reverse", description="typed twice", occurred_on=day(-1))
    reversal = answer.ok(201)["transaction"]
    assert set(answer.json) == {"message", "transaction"}
    assert (reversal["kind"], reversal["amount"], reversal["reverses_id"]) == (kind, 100, wrong["id"])
    assert (reversal["description"], reversal["occurred_on"]) == ("typed twice", day(-1))
    assert (reversal["status"], again(owner, wrong)["status"]) == ("reversal", "reversed")
    assert again(owner, wrong)["outstanding_amount"] == 0
    assert balances(owner, customer) == {"BRL": (0, 0, 0, 0)}


def test_twice_and_backwards_is_refused(owner: Person, customer: str) -> None:
    wrong = entered(owner, customer)
    reversal = done(owner, wrong, "reverse").ok(201)["transaction"]
    done(owner, wrong, "reverse").problem(409, "already_reversed")
    done(owner, reversal, "reverse").problem(409, "is_a_reversal")
    done(owner, wrong | {"id": NOBODY}, "reverse").problem(404, "no_such_transaction")


def test_a_settlement_goes_before_its_promise(owner: Person, customer: str) -> None:
    promise = entered(owner, customer, "payable", 100)
    paid = done(owner, promise, "settle", amount=100).ok(201)["transaction"]
    done(owner, promise, "reverse").problem(409, "has_settlements")
    reversal = done(owner, paid, "reverse").ok(201)["transaction"]
    assert (reversal["settles_id"], reversal["reverses_id"]) == (promise["id"], paid["id"])
    opened = again(owner, promise)
    assert (opened["status"], opened["settled_amount"], opened["outstanding_amount"]) == ("open", 0, 100)
    assert balances(owner, customer) == {"BRL": (0, 0, 100, 0)}
    done(owner, promise, "settle", amount=1).ok(201)
    done(owner, promise, "reverse").problem(409, "has_settlements")


def test_two_at_once_reverse_once(owner: Person, customer: str) -> None:
    wrong = entered(owner, customer)
    answers = raced(*[lambda: done(owner, wrong, "reverse")] * 6)
    assert statuses(answers) == [201, *[409] * 5]
    assert balances(owner, customer) == {"BRL": (0, 0, 0, 0)}


def test_settling_and_reversing_at_once_agree(owner: Person, customer: str) -> None:
    promise = entered(owner, customer, "receivable", 100)
    answers = raced(*[lambda: done(owner, promise, "settle"), lambda: done(owner, promise, "reverse")] * 3)
    assert statuses(answers) == [201, *[409] * 5]
    settled = again(owner, promise)["status"] == "settled"
    assert balances(owner, customer) == {"BRL": (100 if settled else 0, 0, 0, 0)}


def test_nobody_asks_about_the_customer(owner: Person, customer: str) -> None:
    wrong = entered(owner, customer)
    with unreachable("customer"):
        done(owner, wrong, "reverse").ok(201)


def test_nobody_and_who_may_only_read_cannot(api: Api, owner: Person, customer: str) -> None:
    path = at(customer, "transactions", entered(owner, customer)["id"], "reverse")
    api.post(path, headers=key()).problem(401, "unauthenticated")
    add_member(owner, "viewer").post(path, headers=key()).problem(403, "forbidden")


@pytest.mark.parametrize(
    "body", [{"amount": 1}, {"occurred_on": "9999-12-31"}, {"occurred_on": []}, {"description": "\x00"}, {"x": 1}]
)
def test_a_body_that_cannot_be_is_refused(owner: Person, customer: str, body: Any) -> None:
    wrong = entered(owner, customer)
    assert set(done(owner, wrong, "reverse", **body).problem(422, "validation_error")["errors"]) == set(body)


def test_the_same_key_reverses_once(owner: Person, customer: str) -> None:
    path, header = at(customer, "transactions", entered(owner, customer)["id"], "reverse"), key()
    first, second = (owner.post(path, headers=header).ok(201) for _ in range(2))
    assert first == second

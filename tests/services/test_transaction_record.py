from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit import clock, identity
from kit.errors import Problem
from kit.idempotency import KEPT
from kit.money import MAX_AMOUNT
from services.interaction.domain.transactions import LARGEST, exact
from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import internal_token, raced, statuses, unreachable
from tests.services.interaction_helpers import (
    NOBODY,
    again,
    at,
    balances,
    customer_of,
    day,
    done,
    entered,
    key,
)
from tests.services.test_customer_create import PATH

FULL: dict[str, Any] = {
    "kind": "receivable",
    "amount": 3412,
    "currency": "USD",
    "category": "consulting",
    "description": "March\nand April",
    "method": "boleto",
    "reference": "NF 17",
}
MONEY = {"kind": "income", "amount": 100}


@pytest.fixture
def customer(owner: Person) -> str:
    return customer_of(owner)


@pytest.fixture(scope="module")
def ledger(platform: Any) -> tuple[Person, str]:
    """A customer with something of every kind and status, and a neighbour with one income."""
    person = new_person(platform)
    customer = customer_of(person)
    entered(person, customer_of(person), "income", 5, occurred_on=day(-9))
    entered(person, customer, "expense", 30, currency="USD", occurred_on=day(-3))
    done(person, entered(person, customer, "income", 70, occurred_on=day(-1)), "reverse").ok(201)
    entered(person, customer, "receivable", 100, due_date=day(5))
    late = entered(person, customer, "payable", 100, due_date=day(-5))
    done(person, late, "settle", amount=40).ok(201)
    done(person, entered(person, customer, "receivable", 20, due_date=day(-7)), "settle").ok(201)
    done(person, entered(person, customer, "receivable", 20, due_date=day(-7)), "reverse").ok(201)
    return person, customer


class TestRecording:
    def test_every_field_comes_back_as_it_was_sent(self, owner: Person, customer: str) -> None:
        sent = FULL | {"occurred_on": day(-2), "due_date": day(9)}
        answer = owner.post(at(customer, "transactions/"), sent, headers=key())
        transaction = answer.ok(201)["transaction"]
        assert set(answer.json) == {"message", "transaction"}
        assert {name: transaction[name] for name in sent} == sent
        assert (transaction["customer_id"], transaction["created_by"]) == (customer, owner.user_id)
        assert (transaction["settles_id"], transaction["reverses_id"]) == (None, None)
        assert (transaction["status"], transaction["settled_amount"], transaction["outstanding_amount"]) == (
            "open",
            0,
            3412,
        )
        assert "idempotency_key" not in transaction
        assert again(owner, transaction) == transaction

    def test_kind_and_amount_are_enough_for_money(self, owner: Person, customer: str) -> None:
        transaction = entered(owner, customer, "income", MAX_AMOUNT)
        assert (transaction["currency"], transaction["occurred_on"]) == ("BRL", day(0))
        assert (transaction["status"], transaction["is_overdue"]) == ("settled", False)

    @pytest.mark.parametrize(
        ("kind", "outcome"),
        [("income", (9, 0, 0)), ("expense", (-9, 0, 0)), ("receivable", (0, 9, 0)), ("payable", (0, 0, 9))],
    )
    def test_money_moves_the_balance_and_a_promise_does_not(
        self, owner: Person, customer: str, kind: str, outcome: tuple[int, ...]
    ) -> None:
        entered(owner, customer, kind, 9)
        assert balances(owner, customer)["BRL"][:3] == outcome

    def test_it_is_never_changed(self, owner: Person, customer: str) -> None:
        path = at(customer, "transactions", entered(owner, customer)["id"])
        for method in ("PUT", "PATCH", "DELETE"):
            owner.request(method, path, {"amount": 1}).problem(405, "method_not_allowed")

    def test_nobody_and_who_may_only_read_cannot(self, api: Api, owner: Person, customer: str) -> None:
        api.post(at(customer, "transactions"), MONEY, headers=key()).problem(401, "unauthenticated")
        viewer = add_member(owner, "viewer")
        viewer.post(at(customer, "transactions"), MONEY, headers=key()).problem(403, "forbidden")
        viewer.get(at(customer, "transactions")).ok()

    def test_a_customer_of_another_tenant_does_not_exist(self, owner: Person, stranger: Person, customer: str) -> None:
        stranger.post(at(customer, "transactions"), MONEY, headers=key()).problem(404, "no_such_customer")
        transaction = entered(owner, customer)
        path = at(customer, "transactions", transaction["id"])
        stranger.get(path).problem(404, "no_such_transaction")
        owner.get(at(customer_of(owner), "transactions", transaction["id"])).problem(404, "no_such_transaction")
        for verb in ("settle", "reverse"):
            done(stranger, transaction, verb).problem(404, "no_such_transaction")

    def test_an_inactive_customer_is_left_alone(self, owner: Person, customer: str) -> None:
        owner.delete(PATH + customer).ok()
        owner.post(at(customer, "transactions"), MONEY, headers=key()).problem(409, "customer_inactive")

    def test_nothing_is_written_about_a_customer_who_cannot_be_asked_about(self, owner: Person, customer: str) -> None:
        header = key()
        with unreachable("customer"):
            answer = owner.post(at(customer, "transactions"), MONEY, headers=header)
            assert answer.problem(503, "unavailable")["upstream"] == "customer"
        assert owner.get(at(customer, "transactions")).ok()["total"] == 0
        owner.post(at(customer, "transactions"), MONEY, headers=header).ok(201)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            *(
                ({"amount": value}, "amount")
                for value in (0, -1, 1.5, "100", None, True, MAX_AMOUNT + 1, 2**63, 10**30, [1], {})
            ),
            *(({"kind": value}, "kind") for value in ("gift", "", None, 1, [])),
            *(({"currency": value}, "currency") for value in ("XXX", "brl", "", None, 986)),
            *(
                ({"occurred_on": value}, "occurred_on")
                for value in ("0001-01-01", "9999-12-31", "2024-02-30", "x", 1, None, "1899-12-31")
            ),
            *(
                ({"kind": "payable", "due_date": value}, "due_date")
                for value in ("0001-01-01", "2024-13-01", None, 1, [])
            ),
            ({"due_date": "2024-01-01"}, "due_date"),
            ({"kind": "receivable"}, "due_date"),
            ({"method": "barter"}, "method"),
            ({"category": "x" * 61}, "category"),
            ({"reference": "x" * 101}, "reference"),
            ({"description": "x" * 2001}, "description"),
            ({"description": "a\x00b"}, "description"),
            *(({name: NOBODY}, name) for name in ("settles_id", "reverses_id", "id", "balance_delta")),
        ],
    )
    def test_a_field_that_cannot_be_is_named(self, owner_of_all: Person, change: Any, field: str) -> None:
        path = at(customer_of(owner_of_all), "transactions")
        problem = owner_of_all.post(path, MONEY | change, headers=key()).problem(422, "validation_error")
        assert field in problem["errors"]

    @pytest.mark.parametrize("body", [[], "x", 1, {}])
    def test_a_body_that_means_nothing_is_refused(self, owner_of_all: Person, body: Any) -> None:
        path = at(customer_of(owner_of_all), "transactions")
        assert owner_of_all.post(path, body, headers=key()).status in (400, 422)

    def test_a_promise_may_be_due_at_the_end_of_time(self, owner: Person, customer: str) -> None:
        assert entered(owner, customer, "payable", due_date="9999-12-31")["status"] == "open"


class TestKeys:
    def test_without_one_no_money_moves(self, owner: Person, customer: str) -> None:
        owner.post(at(customer, "transactions"), MONEY).problem(428, "idempotency_key_required")
        promise = entered(owner, customer, "receivable")
        for verb in ("settle", "reverse"):
            path = at(customer, "transactions", promise["id"], verb)
            owner.post(path).problem(428, "idempotency_key_required")

    def test_the_same_one_twice_is_one_row(self, owner: Person, customer: str) -> None:
        path, header = at(customer, "transactions"), key()
        first, second = (owner.post(path, MONEY, headers=header).ok(201) for _ in range(2))
        assert first == second
        owner.post(path, MONEY | {"amount": 2}, headers=header).problem(422, "idempotency_key_reused")
        assert owner.get(path).ok()["total"] == 1

    def test_the_same_one_at_once_is_one_row(self, owner: Person, customer: str) -> None:
        path, header = at(customer, "transactions"), key()
        answers = raced(*[lambda: owner.post(path, MONEY, headers=header)] * 6)
        assert set(statuses(answers)) <= {201, 409}
        assert owner.get(path).ok()["total"] == 1

    def test_it_is_remembered_for_ever(self, owner: Person, customer: str, service: Any) -> None:
        path, header = at(customer, "transactions"), key()
        owner.post(path, MONEY, headers=header).ok(201)
        with clock.shifted(KEPT + timedelta(minutes=1)):
            # Past the gateway, because the access token has expired by then.
            inside = header | {identity.HEADER: internal_token(owner)}
            answer = service("interaction").post(path.removeprefix("/api"), MONEY, headers=inside)
            answer.problem(409, "idempotency_key_spent")
        assert owner.get(path).ok()["total"] == 1

    def test_it_is_for_one_transaction_wherever_that_is(self, owner: Person, stranger: Person, customer: str) -> None:
        header, other = key(), customer_of(owner)
        owner.post(at(customer, "transactions"), MONEY, headers=header).ok(201)
        owner.post(at(other, "transactions"), MONEY, headers=header).problem(409, "idempotency_key_spent")
        stranger.post(at(customer_of(stranger), "transactions"), MONEY, headers=header).ok(201)


class TestListing:
    def test_the_newest_come_first(self, ledger: tuple[Person, str]) -> None:
        person, customer = ledger
        page = person.get(at(customer, "transactions/")).ok()
        days = [one["occurred_on"] for one in page.pop("transactions")]
        assert days == sorted(days, reverse=True)
        assert page == {"total": 10, "total_exact": True, "pages": 1, "page": 1, "per_page": 20, "next_cursor": None}

    @pytest.mark.parametrize(
        "sort", ["", "sort=occurred_on&", "sort=-created_at&", "sort=id&", "sort=-occurred_on,id&"]
    )
    def test_walking_by_cursor_is_walking_by_page(self, ledger: tuple[Person, str], sort: str) -> None:
        person, _ = ledger
        path = f"/api/transactions?{sort}per_page=4"
        by_page = [one for page in (1, 2, 3) for one in person.get(f"{path}&page={page}").ok()["transactions"]]
        by_cursor: list[Any] = []
        cursor = ""
        while cursor is not None:
            page = person.get(path + cursor).ok()
            by_cursor += page["transactions"]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        assert by_cursor == by_page
        assert len(by_cursor) == 11

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("filter[kind]=receivable", 4),
            ("filter[kind]=income", 3),
            ("filter[currency]=USD", 1),
            ("filter[status]=open", 2),
            ("filter[status]=overdue", 1),
            ("filter[status]=reversed", 2),
            ("filter[status]=settled", 4),
            (f"occurred_from={day(-3)}&occurred_to={day(-1)}", 2),
            ("occurred_from=0001-01-01&occurred_to=9999-12-31", 10),
            (f"due_from={day(-5)}", 2),
            (f"due_to={day(-6)}", 3),
        ],
    )
    def test_a_filter_narrows(self, ledger: tuple[Person, str], query: str, count: int) -> None:
        person, customer = ledger
        found = person.get(at(customer, f"transactions?{query}")).ok()
        assert found["total"] == len(found["transactions"]) == count
        everybody = person.get(f"/api/transactions?filter[customer_id]={customer}&{query}").ok()
        assert everybody["transactions"] == found["transactions"]

    def test_a_status_is_what_its_filter_says(self, ledger: tuple[Person, str]) -> None:
        person, customer = ledger

        def seen(status: str) -> set[str]:
            found = person.get(at(customer, f"transactions?filter[status]={status}")).ok()["transactions"]
            return {one["status"] for one in found}

        assert seen("open") == {"open", "overdue"}
        for status in ("overdue", "settled", "reversed"):
            assert seen(status) == {status}

    def test_another_tenant_and_nobody_see_none_of_it(
        self, api: Api, stranger: Person, ledger: tuple[Person, str]
    ) -> None:
        api.get("/api/transactions").problem(401, "unauthenticated")
        assert stranger.get("/api/transactions").ok()["total"] == 0
        for path in ("transactions", "balance", "statement", "statement.csv"):
            stranger.get(at(ledger[1], path)).problem(404, "no_such_customer")

    def test_a_customer_without_any_is_asked_about(self, owner: Person) -> None:
        customer = customer_of(owner)
        with unreachable("customer"):
            for path in ("transactions", "balance", "statement", "statement.csv"):
                owner.get(at(customer, path)).problem(503, "unavailable")
        assert owner.get(at(customer, "transactions")).ok()["total"] == 0

    @pytest.mark.parametrize(
        "query",
        [
            *("filter[kind]=gift", "filter[currency]=x", "filter[status]=lost", "occurred_from=x", "due_to=2024-02-30"),
            *("sort=amount", "sort=idempotency_key", "cursor=x", "page=0", "per_page=101", "colour=red"),
            "cursor=W1siLW9jY3VycmVkX29uIiwiLWlkIl0sWyJ4IiwieCJdXQ",
        ],
    )
    def test_a_query_that_cannot_be_is_refused(self, ledger: tuple[Person, str], query: str) -> None:
        ledger[0].get(f"/api/transactions?{query}").problem(422, "validation_error")


class TestOverdue:
    def test_a_day_is_over_when_it_is_over_everywhere(self, owner: Person, customer: str) -> None:
        somewhere = (clock.now() - timedelta(hours=12)).date()
        still = entered(owner, customer, "receivable", 10, due_date=somewhere.isoformat())
        late = entered(owner, customer, "receivable", 7, due_date=(somewhere - timedelta(days=1)).isoformat())
        assert [(one["status"], one["is_overdue"]) for one in (still, late)] == [("open", False), ("overdue", True)]
        entered(owner, customer, "payable", 5, due_date=(somewhere - timedelta(days=1)).isoformat())
        assert balances(owner, customer) == {"BRL": (0, 17, 5, 7)}

    def test_what_is_paid_or_reversed_is_not(self, owner: Person, customer: str) -> None:
        promise = entered(owner, customer, "receivable", 10, due_date=day(-9))
        paid = done(owner, promise, "settle", amount=4).ok(201)["transaction"]
        assert balances(owner, customer) == {"BRL": (4, 6, 0, 6)}
        assert again(owner, promise)["status"] == "overdue"
        done(owner, paid, "reverse").ok(201)
        assert balances(owner, customer) == {"BRL": (0, 10, 0, 10)}
        done(owner, promise, "reverse").ok(201)
        assert balances(owner, customer) == {"BRL": (0, 0, 0, 0)}


def test_no_sum_is_too_large_for_an_answer(owner: Person, customer: str) -> None:
    assert exact(Decimal(-LARGEST)) == -LARGEST
    with pytest.raises(Problem, match="Choose fewer"):
        exact(Decimal(LARGEST + 1))

import csv
import io
from collections import defaultdict
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.interaction.domain import statements
from tests.api import Api, Person
from tests.services.interaction_helpers import NOBODY, again, at, balances, customer_of, day, done, entered


@pytest.fixture
def customer(owner: Person) -> str:
    return customer_of(owner)


def statement(person: Person, customer: str, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = person.get(at(customer, f"statement?{query}")).ok()["statement"]
    return found


def summary(person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get(f"/api/transactions/summary?{query}").ok()["summary"]
    return found


class TestStatement:
    def test_it_tells_how_the_balance_came_about(self, owner: Person, customer: str) -> None:
        entered(owner, customer, "income", 1000, occurred_on=day(-9))
        promise = entered(owner, customer, "receivable", 500, occurred_on=day(-5))
        expense = entered(owner, customer, "expense", 300, occurred_on=day(-4), description="d", reference="r")
        paid = done(owner, promise, "settle", occurred_on=day(-6)).ok(201)["transaction"]
        undone = done(owner, expense, "reverse").ok(201)["transaction"]
        whole = statement(owner, customer)
        assert whole | {"entries": []} == {
            "customer_id": customer,
            "currency": "BRL",
            "from": None,
            "to": None,
            "opening_balance": 0,
            "closing_balance": 1500,
            "entries": [],
        }
        assert [(one["amount"], one["balance"]) for one in whole["entries"]] == [
            (1000, 1000),
            (500, 1500),
            (-300, 1200),
            (300, 1500),
        ]
        assert whole["entries"][1]["settles_id"] == promise["id"]
        assert [whole["entries"][index]["id"] for index in (1, 3)] == [paid["id"], undone["id"]]
        assert whole["entries"][3]["reverses_id"] == expense["id"]
        assert (whole["entries"][2]["description"], whole["entries"][2]["reference"]) == ("d", "r")

    def test_a_period_opens_with_what_was_before(self, owner: Person, customer: str) -> None:
        for days in (-3, -2, -1):
            entered(owner, customer, "income", 10, occurred_on=day(days))
        part = statement(owner, customer, f"from={day(-2)}&to={day(-2)}")
        assert (part["opening_balance"], part["closing_balance"], len(part["entries"])) == (10, 20, 1)
        assert (part["from"], part["to"]) == (day(-2), day(-2))
        after = statement(owner, customer, f"from={day(1)}&to=9999-12-31")
        assert (after["opening_balance"], after["closing_balance"], after["entries"]) == (30, 30, [])
        before = statement(owner, customer, "from=0001-01-01&to=0001-01-01")
        assert (before["opening_balance"], before["closing_balance"]) == (0, 0)

    def test_several_currencies_are_never_mixed(self, owner: Person, customer: str) -> None:
        entered(owner, customer, "income", 10, currency="USD")
        assert statement(owner, customer)["currency"] == "USD"
        entered(owner, customer, "expense", 20)
        problem = owner.get(at(customer, "statement")).problem(422, "validation_error")
        assert problem["errors"] == {"currency": ["Choose one of this customer's currencies: BRL, USD."]}
        closing = [statement(owner, customer, f"currency={code}")["closing_balance"] for code in ("USD", "BRL", "EUR")]
        assert closing == [10, -20, 0]

    def test_a_long_one_asks_for_a_shorter_period(
        self, owner: Person, customer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(statements, "MAX_ENTRIES", 2)
        for days in (-2, -1, 0):
            entered(owner, customer, occurred_on=day(days))
        owner.get(at(customer, "statement")).problem(422, "statement_too_long")
        assert len(statement(owner, customer, f"from={day(-1)}")["entries"]) == 2

    @pytest.mark.parametrize("query", ["currency=x", "from=x", "to=2024-02-30", "from=2024-01-02&to=2024-01-01", "x=1"])
    def test_a_query_that_cannot_be_is_refused(self, owner: Person, customer: str, query: str) -> None:
        for path in ("statement", "statement.csv"):
            owner.get(at(customer, f"{path}?{query}")).problem(422, "validation_error")

    def test_nobody_and_nothing(self, api: Api, owner: Person, customer: str) -> None:
        assert (statement(owner, customer)["currency"], balances(owner, customer)) == ("BRL", {})
        for path in ("statement", "statement.csv", "balance"):
            api.get(at(customer, path)).problem(401, "unauthenticated")
            owner.get(at(NOBODY, path)).problem(404, "no_such_customer")


class TestFile:
    def test_it_holds_the_entries_in_major_units(self, owner: Person, customer: str) -> None:
        entered(owner, customer, "income", 123456, occurred_on=day(-1), description="São João, etc.")
        entered(owner, customer, "expense", 5, reference='a "b"')
        answer = owner.get(at(customer, "statement.csv"))
        rows = list(csv.DictReader(io.StringIO(answer.ok())))
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="statement.csv"'
        assert [(row["amount"], row["balance"], row["currency"]) for row in rows] == [
            ("1234.56", "1234.56", "BRL"),
            ("-0.05", "1234.51", "BRL"),
        ]
        assert (rows[0]["description"], rows[1]["reference"]) == ("São João, etc.", 'a "b"')

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_no_spreadsheet_runs_a_cell(self, owner: Person, customer: str, start: str) -> None:
        entered(owner, customer, "expense", 100, description=f"{start}1+cmd|x")
        row = next(csv.DictReader(io.StringIO(owner.get(at(customer, "statement.csv")).ok(), newline="")))
        assert row["description"] == (f"'{start}1+cmd|x" if start.strip() else "1+cmd|x")
        assert row["amount"] == "-1.00"

    def test_a_currency_without_digits_has_none(self, owner: Person, customer: str) -> None:
        entered(owner, customer, "income", 100, currency="JPY")
        assert next(csv.DictReader(io.StringIO(owner.get(at(customer, "statement.csv")).ok())))["amount"] == "100"


class TestSummary:
    def test_by_kind_category_and_month(self, owner: Person, customer: str) -> None:
        entered(owner, customer, "income", 100, category="rent", occurred_on="2024-01-31")
        entered(owner, customer, "expense", 30, category="rent", occurred_on="2024-02-01")
        entered(owner, customer_of(owner), "income", 7, occurred_on="2024-02-02", currency="USD")
        promise = entered(owner, customer, "receivable", 50, occurred_on="2024-02-03")
        done(owner, promise, "settle", amount=20, occurred_on="2024-02-04").ok(201)
        zero = {"income": 0, "expense": 0, "net": 0, "receivable": 0, "payable": 0}
        assert summary(owner) == [
            zero | {"group": "2024-01", "currency": "BRL", "income": 100, "net": 100},
            zero | {"group": "2024-02", "currency": "BRL", "income": 20, "expense": 30, "net": -10, "receivable": 50},
            zero | {"group": "2024-02", "currency": "USD", "income": 7, "net": 7},
        ]
        rent = summary(owner, "group_by=category")[0]
        assert rent == zero | {
            "group": "rent",
            "currency": "BRL",
            "income": 100,
            "expense": 30,
            "net": 70,
        }
        kinds = summary(owner, "group_by=kind&from=2024-02-01&to=2024-02-29")
        assert [(one["group"], one["currency"], one["net"]) for one in kinds] == [
            ("expense", "BRL", -30),
            ("income", "BRL", 20),
            ("income", "USD", 7),
            ("receivable", "BRL", 0),
        ]

    def test_what_was_reversed_counts_for_nothing(self, owner: Person, customer: str) -> None:
        for kind in ("income", "expense", "receivable", "payable"):
            done(owner, entered(owner, customer, kind, 100), "reverse").ok(201)
        (line,) = summary(owner)
        assert {line[name] for name in ("income", "expense", "net", "receivable", "payable")} == {0}

    def test_each_tenant_has_its_own(self, api: Api, owner: Person, stranger: Person, customer: str) -> None:
        entered(owner, customer)
        assert summary(stranger) == []
        api.get("/api/transactions/summary").problem(401, "unauthenticated")

    @pytest.mark.parametrize("query", ["group_by=day", "group_by=", "from=x", "from=2024-02-01&to=2024-01-01", "x=1"])
    def test_a_query_that_cannot_be_is_refused(self, owner: Person, query: str) -> None:
        owner.get(f"/api/transactions/summary?{query}").problem(422, "validation_error")


# --- The ledger, recomputed ------------------------------------------------------------------------------------------

KINDS = ("income", "expense", "receivable", "payable")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "settle", "reverse"]),
        st.sampled_from(KINDS),
        st.integers(0, 7),  # which of the lines so far
        st.integers(1, 300),
        st.sampled_from(["BRL", "USD"]),
        st.integers(-40, 0),
    ),
    min_size=1,
    max_size=8,
)


class Ledger:
    """The same ledger, kept by the rules as they are told rather than as they are written."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.undone: set[str] = set()

    def left(self, line: dict[str, Any]) -> int:
        paid = (one for one in self.lines if one["settles_id"] == line["id"] and not one["reverses_id"])
        return int(line["amount"]) - sum(one["amount"] for one in paid if one["id"] not in self.undone)

    def expected(self, verb: str, line: dict[str, Any], amount: int) -> int:
        """The status that a verb should be answered with."""
        is_promise = line["kind"] in ("receivable", "payable")
        if line["reverses_id"] or line["id"] in self.undone:
            return 409
        if verb == "reverse":
            return 409 if is_promise and self.left(line) < line["amount"] else 201
        if not is_promise or not self.left(line):
            return 409
        return 422 if amount > self.left(line) else 201

    def figures(self) -> dict[str, tuple[int, int, int]]:
        """Balance, receivable and payable of each currency: sums over what stands."""
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for line in self.lines:
            sums = found[line["currency"]]
            if line["reverses_id"] or line["id"] in self.undone:
                continue
            if line["kind"] in ("income", "expense"):
                sums[0] += line["amount"] if line["kind"] == "income" else -line["amount"]
            else:
                sums[1 if line["kind"] == "receivable" else 2] += self.left(line)
        return {currency: (sums[0], sums[1], sums[2]) for currency, sums in found.items()}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_the_sums_are_those_of_the_ledger(owner_of_all: Person, steps: list[Any]) -> None:
    person, customer, ledger = owner_of_all, customer_of(owner_of_all), Ledger()
    for verb, kind, index, amount, currency, days in steps:
        moment = {"occurred_on": day(days)}
        if verb == "enter" or not ledger.lines:
            ledger.lines.append(entered(person, customer, kind, amount, currency=currency, **moment))
            continue
        line = ledger.lines[index % len(ledger.lines)]
        answer = done(person, line, verb, **moment, **({"amount": amount} if verb == "settle" else {}))
        assert answer.status == ledger.expected(verb, line, amount), answer.json
        if answer.status == 201:
            ledger.lines.append(answer.json["transaction"])
            ledger.undone |= {line["id"]} if verb == "reverse" else set()
    figures = ledger.figures()
    assert {currency: found[:3] for currency, found in balances(person, customer).items()} == figures
    for currency, (balance, _, _) in figures.items():
        check_statement(statement(person, customer, f"currency={currency}&from={day(-20)}"), ledger, balance)
    for line in ledger.lines:
        if line["kind"] in ("receivable", "payable") and not line["reverses_id"] and line["id"] not in ledger.undone:
            assert again(person, line)["outstanding_amount"] == ledger.left(line)


def check_statement(found: dict[str, Any], ledger: Ledger, balance: int) -> None:
    moved = [one for one in ledger.lines if one["currency"] == found["currency"] and one["kind"] in KINDS[:2]]
    signs = {"income": 1, "expense": -1}
    effects = {one["id"]: signs[one["kind"]] * one["amount"] * (-1 if one["reverses_id"] else 1) for one in moved}
    before = sum(effects[one["id"]] for one in moved if one["occurred_on"] < found["from"])
    later = sorted((one["occurred_on"], one["id"]) for one in moved if one["occurred_on"] >= found["from"])
    running = list(accumulate((effects[id] for _, id in later), initial=before))
    assert found["opening_balance"] == before
    assert [(one["id"], one["balance"]) for one in found["entries"]] == [
        (id, total) for (_, id), total in zip(later, running[1:], strict=True)
    ]
    assert found["closing_balance"] == running[-1] == balance

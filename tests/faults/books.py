"""The outside checker: what was acknowledged is written down here, and compared with what can be read afterwards."""

import itertools
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.api import Person
from tests.faults.load import Call, Load, Outcome

DEBT = 10**9
PAGE = 100
REPEATED = 10


@dataclass(frozen=True)
class Findings:
    """What is wrong. `lost`: acknowledged and absent; `doubled`: there more than once, or done again when repeated;
    `torn`: the difference between money acknowledged and money booked; `undecided`: nobody ever said how it ended."""

    acknowledged: int
    lost: int
    doubled: int
    torn: int
    undecided: int

    @property
    def bad(self) -> int:
        return self.lost + self.doubled + abs(self.torn) + self.undecided


class Books:
    """One tenant whose customers are written, and whose one debt is paid in many small parts."""

    def __init__(self, owner: Person) -> None:
        self.owner = owner
        self._numbers = itertools.count(1)
        self._mark = secrets.token_hex(4)
        self.debtor = owner.post("/api/customers", {"name": "Debtor"}).ok(201)["customer"]["id"]
        self.ledger = f"/api/customers/{self.debtor}/transactions"
        owed = {"kind": "receivable", "amount": DEBT, "currency": "BRL", "due_date": "2030-01-31"}
        answer = owner.post(self.ledger, owed, headers={"Idempotency-Key": f"debt-{self._mark}"})
        self.debt = answer.ok(201)["transaction"]["id"]

    def customer(self) -> Call:
        """A new customer, whom nobody else is like."""
        number = next(self._numbers)
        body = {"name": f"Customer {number}", "external_id": f"{self._mark}-{number}"}
        return Call("customer", "POST", "/api/customers", self.owner.token, body, f"customer-{self._mark}-{number}")

    def payment(self) -> Call:
        """A part of the debt. Amounts differ, so that a sum cannot be right by accident."""
        number = next(self._numbers)
        body = {"amount": 1 + number % 97, "method": "pix"}
        key = f"payment-{self._mark}-{number}"
        return Call("payment", "POST", f"{self.ledger}/{self.debt}/settle", self.owner.token, body, key)

    def product(self) -> Call:
        """A read that has nothing to do with customers."""
        return Call("product", "GET", "/api/products?per_page=1", self.owner.token)

    def check(self, load: Load) -> Findings:
        """Read everything back, and compare."""
        written = [outcome for outcome in load.outcomes if outcome.call.key]
        acknowledged = [outcome for outcome in written if 200 <= outcome.status < 300]
        again = self._repeated(acknowledged)
        customers = Counter(row["external_id"] for row in self._all("/api/customers", "customers"))
        booked = Counter(row["id"] for row in self._all(self.ledger, "transactions"))
        told = [(outcome, customers, outcome.call.body.get("external_id")) for outcome in acknowledged]
        found = [seen[name] if name else booked[outcome.answer["transaction"]["id"]] for outcome, seen, name in told]
        paid = sum(outcome.call.body.get("amount", 0) for outcome in acknowledged)
        settled = self.owner.get(f"{self.ledger}/{self.debt}").ok()["transaction"]["settled_amount"]
        return Findings(
            acknowledged=len(acknowledged),
            lost=found.count(0),
            doubled=sum(count > 1 for count in found) + again,
            torn=settled - paid,
            undecided=sum(not outcome.status for outcome in written),
        )

    def _repeated(self, acknowledged: list[Outcome]) -> int:
        """How many of the latest writes are done again when they are repeated with their key."""
        wrong = 0
        for outcome in acknowledged[-REPEATED:]:
            call = outcome.call
            answer = self.owner.request(call.method, call.path, call.body, headers={"Idempotency-Key": call.key})
            wrong += (answer.status, answer.json) != (outcome.status, outcome.answer)
        return wrong

    def _all(self, path: str, plural: str) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        while True:
            page = self.owner.get(f"{path}?per_page={PAGE}{cursor}").ok()
            rows += page[plural]
            if not page.get("next_cursor"):
                return rows
            cursor = f"&cursor={page['next_cursor']}"

"""What the tests of interaction share."""

import itertools
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import clock, identity
from kit.identity import Identity
from tests.api import Answer, Api, Person
from tests.services.helpers import app_of
from tests.services.test_customer_create import created

NOBODY = "0197a3c0-0000-7000-8000-000000000001"
COUNT = itertools.count()


def customer_of(person: Person, **fields: Any) -> str:
    """The id of a new customer."""
    id: str = created(person, **fields)["id"]
    return id


def at(customer: str, *parts: str) -> str:
    """The path of something about a customer."""
    return "/".join((f"/api/customers/{customer}", *parts))


def key() -> dict[str, str]:
    """The header of a request that is not repeated."""
    return {"Idempotency-Key": secrets.token_hex(8)}


def recorded(person: Person, customer: str, **fields: Any) -> dict[str, Any]:
    """A new interaction."""
    body = {"ds_notes": f"Note {next(COUNT)}", "id_interaction_type": "note"} | fields
    interaction: dict[str, Any] = person.post(at(customer, "interactions"), body).ok(201)["interaction"]
    return interaction


def entered(person: Person, customer: str, kind: str = "income", amount: int = 100, **fields: Any) -> dict[str, Any]:
    """A new transaction; a promise is due in a month unless `due_date` says otherwise."""
    body = {"kind": kind, "amount": amount, **({"due_date": day(30)} if kind in ("receivable", "payable") else {})}
    answer = person.post(at(customer, "transactions"), body | fields, headers=key())
    transaction: dict[str, Any] = answer.ok(201)["transaction"]
    return transaction


def done(person: Person, transaction: dict[str, Any], verb: str, **fields: Any) -> Answer:
    """The answer to settling or reversing a transaction."""
    path = at(transaction["customer_id"], "transactions", transaction["id"], verb)
    return person.post(path, fields, headers=key())


def again(person: Person, transaction: dict[str, Any]) -> dict[str, Any]:
    """A transaction as it stands now."""
    path = at(transaction["customer_id"], "transactions", transaction["id"])
    found: dict[str, Any] = person.get(path).ok()["transaction"]
    return found


def balances(person: Person, customer: str) -> dict[str, tuple[int, int, int, int]]:
    """Balance, receivable, payable and overdue of each currency."""
    found = person.get(at(customer, "balance")).ok()["balances"]
    return {one["currency"]: (one["balance"], one["receivable"], one["payable"], one["overdue"]) for one in found}


def day(days: int) -> str:
    """A day from today on, in UTC."""
    return (clock.now() + timedelta(days=days)).date().isoformat()


def inside(person: Person, component: str = "customer") -> dict[str, str]:
    """The headers with which a sibling speaks for a person's tenant."""
    who = Identity(user_id=UUID(person.user_id), tenant_id=UUID(person.tenant_id))
    return {identity.HEADER: identity.mint(component, who, workload=True)}


def told(person: Person, name: str, id: str = "", **data: Any) -> Answer:
    """What interaction answers to a fact of customer."""
    body = {"id": id or str(clock.new_id()), "name": name, "data": data}
    return Api(app_of("interaction")).post("/internal/facts", body, headers=inside(person))


def asked(person: Person, customer: str, what: str) -> Any:
    """What interaction tells customer about somebody."""
    path = f"/internal/customers/{customer}/{what}"
    return Api(app_of("interaction")).get(path, headers=inside(person)).ok()

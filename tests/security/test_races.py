"""Fifty at once: what is refused the second time has one winner, and what carries one key is done once.

Nothing is listed: each operation is done twice, one after the other, and what the second is refused is raced.
"""

import os
import secrets
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from alicerce.services import services
from tests.api import PASSWORD, Answer, add_member, new_person
from tests.security.documented import KEY, Json, Operation, World, is_free_text, model_of, operations
from tests.services.helpers import promoted, raced
from tests.tables import Tally

MANY = 50 if os.environ.get("LONG") else 8
NEW_PASSWORD = "seven loaves before sunrise"
WITHOUT_A_WINNER = {"POST /auth/logout"}  # who asks twice is refused because the first took their own session away
LOST = {401, 403, 404, 409, 412, 422, 429}  # 429: the winner changed the password that the others go on sending
BUSY = 503  # nothing was done; the client is told to come again

# Uniques that no body can name; the races of these operations are decided by them.
DECIDED_ELSEWHERE = {
    "uq_transaction_reverses_id": "POST /api/customers/{customer_id}/transactions/{transaction_id}/reverse",
    "uq_transaction_idempotency_key": "POST /api/customers/{customer_id}/transactions",
    "uq_publishable_key_tenant_id": "POST /api/products/catalogue/rotate-key",
    "uq_offer_addressee": "POST /api/tenants/{tenant_id}/members",
}


def _email() -> str:
    return f"p{secrets.token_hex(6)}@example.com"


def _inactive(world: World, address: str) -> None:
    world.person.delete(address.removesuffix("/activate")).ok()
    if address.startswith("/api/tenants"):
        world.person = promoted(new_person(world.target))


def _leaving(world: World, address: str) -> None:
    world.person = add_member(world.person, "member")


# What has to be so before an operation can succeed; it may say what to send.
Preparation = Callable[[World, str], Json | None]
BEFORE: dict[str, Preparation] = {
    "/register": lambda world, address: {"email": _email(), "password": PASSWORD},
    "/login": lambda world, address: {"email": world.person.email, "password": PASSWORD},
    "/refresh": lambda world, address: {"refresh_token": world.person.refresh_token},
    "/switch-tenant": lambda world, address: {"tenant_id": world.person.tenant_id},
    "/change": lambda world, address: {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "/activate": _inactive,
    "/leave": _leaving,
    "/merge": lambda world, address: {"source_ids": [world.make("/api/customers", {})], "dry_run": False},
    "/settle": lambda world, address: {"amount": 90_000},  # the whole of it
}


class Attempt:
    """One operation, made ready in a world of its own, that can be asked any number of times."""

    def __init__(self, platform: Any, known: list[Operation], operation: Operation, body: Json | None = None) -> None:
        self.world, self.operation = World(platform, known), operation
        self.address = self.world.address(operation)
        prepare = BEFORE.get("/" + operation.path.rpartition("/")[2])
        told = prepare(self.world, self.address) if prepare else None
        self.body = body or told or self._usual()

    def _usual(self) -> Json | None:
        if not self.operation.takes_json:
            return None
        names_a_person = "role" in self.operation.body["properties"]
        return self.world.body_of(self.operation) if names_a_person else self.operation.example

    def __call__(self, body: Json | None = None, **headers: str) -> Answer:
        return self.world.call(self.operation, self.address, body or self.body, **headers)


def guarded_members(operation: Operation) -> dict[str, str]:
    """The members of a body that a unique index guards, and the index of each."""
    model = model_of(operation) if operation.creates and operation.takes_json else None
    if model is None:
        return {}
    names = {str(index.name): index for index in model.__table__.indexes if index.unique}
    members = {name.removeprefix(f"uq_{model.__tablename__}_"): name for name in names}
    return {member: name for member, name in members.items() if member in operation.members(read_only=False)}


def bodies(operation: Operation) -> list[Json | None]:
    """What is sent: the usual; and, for each member that has to be unique, a body in which it alone is."""
    guarded = guarded_members(operation)
    found: list[Json | None] = [None]
    for member in guarded:
        others = tuple(guarded.keys() - {member})  # with what belongs to them: `document_type`
        rest = {name: value for name, value in operation.example.items() if not (others and name.startswith(others))}
        found.append({member: "R-1"} | rest)
    return found


def changing(platform: Any) -> list[Operation]:
    return [operation for operation in operations(platform) if operation.method in ("POST", "PATCH", "DELETE")]


def wrong(answers: list[Answer]) -> bool:
    """Whether anything but one winner and losers came out."""
    statuses = Counter(answer.status for answer in answers)
    winners = sum(count for status, count in statuses.items() if status < 300)
    return winners != 1 or not statuses.keys() <= {*LOST, BUSY} | set(range(200, 300))


@pytest.mark.parametrize("service", services())
def test_what_is_refused_the_second_time_has_one_winner(service: str, platform: Any, tally: Tally) -> None:
    known, lost, raced_ones = operations(platform), [], 0
    for operation in (one for one in changing(platform) if one.service == service):
        for body in bodies(operation):
            twice = Attempt(platform, known, operation, body)
            assert twice().status < 300, f"teach BEFORE what {operation} needs"
            if twice().status < 300 or str(operation) in WITHOUT_A_WINNER:
                continue
            attempt = Attempt(platform, known, operation, body)
            answers = raced(*[attempt] * MANY)
            raced_ones += 1
            if wrong(answers):
                lost.append(f"{operation}: {sorted(answer.status for answer in answers)}")
    tally("races for what only one can have", tried=raced_ones * MANY, bad=len(lost))
    assert lost == []
    assert raced_ones > 1


def test_every_unique_index_is_raced_for(platform: Any) -> None:
    known = operations(platform)
    raced_for = {name for operation in known if operation.takes_json for name in guarded_members(operation).values()}
    tables = [t for s in services() for t in import_module(f"services.{s}.models").db.metadata.tables.values()]
    uniques = {str(index.name) for table in tables for index in table.indexes if index.unique}
    assert uniques - raced_for == DECIDED_ELSEWHERE.keys()
    assert set(DECIDED_ELSEWHERE.values()) <= {str(operation) for operation in known}


@pytest.mark.parametrize("service", services())
def test_one_key_is_one_effect(service: str, platform: Any, tally: Tally) -> None:
    known, twice, tried = operations(platform), [], 0
    for operation in (one for one in changing(platform) if one.service == service and one.has_header(KEY)):
        attempt, key = Attempt(platform, known, operation), secrets.token_hex(8)
        answers = raced(*[lambda attempt=attempt, key=key: attempt(**{KEY: key})] * MANY)
        effects = {str(answer.json) for answer in answers if answer.status < 300}
        tried += MANY
        if len(effects) != 1 or not {answer.status for answer in answers} <= {200, 201, 202, BUSY, *LOST}:
            twice.append(f"{operation}: {Counter(answer.status for answer in answers)}")
    tally("one key, one effect", tried=tried, bad=len(twice))
    assert twice == []


def free_member(attempt: Attempt) -> str | None:
    """A member of a body that takes any text; None when there is none."""
    for name, part in attempt.operation.members(read_only=False).items():
        told = attempt.operation.example.get(name)
        if told and is_free_text(name, part) and attempt({name: f"{told} x"}).status == 200:
            return name
    return None


def test_of_changes_to_the_same_version_one_wins(platform: Any, tally: Tally) -> None:
    known, lost, tried = operations(platform), [], 0
    for operation in (one for one in known if one.method == "PUT" and one.takes_json):
        attempt = Attempt(platform, known, operation)
        seen = {"If-Match": attempt().headers["ETag"]}
        assert attempt(**{"If-Match": '"999"'}).status == 412, operation
        if member := free_member(attempt):
            seen = {"If-Match": attempt().headers["ETag"]}
            told = operation.example[member]
            bodies = [{member: f"{told} {number}"} for number in range(MANY)]
            answers = raced(*(lambda body=body, a=attempt, seen=seen: a(body, **seen) for body in bodies))
            tried += MANY
            if wrong(answers):
                lost.append(f"{operation}: {sorted(answer.status for answer in answers)}")
    tally("changes to the same version", tried=tried, bad=len(lost))
    assert lost == []
    assert tried > 3 * MANY

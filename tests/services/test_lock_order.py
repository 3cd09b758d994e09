"""Whoever locks several rows locks them in one order: under load all succeed, and no transaction has to be repeated."""

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from kit import locks
from kit.identity import HEADER
from kit.metrics import REPEATS
from tests.api import Answer, Api, Person
from tests.services.helpers import drain, internal_token, raced
from tests.tables import Tally

CLIENTS, ROUNDS = 8, 3
MANY_CLIENTS, MANY_ROUNDS = 16, 20


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about order. How long somebody waits on a slow machine is not their affair."""
    monkeypatch.setattr(locks, "REQUEST_MS", 9_000)


class Desk:
    """A person at a service, past the gateway, which has bounds of its own."""

    def __init__(self, person: Person, service: Api) -> None:
        self.service, self.headers = service, {HEADER: internal_token(person)}

    def post(self, path: str, body: Any = None) -> Answer:
        return self.service.request("POST", path, body, self.headers)

    def delete(self, path: str) -> Answer:
        return self.service.request("DELETE", path, None, self.headers)

    def customer(self, **fields: Any) -> str:
        return str(self.post("/customers", {"name": "Ana"} | fields).ok(201)["customer"]["id"])

    def upsert(self, inputs: list[dict[str, Any]]) -> Answer:
        return self.post("/customers/batch/upsert", {"inputs": inputs})


@pytest.fixture
def desk(owner: Person, service: Callable[[str], Api]) -> Desk:
    return Desk(owner, service("customer"))


def repeated(service: str = "customer") -> float:
    return float(REPEATS.labels(service)._value.get())


def by(name: str, *keys: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": "person", "external_id": key, "email": f"{key}@example.com"} for key in keys]


def same_order(client: int, mark: str) -> list[dict[str, Any]]:
    return by(f"N{client}", f"{mark}a", f"{mark}b")


def crossed_order(client: int, mark: str) -> list[dict[str, Any]]:
    inputs = same_order(client, mark)
    return inputs[::-1] if client % 2 else inputs


def overlapping_sets(client: int, mark: str) -> list[dict[str, Any]]:
    return by(f"N{client}", *(f"{mark}{(client * 3 + step * 5) % 7}" for step in range(4)))


def other_keys(client: int, mark: str) -> list[dict[str, Any]]:
    """The same customers, found by their numbers in one batch and by their addresses in another."""
    inputs = crossed_order(client, mark)
    if client % 3:
        return inputs
    return [{name: value for name, value in one.items() if name != "external_id"} for one in inputs]


def twice_in_one_batch(client: int, mark: str) -> list[dict[str, Any]]:
    return crossed_order(client, mark) + [one | {"name": "Again"} for one in same_order(client, mark)]


SHAPES = (same_order, crossed_order, overlapping_sets, other_keys, twice_in_one_batch)


def storm(desk: Desk, shape: Any, clients: int, rounds: int) -> list[Answer]:
    answers: list[Answer] = []
    for _ in range(rounds):
        mark = secrets.token_hex(4)
        answers += raced(*(lambda k=k, mark=mark: desk.upsert(shape(k, mark)) for k in range(clients)))
    return answers


def all_well(answers: list[Answer], before: float, tally: Tally, row: str) -> None:
    odd = Counter((answer.status, str(answer.json)[:300]) for answer in answers if answer.status != 200)
    lost = repeated() - before
    tally(row, tried=len(answers), bad=odd.total() + int(lost))
    assert (odd, lost) == ({}, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_batches_of_the_same_customers_take_turns(desk: Desk, shape: Any, tally: Tally) -> None:
    before = repeated()
    answers = storm(desk, shape, CLIENTS, ROUNDS)
    all_well(answers, before, tally, "batches of the same customers")


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_many_batches_of_the_same_customers_take_turns(desk: Desk, shape: Any, tally: Tally) -> None:
    before = repeated()
    answers = storm(desk, shape, MANY_CLIENTS, MANY_ROUNDS)
    all_well(answers, before, tally, "batches of the same customers")


def test_batches_merges_and_imports_of_the_same_customers_take_turns(desk: Desk, tally: Tally) -> None:
    before = repeated()
    answers: list[Answer] = []
    for _ in range(ROUNDS):
        mark = secrets.token_hex(4)
        ids = [desk.customer(external_id=f"{mark}{letter}") for letter in "abcd"]
        file = "name,external_id\n" + "".join(f"Of a file,{mark}{letter}\n" for letter in "dcba")
        headers = desk.headers | {"Content-Type": "text/csv"}
        desk.service.request("POST", "/customers/import", data=file.encode(), headers=headers).ok(202)
        batch = by("Of a batch", *(f"{mark}{letter}" for letter in "abcd"))
        calls: list[Callable[[], Any]] = [
            lambda batch=batch: desk.upsert(batch),
            lambda batch=batch: desk.upsert(batch[::-1]),
            lambda: drain("customer"),
            lambda ids=ids: desk.post(f"/customers/{ids[3]}/merge", {"source_ids": [ids[0]]}),
            lambda ids=ids: desk.post(f"/customers/{ids[1]}/merge", {"source_ids": [ids[2]]}),
        ]
        answers += [answer for answer in raced(*calls) if answer is not None]
        drain("customer")
    all_well(answers, before, tally, "batches, merges and imports of the same customers")


def test_who_was_merged_is_locked_in_the_same_order_as_everybody(desk: Desk, tally: Tally) -> None:
    """A pointer to a customer may come before it or after it: merging, erasing and removing all touch both."""
    before = repeated()
    odd: list[Answer] = []
    for _ in range(ROUNDS * 2):
        pointer, first, second = (desk.customer() for _ in range(3))
        desk.post(f"/customers/{first}/merge", {"source_ids": [pointer]}).ok()
        answers = raced(
            lambda a=first, b=second: desk.post(f"/customers/{b}/merge", {"source_ids": [a]}),
            lambda p=pointer, b=first: desk.post(f"/customers/{b}/merge", {"source_ids": [p]}),
            lambda a=first: desk.post(f"/customers/{a}/erase"),
            lambda a=first, p=pointer: desk.post(f"/customers/{p}/merge", {"source_ids": [a]}),
        )
        odd += [answer for answer in answers if answer.status not in (200, 409)]
        assert sum(answer.status == 200 for answer in answers) == 1
    tally("merges of who was merged", tried=ROUNDS * 8, bad=len(odd) + int(repeated() - before))
    assert (odd, repeated() - before) == ([], 0)


def test_of_two_who_remove_the_last_two_types_one_is_told_why_not(owner: Person, service: Callable[[str], Api]) -> None:
    desk, before = Desk(owner, service("interaction")), repeated("interaction")
    desk.post("/interaction-types", {"code": "one", "name": "One"}).ok(201)
    types = desk.service.get("/interaction-types?per_page=100", headers=desk.headers).ok()["interaction_types"]
    for one in types[2:]:
        desk.delete(f"/interaction-types/{one['id']}?hard_delete=true").ok()
    left = [one["id"] for one in types[:2]]
    answers = raced(*(lambda one=one: desk.delete(f"/interaction-types/{one}?hard_delete=true") for one in left))
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert next(answer for answer in answers if answer.status == 409).json["code"] == "last_interaction_type"
    assert repeated("interaction") == before

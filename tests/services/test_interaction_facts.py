import itertools
from typing import Any

import pytest

from kit import clock
from tests.api import Api, Person
from tests.services.helpers import app_of, drain, raced, statuses
from tests.services.interaction_helpers import (
    NOBODY,
    again,
    asked,
    at,
    balances,
    customer_of,
    done,
    entered,
    inside,
    key,
    recorded,
    told,
)
from tests.services.test_customer_create import PATH

MERGED, ERASED, REMOVED = "customer.merged", "customer.erased", "customer.removed"


def history(person: Person, customer: str) -> tuple[int, int]:
    """How many interactions and transactions a customer has here, whoever that is."""
    found = asked(person, customer, "records")
    return len(found["interactions"]), len(found["transactions"])


def merged(person: Person, loser: str, winner: str) -> None:
    told(person, MERGED, loser_id=loser, winner_id=winner).ok()


class TestMerging:
    def test_the_winner_gets_all_and_the_loser_points_to_it(self, owner: Person) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        interaction, transaction = recorded(owner, loser), entered(owner, loser, "receivable", 500)
        entered(owner, winner, "income", 40)
        owner.post(f"{PATH}{winner}/merge", {"source_ids": [loser]}).ok()
        drain("customer")
        moved = owner.get(at(winner, "interactions", interaction["id"])).ok()["interaction"]
        assert (moved["customer_id"], moved["version"]) == (winner, 2)
        assert balances(owner, winner) == {"BRL": (40, 500, 0, 0)}
        for path in ("interactions", "timeline", "balance", "statement", f"transactions/{transaction['id']}"):
            assert owner.get(at(loser, path)).problem(409, "customer_merged")["merged_into_id"] == winner
        for verb in ("settle", "reverse"):
            assert done(owner, transaction, verb).problem(409, "customer_merged")["merged_into_id"] == winner
        path = at(loser, "interactions", interaction["id"])
        assert owner.put(path, {"subject": "x"}).problem(409, "customer_merged")["merged_into_id"] == winner

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_mergers_in_any_order_lead_to_the_last(self, owner: Person, order: tuple[int, ...]) -> None:
        chain = [customer_of(owner) for _ in range(4)]
        for customer in chain:
            recorded(owner, customer)
            entered(owner, customer)
        for step in order:
            merged(owner, chain[step], chain[step + 1])
            merged(owner, chain[step], chain[step + 1])
        assert [history(owner, customer) for customer in chain] == [(0, 0), (0, 0), (0, 0), (4, 4)]

    def test_what_was_on_its_way_lands_at_the_winner(self, owner: Person) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        merged(owner, loser, winner)  # customer does not know yet, as it does not when its answer is a moment old
        assert recorded(owner, loser)["customer_id"] == winner
        assert entered(owner, loser)["customer_id"] == winner
        assert history(owner, loser) == (0, 0)

    def test_writers_and_a_merger_at_once_leave_no_orphan(self, owner: Person) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        promise = entered(owner, loser, "receivable", 100)
        calls = [lambda: recorded(owner, loser), lambda: entered(owner, loser)] * 3
        settle = lambda: done(owner, promise, "settle", amount=10)  # noqa: E731
        answers = raced(*calls, lambda: merged(owner, loser, winner), settle, settle)
        assert history(owner, loser) == (0, 0)
        settled = statuses(answers[-2:]).count(201)
        assert history(owner, winner) == (3, 4 + settled)
        assert balances(owner, winner)["BRL"][:2] == (300 + 10 * settled, 100 - 10 * settled)

    def test_a_circle_ends(self, owner: Person) -> None:
        one, other = customer_of(owner), customer_of(owner)
        merged(owner, one, other)
        merged(owner, other, one)
        merged(owner, one, one)
        recorded(owner, one)


class TestErasing:
    def test_the_words_go_and_the_money_stays(self, owner: Person) -> None:
        customer = customer_of(owner)
        said = {"subject": "secret", "outcome": "secret", "related": {"order_id": NOBODY}}
        interaction = recorded(owner, customer, ds_notes="secret", **said)
        transaction = entered(owner, customer, "receivable", 700, description="secret", reference="secret")
        owner.post(f"{PATH}{customer}/erase").ok()
        drain("customer")
        after = owner.get(at(customer, "interactions", interaction["id"])).ok()["interaction"]
        assert (after["ds_notes"], after["subject"], after["outcome"], after["related"]) == ("[erased]", None, None, {})
        assert after["happened_at"] == interaction["happened_at"]
        assert owner.get("/api/interactions?search=secret").ok()["total"] == 0
        kept = again(owner, transaction)
        assert kept == transaction | {"description": None, "reference": None}
        path = at(customer, "interactions", interaction["id"])
        owner.put(path, {"ds_notes": "secret"}).problem(409, "customer_inactive")
        assert done(owner, transaction, "settle").ok(201)["transaction"]["amount"] == 700

    def test_nothing_that_was_on_its_way_is_kept(self, owner: Person) -> None:
        customer = customer_of(owner)
        told(owner, ERASED, customer_id=customer).ok()
        body = {"ds_notes": "x", "id_interaction_type": "note"}
        owner.post(at(customer, "interactions"), body).problem(409, "customer_inactive")
        money = {"kind": "income", "amount": 1}
        owner.post(at(customer, "transactions"), money, headers=key()).problem(409, "customer_inactive")
        assert history(owner, customer) == (0, 0)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_with_a_merger_in_any_order_no_word_is_left(self, owner: Person, order: tuple[int, ...]) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        recorded(owner, winner, ds_notes="secret")
        recorded(owner, loser, ds_notes="secret")
        facts: list[tuple[str, dict[str, Any]]] = [
            (MERGED, {"loser_id": loser, "winner_id": winner}),
            (ERASED, {"customer_id": loser}),
            (ERASED, {"customer_id": winner}),
        ]
        for step in order:
            told(owner, facts[step][0], **facts[step][1]).ok()
        found = asked(owner, winner, "records")["interactions"]
        assert [one["ds_notes"] for one in found] == ["[erased]"] * 2
        assert history(owner, loser) == (0, 0)


class TestRemoving:
    def test_interactions_go_and_the_money_stays(self, owner: Person) -> None:
        customer = customer_of(owner)
        recorded(owner, customer)
        owner.delete(f"{PATH}{customer}?hard_delete=true").ok()
        drain("customer")
        assert history(owner, customer) == (0, 0)
        owner.get(at(customer, "interactions")).problem(404, "no_such_customer")

    def test_of_a_customer_whose_money_raced_it(self, owner: Person) -> None:
        customer = customer_of(owner)
        recorded(owner, customer)
        entered(owner, customer, description="secret")
        for _ in range(2):
            told(owner, REMOVED, customer_id=customer).ok()
        assert history(owner, customer) == (0, 1)
        assert asked(owner, customer, "records")["transactions"][0]["description"] is None
        body = {"ds_notes": "x", "id_interaction_type": "note"}
        owner.post(at(customer, "interactions"), body).problem(404, "no_such_customer")

    def test_a_pointer_takes_nothing_of_the_winner_with_it(self, owner: Person) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        recorded(owner, loser)
        merged(owner, loser, winner)
        told(owner, REMOVED, customer_id=loser).ok()
        assert history(owner, winner) == (1, 0)

    def test_a_merger_that_comes_after_leaves_no_orphan(self, owner: Person) -> None:
        winner, loser = customer_of(owner), customer_of(owner)
        recorded(owner, loser)
        entered(owner, loser)
        told(owner, REMOVED, customer_id=winner).ok()
        merged(owner, loser, winner)
        assert history(owner, loser) == (0, 0)
        assert history(owner, winner) == (0, 1)


class TestDelivering:
    def test_a_delivery_is_heard_once(self, owner: Person) -> None:
        customer, id = customer_of(owner), str(clock.new_id())
        told(owner, REMOVED, id, customer_id=NOBODY).ok()
        recorded(owner, customer)
        told(owner, REMOVED, id, customer_id=customer).ok()
        assert history(owner, customer) == (1, 0)

    def test_a_fact_of_another_tenant_does_nothing(self, owner: Person, stranger: Person) -> None:
        customer = customer_of(owner)
        recorded(owner, customer)
        told(stranger, REMOVED, customer_id=customer).ok()
        told(stranger, MERGED, loser_id=customer, winner_id=customer_of(stranger)).ok()
        told(stranger, ERASED, customer_id=customer).ok()
        assert owner.get(at(customer, "interactions")).ok()["total"] == 1
        assert recorded(owner, customer)["customer_id"] == customer

    def test_only_customer_tells(self, owner: Person, service: Any) -> None:
        body = {"id": NOBODY, "name": REMOVED, "data": {"customer_id": NOBODY}}
        for headers in ({}, inside(owner, "tenant"), inside(owner, "auth")):
            service("interaction").post("/internal/facts", body, headers=headers).problem(401, "unauthenticated")

    @pytest.mark.parametrize("data", [{}, {"customer_id": "x"}, {"customer_id": None}, {"customer_id": [1]}])
    @pytest.mark.parametrize("name", [MERGED, ERASED, REMOVED])
    def test_a_fact_that_says_nothing_is_refused(self, owner_of_all: Person, name: str, data: Any) -> None:
        told(owner_of_all, name, **data).problem(422, "malformed_fact")
        told(owner_of_all, "customer.born", **data).problem(422, "unknown_fact")


class TestTelling:
    def test_a_customer_at_a_glance(self, owner: Person) -> None:
        customer = customer_of(owner)
        for _ in range(6):
            latest = recorded(owner, customer)
        entered(owner, customer, "income", 100)
        found = asked(owner, customer, "summary")
        assert (found["interaction_count"], found["transaction_count"]) == (6, 1)
        assert found["last_interaction_at"] == latest["happened_at"]
        assert (len(found["interactions"]), found["interactions"][0]) == (5, latest)
        assert found["balances"] == owner.get(at(customer, "balance")).ok()["balances"]
        assert owner.get(f"{PATH}{customer}/overview").ok()["overview"]["interaction_count"] == 6

    def test_zeros_for_one_without_history(self, owner: Person) -> None:
        nothing = {"interaction_count": 0, "transaction_count": 0, "last_interaction_at": None}
        assert asked(owner, NOBODY, "summary") == nothing | {"interactions": [], "balances": []}
        assert asked(owner, NOBODY, "records") == {"interactions": [], "transactions": []}

    def test_everything_as_people_see_it(self, owner: Person) -> None:
        customer = customer_of(owner)
        interaction, transaction = recorded(owner, customer), entered(owner, customer)
        owner.delete(at(customer, "interactions", interaction["id"])).ok()
        shown = owner.get(at(customer, "interactions", interaction["id"])).ok()["interaction"]
        assert asked(owner, customer, "records") == {"interactions": [shown], "transactions": [transaction]}

    def test_another_tenant_is_told_nothing(self, owner: Person, stranger: Person) -> None:
        customer = customer_of(owner)
        recorded(owner, customer)
        assert history(stranger, customer) == (0, 0)

    def test_only_customer_is_told(self, owner: Person) -> None:
        api = Api(app_of("interaction"))
        for what in ("summary", "records"):
            path = f"/internal/customers/{NOBODY}/{what}"
            api.get(path, headers=inside(owner, "tenant")).problem(401, "unauthenticated")

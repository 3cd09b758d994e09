"""What is known of a customer: at a glance, as a history, as a file for the person; and how it is forgotten."""

import secrets
from datetime import timedelta
from typing import Any

import pytest

from kit import clock
from tests.api import Api, Person, add_member
from tests.services.helpers import drain, unreachable
from tests.services.test_customer_create import FULL, PATH, created

SECRETS = (
    "Padaria",
    "Alimentos",
    "padaria.example",
    "987654321",
    "12ABC34501DE35",
    "Paulista",
    "ERP-17",
    "second line",
)


def at(customer: Any, rest: str = "") -> str:
    return f"{PATH}{customer['id']}{rest}"


def noted(person: Person, customer: Any, notes: str) -> Any:
    body = {"ds_notes": notes, "id_interaction_type": "note"}
    return person.post(at(customer, "/interactions"), body).ok(201)["interaction"]


def paid(person: Person, customer: Any, amount: int, description: str = "") -> Any:
    body = {"kind": "income", "amount": amount} | ({"description": description} if description else {})
    key = {"Idempotency-Key": secrets.token_hex(8)}
    return person.post(at(customer, "/transactions"), body, headers=key).ok(201)["transaction"]


class TestOverview:
    def test_a_customer_at_a_glance(self, owner: Person) -> None:
        customer = created(owner)
        for number in range(7):
            noted(owner, customer, f"Note {number}")
        paid(owner, customer, 1500)
        overview = owner.get(at(customer, "/overview")).ok()["overview"]
        assert overview["customer"]["id"] == customer["id"]
        assert (overview["interaction_count"], overview["transaction_count"]) == (7, 1)
        assert overview["interactions"][0]["ds_notes"] == "Note 6"
        assert overview["last_interaction_at"] == overview["interactions"][0]["happened_at"]
        assert [(row["currency"], row["balance"]) for row in overview["balances"]] == [("BRL", 1500)]
        assert overview["unavailable"] == []

    def test_a_new_one_has_no_history(self, owner: Person) -> None:
        overview = owner.get(at(created(owner), "/overview")).ok()["overview"]
        assert (overview["interaction_count"], overview["interactions"], overview["balances"]) == (0, [], [])
        assert overview["last_interaction_at"] is None

    def test_it_says_what_is_missing_when_a_service_is_away(self, owner: Person) -> None:
        customer = created(owner)
        with unreachable("interaction"):
            overview = owner.get(at(customer, "/overview")).ok()["overview"]
        assert overview["unavailable"] == ["interaction"]
        assert overview["customer"]["id"] == customer["id"]
        assert "balances" not in overview


class TestHistory:
    def test_it_tells_who_changed_what_consents_included(self, owner: Person) -> None:
        customer = created(owner, name="Ana", consents={"email": {"granted": True, "at": "2026-01-01T00:00:00Z"}})
        member = add_member(owner, "member")
        member.put(at(customer), {"name": "Ana Lima"}).ok()
        owner.put(at(customer), {"name": "Ana Lima", "consents": {"email": {"granted": False}}}).ok()
        owner.put(at(customer), {"name": "Ana Lima"}).ok()
        owner.delete(at(customer)).ok()
        owner.patch(at(customer, "/activate")).ok()
        lines = owner.get(at(customer, "/history")).ok()["changes"]
        assert [line["action"] for line in lines] == ["updated", "updated", "deactivated", "activated"]
        assert lines[0]["changes"] == {"name": ["Ana", "Ana Lima"]}
        assert lines[0]["created_by"] == member.user_id
        before, after = lines[1]["changes"]["consents"]
        assert (before["email"]["granted"], after["email"]["granted"]) == (True, False)

    def test_nobody_changes_history(self, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        stranger.get(at(customer, "/history")).problem(404, "no_such_customer")
        owner.delete(at(customer, "/history")).problem(405, "method_not_allowed")


class TestTags:
    def test_they_are_counted_over_active_customers(self, owner: Person, stranger: Person) -> None:
        created(owner, tags=["vip", "fair"])
        created(owner, tags=["vip"])
        gone = created(owner, tags=["vip", "old"])
        owner.delete(at(gone)).ok()
        created(stranger, tags=["theirs"])
        tags = owner.get(f"{PATH}tags").ok()["tags"]
        assert tags == [{"tag": "vip", "count": 2}, {"tag": "fair", "count": 1}]

    def test_who_agreed_to_be_written_to(self, owner: Person) -> None:
        agreed = created(owner, consents={"email": {"granted": True}})
        created(owner, consents={"email": {"granted": False}, "sms": {"granted": True}})
        created(owner)
        found = owner.get(f"{PATH}?filter[consent]=email").ok()["customers"]
        assert [one["id"] for one in found] == [agreed["id"]]
        owner.get(f"{PATH}?filter[consent]=pigeon").problem(422, "validation_error")


class TestExport:
    def test_a_person_sees_everything_that_is_kept(self, owner: Person) -> None:
        customer, twin = created(owner, **FULL), created(owner, name="Twin", notes="Twin's own")
        note, payment = noted(owner, twin, "Likes tea"), paid(owner, customer, 700, "Bread")
        owner.post(at(customer, "/merge"), {"source_ids": [twin["id"]]}).ok()
        export = owner.get(at(customer, "/export")).ok()["export"]
        assert export["customer"]["document"] == FULL["document"]
        assert [one["id"] for one in export["merged"]] == [twin["id"]]
        assert [line["action"] for line in export["history"]] == ["merged", "merged"]
        assert [one["id"] for one in export["interactions"]] == [note["id"]]
        assert [(one["id"], one["amount"]) for one in export["transactions"]] == [(payment["id"], 700)]
        assert export["exported_at"]

    def test_half_of_it_would_be_wrong(self, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        with unreachable("interaction"):
            owner.get(at(customer, "/export")).problem(503, "unavailable")
        stranger.get(at(customer, "/export")).problem(404, "no_such_customer")


class TestErasure:
    def test_the_person_is_forgotten_and_the_money_stays(self, owner: Person) -> None:
        customer = created(owner, **FULL)
        twin = created(owner, name="Padaria antiga", notes="second line")
        noted(owner, customer, "Padaria: second line")
        paid(owner, customer, 700, "Padaria")
        owner.put(at(customer), {"name": "Padaria Nova"}).ok()
        owner.post(at(customer, "/merge"), {"source_ids": [twin["id"]]}).ok()
        erased = owner.post(at(customer, "/erase")).ok()["customer"]
        assert (erased["name"], erased["is_active"], erased["email"], erased["addresses"]) == (
            "Erased",
            False,
            None,
            [],
        )
        assert erased["erased_at"]
        left = owner.get(at(customer, "/export")).ok()["export"]
        assert not [word for word in SECRETS if word in str(left)]
        assert left["transactions"][0]["amount"] == 700
        assert [one["ds_notes"] for one in left["interactions"]] == ["[erased]"]
        for word in ("padaria", "12abc34501de35", "erp-17"):
            assert owner.get(f"{PATH}?active_only=false&search={word}").ok()["total"] == 0
        assert owner.get("/api/interactions?search=padaria").ok()["total"] == 0

    def test_a_file_on_its_way_does_not_bring_the_person_back(self, owner: Person) -> None:
        customer = created(owner, name="Ana", email="ana@example.com")
        file = "name,email,notes\nAna,ana@example.com,second line\n"
        owner.request("POST", f"{PATH}import", data=file, headers={"Content-Type": "text/csv"}).ok(202)
        owner.post(at(customer, "/erase")).problem(409, "import_under_way")
        drain("customer")
        owner.post(at(customer, "/erase")).ok()
        assert owner.get(f"{PATH}?search=ana").ok()["total"] == 0

    def test_it_cannot_be_undone_or_repeated(self, owner: Person) -> None:
        customer = created(owner, email="ana@example.com")
        owner.post(at(customer, "/erase")).ok()
        for answer in (
            owner.post(at(customer, "/erase")),
            owner.patch(at(customer, "/activate")),
            owner.put(at(customer), {"name": "Ana"}),
        ):
            answer.problem(409, "customer_erased")
        created(owner, email="ana@example.com")

    def test_who_may(self, api: Api, owner: Person, stranger: Person) -> None:
        customer = created(owner)
        api.post(at(customer, "/erase")).problem(401, "unauthenticated")
        add_member(owner, "member").post(at(customer, "/erase")).problem(403, "forbidden")
        stranger.post(at(customer, "/erase")).problem(404, "no_such_customer")
        stale = {"If-Match": '"9"'}
        owner.post(at(customer, "/erase"), headers=stale).problem(412, "precondition_failed")
        assert owner.get(at(customer)).ok()["customer"]["erased_at"] is None


class TestRemoval:
    def test_money_keeps_a_customer_and_notes_do_not(self, owner: Person) -> None:
        with_money, with_notes = created(owner), created(owner)
        paid(owner, with_money, 100)
        noted(owner, with_notes, "Hello")
        hard = "?hard_delete=true"
        owner.delete(at(with_money, hard)).problem(409, "customer_has_transactions")
        owner.delete(at(with_notes, hard)).ok()
        owner.get(at(with_notes, "/interactions")).problem(404, "no_such_customer")
        assert owner.get("/api/interactions").ok()["total"] == 0

    def test_money_that_is_still_on_its_way_after_a_merge_keeps_the_survivor(self, owner: Person) -> None:
        winner, loser = created(owner), created(owner)
        paid(owner, loser, 100)
        with unreachable("interaction"):
            owner.post(at(winner, "/merge"), {"source_ids": [loser["id"]]}).ok()
        owner.delete(at(winner, "?hard_delete=true")).problem(409, "customer_has_transactions")

    def test_nothing_goes_while_nobody_can_say_what_depends_on_it(self, owner: Person) -> None:
        customer = created(owner)
        with unreachable("interaction"):
            owner.delete(at(customer, "?hard_delete=true")).problem(503, "unavailable")
        owner.get(at(customer)).ok()


class TestFacts:
    """What interaction must hear of reaches it, though it be away, and does its work once."""

    @pytest.fixture
    def apart(self, owner: Person) -> tuple[Any, Any]:
        """A customer, and another who was merged into it while interaction was away."""
        winner, loser = created(owner), created(owner)
        noted(owner, loser, "Moves later")
        with unreachable("interaction"):
            owner.post(at(winner, "/merge"), {"source_ids": [loser["id"]]}).ok()
        return winner, loser

    def test_history_follows_when_the_sibling_is_back(self, owner: Person, apart: tuple[Any, Any]) -> None:
        winner, loser = apart
        assert owner.get(at(loser, "/interactions")).ok()["total"] == 1
        with clock.shifted(timedelta(seconds=14)):
            drain("customer")
        assert [one["ds_notes"] for one in owner.get(at(winner, "/interactions")).ok()["interactions"]] == [
            "Moves later"
        ]
        problem = owner.get(at(loser, "/interactions")).problem(409, "customer_merged")
        assert problem["merged_into_id"] == winner["id"]

    def test_an_erasure_overtakes_a_merge_and_wins_all_the_same(self, owner: Person, apart: tuple[Any, Any]) -> None:
        winner, _ = apart
        owner.post(at(winner, "/erase")).ok()
        with clock.shifted(timedelta(seconds=14)):
            drain("customer")
        notes = [one["ds_notes"] for one in owner.get(at(winner, "/interactions")).ok()["interactions"]]
        assert notes == ["[erased]"]

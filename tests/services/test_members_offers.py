"""Offers: a person becomes a member by consent, and a manager who asks learns nothing about anybody.

Several tests come from threads about comparable products; each names its own.
"""

import secrets
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from kit.identity import HEADER
from tests.api import Api, Person, add_member, join, new_person
from tests.security.twin.rows import committed
from tests.services.helpers import internal_token, raced, statuses, unreachable

RECEIVED = "/api/tenants/offers"


def members(person: Person) -> str:
    return f"/api/tenants/{person.tenant_id}/members"


def offers(person: Person, offer: Any = None) -> str:
    return f"/api/tenants/{person.tenant_id}/offers" + (f"/{offer['id']}" if offer else "")


def answer_to(offer: Any, word: str) -> str:
    return f"{RECEIVED}/{offer['id']}/{word}"


def offered(manager: Person, identifier: str, role: str = "member") -> Any:
    return manager.post(members(manager), {"email": identifier, "role": role}).ok(202)["offer"]


def pending(manager: Person) -> list[Any]:
    return list(manager.get(offers(manager)).ok()["offers"])


def received(person: Person) -> list[Any]:
    return list(person.get(RECEIVED).ok()["offers"])


def emails(manager: Person) -> set[str]:
    return {row["email"] for row in manager.get(members(manager) + "?per_page=100").ok()["members"]}


def passed(owner: Person, days: float) -> None:
    """Let days pass for what a tenant offered and was refused: every moment that is kept lies so much earlier."""
    here, by = f"tenant_id = '{owner.tenant_id}'", f"interval '{days} days'"
    committed(
        "tenant",
        "SELECT set_config('app.everywhere', 'on', true)",
        f"UPDATE offer SET created_at = created_at - {by}, expires_at = expires_at - {by} WHERE {here}",
        f"UPDATE refusal SET until = until - {by} WHERE {here}",
    )


class TestOffer:
    def test_what_was_typed_is_pending_and_nobody_is_a_member_yet(self, owner: Person, stranger: Person) -> None:
        body = owner.post(members(owner), {"email": stranger.email.upper(), "role": "admin"}).ok(202)
        assert set(body) == {"message", "offer"}
        offer = body["offer"]
        assert (offer["email"], offer["role"], offer["state"]) == (stranger.email.upper(), "admin", "pending")
        assert offer["offered_by"] == owner.user_id
        assert set(offer) == {"id", "email", "role", "state", "offered_by", "created_at", "expires_at"}
        assert pending(owner) == [offer]
        assert emails(owner) == {owner.email}

    def test_the_role_is_member_unless_another_is_named(self, owner: Person) -> None:
        assert owner.post(members(owner), {"email": "x@example.com"}).ok(202)["offer"]["role"] == "member"

    def test_only_managers_offer_list_and_withdraw(self, api: Api, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        calls = [("POST", members(owner), {"email": "a@example.com"}), ("GET", offers(owner), None)]
        calls.append(("DELETE", offers(owner, offer), None))
        member = add_member(owner, "member")
        for method, path, body in calls:
            api.request(method, path, body).problem(401, "unauthenticated")
            stranger.request(method, path, body).problem(404, "no_such_tenant")
            member.request(method, path, body).problem(403, "forbidden")
        assert pending(owner) == [offer]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "email"),
            ({"email": ""}, "email"),
            ({"email": None}, "email"),
            ({"email": 5}, "email"),
            ({"email": "a\u0000"}, "email"),
            ({"email": "x" * 255}, "email"),
            ({"email": "a@"}, "email"),
            ({"email": "a@b@example.com"}, "email"),
            ({"email": "a@example.com", "role": "king"}, "role"),
            ({"email": "a@example.com", "role": "owner"}, "role"),
            ({"email": "a@example.com", "role": "platform_admin"}, "role"),
            ({"email": "a@example.com", "role": None}, "role"),
            ({"email": "a@example.com", "tenant_id": "x"}, "tenant_id"),
            ({"email": "a@example.com", "user_id": "x"}, "user_id"),
        ],
        ids=str,
    )
    def test_a_field_that_cannot_be_accepted_is_named(
        self, owner_of_all: Person, body: dict[str, Any], field: str
    ) -> None:
        problem = owner_of_all.post(members(owner_of_all), body).problem(422, "validation_error")
        assert list(problem["errors"]) == [field]

    def test_an_owner_is_made_of_a_member_and_not_by_an_offer(self, owner: Person, stranger: Person) -> None:
        """Shelf-nu/shelf.nu#2863: invitations granted the owner's role."""
        owner.post(members(owner), {"email": stranger.email, "role": "owner"}).problem(422, "validation_error")
        assert received(stranger) == []

    def test_another_spelling_is_the_same_offer_renewed(self, owner: Person, stranger: Person) -> None:
        """daytonaio/daytona#2075, better-auth/better-auth#2250, cvat-ai/cvat#4096: the case of letters decided."""
        first = offered(owner, stranger.email, "viewer")
        second = offered(owner, f" {stranger.email.upper()} ", "admin")
        assert (second["id"], second["role"]) == (first["id"], "admin")
        assert pending(owner) == [second]
        assert [(one["id"], one["role"]) for one in received(stranger)] == [(first["id"], "admin")]

    def test_an_address_in_the_list_of_members_is_a_conflict(self, owner: Person) -> None:
        member = add_member(owner, "viewer")
        owner.post(members(owner), {"email": member.email.upper()}).problem(409, "already_member")
        assert pending(owner) == []

    def test_of_several_offers_at_once_one_stands(self, owner: Person, stranger: Person) -> None:
        calls = [lambda: owner.post(members(owner), {"email": stranger.email})] * 4
        assert statuses(raced(*calls)) == [202] * 4
        assert len(pending(owner)) == len(received(stranger)) == 1

    def test_no_sibling_is_asked(self, owner: Person, stranger: Person) -> None:
        with unreachable("auth"):
            offered(owner, stranger.email)
            offered(owner, "nobody@example.com")

    def test_who_was_removed_offers_nothing_with_a_token_that_still_holds(
        self, owner: Person, stranger: Person, service: Callable[[str], Api]
    ) -> None:
        admin = add_member(owner, "admin")
        headers = {HEADER: internal_token(admin, "admin", owner.tenant_id)}
        owner.delete(f"{members(owner)}/{admin.user_id}").ok()
        path = f"/tenants/{owner.tenant_id}/members"
        service("tenant").post(path, {"email": stranger.email}, headers=headers).problem(404, "no_such_tenant")

    def test_who_was_demoted_offers_and_withdraws_nothing_with_a_token_that_still_holds(
        self, owner: Person, stranger: Person, service: Callable[[str], Api]
    ) -> None:
        admin, offer = add_member(owner, "admin"), offered(owner, "x@example.com")
        headers = {HEADER: internal_token(admin, "admin", owner.tenant_id)}
        owner.put(f"{members(owner)}/{admin.user_id}", {"role": "member"}).ok()
        tenant, path = service("tenant"), f"/tenants/{owner.tenant_id}"
        tenant.post(f"{path}/members", {"email": stranger.email}, headers=headers).problem(403, "not_manager")
        tenant.delete(f"{path}/offers/{offer['id']}", headers=headers).problem(403, "not_manager")
        assert pending(owner) == [offer]


class TestAccept:
    def test_a_person_sees_who_asks_and_accepts(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email, "admin")
        (seen,) = received(stranger)
        assert set(seen) == {"id", "tenant_name", "role", "offered_by_name", "created_at", "expires_at"}
        assert (seen["id"], seen["role"], seen["offered_by_name"]) == (offer["id"], "admin", "Person")
        assert seen["tenant_name"] == owner.get(f"/api/tenants/{owner.tenant_id}").ok()["tenant"]["name"]
        body = stranger.post(answer_to(offer, "accept")).ok()
        assert set(body) == {"message", "membership"}
        assert (body["membership"]["tenant_id"], body["membership"]["role"]) == (owner.tenant_id, "admin")
        assert emails(owner) == {owner.email, stranger.email}
        assert (pending(owner), received(stranger)) == ([], [])
        stranger.login(owner.tenant_id).get("/api/customers/").ok()
        stranger.post("/auth/switch-tenant", {"tenant_id": owner.tenant_id}).ok()

    def test_a_user_name_reaches_the_person_too(self, owner: Person, register: Callable[..., Person]) -> None:
        name = f"Bruno.{secrets.token_hex(4)}"
        person = register(username=name)
        offer = offered(owner, name.upper())
        assert [one["id"] for one in received(person)] == [offer["id"]]
        person.post(answer_to(offer, "accept")).ok()
        assert person.email in emails(owner)

    def test_one_who_registers_later_finds_what_was_offered(
        self, owner: Person, register: Callable[..., Person]
    ) -> None:
        email = f"later{secrets.token_hex(4)}@example.com"
        offer = offered(owner, email.upper())
        person = register(email=email)
        assert [one["id"] for one in received(person)] == [offer["id"]]
        person.post(answer_to(offer, "accept")).ok()

    def test_only_the_addressee_answers(self, api: Api, owner: Person, stranger: Person) -> None:
        """superloglabs/superlog#519: knowing the id of an invitation was enough."""
        offer, other = offered(owner, "somebody@example.com"), add_member(owner, "member")
        for word in ("accept", "decline"):
            api.post(answer_to(offer, word)).problem(401, "unauthenticated")
            for person in (stranger, owner, other):
                person.post(answer_to(offer, word)).problem(404, "no_such_offer")
            stranger.post(answer_to({"id": uuid4()}, word)).problem(404, "no_such_offer")
            stranger.post(answer_to({"id": "1"}, word)).problem(404, "not_found")
        api.get(RECEIVED).problem(401, "unauthenticated")
        assert len(pending(owner)) == 1

    def test_an_offer_works_once(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        calls = [lambda: stranger.post(answer_to(offer, "accept"))] * 4
        assert statuses(raced(*calls)) == [200, 404, 404, 404]
        stranger.post(answer_to(offer, "accept")).problem(404, "no_such_offer")

    def test_accepting_races_with_withdrawing(self, owner: Person, stranger: Person) -> None:
        for _ in range(4):
            person = new_person(owner.target)
            offer = offered(owner, person.email)
            accepted, withdrawn = raced(
                lambda person=person, offer=offer: person.post(answer_to(offer, "accept")),
                lambda offer=offer: owner.delete(offers(owner, offer)),
            )
            assert {accepted.status, withdrawn.status} == {200, 404}
            assert (person.email in emails(owner)) is (accepted.status == 200)

    def test_two_names_of_one_person_make_one_membership(self, owner: Person, register: Callable[..., Person]) -> None:
        person = register(username=f"u{secrets.token_hex(6)}")
        by_address, by_name = offered(owner, person.email, "viewer"), offered(owner, _username(person), "admin")
        calls = [lambda offer=offer: person.post(answer_to(offer, "accept")) for offer in (by_address, by_name)]
        assert statuses(raced(*calls)) == [200, 404]
        assert received(person) == []

    def test_an_offer_changes_no_role_of_a_member(self, owner: Person, register: Callable[..., Person]) -> None:
        """baserow/baserow#5627, Shelf-nu/shelf.nu#1486: accepting changed the role of someone who was in already."""
        person = register(username=f"u{secrets.token_hex(6)}")
        member = join(owner, person, "viewer")
        offer = offered(owner, _username(person), "admin")
        assert received(member) == []
        member.post(answer_to(offer, "accept")).problem(404, "no_such_offer")
        member.post("/api/customers/", {"name": "x"}).problem(403, "forbidden")

    def test_a_closed_tenant_offers_nothing(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        owner.delete(f"/api/tenants/{owner.tenant_id}").ok()
        assert received(stranger) == []
        stranger.post(answer_to(offer, "accept")).problem(404, "no_such_offer")

    def test_an_offer_does_not_decide_where_a_person_lands(self, owner: Person, stranger: Person) -> None:
        home = stranger.tenant_id
        before = stranger.get("/auth/me").ok()
        offered(owner, stranger.email, "admin")
        assert stranger.get("/auth/me").ok() == before
        assert stranger.login().tenant_id == home
        body = {"email": stranger.email, "password": stranger.password, "tenant_id": owner.tenant_id}
        Api(owner.target).post("/auth/login", body).problem(404, "not_a_member")
        stranger.post("/auth/switch-tenant", {"tenant_id": owner.tenant_id}).problem(404, "not_a_member")
        stranger.post(answer_to(pending(owner)[0], "accept")).ok()
        assert stranger.login().tenant_id == home


class TestEnd:
    def test_what_was_withdrawn_is_gone(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        assert set(owner.delete(offers(owner, offer)).ok()) == {"message"}
        owner.delete(offers(owner, offer)).problem(404, "no_such_offer")
        assert (pending(owner), received(stranger)) == ([], [])
        stranger.post(answer_to(offer, "accept")).problem(404, "no_such_offer")
        assert offered(owner, stranger.email)["id"] in {one["id"] for one in received(stranger)}

    def test_an_offer_of_another_tenant_is_not_withdrawn(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, "x@example.com")
        stranger.delete(offers(stranger, offer)).problem(404, "no_such_offer")
        owner.delete(offers(owner, {"id": uuid4()})).problem(404, "no_such_offer")
        assert pending(owner) == [offer]

    def test_an_offer_ends_by_itself(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        passed(owner, 29.9)
        assert len(pending(owner)) == len(received(stranger)) == 1
        passed(owner, 0.2)
        assert (pending(owner), received(stranger)) == ([], [])
        stranger.post(answer_to(offer, "accept")).problem(404, "no_such_offer")
        owner.delete(offers(owner, offer)).problem(404, "no_such_offer")
        assert offered(owner, stranger.email)["id"] != offer["id"]
        assert len(received(stranger)) == 1

    def test_one_who_was_removed_does_not_come_back_by_an_older_offer(
        self, owner: Person, register: Callable[..., Person]
    ) -> None:
        """ParabolInc/parabol#12873; and papra-hq/papra#1398: a new offer has to work all the same."""
        person = register(username=f"u{secrets.token_hex(6)}")
        join(owner, person)
        stale = offered(owner, _username(person))
        owner.delete(f"{members(owner)}/{person.user_id}").ok()
        again = person.login()
        assert received(again) == []
        again.post(answer_to(stale, "accept")).problem(404, "no_such_offer")
        fresh = offered(owner, person.email)
        again.post(answer_to(fresh, "accept")).ok()

    @pytest.mark.parametrize("how", ["removed", "left", "demoted"])
    def test_what_a_manager_offered_goes_with_the_manager(self, owner: Person, stranger: Person, how: str) -> None:
        """getsentry/sentry#75630: who was sent away came back under another name."""
        admin = add_member(owner, "admin")
        offer = offered(admin, stranger.email, "admin")
        path = f"{members(owner)}/{admin.user_id}"
        {
            "removed": lambda: owner.delete(path),
            "left": lambda: admin.post(f"/api/tenants/{owner.tenant_id}/leave"),
            "demoted": lambda: owner.put(path, {"role": "member"}),
        }[how]().ok()
        assert (pending(owner), received(stranger)) == ([], [])
        stranger.post(answer_to(offer, "accept")).problem(404, "no_such_offer")


class TestDecline:
    def test_a_tenant_does_not_notice_and_cannot_ask_again_for_a_while(
        self, owner: Person, register: Callable[..., Person]
    ) -> None:
        person = register(username=f"u{secrets.token_hex(6)}")
        offer = offered(owner, person.email)
        before = owner.get(offers(owner))
        assert set(person.post(answer_to(offer, "decline")).ok()) == {"message"}
        assert owner.get(offers(owner)).json == before.json
        assert received(person) == []
        for word in ("accept", "decline"):
            person.post(answer_to(offer, word)).problem(404, "no_such_offer")
        owner.delete(offers(owner, offer)).ok()
        for identifier in (person.email, _username(person)):
            offered(owner, identifier)
        assert received(person) == []
        assert len(pending(owner)) == 2
        passed(owner, 31)
        offered(owner, person.email)
        assert len(received(person)) == 1

    def test_of_several_at_once_one_declines(self, owner: Person, stranger: Person) -> None:
        offer = offered(owner, stranger.email)
        calls = [lambda: stranger.post(answer_to(offer, "decline"))] * 4
        assert statuses(raced(*calls)) == [200, 404, 404, 404]

    def test_another_tenant_may_ask(self, owner: Person, stranger: Person) -> None:
        other = new_person(owner.target)
        stranger.post(answer_to(offered(owner, stranger.email), "decline")).ok()
        offered(other, stranger.email)
        assert len(received(stranger)) == 1


class TestLimit:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMBERSHIP_OFFERS_PER_DAY", "3")

    def test_a_tenant_asks_so_many_people_a_day(self, owner: Person) -> None:
        """dust-tt/dust#4569: what was withdrawn counts, or the limit would hold nobody."""
        admin = add_member(owner, "admin")
        for number in range(3):
            owner.delete(offers(owner, offered(owner, f"p{number}@example.com"))).ok()
        for person in (owner, admin):
            answer = person.post(members(owner), {"email": "p9@example.com"})
            answer.problem(429, "too_many_offers")
            assert 86_000 < int(answer.headers["Retry-After"]) <= 86_401
        passed(owner, 1.1)
        offered(owner, "p9@example.com")

    def test_a_person_asks_so_many_in_all_their_tenants(self, owner: Person) -> None:
        for number in range(3):
            tenant = owner.post("/api/tenants/", {"name": f"T{number}"}).ok(201)["tenant"]
            offered(owner.login(tenant["id"]), f"p{number}@example.com")
        owner.post(members(owner), {"email": "p9@example.com"}).problem(429, "too_many_offers")

    def test_who_accepted_does_not_count(self, owner: Person) -> None:
        for _ in range(4):
            add_member(owner, "viewer")
        offered(owner, "x@example.com")

    def test_of_several_at_once_so_many_pass(self, owner: Person) -> None:
        calls = [
            lambda number=number: owner.post(members(owner), {"email": f"p{number}@example.com"}) for number in range(6)
        ]
        assert statuses(raced(*calls)) == [202, 202, 202, 429, 429, 429]

    def test_several_tenants_at_once_are_no_way_around(self, owner: Person) -> None:
        tenants = [owner.post("/api/tenants/", {"name": f"T{number}"}).ok(201)["tenant"]["id"] for number in range(5)]
        people = [owner.login(tenant) for tenant in tenants]
        calls = [lambda person=person: person.post(members(person), {"email": "x@example.com"}) for person in people]
        assert statuses(raced(*calls)) == [202, 202, 202, 429, 429]


def _username(person: Person) -> str:
    return str(person.get("/auth/me").ok()["user"]["username"])

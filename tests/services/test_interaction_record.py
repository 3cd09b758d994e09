from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from kit import clock
from tests.api import Api, Person, add_member
from tests.services.helpers import raced, statuses, unreachable
from tests.services.interaction_helpers import NOBODY, at, customer_of, recorded
from tests.services.test_customer_create import PATH

FULL: dict[str, Any] = {
    "id_interaction_type": "call",
    "ds_notes": "Asked for a quote.\nCalls back on Monday.",
    "subject": "Quote",
    "direction": "inbound",
    "outcome": "promised",
    "duration_seconds": 300,
    "related": {"order_id": NOBODY},
    "pinned": True,
}


@pytest.fixture
def customer(owner: Person) -> str:
    return customer_of(owner)


class TestRecording:
    def test_every_field_comes_back_as_it_was_sent(self, owner: Person, customer: str) -> None:
        moment = (clock.now() - timedelta(hours=5)).isoformat().replace("+00:00", "Z")
        answer = owner.post(at(customer, "interactions/"), FULL | {"happened_at": moment})
        interaction = answer.ok(201)["interaction"]
        assert set(answer.json) == {"message", "interaction"}
        type_id = interaction["id_interaction_type"]
        sent = FULL | {"happened_at": moment, "id_interaction_type": type_id}
        assert {name: interaction[name] for name in sent} == sent
        assert interaction["interaction_type"] == {"id": type_id, "code": "call", "name": "Call"}
        assert (interaction["customer_id"], interaction["user_id"]) == (customer, owner.user_id)
        assert (interaction["is_active"], interaction["version"]) == (True, 1)
        assert answer.headers["ETag"] == '"1"'
        assert owner.get(at(customer, "interactions", interaction["id"])).ok() == {"interaction": interaction}

    def test_the_words_of_the_contract_are_enough(self, owner: Person, customer: str) -> None:
        interaction = recorded(owner, customer, id_interaction_type="visit")
        assert (interaction["subject"], interaction["related"], interaction["pinned"]) == (None, {}, False)
        by_id = recorded(owner, customer, id_interaction_type=interaction["id_interaction_type"])
        assert by_id["interaction_type"]["code"] == "visit"

    def test_a_moment_of_another_time_zone_is_answered_in_utc(self, owner: Person, customer: str) -> None:
        interaction = recorded(owner, customer, happened_at="2020-01-01T00:30:00+01:00")
        assert interaction["happened_at"] == "2019-12-31T23:30:00Z"

    def test_nobody_and_who_may_only_read_cannot(self, api: Api, owner: Person, customer: str) -> None:
        api.post(at(customer, "interactions"), FULL).problem(401, "unauthenticated")
        add_member(owner, "viewer").post(at(customer, "interactions"), FULL).problem(403, "forbidden")

    def test_a_customer_of_another_tenant_does_not_exist(self, stranger: Person, customer: str) -> None:
        stranger.post(at(customer, "interactions"), FULL).problem(404, "no_such_customer")
        stranger.post(at(NOBODY, "interactions"), FULL).problem(404, "no_such_customer")

    def test_an_inactive_customer_is_left_alone(self, owner: Person, customer: str) -> None:
        owner.delete(PATH + customer).ok()
        owner.post(at(customer, "interactions"), FULL).problem(409, "customer_inactive")

    def test_a_merged_customer_names_the_one_that_lives_on(self, owner: Person, customer: str) -> None:
        other = customer_of(owner)
        owner.post(f"{PATH}{customer}/merge", {"source_ids": [other]}).ok()
        for answer in (owner.post(at(other, "interactions"), FULL), owner.get(at(other, "interactions"))):
            assert answer.problem(409, "customer_merged")["merged_into_id"] == customer

    def test_nothing_is_recorded_about_a_customer_who_cannot_be_asked_about(self, owner: Person, customer: str) -> None:
        with unreachable("customer"):
            answer = owner.post(at(customer, "interactions"), FULL)
            assert answer.problem(503, "unavailable")["upstream"] == "customer"
        assert owner.get(at(customer, "interactions")).ok()["total"] == 0

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            *(({"ds_notes": value}, "ds_notes") for value in ("", " \n", None, 7, "a\x00b", "x" * 20_001, ["x"])),
            *(({"id_interaction_type": value}, "id_interaction_type") for value in (NOBODY, "fax", 1, None, "", {})),
            *(({"happened_at": value}, "happened_at") for value in ("0001-01-01T00:00:00+14:00", "2020-01-01", 1, [])),
            *(({"happened_at": f"9999-12-31T23:59:59{zone}"}, "happened_at") for zone in ("Z", "-14:00", "+14:00")),
            *(({"duration_seconds": value}, "duration_seconds") for value in (-1, 10**7 + 1, 10**30, "60", 1.5)),
            *(({"related": value}, "related") for value in ([], "x", {"order_id": "x"}, {"other": NOBODY}, None)),
            *(({"pinned": value}, "pinned") for value in ("yes", "true", 1, 1.0, 2, None)),
            ({"direction": "sideways"}, "direction"),
            ({"subject": "x" * 201}, "subject"),
            ({"outcome": ""}, "outcome"),
            ({"customer_id": NOBODY}, "customer_id"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_a_field_that_cannot_be_is_named(self, owner_of_all: Person, change: Any, field: str) -> None:
        path = at(customer_of(owner_of_all), "interactions")
        assert field in owner_of_all.post(path, FULL | change).problem(422, "validation_error")["errors"]

    @pytest.mark.parametrize("body", [[], "x", None, 1])
    def test_a_body_that_is_no_object_is_refused(self, owner_of_all: Person, body: Any) -> None:
        answer = owner_of_all.post(at(customer_of(owner_of_all), "interactions"), body)
        assert answer.status in (400, 422)

    def test_a_moment_that_is_still_to_come_is_refused(self, owner: Person, customer: str) -> None:
        recorded(owner, customer, happened_at=(clock.now() + timedelta(hours=23)).isoformat())
        late = FULL | {"happened_at": (clock.now() + timedelta(hours=25)).isoformat()}
        owner.post(at(customer, "interactions"), late).problem(422, "validation_error")

    def test_a_repeated_key_records_once(self, owner: Person, customer: str) -> None:
        path, header = at(customer, "interactions"), {"Idempotency-Key": "once"}
        first, second = (owner.post(path, FULL, headers=header).ok(201) for _ in range(2))
        assert first == second
        assert owner.get(path).ok()["total"] == 1


class TestChanging:
    def test_a_part_is_changed_and_the_rest_stays(self, owner: Person, customer: str) -> None:
        before = recorded(owner, customer, **FULL)
        path = at(customer, "interactions", before["id"])
        after = owner.put(path, {"outcome": "sold", "id_interaction_type": "visit"}).ok()["interaction"]
        assert (after["outcome"], after["interaction_type"]["code"], after["version"]) == ("sold", "visit", 2)
        assert after["ds_notes"] == before["ds_notes"]
        assert owner.get(path).ok()["interaction"] == after

    def test_a_text_of_very_many_words_can_be_replaced(self, owner: Person, customer: str) -> None:
        notes = " ".join(chr(ord("一") + number) for number in range(10_000))  # as many words as there can be
        interaction = recorded(owner, customer, ds_notes=notes)
        owner.put(at(customer, "interactions", interaction["id"]), {"ds_notes": "Short"}).ok()
        assert owner.get(f"{at(customer, 'interactions')}?search=short").ok()["total"] == 1
        assert owner.get(f"{at(customer, 'interactions')}?search={quote(notes[0])}").ok()["total"] == 0

    def test_what_a_get_gave_can_be_sent_back(self, owner: Person, customer: str) -> None:
        before = recorded(owner, customer, **FULL)
        owner.delete(f"/api/interaction-types/{before['id_interaction_type']}").ok()
        path = at(customer, "interactions", before["id"])
        owner.put(path, owner.get(path).ok()["interaction"]).ok()
        owner.put(path, before | {"customer_id": NOBODY}).problem(422, "validation_error")

    def test_a_lost_update_is_refused(self, owner: Person, customer: str) -> None:
        path = at(customer, "interactions", recorded(owner, customer)["id"])
        owner.put(path, {"subject": "x"}, headers={"If-Match": '"1"'}).ok()
        owner.put(path, {"subject": "y"}, headers={"If-Match": '"1"'}).problem(412, "precondition_failed")
        answers = raced(*[lambda: owner.put(path, {"subject": "z"}, headers={"If-Match": '"2"'})] * 4)
        assert statuses(answers) == [200, 412, 412, 412]

    def test_it_belongs_to_its_customer_and_its_tenant(self, owner: Person, stranger: Person, customer: str) -> None:
        id, other = recorded(owner, customer)["id"], customer_of(owner)
        for person, path in ((owner, at(other, "interactions", id)), (stranger, at(customer, "interactions", id))):
            person.get(path).problem(404, "no_such_interaction")
            person.put(path, {"subject": "x"}).problem(404, "no_such_interaction")
            person.delete(path).problem(404, "no_such_interaction")

    def test_a_field_that_cannot_be_is_named(self, owner: Person, customer: str) -> None:
        path = at(customer, "interactions", recorded(owner, customer)["id"])
        for change in ({"ds_notes": " "}, {"id_interaction_type": "fax"}, {"user_id": NOBODY}, {"happened_at": None}):
            assert set(owner.put(path, change).problem(422, "validation_error")["errors"]) == set(change)


class TestRemoving:
    def test_it_leaves_the_lists_and_cannot_be_changed(self, owner: Person, customer: str) -> None:
        id = recorded(owner, customer)["id"]
        path = at(customer, "interactions", id)
        assert set(owner.delete(path).ok()) == {"message"}
        assert owner.get(at(customer, "interactions")).ok()["total"] == 0
        assert owner.get(at(customer, "interactions?active_only=false")).ok()["total"] == 1
        assert owner.get(path).ok()["interaction"]["is_active"] is False
        owner.put(path, {"subject": "x"}).problem(409, "interaction_inactive")
        owner.delete(path).problem(409, "already_inactive")

    def test_for_good(self, owner: Person, customer: str) -> None:
        path = at(customer, "interactions", recorded(owner, customer)["id"])
        assert statuses(raced(*[lambda: owner.delete(path + "?hard_delete=true")] * 2)) == [200, 404]
        owner.get(path).problem(404, "no_such_interaction")

    def test_only_who_may_delete_removes(self, api: Api, owner: Person, customer: str) -> None:
        path = at(customer, "interactions", recorded(owner, customer)["id"])
        api.delete(path).problem(401, "unauthenticated")
        add_member(owner, "member").delete(path).problem(403, "forbidden")

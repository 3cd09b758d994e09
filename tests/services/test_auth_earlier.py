"""During a replacement the version before still asks: each of its questions is answered until all of it is gone."""

from collections.abc import Callable
from uuid import uuid4

from kit import identity
from kit.identity import HEADER, Identity
from tests.api import Api, Person
from tests.services.helpers import internal_token

OLD = "/internal/users?identifier="
TENANT = Identity("tenant", None, None, workload=True)


def test_tenant_of_the_version_before_opens_a_tenant(owner: Person, service: Callable[[str], Api]) -> None:
    """It asks by the id of whoever opens one, and reads these three members."""
    headers = {HEADER: identity.mint("tenant", TENANT, workload=True)}
    person = service("auth").get(OLD + owner.user_id, headers=headers).ok()["person"]
    assert (person["id"], person["name"], person["email"]) == (owner.user_id, "Person", owner.email)


def test_the_old_question_leads_from_no_address_to_a_person(owner: Person, service: Callable[[str], Api]) -> None:
    headers = {HEADER: identity.mint("tenant", TENANT, workload=True)}
    asked = [owner.email, "nobody@example.com", uuid4(), "x"]
    answers = [service("auth").get(f"{OLD}{each}", headers=headers) for each in asked]
    assert {(each.status, each.json["code"]) for each in answers} == {(404, "no_such_user")}
    assert len({each.json["detail"] for each in answers}) == 1
    for other in ({}, {HEADER: internal_token(owner)}):
        assert service("auth").get(OLD + owner.user_id, headers=other).status in (401, 403)

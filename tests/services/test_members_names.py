"""The names that strangers read in an offer: no advertisement, and no honest name refused."""

import pytest

from tests.api import Person, new_person
from tests.services.test_members_offers import RECEIVED, members, offered, received

SPAM = [
    *("FREE http://evil.example", "Win WWW.evil.example", "Bank\u202egro", "A\u200bB"),
    *("Pay at evil.example/login now", "EVIL.com", "evil.com.br.", "(bit.ly)", "x-1.io?a", "a@evil.net", "evil.xyz:80"),
    *("évil.com", "evil。com", "evil．com/", "10.0.0.1/x", "evil.example#a"),
]
HONEST = [
    *("Souza & Filhos Ltda.", "Padaria S.A.", "S.A.", "J.R.R. Tolkien", "Dr.Silva", "Ana M.Souza", "No. 5", "v2.0"),
    *(
        "Com. de Pães Ltda.",
        "Ind.e Com.Ltda",
        "Ltda./ME",
        "A.C./D.C.",
        "St.James",
        "3.14/2",
        "S.p.A.",
        "Conceição...me",
    ),
]


@pytest.mark.parametrize("name", HONEST)
def test_a_name_with_full_stops_is_a_name(owner: Person, name: str) -> None:
    owner.put(f"/api/tenants/{owner.tenant_id}", {"name": name}).ok()
    offered(owner, "x@example.com")


@pytest.mark.parametrize("name", SPAM)
def test_what_strangers_read_is_no_advertisement(owner: Person, stranger: Person, name: str) -> None:
    path = f"/api/tenants/{owner.tenant_id}"
    before = owner.get(path).ok()["tenant"]["name"]
    owner.put(path, {"name": name}).ok()
    owner.post(members(owner), {"email": stranger.email}).problem(409, "unfit_name")
    spammer = new_person(owner.target, name=name, organization_name="Bank")
    spammer.post(members(spammer), {"email": stranger.email}).problem(409, "unfit_name")
    assert received(stranger) == []
    owner.put(path, {"name": before}).ok()
    offered(owner, stranger.email)


def test_a_name_that_became_one_is_not_shown(owner: Person, stranger: Person) -> None:
    offered(owner, stranger.email)
    owner.put(f"/api/tenants/{owner.tenant_id}", {"name": "FREE http://evil.example"})
    assert "evil.example" not in str(stranger.get(RECEIVED).json)

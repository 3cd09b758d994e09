"""No form of forged identity opens any route of any service, directly or through the gateway.

The short form shows each token at every door in the way that this door takes tokens, and in the other way at some;
the long form shows everything everywhere, and knocks at every alias too.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from kit import transport
from tests.api import Person, new_person
from tests.security import forgeries
from tests.security.doors import Door, essence, gateway_doors, is_problem, services_doors
from tests.security.forgeries import GATE, SERVICES, Forgery
from tests.tables import Tally

LONG = bool(os.environ.get("LONG"))
SOME = 16


@dataclass(frozen=True)
class Victim:
    """An owner with something to lose, and every text of theirs that no refusal may show."""

    person: Person
    customer_id: str
    canaries: tuple[bytes, ...]


@pytest.fixture(scope="module")
def victim(platform: Any) -> Victim:
    person = new_person(platform)
    name = f"cnry-{person.user_id}"
    customer = person.post("/api/customers", {"name": name}).ok(201)["customer"]
    secrets = (name, person.email, person.refresh_token, person.token.rsplit(".", 1)[1])
    return Victim(person, customer["id"], tuple(text.encode() for text in secrets))


@pytest.fixture(scope="module")
def service_doors(victim: Victim) -> list[Door]:
    return services_doors("person", "internal", "public", id=victim.customer_id)


@pytest.fixture(scope="module")
def public_doors(platform: Any, victim: Victim) -> list[Door]:
    return gateway_doors(platform, id=victim.customer_id, aliases=LONG)


def is_refused(door: Door, answer: transport.Answer, form: Forgery, nobody: Any) -> bool:
    """Whether a door held. An open one may answer what it answers nobody, or that the token is none."""
    if answer.status in form.statuses and is_problem(door, answer):
        return True
    if not door.is_open:
        return False
    said = essence(answer)
    return said == nobody or (said[0] == 200 and isinstance(said[1], dict) and said[1].get("valid") is False)


def opened(doors: list[Door], forms: Iterable[Forgery], canaries: tuple[bytes, ...]) -> tuple[int, list[str]]:
    """How often doors were knocked at, and every time that one did not hold, in words."""
    tried, failures = 0, []
    place = GATE if doors[0].service == "" else SERVICES
    nobody = {door: essence(door.knock({})) for door in doors if door.is_open}
    for index, form in enumerate(forms):
        for door in doors if LONG or place in form.aims_at else doors[index % SOME :: SOME]:
            if form.speaks_as in door.access.callers:
                continue
            answer = door.knock(form.headers, form.query)
            tried += 1
            shown = b"\n".join([answer.body, *(value.encode("latin-1") for _, value in answer.headers)])
            if not is_refused(door, answer, form, nobody.get(door)) or any(canary in shown for canary in canaries):
                failures.append(f"{form.name}: {door.method} {door.service}{door.path} {answer.status}")
    return tried, failures


def check(tally: Tally, tried: int, failures: list[str], least: int) -> None:
    assert tried >= least, "the routes were not found"
    tally("forged identity", tried=tried, bad=len(failures))
    assert not failures, "\n".join(failures[:200])


def test_the_doors_would_open_to_who_may(victim: Victim, service_doors: list[Door], public_doors: list[Door]) -> None:
    access, internal = (truth.sign() for truth in forgeries.truths(victim.person))
    for doors, headers in (
        (service_doors, {"Txn-Token": internal}),
        (public_doors, {"Authorization": f"Bearer {access}"}),
    ):
        reads = [door for door in doors if door.method == "GET" and door.path.rstrip("/").endswith("/customers")]
        assert reads
        for door in reads:
            answer = door.knock(headers)
            assert (answer.status, victim.canaries[0] in answer.body) == (200, True)


def test_no_forged_identity_opens_a_route_of_a_service(victim: Victim, service_doors: list[Door], tally: Tally) -> None:
    forms = forgeries.forgeries(victim.person)
    check(tally, *opened(service_doors, forms, victim.canaries), least=40 * len(service_doors))


def test_no_forged_identity_passes_the_gateway(victim: Victim, public_doors: list[Door], tally: Tally) -> None:
    forms = forgeries.forgeries(victim.person)
    check(tally, *opened(public_doors, forms, victim.canaries), least=40 * len(public_doors))


def test_headers_that_contradict_the_token_are_refused(victim: Victim, service_doors: list[Door], tally: Tally) -> None:
    forms = list(forgeries.contradictions(victim.person))
    tried, failures = opened(service_doors, forms, victim.canaries)
    check(tally, tried, failures, least=len(forms) * len(service_doors))

"""A token that was true opens nothing once what it says has ended, or the key that signed it is gone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alicerce import home, keys
from kit import clock, identity, tokens
from tests.api import Person, add_member, new_person
from tests.security import forgeries
from tests.security.doors import gateway_doors, services_doors
from tests.security.forgeries import Forgery
from tests.security.test_forged_identity import check, opened
from tests.tables import Tally


def logged_out(person: Person) -> str:
    person.post("/auth/logout", {}).ok()
    return person.token


def logged_out_elsewhere(person: Person) -> str:
    other = person.login()
    person.post("/auth/logout", {"scope": "others"}).ok()
    return other.token


def password_changed(person: Person) -> str:
    other = person.login()
    body = {"current_password": person.password, "new_password": "another battery staple"}
    person.post("/auth/password/change", body).ok()
    return other.token


def refresh_token_used_twice(person: Person) -> str:
    body = {"refresh_token": person.refresh_token}
    grant = Person.post(person, "/auth/refresh", body).ok()
    with clock.shifted(timedelta(minutes=1)):
        person.post("/auth/refresh", body).problem(401, "refresh_token_reused")
    return str(grant["access_token"])


def member_removed(person: Person) -> str:
    member = add_member(person, "admin")
    person.delete(f"/api/tenants/{person.tenant_id}/members/{member.user_id}").ok()
    return member.token


def member_left(person: Person) -> str:
    member = add_member(person, "admin")
    member.post(f"/api/tenants/{person.tenant_id}/leave", {}).ok()
    return member.token


def role_lowered(person: Person) -> str:
    member = add_member(person, "admin")
    person.put(f"/api/tenants/{person.tenant_id}/members/{member.user_id}", {"role": "viewer"}).ok()
    return member.token


def tenant_closed(person: Person) -> str:
    person.delete(f"/api/tenants/{person.tenant_id}").ok()
    return person.token


ENDINGS: tuple[Callable[[Person], str], ...] = (
    *(logged_out, logged_out_elsewhere, password_changed, refresh_token_used_twice),
    *(member_removed, member_left, role_lowered, tenant_closed),
)


def shown(name: str, token: str) -> list[Forgery]:
    return [Forgery(name, {"Authorization": f"Bearer {token}"}), Forgery(name, {identity.HEADER: token})]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_a_token_is_dead_once_what_it_says_has_ended(
    platform: Any, ending: Callable[[Person], str], tally: Tally
) -> None:
    forms = shown(ending.__name__, ending(new_person(platform)))
    doors = gateway_doors(platform, aliases=False)
    tried, failures = opened(doors, forms, ())
    check(tally, tried, failures, least=2 * len(doors))


@contextmanager
def public_set(change: Callable[[list[Any]], list[Any]]) -> Iterator[None]:
    """The public keys as `change` makes them, for a while; every file of the set is a newer one than before."""
    path = tokens.keyring().directory / "public.json"
    before = path.read_text("utf-8")
    home.write(path, json.dumps({"keys": change(json.loads(before)["keys"])}), 0o644)
    look()
    try:
        yield
    finally:
        home.write(path, before, 0o644)
        look()


def look() -> None:
    """Have the set looked at now: an unknown key is looked for at once, others after `LOOK_S`."""
    with pytest.raises(tokens.InvalidToken):
        tokens.keyring().find("unknown")


def without(component: str) -> Callable[[list[Any]], list[Any]]:
    return lambda entries: [entry for entry in entries if entry["component"] != component]


def retired(component: str, age: timedelta) -> Callable[[list[Any]], list[Any]]:
    moment = keys._moment(datetime.now(UTC) - age)
    return lambda entries: [
        entry | ({"retired_at": moment} if entry["component"] == component else {}) for entry in entries
    ]


CHANGES = {
    "deleted": without,
    "retired two days ago": lambda component: retired(component, timedelta(days=2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_is_gone_opens_nothing(platform: Any, owner: Person, change: str, tally: Tally) -> None:
    access, internal = (truth.sign() for truth in forgeries.truths(owner))
    owner.get("/api/customers").ok()  # the gateway, and the service behind it, know both tokens from now on
    at_gate, at_services = gateway_doors(platform, aliases=False), services_doors("person", "internal")
    with public_set(CHANGES[change](tokens.ACCESS_COMPONENT)):
        forms = [*shown(change, owner.token), *shown(change, access)]
        check(tally, *opened(at_gate, forms, ()), least=len(at_gate))
    with public_set(CHANGES[change]("gateway")):
        check(tally, *opened(at_services, shown(change, internal), ()), least=len(at_services))
    owner.get("/api/customers").ok()


def test_a_key_that_was_retired_today_still_holds_for_tokens_on_their_way(platform: Any, owner: Person) -> None:
    with public_set(retired(tokens.ACCESS_COMPONENT, timedelta(hours=1))):
        owner.get("/api/customers").ok()

"""Nobody learns by asking for a member who is registered, or anything about a person before that person accepts."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tests.api import Answer, Person, join, new_person
from tests.services.helpers import app_of
from tests.tables import Tally

# What differs between any two answers, and the text that was sent.
VARYING = {"id", "created_at", "expires_at", "request_id", "email"}
VARYING_HEADERS = {"X-Request-Id", "Traceparent", "Content-Length", "Date", "RateLimit"}


def members(person: Person) -> str:
    return f"/api/tenants/{person.tenant_id}/members"


def offers(person: Person) -> str:
    return f"/api/tenants/{person.tenant_id}/offers"


def plain(part: Any) -> Any:
    """An answer without what varies."""
    if isinstance(part, dict):
        return {name: plain(value) for name, value in part.items() if name not in VARYING}
    return [plain(value) for value in part] if isinstance(part, list) else part


def told(answer: Answer) -> tuple[int, Any, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING_HEADERS}
    return answer.status, plain(answer.json), headers


@pytest.fixture
def people(owner: Person) -> dict[str, str]:
    """Identifiers of all kinds of people, as seen from a tenant; all but the unknown ones are registered."""
    names = {kind: f"u{secrets.token_hex(6)}" for kind in ("name", "member", "refused", "gone")}
    registered = {kind: new_person(owner.target, username=name) for kind, name in names.items()}
    join(owner, registered["member"])
    offer = owner.post(members(owner), {"email": registered["refused"].email}).ok(202)["offer"]
    registered["refused"].post(f"/api/tenants/offers/{offer['id']}/decline").ok()
    owner.delete(f"{offers(owner)}/{offer['id']}").ok()
    asked = f"x{secrets.token_hex(6)}@example.com"
    before = owner.post(members(owner), {"email": asked}).ok(202)["offer"]
    owner.delete(f"{offers(owner)}/{before['id']}").ok()
    join(owner, registered["gone"])
    owner.delete(f"{members(owner)}/{registered['gone'].user_id}").ok()
    unknown = f"x{secrets.token_hex(6)}"
    return names | {
        "address": new_person(owner.target).email,
        "refused address, asked before": registered["refused"].email,
        "unknown address, asked before": asked,
        "gone address": registered["gone"].email,
        "unknown name": unknown,
        "unknown address": f"{unknown}@example.com",
        "id of a person": registered["name"].user_id,
    }


@contextmanager
def statements() -> Iterator[list[str]]:
    """Return the statements that tenant sends to its database, without their values."""
    seen: list[str] = []

    def keep(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    app = app_of("tenant")
    with app.app_context():
        engine = app.db.engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", keep)


def test_a_known_and_an_unknown_person_get_the_same_answer(owner: Person, people: dict[str, str], tally: Tally) -> None:
    answers = {kind: told(owner.post(members(owner), {"email": text})) for kind, text in people.items()}
    again = {kind: told(owner.post(members(owner), {"email": text})) for kind, text in people.items()}
    like = {kind: f"unknown address{', asked before' * kind.endswith('before')}" for kind in people}
    differing = [kind for kind in people if answers[kind] != answers[like[kind]]]
    differing += [kind for kind in people if again[kind] != again[like[kind]]]
    tally("who is registered", tried=2 * len(people), bad=len(differing))
    assert differing == []
    assert answers["unknown address"][0] == 202


def test_the_same_work_is_done_for_anybody(owner: Person, people: dict[str, str]) -> None:
    owner.post(members(owner), {"email": "first@example.com"}).ok(202)  # what is compiled once is out of the way
    work = {}
    for kind, text in people.items():
        with statements() as seen:
            owner.post(members(owner), {"email": text}).ok(202)
        work[kind] = list(seen)
    assert len(work["unknown address"]) > 3
    assert [kind for kind, seen in work.items() if seen != work["unknown address"]] == []


def test_what_a_manager_reads_is_what_the_manager_wrote(owner: Person, people: dict[str, str]) -> None:
    for text in people.values():
        owner.post(members(owner), {"email": text}).ok(202)
    rows = owner.get(offers(owner) + "?per_page=100").ok()["offers"]
    assert {row["email"] for row in rows} == set(people.values())
    assert [plain(row) for row in rows] == [plain(rows[0])] * len(rows)
    assert plain(rows[0]) == {"role": "member", "state": "pending", "offered_by": owner.user_id}


def test_nothing_of_a_person_is_told_before_consent(owner: Person) -> None:
    """betterangels/better-angels#56: an address brought the user name of whoever had registered with it."""
    name, secret = f"u{secrets.token_hex(6)}", f"Victim{secrets.token_hex(6)}"
    victim = new_person(owner.target, username=name, name=secret)
    for asked, hidden in ((name, victim.email), (victim.email, name)):
        answer = owner.post(members(owner), {"email": asked, "role": "viewer"})
        offer = answer.ok(202)["offer"]
        seen = str([answer.json, owner.get(offers(owner)).json, owner.get(members(owner)).json])
        for trace in (hidden, secret, victim.user_id, victim.tenant_id):
            assert trace not in seen
        owner.delete(f"{members(owner)}/{victim.user_id}").problem(404, "no_such_member")
        owner.put(f"{members(owner)}/{victim.user_id}", {"role": "viewer"}).problem(404, "no_such_member")
        owner.delete(f"{offers(owner)}/{offer['id']}").ok()


@pytest.mark.parametrize("act", ["look", "decline", "register", "log in"])
def test_a_manager_sees_nothing_of_what_a_person_does(owner: Person, act: str) -> None:
    email = f"x{secrets.token_hex(6)}@example.com"
    person = new_person(owner.target, email=email) if act != "register" else None
    offer = owner.post(members(owner), {"email": email}).ok(202)["offer"]
    view = lambda: [told(owner.get(path)) for path in (offers(owner), members(owner))]  # noqa: E731
    whole = lambda: owner.get(offers(owner)).json  # noqa: E731
    before = (view(), whole())
    acts: dict[str, Callable[[], Any]] = {
        "look": lambda: person and person.get("/api/tenants/offers").ok(),
        "decline": lambda: person and person.post(f"/api/tenants/offers/{offer['id']}/decline").ok(),
        "register": lambda: new_person(owner.target, email=email),
        "log in": lambda: person and person.login(),
    }
    acts[act]()
    assert (view(), whole()) == before
    renewed = owner.post(members(owner), {"email": email})
    assert renewed.ok(202)["offer"]["id"] == offer["id"]
    assert renewed.headers["ETag"] == '"2"'

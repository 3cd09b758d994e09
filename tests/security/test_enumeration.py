"""Nobody learns from a login whether an address is known: not by the answer, not by the work, not by the time.

That the count of tries tells nothing either: tests/security/test_guessing.py.
"""

import secrets
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api import PASSWORD, Answer, Api, Person, new_person
from tests.tables import Tally

SAMPLES = 400
TOLERANCE = 0.10  # of the medians' ratio; a hash that is left out would be more than half of the time
WRONG = ("short", "wrong horse battery", "x" * 1000, "")


@pytest.fixture
def known(platform: Any) -> Person:
    return new_person(platform)


@pytest.fixture
def unknown() -> str:
    return f"nobody.{secrets.token_hex(6)}@example.com"


def login(api: Api, email: str, password: str) -> Answer:
    return api.post("/auth/login", {"email": email, "password": password})


def told(answer: Answer) -> tuple[int, dict[str, Any], dict[str, str]]:
    """All of an answer but what differs between any two."""
    body = {name: value for name, value in answer.json.items() if name != "request_id"}
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
    return answer.status, body, headers


@pytest.mark.parametrize("password", WRONG, ids=lambda text: f"{len(text)} characters")
def test_a_known_and_an_unknown_address_get_the_same_answer(
    api: Api, known: Person, unknown: str, password: str
) -> None:
    assert told(login(api, known.email, password)) == told(login(api, unknown, password))


def test_a_person_who_was_put_out_of_use_looks_like_nobody(api: Api, platform: Any, unknown: str) -> None:
    from tests.services.helpers import app_of

    gone = new_person(platform)
    app = app_of("auth")
    with app.app_context():
        from services.auth.domain.people import find

        user = find(gone.email)
        assert user is not None
        user.is_active = False
        app.db.session.commit()
    assert told(login(api, gone.email, PASSWORD)) == told(login(api, unknown, PASSWORD))


@pytest.mark.parametrize("password", WRONG, ids=lambda text: f"{len(text)} characters")
def test_the_same_work_is_done_for_anybody(
    api: Api, known: Person, unknown: str, hashes: list[str], password: str
) -> None:
    login(api, unknown, password)  # the first of a process makes the hash to compare with
    counts = []
    for email in (known.email, unknown):
        hashes.clear()
        login(api, email, password)
        counts.append(list(hashes))
    assert counts[0] == counts[1]
    assert [done.split()[0] for done in counts[0]] == ["verify_secret"]


def test_registering_a_taken_address_hashes_as_much_as_a_free_one(api: Api, known: Person, hashes: list[str]) -> None:
    """That an address is taken is told (409), as documented: whoever registers has to know. The time adds nothing."""
    counts = []
    for email, status in ((known.email, 409), (f"free.{known.email}", 201)):
        hashes.clear()
        assert api.post("/auth/register", {"email": email, "password": PASSWORD}).status == status
        counts.append(list(hashes))
    assert [[done.split()[0] for done in each] for each in counts] == [["hash_secret"], ["hash_secret"]]


def medians(*asks: Callable[[], object]) -> list[float]:
    """Return the median time that a client waits for each, asked in turn, so that other work delays all alike."""
    taken: list[list[float]] = [[] for _ in asks]
    for _ in range(SAMPLES):
        for times, ask in zip(taken, asks, strict=True):
            started = time.perf_counter()
            ask()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in taken]


@pytest.mark.long
def test_the_time_of_a_login_says_nothing(
    api: Api, known: Person, unknown: str, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    monkeypatch.setattr("kit.guessing.FREE", 10**6)  # so that each of hundreds of tries is compared
    monkeypatch.setenv("PASSWORD_HASH_MEMORY_KIB", "19456")
    person = new_person(known.target)  # whose hash has the cost of production
    asks = [
        lambda: login(api, person.email, "wrong horse battery"),
        lambda: login(api, unknown, "wrong horse battery"),
        lambda: login(api, person.email, "x" * 1000),
        lambda: login(api, unknown, "x"),
    ]
    for ask in asks:
        ask()
    times = medians(*asks)
    ratio = max(times) / min(times)
    tally("telling addresses by time", tried=SAMPLES * len(asks), bad=int(ratio > 1 + TOLERANCE), note=f"{ratio:.3f}")
    assert ratio <= 1 + TOLERANCE

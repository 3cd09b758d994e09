"""Nobody guesses a secret by asking often: not from many addresses, not at once, not by going through other processes.

And nobody is kept out of their own account by those who try.
"""

import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from argon2.exceptions import VerificationError
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import Client

from kit import clock, guessing, tokens
from kit.errors import Problem
from kit.guessing import FREE, LONGEST_WAIT
from services.auth import create_app
from services.auth.models import Guess
from tests.api import PASSWORD, Answer, Api, Person
from tests.services.helpers import app_of, raced
from tests.tables import Tally

LOGIN, CHANGE = "/auth/login", "/auth/password/change"
WRONG = "wrong horse battery"
NEW = "another horse entirely"
PER_HOUR = 10
CROWD = 50
addresses = itertools.count(1)


def guess(target: Any, identifier: str, password: str = WRONG, **more: Any) -> Answer:
    """One log-in, from an address that has never asked before."""
    number = next(addresses)
    peer = {"REMOTE_ADDR": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
    body = {"email": identifier, "password": password, **more}
    answer = Client(target).open(LOGIN, method="POST", json=body, environ_base=peer)
    return Answer(answer.status_code, answer.headers, answer.json)


def exhausted(target: Any, identifier: str) -> Answer:
    """The first refusal, after all free tries."""
    for _ in range(FREE):
        guess(target, identifier).problem(401, "invalid_credentials")
    answer = guess(target, identifier)
    answer.problem(429, "too_many_guesses")
    return answer


def told(answer: Answer) -> tuple[int, dict[str, Any], dict[str, str]]:
    """All of an answer but what differs between any two."""
    body = {name: value for name, value in answer.json.items() if name != "request_id"}
    return answer.status, body, {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}


@contextmanager
def passing() -> Iterator[Callable[[float], None]]:
    """A clock that goes on by as many seconds as it is told."""
    with ExitStack() as shifts:
        yield lambda seconds: shifts.enter_context(clock.shifted(timedelta(seconds=seconds)))


@contextmanager
def statements() -> Iterator[list[str]]:
    """Return the statements that auth sends to its database meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    with app_of("auth").app_context():
        engine = app_of("auth").db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def unknown() -> str:
    return f"nobody.{secrets.token_hex(6)}@example.com"


def known_device(person: Person) -> str:
    token: str = guess(person.target, person.email, PASSWORD).ok()["device_token"]
    return token


class TestStrangers:
    def test_beyond_the_first_few_at_most_ten_tries_an_hour_are_compared(
        self, owner: Person, hashes: list[str], tally: Tally
    ) -> None:
        """As fast as it may: each refusal says how long to wait, and waiting so long helps."""
        compared: list[float] = []
        passed, waits = 0.0, [0]
        with passing() as wait:
            while passed < 6 * 3600 and len(compared) < 20 * PER_HOUR:
                answer = guess(owner.target, owner.email)
                if answer.status == 401:
                    compared.append(passed)
                    continue
                answer.problem(429, "too_many_guesses")
                waits.append(int(answer.headers["Retry-After"]))
                wait(waits[-1])
                passed += waits[-1]
        assert len(hashes) == len(compared)
        beyond = compared[FREE:]
        most = max(sum(1 for at in beyond if start <= at < start + 3600) for start in beyond)
        tally("guesses an hour at one account", tried=len(compared) + len(waits), bad=max(0, most - PER_HOUR))
        assert compared[:FREE] == [0.0] * FREE
        assert most <= PER_HOUR
        assert waits == sorted(waits) and max(waits) == LONGEST_WAIT.total_seconds(), "the delay grows, up to a bound"

    def test_of_fifty_at_once_only_the_first_few_are_compared(self, owner: Person, hashes: list[str]) -> None:
        answers = raced(*[lambda: guess(owner.target, owner.email)] * CROWD)
        counts = Counter(answer.status for answer in answers)
        assert set(counts) <= {401, 429, 503} and counts[401] <= FREE
        assert len(hashes) == counts[401]

    def test_where_an_old_count_is_forgotten_a_crowd_gets_no_more(self, owner: Person, hashes: list[str]) -> None:
        """github.com/keycloak/keycloak/issues/52646: a count that two cleared at once lost one of their tries."""
        exhausted(owner.target, owner.email)
        hashes.clear()
        with clock.shifted(timedelta(days=2)):
            raced(*[lambda: guess(owner.target, owner.email)] * CROWD)
            assert len(hashes) <= FREE
            guess(owner.target, owner.email).problem(429, "too_many_guesses")

    def test_the_right_password_waits_too(self, owner: Person, hashes: list[str]) -> None:
        exhausted(owner.target, owner.email)
        hashes.clear()
        refused = guess(owner.target, owner.email, PASSWORD)
        refused.problem(429, "too_many_guesses")
        assert hashes == []
        with clock.shifted(timedelta(seconds=int(refused.headers["Retry-After"]))):
            guess(owner.target, owner.email, PASSWORD).ok()

    def test_another_process_counts_on(self, owner: Person) -> None:
        exhausted(owner.target, owner.email)
        other = create_app().test_client()
        answer = other.post("/login", json={"email": owner.email, "password": PASSWORD})
        assert (answer.status_code, answer.json["code"]) == (429, "too_many_guesses")

    def test_an_owner_who_logs_in_often_gives_strangers_no_more_tries(self, owner: Person, hashes: list[str]) -> None:
        compared = 0
        for _ in range(4 * FREE):
            guess(owner.target, owner.email, PASSWORD)
            compared += guess(owner.target, owner.email).status == 401
        assert compared == FREE

    def test_rows_are_forgotten_and_name_nobody(self, platform: Any, unknown: str) -> None:
        def count() -> int:
            with app_of("auth").app_context():
                return int(app_of("auth").db.session.scalar(select(func.count()).select_from(Guess)))

        with clock.shifted(timedelta(days=9)):
            for number in range(60):
                guess(platform, f"{number}.{unknown}")
        crowded = count()
        with clock.shifted(timedelta(days=9, hours=2)):
            for _ in range(20):
                guess(platform, unknown, PASSWORD)
        assert crowded >= 120
        assert count() <= 4 * guessing.TIDIED
        with app_of("auth").app_context():
            assert {len(row) for row in app_of("auth").db.session.scalars(select(Guess.subject))} == {32}


class TestEnumeration:
    """The count tells nobody who is known here (github.com/authelia/authelia/issues/11972 counted known names only)."""

    def test_a_known_and_an_unknown_name_are_counted_alike(self, owner: Person, unknown: str) -> None:
        with passing() as wait:
            for seconds in [0] * (FREE + 2) + [60, 0, 119, 0, 3600, 0, 0, 900]:
                wait(seconds)
                answers = [told(guess(owner.target, name)) for name in (owner.email, unknown)]
                assert self.but_for_a_second(answers[0]) == self.but_for_a_second(answers[1])

    @staticmethod
    def but_for_a_second(answer: tuple[int, Any, dict[str, str]]) -> tuple[Any, ...]:
        wait = int(answer[2].pop("Retry-After", 0))  # the two are asked one after the other
        return *answer, round(wait / 30)

    def test_two_names_of_one_person_share_a_count_and_do_not_show_it(
        self, register: Callable[..., Person], unknown: str, hashes: list[str]
    ) -> None:
        person = register(username=f"u{secrets.token_hex(6)}")
        name = person.get("/auth/me").ok()["user"]["username"]
        exhausted(person.target, person.email)
        hashes.clear()
        closed = [guess(person.target, name, PASSWORD) for _ in range(FREE + 1)]
        work = list(hashes)
        exhausted(person.target, unknown)
        hashes.clear()
        nobody = [guess(person.target, f"x{name}", PASSWORD) for _ in range(FREE + 1)]
        assert [answer.status for answer in closed] == [401] * FREE + [429]
        assert [told(answer)[:2] for answer in closed] == [told(answer)[:2] for answer in nobody]
        assert work == hashes
        with clock.shifted(timedelta(minutes=20)):
            guess(person.target, name, PASSWORD).ok()

    @pytest.mark.parametrize("tries", [1, FREE + 1])
    def test_a_known_and_an_unknown_name_ask_the_database_alike(
        self, owner: Person, stranger: Person, unknown: str, tries: int
    ) -> None:
        """Above all where no hash hides what else takes time."""
        device, asked = known_device(stranger), []
        for more in ({}, {"device_token": device}):
            for name in (owner.email, unknown):
                for _ in range(tries - 1):
                    guess(owner.target, name)
                with statements() as seen:
                    guess(owner.target, name, **more)
                asked.append([statement.split()[0] for statement in seen])
        assert asked[0] == asked[1] and asked[2] == asked[3]
        assert asked[0]

    @pytest.mark.parametrize("spelling", [str.upper, lambda text: f" {text} ", lambda text: text.replace("p", "ｐ")])
    def test_another_spelling_of_a_name_is_the_same_name(self, owner: Person, spelling: Any) -> None:
        exhausted(owner.target, owner.email)
        guess(owner.target, spelling(owner.email), PASSWORD).problem(429, "too_many_guesses")


class TestOwners:
    def test_a_known_device_does_not_wait_for_strangers_and_strangers_gain_nothing(self, owner: Person) -> None:
        token = known_device(owner)
        exhausted(owner.target, owner.email)
        grant = guess(owner.target, owner.email, PASSWORD, device_token=token).ok()
        guess(owner.target, owner.email, PASSWORD, device_token=grant["device_token"]).ok()
        guess(owner.target, owner.email, PASSWORD).problem(429, "too_many_guesses")

    def test_a_stolen_device_has_a_count_of_its_own_which_no_new_token_renews(self, owner: Person) -> None:
        token = known_device(owner)
        for _ in range(FREE - 1):
            guess(owner.target, owner.email, device_token=token).problem(401, "invalid_credentials")
        newer = guess(owner.target, owner.email, PASSWORD, device_token=token).ok()["device_token"]
        guess(owner.target, owner.email, device_token=newer).problem(401, "invalid_credentials")
        for each in (token, newer):
            guess(owner.target, owner.email, PASSWORD, device_token=each).problem(429, "too_many_guesses")
        guess(owner.target, owner.email, PASSWORD).ok()

    @pytest.mark.parametrize("ended", ["password", "global", "others"])
    def test_a_changed_password_and_ended_sessions_forget_devices(self, owner: Person, ended: str) -> None:
        token, password = known_device(owner), PASSWORD
        if ended == "password":
            owner.post(CHANGE, {"current_password": PASSWORD, "new_password": NEW}).ok()
            password = NEW
        else:
            owner.post("/auth/logout", {"scope": ended}).ok()
        exhausted(owner.target, owner.email)
        guess(owner.target, owner.email, password, device_token=token).problem(429, "too_many_guesses")

    def test_logging_out_here_does_not_forget_the_device(self, owner: Person) -> None:
        token = known_device(owner)
        owner.post("/auth/logout").ok()
        exhausted(owner.target, owner.email)
        guess(owner.target, owner.email, PASSWORD, device_token=token).ok()

    def test_no_other_token_makes_a_known_device(self, owner: Person, stranger: Person) -> None:
        token = known_device(owner)
        exhausted(owner.target, owner.email)
        claims = {"sub": owner.user_id, "did": owner.user_id, "iat_ms": int(clock.timestamp() * 1000)}
        forged = tokens.keyring().sign("customer", "device+jwt", 60, claims)
        for other in (known_device(stranger), owner.token, owner.refresh_token, token[:-2], forged, "x", "", None):
            refused = guess(owner.target, owner.email, PASSWORD, device_token=other)
            refused.problem(429, "too_many_guesses")
        with clock.shifted(timedelta(days=181)):
            for _ in range(FREE):
                guess(owner.target, owner.email)
            guess(owner.target, owner.email, PASSWORD, device_token=token).problem(429, "too_many_guesses")

    def test_a_device_token_opens_nothing(self, owner: Person) -> None:
        token = known_device(owner)
        Api(owner.target, token).get("/auth/me").problem(401, "invalid_token")
        assert Api(owner.target).post("/auth/validate-token", {"token": token}).ok()["valid"] is False

    def test_many_who_log_in_to_one_account_at_once_are_not_taken_for_guesses(
        self, owner: Person, service: Callable[[str], Api]
    ) -> None:
        """github.com/keycloak/keycloak/issues/48272 and 37315: counting by account refused the right password."""
        auth, body = service("auth"), {"email": owner.email, "password": PASSWORD}
        answers = raced(*[lambda: auth.post("/login", body)] * 20)
        counts = Counter(answer.status for answer in answers)
        assert counts[200] > FREE and set(counts) <= {200, 503}
        auth.post("/login", body).ok()

    def test_a_right_password_that_is_refused_for_another_reason_is_no_guess(
        self, owner: Person, stranger: Person
    ) -> None:
        """github.com/keycloak/keycloak/issues/44474: a limit of sessions was counted as a wrong password."""
        for _ in range(2 * FREE):
            refused = guess(owner.target, owner.email, PASSWORD, tenant_id=stranger.tenant_id)
            refused.problem(404, "not_a_member")
        guess(owner.target, owner.email, PASSWORD).ok()

    @pytest.mark.parametrize("error", [VerificationError, OperationalError("", {}, Exception()), RuntimeError])
    def test_what_breaks_before_anything_is_found_wrong_is_no_guess(self, owner: Person, error: Any) -> None:
        app = app_of("auth")
        with app.app_context():
            name = guessing.subject(b"key", "test", owner.user_id)
            for _ in range(2 * FREE):
                with pytest.raises(Exception) as raised, guessing.counted(app.db, Guess, name):
                    raise error
                assert not isinstance(raised.value, Problem)
            with guessing.counted(app.db, Guess, name) as attempt:
                assert attempt.is_open


class TestPresentPassword:
    def change(self, person: Person, current: str) -> Answer:
        return person.post(CHANGE, {"current_password": current, "new_password": NEW})

    def test_a_stolen_access_token_gets_a_few_tries_and_locks_nobody_out(
        self, owner: Person, hashes: list[str]
    ) -> None:
        for _ in range(FREE):
            self.change(owner, WRONG).problem(401, "invalid_credentials")
        assert len(hashes) == FREE
        refused = self.change(owner, PASSWORD)
        refused.problem(429, "too_many_guesses")
        assert len(hashes) == FREE
        again = guess(owner.target, owner.email, PASSWORD).ok()
        Api(owner.target, again["access_token"]).post(CHANGE, {}).problem(422, "validation_error")
        with clock.shifted(timedelta(seconds=int(refused.headers["Retry-After"]))):
            self.change(owner, PASSWORD).ok()

    def test_of_fifty_at_once_only_the_first_few_are_compared(
        self, owner: Person, service: Callable[[str], Api], hashes: list[str]
    ) -> None:
        answers = raced(*[lambda: self.change(owner, WRONG)] * CROWD)
        assert Counter(answer.status for answer in answers)[401] == len(hashes) <= FREE

    def test_wrong_tries_at_the_log_in_do_not_keep_the_owner_from_changing_it(self, owner: Person) -> None:
        exhausted(owner.target, owner.email)
        self.change(owner, PASSWORD).ok()


def test_the_document_says_that_a_log_in_may_have_to_wait(api: Api) -> None:
    operation = api.get("/openapi.json").ok()["paths"]["/auth/login"]["post"]
    assert "429" in operation["responses"]
    assert "`device_token`" in operation["description"]


def test_waits_grow_and_never_overflow() -> None:
    """github.com/keycloak/keycloak/issues/30939: a wait that was too long for its type was none."""
    waits = [guessing.wait_after(tries) for tries in range(2000)]
    assert waits[:FREE] == [timedelta(0)] * FREE
    assert waits == sorted(waits)
    assert waits[-1] == guessing.wait_after(10**9) == LONGEST_WAIT

"""Passwords: the ones that are accepted, their comparison, and the cost of judging one."""

import secrets
import subprocess
import sys
import time
import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.auth.domain import passwords, strength
from services.auth.domain.passwords import WeakPassword
from services.auth.models import User
from tests.api import PASSWORD, Api, Person, new_person
from tests.services.helpers import app_of

REGISTER, LOGIN, CHANGE = "/auth/register", "/auth/login", "/auth/password/change"
ADDRESS = "ana.souza@padaria.example"
ANA = {"name": "Ana Souza", "organization_name": "Padaria Conceição"}
WEAK = [
    *(
        "aaaaaaaa",
        "00000000",
        " " * 8,
        "\u0000" * 8,
        "abcdefgh",
        "11111111a",
        "senha123",
        "mudar123",
        "flamengo1",
    ),
    *(
        "Brasil2026",
        "alicerce1",
        ADDRESS,
        "Mudar@123",
        "12345678910",
        "1q2w3e4r5t",
        "ｐａｓｓｗｏｒｄ１",
        "P@ssw0rd2024!",
    ),
    *("ana souza", "AnaSouza99", "Souza1987!", "padaria2026", "conceicao1", "deusefiel1", "corinthians1910"),
    *(
        "\u00a0" * 9,
        "\u200b" * 9,
        "tab\there and there",
        "line\nhere and there",
        "🔑" * 8,
        "x" * 1024,
        "x" * 1025,
    ),
]
LONG_AND_ODD = [
    "4@8({[<369!1|70$5+%2" * 60,
    "1|7abc" * 200,
    "0123456789" * 100,
    "aab" * 400,
    "ﷺ" * 341,
    "1991-11-12" * 99,
]


def address() -> str:
    return f"w{secrets.token_hex(6)}@example.com"


def hash_of(person: Person, change: str | None = None) -> str:
    """The hash that is kept of somebody's password; after putting another one there, if one is given."""
    app = app_of("auth")
    with app.app_context():
        app.db.act_for(UUID(person.user_id))
        user = app.db.session.get(User, UUID(person.user_id))
        if change:
            user.password_hash = change
            app.db.session.commit()
        return str(user.password_hash)


@pytest.mark.parametrize("password", WEAK, ids=lambda text: ascii(text)[:30])
def test_a_weak_password_is_refused_and_one_is_told_what_to_do(api: Api, password: str) -> None:
    problem = api.post(REGISTER, {"email": ADDRESS, "password": password, **ANA}).json
    assert (problem["status"], list(problem["errors"])) == (422, ["password"])
    (sentence,) = problem["errors"]["password"]
    assert any(word in sentence for word in ("Use ", "Leave out", "Longer than"))


@pytest.mark.parametrize("password", ["senha123", "        ", "Padaria Conceição", "alicerce1"])
def test_a_weak_one_is_not_taken_at_a_change_either(api: Api, password: str) -> None:
    person = new_person(api.target, **ANA)
    body = {"current_password": PASSWORD, "new_password": password}
    assert list(person.post(CHANGE, body).problem(422, "weak_password")["errors"]) == ["new_password"]


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "pão de queijo quente",
        "minha casa amarela",
        "👩‍🚀 sobe 🚀 desce",
        "kX9#mQ2v",
        "ключ от дома",
        "東京の夜はとても静か",
    ],
)
def test_a_good_one_is_accepted(api: Api, password: str) -> None:
    body = {"email": address(), "password": password}
    api.post(REGISTER, body | ANA).ok(201)
    api.post(LOGIN, body).ok()


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000", "\u2003"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("kept", ["NFC", "NFD"])
def test_every_keyboard_writes_the_same_password(api: Api, kept: str, form: str, blank: str) -> None:
    """github.com/matrix-org/synapse/issues/3306: what one computer composes, another one writes in two parts."""
    body = {"email": address(), "password": unicodedata.normalize(kept, "coração às três")}
    api.post(REGISTER, body).ok(201)
    typed = unicodedata.normalize(form, "coração às três").replace(" ", blank)
    grant = api.post(LOGIN, body | {"password": typed}).ok()
    change = {"current_password": typed, "new_password": body["password"]}
    Api(api.target, grant["access_token"]).post(CHANGE, change).problem(422, "same_password")


@pytest.mark.parametrize(
    "password", ["corac\u0327a\u0303o a\u0300s tre\u0302s", "no\u00a0break\u3000here", "\u0000" * 8]
)
def test_a_hash_that_was_kept_before_keeps_opening_and_is_renewed(api: Api, owner: Person, password: str) -> None:
    before = hash_of(owner, passwords.hasher().hash(password))
    body = {"email": owner.email, "password": password}
    api.post(LOGIN, body).ok()
    is_prepared = passwords.prepare(password) == password
    assert (hash_of(owner) == before) is is_prepared
    api.post(LOGIN, body | {"password": passwords.prepare(password)}).ok()
    api.post(LOGIN, body).ok()


@given(st.text(min_size=1, max_size=60))
@settings(deadline=None)
def test_preparing_twice_changes_nothing_more(password: str) -> None:
    once = passwords.prepare(password)
    assert passwords.prepare(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert {letter for letter in once if unicodedata.category(letter) == "Zs"} <= {" "}


@given(st.text(max_size=1100))
@settings(deadline=None, max_examples=60)
def test_any_text_is_judged(password: str) -> None:
    try:
        passwords.check(password, "password", ("ana@example.com", "Ana", None))
    except WeakPassword as refused:
        assert list(refused.errors or ()) == ["password"]
    else:
        assert len(set(password)) > 1 and "\0" not in password


@given(st.sampled_from(WEAK), st.text("ab1 ", max_size=2))
@settings(deadline=None, max_examples=40)
def test_a_mark_on_a_letter_makes_no_weak_password_strong(password: str, more: str) -> None:
    marked = "".join({"a": "ã", "e": "ê", "o": "ó"}.get(letter, letter) for letter in password)
    plain, accented = (strength.estimate(text + more, (ADDRESS,)) for text in (password, marked))
    assert accented.guesses == plain.guesses


@pytest.mark.parametrize("password", LONG_AND_ODD, ids=lambda text: ascii(text)[:20])
def test_judging_takes_a_moment_whatever_is_judged(password: str) -> None:
    """github.com/dwolfhub/zxcvbn-python/issues/70: seconds, for seventy signs that could be letters."""
    strength.estimate("anything", ())  # loads the lists
    started = time.process_time()
    strength.estimate(password, (ADDRESS, "Ana Souza " * 20))
    assert time.process_time() - started < 2, "a tenth of a second on a machine that does nothing else"


def test_the_lists_are_loaded_when_a_password_is_set_and_not_before() -> None:
    code = (
        "import sys; from services.auth import create_app; from services.auth.domain import passwords\n"
        "passwords.matches(passwords.hash_password('x'), 'x')\n"
        "before = 'zxcvbn' in sys.modules\n"
        "passwords.check('kX9#mQ2v', 'password', ())\n"
        "print(before, 'zxcvbn' in sys.modules)"
    )
    told: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["False", "True"]

"""One address, one person: what looks like an address that is taken is taken."""

import secrets
import unicodedata
from importlib import import_module
from uuid import UUID

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.auth.domain import identifiers
from services.auth.domain.lookalikes import LOOKALIKES
from services.auth.models import Login
from tests.api import PASSWORD, Api, new_person
from tests.services.helpers import app_of

REGISTER, LOGIN = "/auth/register", "/auth/login"
SEEN = [
    *(
        "ｊose",
        "joſe",
        "𝐣ose",
        "jоse",
        "јose",
        "јоѕе",
        "jοse",
        "jose\ufe0f",
        "JOSE",
        "ʝose",
        "j\u0307ose",
        "ꭻose",
        "jσse",
    ),
    *("𝓳𝓸𝓼𝓮", "ⓙose", "jºse"),
]


def test_what_looks_like_a_taken_address_is_taken(api: Api) -> None:
    """As github.com/bytebase/bytebase/issues/18943 asks for."""
    tail = f"{secrets.token_hex(6)}@example.com"
    api.post(REGISTER, {"email": f"jose{tail}", "password": PASSWORD}).ok(201)
    for spelling in SEEN:
        answer = api.post(REGISTER, {"email": f"{spelling}{tail}", "password": PASSWORD})
        assert answer.status in (409, 422), (spelling, answer.json)
        assert answer.json["code"] in ("email_taken", "validation_error")
    taken = [api.post(REGISTER, {"email": f"{each}{tail}", "password": PASSWORD}).status for each in SEEN[:6]]
    assert taken == [409] * 6


def test_the_other_way_round_too(api: Api) -> None:
    tail = f"{secrets.token_hex(6)}@example.com"
    body = {"email": f"јоѕе{tail}", "password": PASSWORD}
    assert api.post(REGISTER, body).ok(201)["user"]["email"] == body["email"], "it is kept as it is written"
    api.post(REGISTER, body | {"email": f"jose{tail}"}).problem(409, "email_taken")
    api.post(LOGIN, body).ok()


def test_a_domain_that_looks_like_another_is_taken_with_its_addresses(api: Api) -> None:
    name = f"a{secrets.token_hex(5)}"
    api.post(REGISTER, {"email": f"{name}@example.com", "password": PASSWORD}).ok(201)
    for domain in ("exаmple.com", "ｅxample.com"):
        assert api.post(REGISTER, {"email": f"{name}@{domain}", "password": PASSWORD}).status in (409, 422)


@pytest.mark.parametrize(
    ("one", "other"),
    [("jose", "josé"), ("paul1", "paull"), ("modem", "modern"), ("o0", "oo"), ("cao", "ção"), ("ana", "аня")],
)
def test_addresses_that_differ_to_the_eye_or_are_both_plain_are_two(api: Api, one: str, other: str) -> None:
    tail = f"{secrets.token_hex(6)}@example.com"
    for name in (one, other):
        api.post(REGISTER, {"email": f"{name}{tail}", "password": PASSWORD}).ok(201)


@pytest.mark.parametrize("name", ["јose", "ｊose", "joſe", "𝐣ose", "jose\u200b"])
def test_user_names_are_plain(api: Api, name: str) -> None:
    body = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "username": name}
    assert list(api.post(REGISTER, body).problem(422, "validation_error")["errors"]) == ["username"]


def test_people_who_registered_as_look_alikes_before_keep_their_own_log_in(api: Api) -> None:
    tail = f"{secrets.token_hex(6)}@example.com"
    plain = new_person(api.target, email=f"jose{tail}")
    other = new_person(api.target)
    app = app_of("auth")
    with app.app_context():
        app.db.session.add(Login(identifier=f"jоse{tail}", user_id=other.user_id))
        app.db.session.commit()
    for spelling, person in ((f"jose{tail}", plain), (f"JОSE{tail}", other), (f"ｊose{tail}", plain)):
        assert api.post(LOGIN, {"email": spelling, "password": PASSWORD}).ok()["user"]["id"] == person.user_id
    api.post(REGISTER, {"email": f"jоse{tail}", "password": PASSWORD}).problem(409, "email_taken")


def test_addresses_from_before_there_were_keys_are_given_theirs(api: Api) -> None:
    tail = f"{secrets.token_hex(6)}@example.com"
    person, other = new_person(api.target), new_person(api.target, email=f"ana{tail}")
    app = app_of("auth")
    with app.app_context():
        rows = [Login(identifier=f"{name}{tail}", user_id=UUID(person.user_id)) for name in ("јоse", "josé", "аna")]
        app.db.session.add_all(rows)
        app.db.session.commit()
        revision = import_module("services.auth.migrations.0002_guesses_devices_lookalikes")
        for _ in range(2):
            with app.db.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
                revision._key_identifiers()
    for spelling, whose in (("јоse", person), ("jose", person), ("josé", person), ("аna", person), ("ana", other)):
        grant = api.post(LOGIN, {"email": f"{spelling}{tail}", "password": PASSWORD}).ok()
        assert grant["user"]["id"] == whose.user_id
    api.post(REGISTER, {"email": f"jose{tail}", "password": PASSWORD}).problem(409, "email_taken")


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=400)
def test_a_key_is_its_own_key(text: str) -> None:
    key = identifiers.key(text)
    assert identifiers.key(key) == key
    assert identifiers.key(unicodedata.normalize("NFD", text)) == identifiers.key(unicodedata.normalize("NFC", text))


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789._+-@", min_size=1, max_size=30), st.data())
@settings(deadline=None)
def test_any_look_alike_of_a_plain_name_has_its_key(name: str, data: st.DataObject) -> None:
    options = [letter + LOOKALIKES.get(letter, "") + chr(ord(letter) + 0xFEE0) for letter in name]
    spelling = "".join(data.draw(st.sampled_from(letters)) for letters in options)
    assert identifiers.key(spelling) == name


@given(st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=20), st.text(max_size=20))
@settings(deadline=None)
def test_plain_names_share_no_key(one: str, other: str) -> None:
    assume(one.lower() != other.strip().lower() and other.isascii())
    assert identifiers.key(one) != identifiers.key(other)


def test_the_table_has_no_plain_letter_and_no_letter_twice() -> None:
    letters = "".join(LOOKALIKES.values())
    assert len(set(letters)) == len(letters) and not any(letter.isascii() for letter in letters)
    assert all(len(plain) == 1 and plain.isascii() for plain in LOOKALIKES)

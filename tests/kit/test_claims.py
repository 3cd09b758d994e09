"""A token is read in one way only, and what is not written in that way is refused before anything else is done."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import claims
from kit.claims import InvalidToken

KIND = claims.kind("test+jwt", timedelta(minutes=1), sub=claims.is_uuid)
ID = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2d"
HEAD = {"alg": "EdDSA", "typ": "test+jwt", "kid": "k"}
BODY = {"iss": "auth", "aud": "alicerce", "iat": 1_000, "exp": 1_060, "sub": ID}
SIGNATURE = bytes(64)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def written(head: Any = HEAD, body: Any = BODY) -> str:
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body)]
    return ".".join(map(encoded, (*parts, SIGNATURE)))


def test_a_well_formed_one_is_read() -> None:
    assert claims.read(written(), KIND) == (HEAD, BODY)
    more = {**BODY, "nbf": 1_000, "jti": "x", "anything": {"else": [1.5, None]}}
    assert claims.read(written(body=more), KIND)[1] == more


@given(st.sampled_from(sorted(BODY)), JSON)
def test_a_claim_of_any_other_shape_is_refused_and_nothing_else_happens(name: str, value: Any) -> None:
    token = written(body={**BODY, name: value})
    try:
        _, read = claims.read(token, KIND)
    except InvalidToken:
        return
    assert type(read[name]) is type(BODY[name])
    assert 0 <= read["exp"] - read["iat"] <= 60
    assert read["sub"] == ID


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        claims.read(text, KIND)


@given(st.integers(0, len(written()) - 1), st.characters(max_codepoint=255))
def test_no_second_text_is_the_same_token(at: int, letter: str) -> None:
    token = written()
    other = token[:at] + letter + token[at + 1 :]
    if other == token:
        return
    try:
        head, body = claims.read(other, KIND)
    except InvalidToken:
        return
    signature = base64.urlsafe_b64decode(other.rsplit(".", 1)[1] + "==")
    assert (head, body, signature) != (HEAD, BODY, SIGNATURE)


@given(JSON, JSON)
def test_any_json_is_refused_or_read(head: Any, body: Any) -> None:
    with pytest.raises(InvalidToken):
        claims.read(written(head, body), KIND)


@pytest.mark.parametrize("digits", [17, 400, 4_001, 4_300, 5_000])
def test_numbers_of_many_digits_are_refused_before_they_are_numbers(digits: int) -> None:
    for name in ("exp", "iat", "nbf", "other"):
        body = json.dumps(BODY)[:-1] + f', "{name}": {"9" * digits}}}'
        body = body.replace(f'"{name}": 1000, ', "").replace(f'"{name}": 1060, ', "")
        with pytest.raises(InvalidToken):
            claims.read(written(body=body.encode()), KIND)


@pytest.mark.parametrize("depth", [10, 500, 3_000])
def test_nesting_is_no_way_to_an_error_of_ours(depth: int) -> None:
    with pytest.raises(InvalidToken):
        claims.read(written(body=b"[" * depth), KIND)

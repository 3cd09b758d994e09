"""What the gateway takes for an access token, and how long."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest

from kit import clock, tokens
from tests.api import Api, Person

PATH = "/api/customers/"


def resigned(token: str, *, component: str = "access", header: Any = None, claims: Any = None, drop: str = "") -> str:
    """The token again with some members changed, properly signed by a component's key."""
    kid, key = tokens.keyring().signing_key(component)
    full = jwt.get_unverified_header(token) | {"kid": kid} | (header or {})
    body = jwt.decode(token, options={"verify_signature": False}) | (claims or {})
    body.pop(drop, None)
    return jwt.encode(body, key, "EdDSA", headers={name: value for name, value in full.items() if value is not None})


# Every form of forgery, at every route: tests/security/test_forged_identity.py. Here: what each kind is called.
REFUSALS: dict[str, Callable[[str], str]] = {
    "unauthenticated": lambda t: "",
    "invalid_token": lambda t: t[:-10],
    "token_expired": lambda t: resigned(t, claims={"exp": 1_000_000_000, "iat": 999_999_000}),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refused_token_is_told_why(owner: Person, code: str) -> None:
    answer = Api(owner.target).get(PATH, headers={"Authorization": f"Bearer {REFUSALS[code](owner.token)}"})
    answer.problem(401, code)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk"])
def test_keys_named_by_the_token_are_never_looked_at(owner: Person, header: str) -> None:
    own = resigned(owner.token, header={header: "http://127.0.0.1:1/keys.json"})
    Api(owner.target, own).get(PATH).ok()
    head, rest = own.split(".", 1)
    Api(owner.target, f"{head}.{rest[:-4]}AAAA").get(PATH).problem(401, "invalid_token")


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "bearer ", "Token x", "Bearer a b"])
def test_another_scheme_is_not_logged_in(api: Api, value: str) -> None:
    assert api.get(PATH, headers={"Authorization": value}).status == 401


def test_two_authorization_headers_are_refused(owner: Person) -> None:
    both = f"Bearer {owner.token}, Bearer {owner.token}"
    Api(owner.target).get(PATH, headers={"Authorization": both}).problem(400, "malformed_headers")


def test_a_remembered_token_still_expires(owner: Person) -> None:
    owner.get(PATH).ok()
    with clock.shifted(timedelta(minutes=31)):
        owner.get(PATH).problem(401, "token_expired")


def test_a_remembered_token_is_refused_once_revoked(owner: Person) -> None:
    owner.get(PATH).ok()
    owner.post("/auth/logout", {}).ok()
    owner.get(PATH).problem(401, "token_revoked")


def test_an_internal_token_is_used_again_for_seconds_and_not_across_a_revocation(
    platform: Any, owner: Person, stranger: Person
) -> None:
    authenticate = platform.proxy.authenticator.authenticate
    header = f"Bearer {owner.token}"
    first = authenticate(header).internal
    assert authenticate(header).internal == first
    with clock.shifted(timedelta(seconds=21)):
        later = authenticate(header).internal
    assert later != first
    stranger.post("/auth/logout", {}).ok()
    assert authenticate(header).epoch == platform.proxy.authenticator.revocations.epoch


def test_what_is_remembered_is_bounded(platform: Any, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.auth.REMEMBERED", 3)
    for _ in range(10):
        Api(owner.target, resigned(owner.token, claims={"jti": str(clock.new_id())})).get(PATH).ok()
    assert len(platform.proxy.authenticator._known) <= 3


def test_when_revocations_cannot_be_read_tokens_hold_for_a_while_and_then_no_more(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contracts import revocations
    from kit.errors import Unavailable

    def unreadable(*_: Any) -> Any:
        raise Unavailable

    owner.get(PATH).ok()
    monkeypatch.setattr(revocations, "since", unreadable)
    owner.get(PATH).ok()
    monkeypatch.setenv("REVOCATION_BOUND_SECONDS", "0")
    answer = owner.get(PATH)
    answer.problem(503, "revocations_unknown")
    assert answer.headers["Retry-After"] == "1"

"""What the gateway takes for an access token, and how long."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit import clock, identity, tokens
from kit.identity import GATEWAY, Identity
from tests.api import Api, Person

PATH = "/api/customers/"
EXPIRED = "an access token that has expired"


def encode(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def resigned(token: str, *, component: str = "access", header: Any = None, claims: Any = None, drop: str = "") -> str:
    """The token again with some members changed, properly signed by a component's key."""
    kid, key = tokens.keyring().signing_key(component)
    full = jwt.get_unverified_header(token) | {"kid": kid} | (header or {})
    body = jwt.decode(token, options={"verify_signature": False}) | (claims or {})
    body.pop(drop, None)
    return jwt.encode(body, key, "EdDSA", headers={name: value for name, value in full.items() if value is not None})


def with_algorithm(token: str, algorithm: str, key: Any) -> str:
    header = jwt.get_unverified_header(token)
    body = jwt.decode(token, options={"verify_signature": False})
    if algorithm == "none":
        return f"{encode(header | {'alg': 'none'})}.{encode(body)}."
    return jwt.encode(body, key, algorithm, headers={"kid": header["kid"], "typ": header["typ"]})


def public_key_text(token: str) -> bytes:
    owner = tokens.keyring().find(jwt.get_unverified_header(token)["kid"])
    return bytes(owner.key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{encode(claims | {'roles': ['platform_admin']})}.{signature}"


def stranger_key(token: str) -> str:
    header = jwt.get_unverified_header(token)
    body = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(body, Ed25519PrivateKey.generate(), "EdDSA", headers={"kid": header["kid"], "typ": header["typ"]})


FORGERIES: dict[str, Callable[[str], str]] = {
    "no token": lambda t: "",
    "garbage": lambda t: "garbage",
    "three dots": lambda t: "...",
    "cut": lambda t: t[:-10],
    "without signature": lambda t: t.rsplit(".", 1)[0] + ".",
    "another body under the signature": tampered,
    "a key of nobody under a known kid": stranger_key,
    "too long": lambda t: t + "A" * 9000,
    "alg none": lambda t: with_algorithm(t, "none", None),
    "HS256 with the public key": lambda t: with_algorithm(t, "HS256", public_key_text(t)),
    "HS256 with an empty-looking secret": lambda t: with_algorithm(t, "HS256", b"0" * 32),
    "signed by the gateway": lambda t: resigned(t, component="gateway"),
    "signed by tenant in its own name": lambda t: resigned(t, component="tenant", claims={"iss": "tenant"}),
    "signed by tenant as access": lambda t: resigned(t, component="tenant"),
    "signed by auth's workload key": lambda t: resigned(t, component="auth"),
    "unknown kid": lambda t: resigned(t, header={"kid": "access-00000000"}),
    "no kid": lambda t: resigned(t, header={"kid": None}),
    "kid as a path": lambda t: resigned(t, header={"kid": "../../public.json"}),
    "typ JWT": lambda t: resigned(t, header={"typ": "JWT"}),
    "typ of an internal token": lambda t: resigned(t, header={"typ": tokens.INTERNAL}),
    "no typ": lambda t: resigned(t, header={"typ": None}),
    "crit": lambda t: resigned(t, header={"crit": ["x"], "x": 1}),
    "wrong issuer": lambda t: resigned(t, claims={"iss": "somebody"}),
    "no issuer": lambda t: resigned(t, drop="iss"),
    "wrong audience": lambda t: resigned(t, claims={"aud": "elsewhere"}),
    "no audience": lambda t: resigned(t, drop="aud"),
    "no expiry": lambda t: resigned(t, drop="exp"),
    "expiry as text": lambda t: resigned(t, claims={"exp": "never"}),
    "not yet valid": lambda t: resigned(t, claims={"nbf": 9_999_999_999}),
    "issued in the future": lambda t: resigned(t, claims={"iat": 9_999_999_999}),
    "no subject": lambda t: resigned(t, drop="sub"),
    "subject that is no id": lambda t: resigned(t, claims={"sub": "1 OR 1=1"}),
    "no session": lambda t: resigned(t, drop="sid"),
    "no roles": lambda t: resigned(t, drop="roles"),
    "roles that are no list": lambda t: resigned(t, claims={"roles": {"owner": [1]}, "tenant_id": 5}),
    "a refresh type": lambda t: resigned(t, claims={"type": "refresh"}),
    "an internal token": lambda t: identity.mint(GATEWAY, Identity()),
    "a workload token": lambda t: identity.mint("tenant", Identity(), workload=True),
    EXPIRED: lambda t: resigned(t, claims={"exp": 1_000_000_000, "iat": 999_999_000}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_opens_nothing(owner: Person, name: str) -> None:
    forged = FORGERIES[name](owner.token)
    answer = Api(owner.target).get(PATH, headers={"Authorization": f"Bearer {forged}"})
    codes = {"": "unauthenticated", EXPIRED: "token_expired"}
    answer.problem(401, codes.get(forged and name, "invalid_token"))
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

"""Bearer token to identity. Flask-JWT-Extended decides; what it decided is remembered, and revocations are obeyed."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask import Flask
from flask_jwt_extended import JWTManager, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from contracts import roles
from gateway.headers import Headers
from gateway.revocations import Revocations
from kit import claims, clock, identity, tokens
from kit.errors import Unauthenticated
from kit.identity import GATEWAY, MISSHAPEN, Identity

REMEMBERED = 4096
MINTED_REUSE_S = 20


class InvalidToken(Unauthenticated):
    """The access token is not valid. Log in again."""


class TokenExpired(Unauthenticated):
    """The access token has expired. Refresh it, or log in again."""


class TokenRevoked(Unauthenticated):
    """The access token was revoked. Refresh it, or log in again."""


@dataclass(slots=True)
class Principal:
    """A person as an access token names them, with the internal token that was last minted for it."""

    identity: Identity
    issued_ms: int
    expires: int
    internal: str = ""
    minted: float = 0.0
    epoch: int = -1
    proof: Headers = field(default_factory=list)

    def renew(self, epoch: int) -> None:
        """Mint an internal token, and say whom requests speak for in the words that services check."""
        who = self.identity
        named = (("X-User-Id", who.user_id), ("X-Tenant-Id", who.tenant_id))
        self.internal = identity.mint(GATEWAY, who)
        self.proof = [(identity.HEADER, self.internal), *((name, str(value)) for name, value in named if value)]
        # Last, for another thread may look meanwhile: what it finds marked as new has to be new.
        self.minted, self.epoch = clock.timestamp(), epoch


class Authenticator:
    """Checks access tokens of one gateway process."""

    def __init__(self, app: Flask, revocations: Revocations) -> None:
        self.app, self.revocations = app, revocations
        self._known: dict[str, Principal] = {}
        self._keyring = tokens.keyring()
        self._keys = 0
        app.config.update(
            JWT_ALGORITHM=tokens.ALGORITHM,
            JWT_DECODE_ALGORITHMS=[tokens.ALGORITHM],
            JWT_DECODE_AUDIENCE=tokens.AUDIENCE,
            JWT_DECODE_ISSUER=tokens.ACCESS_COMPONENT,
            JWT_DECODE_LEEWAY=tokens.LEEWAY_S,
        )
        JWTManager(app).decode_key_loader(_key)

    def authenticate(self, authorization: str) -> Principal:
        """Whom an Authorization header speaks for, with an internal token to forward.

        Raises Unauthenticated, InvalidToken, TokenExpired, TokenRevoked; Unavailable when revocations are unknown.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        self._forget_with_keys()
        principal = self._known.get(token) or self._decode(token)
        if principal.expires + tokens.LEEWAY_S < clock.timestamp():
            raise TokenExpired
        self.revocations.refresh()
        if self.revocations.covers(principal.identity, principal.issued_ms):
            self._known.pop(token, None)
            raise TokenRevoked
        epoch = self.revocations.epoch
        if principal.epoch != epoch or clock.timestamp() - principal.minted > MINTED_REUSE_S:
            principal.renew(epoch)
        return principal

    def _forget_with_keys(self) -> None:
        """What a key proved is believed no longer than the key: they may have changed since."""
        keys = self._keyring.refresh()
        if keys != self._keys:
            self._known.clear()
            self._keys = keys

    def _decode(self, token: str) -> Principal:
        try:
            _, payload = claims.read(token, tokens.KINDS[tokens.ACCESS])
            with self.app.app_context():
                decode_token(token, allow_expired=True)
            tokens.check_begun(payload)
            principal = _principal(payload)
        except (PyJWTError, JWTExtendedException, tokens.InvalidToken, *MISSHAPEN) as error:
            raise InvalidToken from error
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = principal
        return principal


def _key(header: dict[str, Any], _claims: dict[str, Any]) -> Any:
    # RFC 8725, 3.11: a token of another kind, or signed by another component's key, is no access token.
    owner = tokens.keyring().find(header.get("kid"))
    if owner.component != tokens.ACCESS_COMPONENT:
        raise tokens.InvalidToken("not an access token")
    return owner.key


def _principal(payload: dict[str, Any]) -> Principal:
    tenant_id = payload["tenant_id"]
    who = Identity(
        caller=GATEWAY,
        user_id=UUID(payload["sub"]),
        tenant_id=UUID(tenant_id) if tenant_id else None,
        session_id=UUID(payload["sid"]),
        permissions=roles.permissions(payload["roles"]),
    )
    return Principal(who, payload["iat_ms"], payload["exp"])

"""Access tokens at a service's own door, checked by asking auth: for a service that is reached without the gateway.

Off by default. `TOKEN_VALIDATION=remote` costs a call per request, and honours a logout at once; the service holds no
secret for it.
"""

from dataclasses import dataclass
from uuid import UUID

from kit.client import Sibling, address
from kit.config import one_of, setting
from kit.errors import Problem, Unauthenticated
from kit.identity import GATEWAY, Identity
from kit.tokens import MAX_TOKEN_BYTES

TOKEN_VALIDATION = setting(
    "TOKEN_VALIDATION",
    "off",
    "Whether a service takes access tokens itself, by asking auth.",
    one_of("off", "remote"),
)
AUTH = Sibling("auth")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What auth says about an access token."""

    valid: bool
    user_id: UUID | None = None
    tenant_id: UUID | None = None
    sid: UUID | None = None
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    status: str


def is_on(service: str) -> bool:
    """Whether this service asks auth about tokens."""
    return TOKEN_VALIDATION.of(service) == "remote"


def identify(authorization: str) -> Identity:
    """Whom a bearer token speaks for, according to auth. Raises Unauthenticated, Unavailable."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    verdict = Verdict(False)
    if len(token) <= MAX_TOKEN_BYTES:
        verdict = AUTH.post(Verdict, "validate-token", token=token)
    if not verdict.valid:
        raise Unauthenticated("The access token is not valid. Log in again.", code="invalid_token")
    return Identity(GATEWAY, verdict.user_id, verdict.tenant_id, verdict.sid, frozenset(verdict.permissions))


def url() -> str:
    """Where auth is asked."""
    return address(AUTH.name)


def health() -> str:
    """How auth is: what it says of itself, or `unreachable`."""
    try:
        return AUTH.get(Health, "health").status
    except Problem:
        return "unreachable"

"""Auth over HTTP."""

from typing import Any
from uuid import UUID

from flask import request

from kit.blueprint import Blueprint
from kit.errors import BadRequest
from kit.identity import internal, public, requires
from kit.revocation import feed
from kit.tokens import ACCESS_COMPONENT, keyring
from services.auth import domain, models, schemas

auth = Blueprint("auth", __name__, description="Registering, logging in, and sessions.")
siblings = Blueprint("siblings", __name__, url_prefix="/internal")


class MissingToken(BadRequest):
    """Send the token to check, as `token` in the body or as a bearer token."""


@auth.post("/register")
@public
@auth.accepts(schemas.Registration)
@auth.answers(201, schemas.User, message="Registered. You can log in now.")
def register(data: dict[str, Any]) -> models.User:
    """Register a person."""
    return domain.register(**data)


@auth.post("/login")
@public
@auth.accepts(schemas.Credentials)
@auth.answers(200, schemas.Grant, message="Logged in.")
def login(data: dict[str, Any]) -> domain.Grant:
    """Log in with an e-mail address or user name, and a password.

    After five wrong tries at one account, from wherever they come, each further one has to wait: a minute, then twice
    as long each time, at most a quarter of an hour (429 with `Retry-After`; the right password waits too). Then one
    try is open, for whoever comes first. While an account waits under another of its names, the right password is
    wrong (401) for five tries, then 429. A client that sends the `device_token` of an earlier log-in is counted alone,
    and does not wait for strangers.
    """
    return domain.login(**data)


@auth.post("/refresh")
@public
@auth.accepts(schemas.Refresh)
@auth.answers(200, schemas.Grant, message="Refreshed.")
def refresh(data: dict[str, Any]) -> domain.Grant:
    """Exchange a refresh token for a new pair of tokens."""
    return domain.refresh(**data)


@auth.get("/me")
@requires(bearer=True)
@auth.answers(200, schemas.Me)
def me() -> dict[str, Any]:
    """Show oneself, one's present tenant and all memberships."""
    return domain.me()


@auth.post("/logout")
@requires()
@auth.accepts(schemas.Logout)
@auth.answers(200, message="Logged out.")
def logout(data: dict[str, Any]) -> None:
    """End this session, the others, or all."""
    domain.logout(**data)


@auth.post("/password/change")
@requires()
@auth.accepts(schemas.PasswordChange)
@auth.answers(200, message="Password changed; all other sessions have ended.")
def change_password(data: dict[str, Any]) -> None:
    """Change one's password.

    Wrong tries at the present password are counted by person, as at the log-in but apart from it: 429 with
    `Retry-After`. Every device token is void afterwards.
    """
    domain.change_password(**data)


@auth.post("/switch-tenant")
@requires()
@auth.accepts(schemas.Switch)
@auth.answers(200, schemas.Grant, message="Switched.")
def switch_tenant(data: dict[str, Any]) -> domain.Grant:
    """Get an access token for another of one's tenants."""
    return domain.switch_tenant(**data)


@auth.post("/validate-token")
@public
@auth.accepts(schemas.TokenToCheck)
@auth.answers(200, schemas.Verdict)
def validate_token(data: dict[str, Any]) -> dict[str, Any]:
    """Check an access token, given in the body or as a bearer token."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    token = data.get("token") or (bearer if scheme.lower() == "bearer" else "")
    if not token:
        raise MissingToken
    return domain.validate_token(token)


@auth.get("/.well-known/jwks.json")
@public
@auth.answers(200)
def jwks() -> dict[str, Any]:
    """The public keys of access tokens (RFC 7517)."""
    return keyring().published(ACCESS_COMPONENT)


@siblings.get("/users/<uuid:user_id>")
@internal("tenant")
@siblings.answers(200, schemas.Person)
def get_person(user_id: UUID) -> models.User:
    """Show a person to tenant."""
    return domain.get_person(user_id)


# For one version: the tenant service of the version before asks here, also while this one replaces it. It answers ids
# alone, because no route may lead from an address to a person. To be removed with the next version.
@siblings.get("/users")
@internal("tenant")
@siblings.filters(schemas.Identifier)
@siblings.answers(200, schemas.Person)
def find_person(query: dict[str, Any]) -> models.User:
    """Show a person to tenant of the version before, by id."""
    return domain.person_of_id(**query)


blueprints = (auth, siblings, feed(models.db, models.Revocation))

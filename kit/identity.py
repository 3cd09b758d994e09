"""Who is asking. Every request carries exactly one verified identity: a person, a sibling service, or nobody.

`X-User-Id` and `X-Tenant-Id` are for people and tools to read. The only thing that opens a door is the internal
token (`Txn-Token`) that the gateway, or a sibling with its own key, signed less than a minute ago.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import g
from werkzeug.local import LocalProxy

from kit import tokens
from kit.errors import BadRequest, Forbidden, Unauthenticated

HEADER = "Txn-Token"
LIFETIME_S = 60
GATEWAY = "gateway"
MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)  # what claims of other types than ours run into

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a request speaks for. `caller` is the component that vouches for it; empty when nobody does."""

    caller: str = ""
    user_id: UUID | None = None
    tenant_id: UUID | None = None
    session_id: UUID | None = None
    permissions: frozenset[str] = frozenset()
    workload: bool = False
    token: str = field(default="", repr=False)

    def may(self, permission: str) -> bool:
        """Whether `noun:verb` was granted, by itself or as `*:verb`."""
        return permission in self.permissions or f"*:{permission.partition(':')[2]}" in self.permissions


NOBODY = Identity()


def _present() -> Identity:
    return cast(Identity, g.get("identity", NOBODY))


current = cast(Identity, LocalProxy(_present))


@dataclass(frozen=True, slots=True)
class Access:
    """What a route accepts. `callers` names the siblings of an internal route; `bearer` admits an access token, and
    `visitors` nobody in particular."""

    kind: str
    permission: str | None = None
    callers: frozenset[str] = frozenset()
    bearer: bool = False
    visitors: bool = False


def _marked(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


def requires(permission: str | None = None, *, bearer: bool = False, visitors: bool = False) -> Callable[[View], View]:
    """A person, logged in; and holding this permission, when one is named.

    `bearer` also admits a person's own access token: for the few routes that check the session themselves.
    `visitors` also admits nobody: for routes whose verbs decide what may be seen without logging in.
    """
    return _marked(Access("person", permission, bearer=bearer, visitors=visitors))


def public(view: View) -> View:
    """Anybody, logged in or not."""
    return _marked(Access("public"))(view)


def internal(*callers: str) -> Callable[[View], View]:
    """The named components only, each by its own key; never reachable through the gateway's proxy."""
    return _marked(Access("internal", callers=frozenset(callers)))


def mint(signer: str, who: Identity, *, workload: bool = False) -> str:
    """An internal token in which `signer` vouches for a person, or speaks as itself, for a minute."""
    claims: dict[str, Any] = {
        "sub": f"svc:{signer}" if workload else str(who.user_id),
        "wl": workload,
        "uid": _text(who.user_id),
        "tid": _text(who.tenant_id),
        "sid": _text(who.session_id),
        "perms": [] if workload else sorted(who.permissions),
    }
    sign = tokens.keyring().sign_again if workload else tokens.keyring().sign
    return sign(signer, tokens.INTERNAL, LIFETIME_S, claims)


def identify(headers: Any, *, bearer: bool = False) -> Identity:
    """The identity that a request's headers prove. Raises Unauthenticated or BadRequest."""
    token = headers.get(HEADER)
    if not token:
        return agreeing(_bearer(headers.get("Authorization", "")), headers) if bearer else NOBODY
    try:
        claims = tokens.keyring().verify(token, tokens.INTERNAL)
        who = Identity(
            caller=claims["iss"],
            user_id=_uuid(claims["uid"]),
            tenant_id=_uuid(claims["tid"]),
            session_id=_uuid(claims["sid"]),
            permissions=frozenset(claims["perms"]),
            workload=claims["wl"],
            token=token,
        )
    except (tokens.InvalidToken, *MISSHAPEN) as error:
        raise Unauthenticated("The internal token is not valid.", code="invalid_token") from error
    return agreeing(who, headers)


def agreeing(who: Identity, headers: Any) -> Identity:
    """The same identity, unless it is somebody and the headers that people read name another. Raises BadRequest."""
    if not who.caller:
        return who  # headers alone open nothing, so they contradict nothing either
    for name, value in (("X-User-Id", who.user_id), ("X-Tenant-Id", who.tenant_id)):
        if name in headers and headers[name] != _text(value):
            raise BadRequest(f"{name} differs from the identity that was verified.", code="identity_mismatch")
    return who


def _bearer(authorization: str) -> Identity:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return NOBODY
    try:
        claims = tokens.keyring().verify(token, tokens.ACCESS)
        return Identity(GATEWAY, UUID(claims["sub"]), _uuid(claims["tenant_id"]), _uuid(claims["sid"]))
    except (tokens.InvalidToken, *MISSHAPEN) as error:
        raise Unauthenticated("The access token is not valid.", code="invalid_token") from error


def admit(who: Identity, access: Access) -> None:
    """Let this identity through a route's door, or raise. Raises Unauthenticated or Forbidden."""
    if access.kind == "public" or (access.visitors and not who.caller):
        return
    if access.kind == "internal":
        if not who.workload or who.caller not in access.callers:
            raise Unauthenticated("This route answers sibling services only.")
        return
    # A sibling acting for a person shows the person's own token, never its workload token: a workload has
    # no permissions, so that a stolen service key opens nothing that people can reach.
    if who.caller != GATEWAY or who.workload or who.user_id is None:
        raise Unauthenticated
    if access.permission and not who.may(access.permission):
        raise Forbidden(f"This needs the permission {access.permission}.", permission=access.permission)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _uuid(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)

"""Sessions: access tokens, and refresh tokens that rotate (RFC 9700, 4.14).

A refresh token works once. Its successor is derived from it with a key of auth's own, so that an identical repeat
within ten seconds (a lost answer, two tabs) gets the very same successor, without any secret being stored; a later
repeat means that somebody else holds the token, and ends the session.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from contracts import tenant
from contracts.roles import PLATFORM_ADMIN
from kit import clock, tokens
from kit.config import setting
from kit.errors import NotFound, Unauthenticated
from kit.identity import current
from kit.revocation import revoke
from services.auth.models import RefreshToken, Revocation, Session, User, db

LONGEST_MINUTES = int(tokens.RETIRED_FOR.total_seconds()) // 60


def minutes(text: str) -> int:
    """Read the life of an access token. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LONGEST_MINUTES):
        raise ValueError(f"use a whole number from 1 to {LONGEST_MINUTES}")
    return int(text)


ACCESS_TOKEN_EXPIRE_MINUTES = setting(
    "ACCESS_TOKEN_EXPIRE_MINUTES", 30, "Life of an access token, at most a day.", minutes
)

IDLE = timedelta(days=14)
ABSOLUTE = timedelta(days=90)
GRACE = timedelta(seconds=10)


class InvalidRefreshToken(Unauthenticated):
    """This refresh token is not valid. Log in again."""


class RefreshTokenReused(Unauthenticated):
    """This refresh token was used before, so its session has been ended for safety. Log in again."""

    durable = True  # the session stays ended although the answer is an error


class SessionEnded(Unauthenticated):
    """This session has ended. Log in again."""


class NotAMember(NotFound):
    """You are not a member of this tenant."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a log-in. `refresh_token` and `device_token` are absent where the client keeps those it has."""

    user: User
    access_token: str
    expires_in: int
    tenant_id: UUID | None
    refresh_token: str | None = None
    device_token: str | None = None
    token_type: str = "bearer"  # noqa: S105 - a word of RFC 6750


def open_session(user: User, membership: tenant.Membership | None) -> Grant:
    """Begin a session of a person who has just proved who they are."""
    session = Session(
        user_id=user.user_id,
        id=clock.new_id(),
        tenant_id=membership.tenant_id if membership else None,
        expires_at=clock.now() + ABSOLUTE,
    )
    db.session.add(session)
    db.session.flush()
    secret = secrets.token_bytes(32)
    _keep(session, secret)
    return grant(user, session, membership, _compose(user.user_id, secret))


def refresh(refresh_token: str) -> Grant:
    """A new pair of tokens for a refresh token. Raises InvalidRefreshToken, RefreshTokenReused, SessionEnded."""
    user_id, secret = _parse(refresh_token)
    db.act_for(user_id)
    row = db.session.get(RefreshToken, (user_id, _digest(secret)))
    if row is None or row.expires_at < clock.now():
        raise InvalidRefreshToken
    session = live_session(user_id, row.session_id)
    user = db.session.get(User, user_id)
    if user is None or not user.is_active:
        raise SessionEnded
    membership = _membership(user_id, session.tenant_id)
    if not _spend(row):
        raise RefreshTokenReused
    successor = hmac.digest(tokens.keyring().derive("auth", "refresh successor"), secret, "sha256")
    _keep(session, successor)
    _work_in(session, membership)
    return grant(user, session, membership, _compose(user_id, successor))


def _spend(row: RefreshToken) -> bool:
    """Use a token up; False when that ended its session. One statement, so that of two racers one wins."""
    unused = update(RefreshToken).where(RefreshToken.digest == row.digest, RefreshToken.used_at.is_(None))
    won = db.session.execute(unused.values(used_at=clock.now()).returning(RefreshToken.digest)).first()
    if won:
        return True
    db.session.refresh(row)
    if row.used_at is not None and clock.now() - row.used_at <= GRACE:
        return True
    end_session(row.user_id, row.session_id)
    return False


def live_session(user_id: UUID, session_id: UUID | None) -> Session:
    """A session that still holds. Raises SessionEnded."""
    session = db.session.get(Session, (user_id, session_id)) if session_id else None
    if session is None or session.revoked_at is not None or session.expires_at < clock.now():
        raise SessionEnded
    return session


def end_session(user_id: UUID, session_id: UUID) -> None:
    """End a session: its refresh tokens at once, its access tokens as soon as the gateway has heard of it."""
    live = (Session.user_id == user_id, Session.id == session_id, Session.revoked_at.is_(None))
    ended = update(Session).where(*live).values(revoked_at=clock.now()).returning(Session.id)
    if db.session.execute(ended).first():
        revoke(db, Revocation, "session", session_id)


def end_other_sessions(user_id: UUID, kept: UUID | None) -> None:
    """End every session of a person but one, and forget the devices that logged in so far.

    Always in the same order: two who do it at once must not deadlock.
    """
    db.session.execute(update(User).where(User.user_id == user_id).values(devices_since=clock.now()))
    live = select(Session.id).where(Session.user_id == user_id, Session.revoked_at.is_(None))
    for session_id in db.session.scalars(live.order_by(Session.id)).all():
        if session_id != kept:
            end_session(user_id, session_id)


def switch_tenant(tenant_id: UUID) -> Grant:
    """An access token of the same session for another of one's tenants. Raises NotAMember, SessionEnded."""
    user_id = current.user_id
    if user_id is None:
        raise SessionEnded
    session = live_session(user_id, current.session_id)
    user = db.session.get_one(User, user_id)
    membership = choose(tenant.memberships_of(user_id), tenant_id)
    if membership is None:
        raise NotAMember
    _work_in(session, membership)
    return grant(user, session, membership, None)


def _work_in(session: Session, membership: tenant.Membership | None) -> None:
    # A statement rather than an assignment: parallel refreshes may all find that the tenant has changed, and none
    # of them may fail on the row version of another.
    tenant_id = membership.tenant_id if membership else None
    if session.tenant_id != tenant_id:
        same = (Session.user_id == session.user_id, Session.id == session.id)
        db.session.execute(update(Session).where(*same).values(tenant_id=tenant_id))


def check_membership(user_id: UUID, claims: dict[str, Any]) -> None:
    """Check that the role that an access token names still holds in its tenant. Raises NotAMember."""
    if claims["tenant_id"]:
        membership = choose(tenant.memberships_of(user_id), UUID(claims["tenant_id"]))
        if membership is None or membership.role not in claims["roles"]:
            raise NotAMember


def choose(memberships: list[tenant.Membership], tenant_id: UUID | None) -> tenant.Membership | None:
    """The membership of this tenant, or None."""
    return next((m for m in memberships if m.tenant_id == tenant_id), None)


def _membership(user_id: UUID, tenant_id: UUID | None) -> tenant.Membership | None:
    memberships = tenant.memberships_of(user_id)
    return choose(memberships, tenant_id) or next(iter(memberships), None)


def grant(user: User, session: Session, membership: tenant.Membership | None, refresh: str | None) -> Grant:
    """Sign an access token (RFC 9068) for a session working in a tenant, or in none."""
    lifetime_s = ACCESS_TOKEN_EXPIRE_MINUTES() * 60
    roles = [membership.role] if membership else []
    if user.is_platform_admin:
        roles.append(PLATFORM_ADMIN)
    claims = {
        "sub": str(user.user_id),
        "sid": str(session.id),
        "jti": str(clock.new_id()),
        "tenant_id": str(membership.tenant_id) if membership else None,
        "roles": roles,
        "type": "access",
        # Revocations are compared in milliseconds, so that a token got right after one is not taken for an old one.
        "iat_ms": int(clock.timestamp() * 1000),
    }
    token = tokens.keyring().sign(tokens.ACCESS_COMPONENT, tokens.ACCESS, lifetime_s, claims)
    return Grant(user, token, lifetime_s, membership.tenant_id if membership else None, refresh)


def _keep(session: Session, secret: bytes) -> None:
    kept = insert(RefreshToken).values(
        user_id=session.user_id,
        digest=_digest(secret),
        session_id=session.id,
        created_at=clock.now(),
        expires_at=min(clock.now() + IDLE, session.expires_at),
    )
    db.session.execute(kept.on_conflict_do_nothing())


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _compose(user_id: UUID, secret: bytes) -> str:
    # The person's id in clear leads to the fence that the token is then looked up behind.
    return f"rt_{user_id.hex}_{base64.urlsafe_b64encode(secret).decode().rstrip('=')}"


def _parse(token: str) -> tuple[UUID, bytes]:
    prefix, _, rest = token.partition("_")
    person, _, secret = rest.partition("_")
    try:
        if prefix != "rt":
            raise InvalidRefreshToken
        return UUID(hex=person), base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (ValueError, binascii.Error):
        raise InvalidRefreshToken from None

"""Devices: what tells the owner of an account from strangers while these guess (OWASP, device cookies).

Each log-in answers a device token, which the client keeps and shows at the next one. It proves nothing but that its
holder has logged in as this person before: tries that show it are counted by themselves, so that no stranger can use
them up. It holds no secret of ours and is kept nowhere; a changed password, and ending other sessions, void it.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import claims, clock, tokens
from services.auth.models import User

COMPONENT = "auth"
LIFETIME = timedelta(days=180)
TOKEN = tokens.declare("device+jwt", LIFETIME, sub=claims.is_uuid, did=claims.is_uuid, iat_ms=claims.is_moment_ms)


def issue(user: User, device_id: UUID | None) -> str:
    """Return a token for the device that a person has just logged in on; a device that is known keeps its id."""
    payload = {
        "sub": str(user.user_id),
        "did": str(device_id or clock.new_id()),
        "iat_ms": int(clock.timestamp() * 1000),
    }
    return tokens.keyring().sign(COMPONENT, TOKEN, int(LIFETIME.total_seconds()), payload)


def read(token: str | None) -> dict[str, Any] | None:
    """Return what a device token says; None for any other text."""
    try:
        payload = tokens.keyring().verify(token or "", TOKEN)
    except tokens.InvalidToken:
        return None
    return payload if payload["iss"] == COMPONENT else None


def recognise(payload: dict[str, Any] | None, user: User | None) -> UUID | None:
    """Return the id of the device, if this is the person who logged in on it and has not had it forgotten since."""
    if payload is None or user is None or payload["sub"] != str(user.user_id):
        return None
    if user.devices_since and payload["iat_ms"] < int(user.devices_since.timestamp() * 1000):
        return None
    return UUID(payload["did"])

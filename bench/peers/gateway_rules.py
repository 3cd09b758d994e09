"""What both gateways of the peers do with a request: check its token, strip what is claimed, inject what was proved.

The same libraries and the same bounded caches as the gateway's own, without its routes, limits, deadlines, metrics,
revocations and rules about paths.
"""

import os
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import orjson

UPSTREAM = os.environ["PEER_UPSTREAM"]
PREFIX = "/api"
REMEMBERED = 4096
BELIEVED_S = 30
MINTED_REUSE_S = 20
MINTED_S = 60

STRIPPED = frozenset(
    {
        *("host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade"),
        *("transfer-encoding", "content-length", "expect", "proxy", "forwarded", "x-real-ip", "x-request-id"),
        *("authorization", "cookie", "txn-token"),
    }
)
STRIPPED_PREFIXES = ("x-user-", "x-tenant-", "x-internal-", "x-forwarded-")
WITHHELD = frozenset({"connection", "keep-alive", "transfer-encoding", "server", "x-powered-by", "set-cookie", "date"})


class Refused(Exception):
    """The token does not hold."""


def _keys() -> tuple[dict[str, Any], str, bytes]:
    folder = Path(os.environ["PEER_KEYS"])
    entries = orjson.loads((folder / "public.json").read_bytes())["keys"]
    keys = {entry["kid"]: jwt.PyJWK(entry).key for entry in entries if entry["component"] == "access"}
    kid = next(entry["kid"] for entry in entries if entry["component"] == "gateway")
    return keys, kid, (folder / "private" / "gateway.pem").read_bytes()


KEYS, KID, PEM = _keys()
SIGNING_KEY = jwt.algorithms.OKPAlgorithm().prepare_key(PEM)


class Person:
    """Whom a checked token names, with the internal token that was last minted."""

    def __init__(self, claims: dict[str, Any]) -> None:
        self.user_id, self.tenant_id = str(UUID(claims["sub"])), str(UUID(claims["tenant_id"]))
        self.session_id, self.roles = claims["sid"], claims["roles"]
        self.believed_until = min(claims["exp"], time.time() + BELIEVED_S)
        self.internal, self.minted = "", 0.0

    def token(self) -> str:
        """The internal token for this person, minted anew every twenty seconds."""
        now = time.time()
        if now - self.minted > MINTED_REUSE_S:
            claims = {
                "iss": "gateway",
                "aud": "alicerce",
                "iat": int(now),
                "exp": int(now) + MINTED_S,
                "sub": self.user_id,
                "uid": self.user_id,
                "tid": self.tenant_id,
                "sid": self.session_id,
                "perms": self.roles,
            }
            headers = {"kid": KID, "typ": "txntoken+jwt"}
            self.internal, self.minted = jwt.encode(claims, SIGNING_KEY, "EdDSA", headers), now
        return self.internal


_known: dict[str, Person] = {}


def authenticate(authorization: str | None) -> Person:
    """Whom a bearer token names. Raises Refused."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused
    person = _known.get(token)
    if person is None or person.believed_until < time.time():
        try:
            key = KEYS[jwt.get_unverified_header(token)["kid"]]
            options = {"require": ["exp", "sub"]}
            claims = jwt.decode(token, key, ["EdDSA"], options, audience="alicerce", issuer="access")
            person = Person(claims)
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            raise Refused from error
        if len(_known) >= REMEMBERED:
            _known.clear()
        _known[token] = person
    return person


def request_headers(received: Iterable[tuple[str, str]], person: Person, client: str) -> tuple[dict[str, str], str]:
    """What is passed on, and the request's id."""
    request_id = secrets.token_hex(16)
    headers = {
        name: value
        for name, value in received
        if name.lower() not in STRIPPED and not name.lower().startswith(STRIPPED_PREFIXES) and "_" not in name
    }
    headers |= {
        "X-User-Id": person.user_id,
        "X-Tenant-Id": person.tenant_id,
        "Txn-Token": person.token(),
        "X-Forwarded-For": client,
        "X-Request-Id": request_id,
    }
    return headers, request_id


def response_headers(received: Iterable[tuple[str, str]], request_id: str) -> dict[str, str]:
    """What of an answer the client sees."""
    headers = {name: value for name, value in received if name.lower() not in WITHHELD}
    return headers | {"X-Request-Id": request_id}


def log(method: str, path: str, status: int, started: float, request_id: str, person: Person) -> None:
    """One JSON line."""
    line = {
        "time": time.time(),
        "message": "request",
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": status,
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "user_id": person.user_id,
        "tenant_id": person.tenant_id,
    }
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()

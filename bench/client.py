"""Somebody who asks the platform over one kept connection, and what such a request shows its services directly."""

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3

from bench.results import Row
from contracts import roles
from kit import identity, tokens

PASSWORD = "correct horse battery"
WARM, ROUNDS = 20, 200
HOUR_S = 3600


class Client:
    """A person of a tenant of their own."""

    def __init__(self, address: str, email: str) -> None:
        """Register and log in."""
        self.address = address
        self.headers: dict[str, str] = {}
        self._pool = urllib3.PoolManager(maxsize=1)
        body = {"email": email, "password": PASSWORD}
        self.ask("POST", "/auth/register", json=body)
        grant = self.ask("POST", "/auth/login", json=body)
        self.tenant_id: str = grant["tenant_id"]
        self.token: str = grant["access_token"]
        self.headers["Authorization"] = f"Bearer {self.token}"

    def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any) -> Any:
        """The JSON of a successful answer; exits with any other."""
        sent = self.headers | (headers or {})
        answer = self._pool.request(method, self.address + path, headers=sent, timeout=30, retries=False, **options)
        if answer.status >= 400:
            sys.exit(f"{method} {path}: {answer.data.decode()}")
        return answer.json()

    def internal(self, folder: Path) -> dict[str, str]:
        """What the gateway would show a service of this person, valid for an hour instead of a minute."""
        payload = self.token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        shown = {"wl": False, "sub": claims["sub"], "uid": claims["sub"], "tid": claims["tenant_id"]}
        shown |= {"sid": claims["sid"], "perms": sorted(roles.permissions(claims["roles"]))}
        signed = tokens.Keyring(folder / "keys").sign(identity.GATEWAY, tokens.INTERNAL, HOUR_S, shown)
        return {identity.HEADER: signed, "X-User-Id": claims["sub"], "X-Tenant-Id": claims["tenant_id"]}


def timed(action: Callable[[], Any]) -> list[float]:
    """Milliseconds of each of many requests, sorted."""
    for _ in range(WARM):
        action()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def median_row(name: str, action: Callable[[], Any], **options: Any) -> Row:
    """The median latency of a request; its 95th percentile is the note."""
    times = timed(action)
    return Row(name, statistics.median(times), "ms", note=f"p95 {times[int(len(times) * 0.95) - 1]:.1f} ms", **options)

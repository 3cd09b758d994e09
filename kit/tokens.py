"""Signed tokens and the directory of keys behind them.

Every component signs with its own Ed25519 key (RFC 8037) and everyone reads one public set, `public.json`. A key
belongs to a component, so the key that a `kid` names decides who can have spoken: a token whose `iss` is not its
key's component is refused (RFC 8725, 3.8). `jku`, `x5u` and `jwk` headers are never looked at.
"""

import hashlib
import json
import math
import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kit import claims, clock
from kit.claims import MAX_TOKEN_BYTES, InvalidToken, Kind
from kit.config import KEYS_DIRECTORY, ConfigurationError, keys_directory, passphrase

__all__ = ["MAX_TOKEN_BYTES", "InvalidToken"]

ALGORITHM = "EdDSA"
AUDIENCE = "alicerce"
ACCESS = "at+jwt"  # RFC 9068: what people hold
INTERNAL = "txntoken+jwt"  # modelled on IETF Transaction Tokens: what components show each other
ACCESS_COMPONENT = "access"
LEEWAY_S = 30
REMEMBERED = 4096
LOOK_S = 0.05  # for so long one look at the public set counts: shorter than a request may be under way
RETIRED_FOR = timedelta(days=1)  # longer than any access token lives, so that a rotation refuses nobody
KINDS: dict[str, Kind] = {}


def declare(typ: str, longest: timedelta, **shapes: claims.Check) -> str:
    """Say which claims a kind of token has, and for how long one may hold. Return its `typ`."""
    KINDS[typ] = claims.kind(typ, longest, **shapes)
    return typ


declare(
    ACCESS,
    RETIRED_FOR,
    sub=claims.is_uuid,
    sid=claims.is_uuid,
    jti=claims.is_uuid,
    tenant_id=claims.is_uuid_or_null,  # null: a person without a tenant
    roles=claims.is_texts,
    type=lambda value: value == "access",
    iat_ms=claims.is_moment_ms,
)
declare(
    INTERNAL,
    timedelta(hours=1),
    sub=claims.is_text,
    uid=claims.is_uuid_or_null,
    tid=claims.is_uuid_or_null,
    sid=claims.is_uuid_or_null,
    perms=claims.is_texts,
    wl=claims.is_flag,
)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, the component it belongs to, and the moment from which nothing that it signed is believed."""

    component: str
    key: Any
    lapses: float


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """A component's private key, decrypted when it is encrypted. Raises ConfigurationError."""
    pem = path.read_bytes()
    try:
        key = load_pem_private_key(pem, passphrase() if b"ENCRYPTED" in pem else None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{path} cannot be used: either SECRET_KEY is not what it was encrypted with, or it is damaged. "
            "Set the right SECRET_KEY, or make a new key with `make rotate-keys`."
        )
    return key


class Keyring:
    """The public keys of all, and the private keys that this process can read."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or keys_directory()
        self._public_path = str(self.directory / "public.json")
        self._public: dict[str, VerificationKey] = {}
        self._public_stamp = self._generation = 0
        self._due, self._lapses = 0.0, math.inf
        self._signers: dict[str, tuple[int, str, Ed25519PrivateKey]] = {}
        self._verified: dict[tuple[str, str], dict[str, Any]] = {}
        self._signed: dict[tuple[str, str, int, str], tuple[float, str]] = {}
        self._lock = threading.Lock()

    def find(self, kid: object) -> VerificationKey:
        """The key of this id, as the set says now."""
        if not isinstance(kid, str):
            raise InvalidToken("unknown key")
        self.refresh(afresh=kid not in self._public)  # it may have been published a moment ago
        key = self._public.get(kid)
        if key is None:
            raise InvalidToken("unknown key")
        return key

    def refresh(self, *, afresh: bool = False) -> int:
        """Obey a changed public set and the lapse of a retired key. The answer differs from the last one when either
        happened: what was verified before it has to be forgotten."""
        path, now = self._public_path, time.monotonic()
        has_lapsed = clock.timestamp() >= self._lapses
        if now < self._due and not has_lapsed and not afresh:
            return self._generation
        try:
            stamp = Path(path).stat().st_mtime_ns
            if stamp == self._public_stamp and not has_lapsed:
                self._due = now + LOOK_S
                return self._generation
            entries = json.loads(Path(path).read_bytes())["keys"]
        except FileNotFoundError:
            if self._public:
                return self._generation
            raise ConfigurationError(f"No keys in {self.directory}. Make them with `make keys`.") from None
        found = {e["kid"]: VerificationKey(e["component"], jwt.PyJWK(e).key, _lapse(e)) for e in entries}
        keys = {kid: key for kid, key in found.items() if clock.timestamp() < key.lapses}
        with self._lock:
            self._public, self._public_stamp = keys, stamp
            self._lapses = min((key.lapses for key in keys.values()), default=math.inf)
            self._generation += 1
            self._due = now + LOOK_S
            self._verified.clear()
            self._signed.clear()
            return self._generation

    def published(self, component: str) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517) of one component, as outsiders may see it."""
        entries = json.loads((self.directory / "public.json").read_bytes())["keys"]
        members = ("kty", "crv", "x", "kid", "use", "alg")
        present = [e for e in entries if e["component"] == component and clock.timestamp() < _lapse(e)]
        return {"keys": [{m: e[m] for m in members} for e in present]}

    def signing_key(self, component: str) -> tuple[str, Ed25519PrivateKey]:
        """The id and private key of a component; read again when the file has been replaced."""
        path = self.directory / "private" / f"{component}.pem"
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            raise ConfigurationError(f"{path} is missing. Make the keys with `make keys`.") from None
        known = self._signers.get(component)
        if known is None or known[0] != stamp:
            key = load_private_key(path)
            known = (stamp, self._kid(component, key), key)
            self._signers[component] = known
        return known[1], known[2]

    def _kid(self, component: str, key: Ed25519PrivateKey) -> str:
        public = key.public_key().public_bytes_raw()
        self.refresh(afresh=True)  # a new key is published a moment before it signs
        for kid, entry in self._public.items():
            if entry.component == component and entry.key.public_bytes_raw() == public:
                return kid
        raise ConfigurationError(f"The public key of {component} is not published. Run `make rotate-keys`.")

    def sign_again(self, component: str, kind: str, lifetime_s: int, claims: dict[str, Any]) -> str:
        """As `sign`; the token of a moment ago does once more, which spares its reader to check another one.

        It is used for a third of its life, and not beyond a change of the keys.
        """
        self.refresh()
        said, now = (component, kind, lifetime_s, json.dumps(claims)), clock.timestamp()
        known = self._signed.get(said)
        if known and 0 <= now - known[0] < lifetime_s / 3:
            return known[1]
        if len(self._signed) >= REMEMBERED:
            self._signed.clear()
        generation, token = self._generation, self.sign(component, kind, lifetime_s, claims)
        if generation == self._generation:
            self._signed[said] = now, token
        return token

    def sign(self, component: str, kind: str, lifetime_s: int, claims: dict[str, Any]) -> str:
        """A token of this kind in the name of a component; `iat`, `exp`, `iss` and `aud` are added."""
        kid, key = self.signing_key(component)
        issued = int(clock.timestamp())
        full = {"iss": component, "aud": AUDIENCE, "iat": issued, "exp": issued + lifetime_s, **claims}
        return jwt.encode(full, key, ALGORITHM, headers={"typ": kind, "kid": kid})

    def verify(self, token: str, kind: str) -> dict[str, Any]:
        """The claims of a valid token of this kind. Raises InvalidToken."""
        generation = self.refresh()
        payload = self._verified.get((kind, token))
        if payload is None:
            payload = self._check(token, kind)
            if len(self._verified) >= REMEMBERED:
                self._verified.clear()
            if generation == self._generation:
                self._verified[kind, token] = payload
        if payload["exp"] + LEEWAY_S < clock.timestamp():
            raise InvalidToken("expired")
        return payload

    def derive(self, component: str, purpose: str) -> bytes:
        """Return a secret of a component for one purpose; it changes when the component's key does."""
        _, private = self.signing_key(component)
        return hashlib.sha256(purpose.encode() + private.private_bytes_raw()).digest()

    def _check(self, token: str, kind: str) -> dict[str, Any]:
        header, payload = claims.read(token, KINDS[kind])
        owner = self.find(header.get("kid"))
        try:
            # Expiry is judged by our own clock, in `verify`, so that a remembered token expires too.
            options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
            jwt.decode(token, owner.key, [ALGORITHM], options, audience=AUDIENCE, issuer=owner.component)
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidToken(str(error)) from error
        if (owner.component == ACCESS_COMPONENT) != (kind == ACCESS):
            raise InvalidToken("signed by a key of another purpose")
        check_begun(payload)
        return payload


def check_begun(payload: dict[str, Any]) -> None:
    """Raise InvalidToken for claims of the future."""
    if max(payload["iat"], payload.get("nbf", 0)) > clock.timestamp() + LEEWAY_S:
        raise InvalidToken("issued in the future")


def _lapse(entry: dict[str, Any]) -> float:
    """When a key of the set lapses, in seconds since the epoch."""
    if "retired_at" not in entry:
        return math.inf
    return (datetime.fromisoformat(entry["retired_at"]) + RETIRED_FOR).timestamp()


_keyrings: dict[tuple[str, str | None], Keyring] = {}


def keyring() -> Keyring:
    """The process's keyring for the configured directory."""
    # Asked for several times a request: the directory is found once for what the environment says.
    said = (KEYS_DIRECTORY(), os.environ.get("ALICERCE_HOME"))
    known = _keyrings.get(said)
    return known or _keyrings.setdefault(said, Keyring(keys_directory()))

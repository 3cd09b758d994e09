"""The signing keys: an Ed25519 private key per component, and one public set (RFC 7517) that everybody reads.

private/<component>.pem   PKCS #8, mode 0600, for that component alone; encrypted when SECRET_KEY is set
public.json               the set; each entry also names its component and when it was created and retired
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from alicerce import home
from alicerce.services import services
from kit.config import ConfigurationError, keys_directory, passphrase
from kit.tokens import RETIRED_FOR, load_private_key

Entry = dict[str, Any]


def components() -> tuple[str, ...]:
    """Who signs: the gateway, auth's access tokens, and every service for itself."""
    return ("gateway", "access", *services())


def ensure(names: Iterable[str]) -> None:
    """Make the keys that are missing. A key that is there stays; one that is not published is published."""
    directory = _directory()
    with home.locked(directory / "public.json"):
        entries = _entries(directory)
        present = {name: _private(directory, name) for name in names}
        made = {name: Ed25519PrivateKey.generate() for name, key in present.items() if key is None}
        for name, key in present.items():
            entries = _publish(entries, name, key or made[name])
        _store(directory, entries, made)


def rotate(component: str) -> None:
    """Give a component (or `all` that have one) a new key. The old public key stays for tokens still on their way;
    a rotation more than a day later drops it. Raises ConfigurationError for a component that there is not."""
    if component != "all" and component not in components():
        raise ConfigurationError(f"There is no component {component!r}: use all, or one of {', '.join(components())}.")
    directory = _directory()
    with home.locked(directory / "public.json"):
        oldest = _moment(datetime.now(UTC) - RETIRED_FOR)
        entries = [entry for entry in _entries(directory) if entry.get("retired_at", "9") > oldest]
        entries = _with_present(directory, entries)
        made = {name: Ed25519PrivateKey.generate() for name in (components() if component == "all" else [component])}
        for name, key in made.items():
            entries = _publish(entries, name, key)
        _store(directory, entries, made)


def _directory() -> Path:
    directory = home.private_folder(keys_directory())
    home.private_folder(directory / "private")
    return directory


def _entries(directory: Path) -> list[Entry]:
    path = directory / "public.json"
    try:
        return list(json.loads(path.read_text("utf-8"))["keys"])
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} is damaged: remove it, and `make keys` writes it again.") from None


def _private(directory: Path, component: str) -> Ed25519PrivateKey | None:
    path = directory / "private" / f"{component}.pem"
    return load_private_key(path) if path.exists() else None


def _with_present(directory: Path, entries: list[Entry]) -> list[Entry]:
    """The set with every key that signs today: what a cut rotation retired too early must not be dropped."""
    for component in components():
        with suppress(ConfigurationError):  # a damaged key is what a rotation is to replace
            key = _private(directory, component)
            entries = _publish(entries, component, key) if key else entries
    return entries


def _publish(entries: list[Entry], component: str, key: Ed25519PrivateKey) -> list[Entry]:
    """The set with this key as the component's current one; every other key of the component is retired."""
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
    now = _moment(datetime.now(UTC))
    known = False
    for entry in entries:
        if entry["component"] == component and entry["x"] == x:
            known = True
            entry.pop("retired_at", None)  # a rotation was cut before it could replace the key: it still signs
        elif entry["component"] == component:
            entry.setdefault("retired_at", now)
    if known:
        return entries
    kid = f"{component}-{hashlib.sha256(x.encode()).hexdigest()[:8]}"
    shape = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA"}
    return [*entries, {**shape, "component": component, "created_at": now}]


def _store(directory: Path, entries: list[Entry], made: dict[str, Ed25519PrivateKey]) -> None:
    """The public set goes first: no token is ever signed with a key that others cannot find."""
    text = json.dumps({"keys": entries}, indent=1) + "\n"
    path = directory / "public.json"
    if not path.exists() or path.read_text("utf-8") != text:
        home.write(path, text, 0o644)
    secret = passphrase()
    encryption: KeySerializationEncryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    for component, key in made.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
        home.write(directory / "private" / f"{component}.pem", pem)


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The generated folder (`ALICERCE_HOME`): data, keys, secrets and logs of this installation, for its owner alone.

postgres/          data of the embedded Postgres        secrets.json     passwords, made once
postgres.port      the port it listens on               environment      database URLs, read by `kit.config`
keys/              signing keys                         supervisor.pid   held while Alicerce runs
logs/              alicerce.log, postgres.log           children.json    what the supervisor started
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kit import config
from kit.config import ConfigurationError

SECRET_BYTES = 24


def folder() -> Path:
    """The generated folder, made with mode 0700 if it is missing."""
    return private_folder(config.home())


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter. One that exists keeps the mode its owner gave it."""
    if not path.is_dir():
        private_folder(path.parent)  # whoever makes `keys` first makes the generated folder with it
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def private(path: str, flags: int) -> int:
    """Open a file; one that this makes is for its owner alone. It is an `opener` of `open`."""
    return os.open(path, flags, 0o600)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole: after a cut, a reader finds the old text or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Opening may find the file of a dead process with the same id: it is emptied, its mode is set again.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for, then hold, the lock that belongs to a file or folder; the kernel frees it when a process dies."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def secret(name: str, within: Path | None = None) -> str:
    """A random password, made at the first call and remembered in `secrets.json` (of the folder `within`).

    It is safe in a URL without quoting. Raises ConfigurationError when the file cannot be read as JSON.
    """
    path = (within or folder()) / "secrets.json"
    known = _secrets(path)
    if name not in known:
        with locked(path):
            known = _secrets(path)
            if name not in known:
                known[name] = secrets.token_urlsafe(SECRET_BYTES)
                write(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known[name]


def _secrets(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ConfigurationError(f"{path} is damaged: restore it, or remove {path.parent} to start anew.") from None

"""Passwords: what is accepted, and how they are kept (Argon2id, RFC 9106)."""

import os
import runpy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from kit.config import setting
from kit.errors import Unavailable, ValidationError

PASSWORD_MIN_LENGTH = setting("PASSWORD_MIN_LENGTH", 8, "Shortest password accepted, in characters.")
PASSWORD_HASH_MEMORY_KIB = setting(
    "PASSWORD_HASH_MEMORY_KIB",
    19_456,
    "Memory of one Argon2id hash; 19456 (19 MiB) is the least outside of tests.",
)

MAX_BYTES = 1024  # RFC 9106 takes more; nobody types more
COMMON_PASSWORDS = 10_000
TIME_COST = 2
QUEUE_S = 2.0

# A hash takes a core for tens of milliseconds. Without a bound, a flood of logins would starve everything else.
_slots = threading.BoundedSemaphore(os.cpu_count() or 1)


class WeakPassword(ValidationError):
    """Choose another password."""


class LoginsBusy(Unavailable):
    """Many people are logging in just now. Try again in a moment."""


@contextmanager
def slot() -> Iterator[None]:
    """A turn to hash, waited for at most two seconds; taken before any connection to the database is held."""
    if not _slots.acquire(timeout=QUEUE_S):
        raise LoginsBusy(retry_after_s=1)
    try:
        yield
    finally:
        _slots.release()


@lru_cache(maxsize=2)
def _hasher(memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=TIME_COST, memory_cost=memory_kib, parallelism=1)


def hasher() -> PasswordHasher:
    """The hasher of today's cost."""
    return _hasher(PASSWORD_HASH_MEMORY_KIB())


@lru_cache(maxsize=1)
def common_passwords() -> frozenset[str]:
    """The passwords that are tried first (offline list of the zxcvbn package)."""
    # Its module of lists is run by itself: importing the package would build matchers for megabytes of other words.
    folder = Path(str(find_spec("zxcvbn").origin)).parent  # type: ignore[union-attr]  # it is in our lock
    lists = runpy.run_path(str(folder / "frequency_lists.py"))["FREQUENCY_LISTS"]
    return frozenset(lists["passwords"][:COMMON_PASSWORDS])


def check(password: str, field: str, personal: tuple[str | None, ...]) -> None:
    """Accept a password by length and by not being obvious; no rules of composition (NIST SP 800-63B-4, 3.1.1.2).

    Raises WeakPassword under the name of its field.
    """
    if len(password) < PASSWORD_MIN_LENGTH():
        raise WeakPassword(errors={field: [f"Use at least {PASSWORD_MIN_LENGTH()} characters."]})
    if len(password.encode()) > MAX_BYTES:
        raise WeakPassword(errors={field: [f"Use at most {MAX_BYTES} bytes."]})
    if password.lower() in common_passwords():
        raise WeakPassword(errors={field: ["This is one of the most common passwords."]})
    if password.lower() in {word.lower() for word in personal if word}:
        raise WeakPassword(errors={field: ["This is your own name or address."]})


def hash_password(password: str) -> str:
    """The encoded Argon2id hash of a password."""
    return hasher().hash(password)


@lru_cache(maxsize=2)
def _dummy(memory_kib: int) -> str:
    return _hasher(memory_kib).hash("nobody has this password")


def matches(encoded: str | None, password: str) -> bool:
    """Whether a password is the one that was kept. Without a hash it takes as long, and is False."""
    try:
        return hasher().verify(encoded or _dummy(PASSWORD_HASH_MEMORY_KIB()), password) and encoded is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def is_outdated(encoded: str) -> bool:
    """Whether a hash was made at another cost than today's."""
    return hasher().check_needs_rehash(encoded)

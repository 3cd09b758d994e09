"""Passwords: what is accepted, and how they are kept (Argon2id, RFC 9106)."""

import os
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from kit.config import setting
from kit.errors import Unavailable, ValidationError
from services.auth.domain import strength

PASSWORD_MIN_LENGTH = setting("PASSWORD_MIN_LENGTH", 8, "Shortest password accepted, in characters.")
PASSWORD_HASH_MEMORY_KIB = setting(
    "PASSWORD_HASH_MEMORY_KIB",
    19_456,
    "Memory of one Argon2id hash; 19456 (19 MiB) is the least outside of tests.",
)

MAX_BYTES = 1024  # RFC 9106 takes more; nobody types more
TIME_COST = 2
QUEUE_S = 2.0
INVISIBLE = {"Cc", "Cf", "Cn", "Zs", "Zl", "Zp"}

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


def prepare(password: str) -> str:
    """Return a password as it is compared: every blank is U+0020, and NFC (RFC 8265, 4.2.2, OpaqueString)."""
    blanks = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in password)
    return unicodedata.normalize("NFC", blanks)


def check(password: str, field: str, personal: tuple[str | None, ...]) -> None:
    """Accept a password by length and by not being obvious; no rules of composition (NIST SP 800-63B-4, 3.1.1.2).

    Raises WeakPassword under the name of its field, with a sentence that says what to do.
    """
    text = prepare(password)
    if reason := _unfit(text) or _obvious(text, personal):
        raise WeakPassword(errors={field: [reason]})


def _unfit(text: str) -> str | None:
    if len(text) < PASSWORD_MIN_LENGTH():
        return f"Use at least {PASSWORD_MIN_LENGTH()} characters."
    if len(text.encode()) > MAX_BYTES:
        return f"Use at most {MAX_BYTES} bytes."
    categories = {unicodedata.category(letter) for letter in text}
    if "Cc" in categories:
        return "Leave out control characters, such as tabs and line breaks."
    if categories <= INVISIBLE:
        return "Use letters, digits or signs; blanks alone are no password."
    if len(set(text)) == 1:
        return "Use more than one character: several words that have nothing to do with each other."
    return None


def _obvious(text: str, personal: tuple[str | None, ...]) -> str | None:
    judged = strength.estimate(text, personal)
    if judged.is_enough:
        return None
    if judged.is_personal:
        return "This is close to your name, address or organization. Use several words that say nothing of you."
    return "This is easily guessed. Use several words that have nothing to do with each other."


def hash_password(password: str) -> str:
    """The encoded Argon2id hash of a password."""
    return hasher().hash(prepare(password))


@lru_cache(maxsize=2)
def _dummy(memory_kib: int) -> str:
    return _hasher(memory_kib).hash("nobody has this password")


def matches(encoded: str | None, password: str) -> bool:
    """Return whether a password is the one that was kept. Without a hash it takes as long, and is False."""
    return _verify(encoded, prepare(password)) or (_is_changed(password) and _verify(encoded, password))


def _is_changed(password: str) -> bool:
    # Passwords that were kept before they were prepared were kept exactly as they came.
    return prepare(password) != password


def _verify(encoded: str | None, text: str) -> bool:
    try:
        return hasher().verify(encoded or _dummy(PASSWORD_HASH_MEMORY_KIB()), text) and encoded is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def renewed(encoded: str, password: str) -> str | None:
    """A hash to keep instead of the one that a right password opened: at today's cost, and of the prepared text. None
    where it is so already."""
    is_unprepared = _is_changed(password) and not _verify(encoded, prepare(password))
    return hash_password(password) if is_unprepared or hasher().check_needs_rehash(encoded) else None

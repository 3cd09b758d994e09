"""The shape of a signed token, checked before anything is done with what it says.

Parsers differ: about members that stand twice, byte order marks, stray bits of base64url, numbers of four thousand
digits. Here everything that two readers could take for two tokens is refused, for every kind of token, in one place
(RFC 8725, 3.10 to 3.12; RFC 7515, 2 and 10.12).
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

MAX_TOKEN_BYTES = 8192
MAX_DIGITS = 16
LATEST = 253_402_300_799  # the last second of the year 9999
EXTENSIONS = ("crit", "b64", "zip")  # of a header; they would change how the rest is read
TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")


class InvalidToken(Exception):
    """The token is malformed, expired, or not signed by whom it says."""


Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of token: its `typ`, its longest life, and the shape of each claim that it must have."""

    typ: str
    longest_s: int
    claims: Mapping[str, Check]


def is_text(value: Any) -> bool:
    """Return True for a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_texts(value: Any) -> bool:
    """Return True for a list of texts."""
    return isinstance(value, list) and all(map(is_text, value))


def is_flag(value: Any) -> bool:
    """Return True for JSON's true and false."""
    return isinstance(value, bool)


def is_uuid(value: Any) -> bool:
    """Return True for a UUID as RFC 9562 writes it: 36 characters, in lower case."""
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def is_uuid_or_null(value: Any) -> bool:
    """Return True for such a UUID and for null."""
    return value is None or is_uuid(value)


def is_moment(value: Any) -> bool:
    """Return True for whole seconds since the epoch, up to the year 9999."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LATEST


def is_moment_ms(value: Any) -> bool:
    """Return True for whole milliseconds since the epoch, up to the year 9999."""
    return isinstance(value, int) and is_moment(value // 1000)


STANDARD: Mapping[str, Check] = {"iss": is_text, "aud": is_text, "exp": is_moment, "iat": is_moment}
OPTIONAL: Mapping[str, Check] = {"nbf": is_moment, "jti": is_text}


def kind(typ: str, longest: timedelta, **claims: Check) -> Kind:
    """Return a kind of token with these claims beside the standard ones."""
    return Kind(typ, int(longest.total_seconds()), {**STANDARD, **claims})


def read(token: str, expected: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token whose signature is still to be checked. Raises InvalidToken."""
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("too long")
    if not TOKEN.match(token):
        raise InvalidToken("not a token")
    header, claims, _ = map(_decoded, token.split("."))
    return _header(_object(header), expected), _claims(_object(claims), expected)


def _header(header: dict[str, Any], expected: Kind) -> dict[str, Any]:
    if header.get("typ") != expected.typ or any(name in header for name in EXTENSIONS):
        raise InvalidToken("wrong kind of token")
    return header


def _claims(claims: dict[str, Any], expected: Kind) -> dict[str, Any]:
    for name, check in expected.claims.items():
        if name not in claims or not check(claims[name]):
            raise InvalidToken(f"{name} is missing or has another shape")
    for name, check in OPTIONAL.items():
        if name in claims and not check(claims[name]):
            raise InvalidToken(f"{name} has another shape")
    if not 0 <= claims["exp"] - claims["iat"] <= expected.longest_s:
        raise InvalidToken("its life is longer than any token's, or negative")
    return claims


def _decoded(part: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise InvalidToken("not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise InvalidToken("not the one way to write it")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_int=_whole, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidToken("not JSON, or not in one way only") from None
    if not isinstance(value, dict):
        raise InvalidToken("not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError
    return int(digits)


def _refuse(word: str) -> Any:
    raise ValueError(word)

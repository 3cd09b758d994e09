"""Settings: environment variables, each declared once, beside the code that obeys it.

    PASSWORD_MIN_LENGTH = setting("PASSWORD_MIN_LENGTH", 8, "Shortest password accepted.")
    PASSWORD_MIN_LENGTH.of("auth")

A value is looked for as `<NOUN>_SERVICE_<NAME>`, then as `<NAME>`, first in the process environment, then in
`.env`, then in the environment file that the supervisor generates; then the default holds.
"""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from dotenv import dotenv_values

T = TypeVar("T")

REGISTRY: dict[str, "Setting[Any]"] = {}
PLACEHOLDERS = (
    "change-me",
    "changeme",
    "secret",
    "supersecret",
    "supersecretlocal",
    "example",
    "your-secret-key",
)


class ConfigurationError(Exception):
    """The environment cannot be used as it is; the message says what to change."""


def truth(text: str) -> bool:
    """Read a switch: true, yes, on, 1 and their opposites."""
    word = text.strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0", ""):
        return False
    raise ValueError("use true or false")


def words(text: str) -> tuple[str, ...]:
    """Read a comma-separated list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_of(*choices: str) -> Callable[[str], str]:
    """Read one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"use one of: {', '.join(choices)}")
        return text

    return parse


def home() -> Path:
    """The ignored folder of everything generated: data, keys, secrets, logs (`ALICERCE_HOME`)."""
    return Path(os.environ.get("ALICERCE_HOME") or ".alicerce").resolve()


@lru_cache(maxsize=8)
def _files(generated_folder: str) -> dict[str, str]:
    layers = (dotenv_values(Path(generated_folder) / "environment"), dotenv_values(".env"))
    return {name: value for layer in layers for name, value in layer.items() if value}


def lookup(name: str) -> str | None:
    """The raw text of a variable. The files are read once per process.

    An empty one counts as absent wherever it stands: a copy of `.env.example` must not hide what was generated.
    """
    return os.environ.get(name) or _files(os.environ.get("ALICERCE_HOME") or ".alicerce").get(name)


class Setting(Generic[T]):
    """One variable: its name, its default, and how its text is read."""

    def __init__(self, name: str, default: T, help: str, parse: Callable[[str], T]) -> None:
        self.name, self.default, self.help, self.parse = name, default, help, parse

    def of(self, service: str) -> T:
        """The value for one service, its own variable first."""
        own = f"{service.upper()}_SERVICE_{self.name}"
        for name in (own, self.name):
            text = lookup(name)
            if text is not None:
                return self._read(name, text)
        return self.default

    def __call__(self) -> T:
        """The value for the whole platform."""
        text = lookup(self.name)
        return self.default if text is None else self._read(self.name, text)

    def _read(self, name: str, text: str) -> T:
        try:
            return self.parse(text)
        except ValueError as error:
            raise ConfigurationError(f"{name}={text!r} cannot be used: {error}.") from error


def setting(name: str, default: T, help: str, parse: Callable[[str], T] | None = None) -> Setting[T]:
    """Declare a variable. Its text is read as the default's own type, unless `parse` says otherwise."""
    if parse is None:
        reader: Any = {bool: truth, tuple: words}.get(type(default), type(default))
        parse = cast(Callable[[str], T], reader)
    declared = Setting(name, default, help, parse)
    if REGISTRY.setdefault(name, declared).help != help:
        raise ConfigurationError(f"{name} is declared twice with different meanings.")
    return cast("Setting[T]", REGISTRY[name])


def check(service: str) -> None:
    """Read every declared variable once; raise one error that names all that are wrong."""
    faults = []
    for declared in REGISTRY.values():
        try:
            declared.of(service)
        except ConfigurationError as error:
            faults.append(str(error))
    try:
        passphrase()
    except ConfigurationError as error:
        faults.append(str(error))
    if faults:
        raise ConfigurationError(" ".join(faults))


VERSION = "0.1.0"
ENV = setting("ENV", "development", "Where this runs.", one_of("development", "test", "staging", "production"))
KEYS_DIRECTORY = setting(
    "KEYS_DIRECTORY", "", "Folder of the signing keys; empty means `keys` in the generated folder."
)

DB_SCHEMA = setting("DB_SCHEMA", "public", "Postgres schema that holds the tables.")
SECRET_KEY = setting("SECRET_KEY", "", "Passphrase of the private keys on disk.")
WEB_THREADS = setting("WEB_THREADS", 16, "Threads of each web process.")
SERVING = "ALICERCE_SERVING"  # not for people: the descriptor on which a supervisor is told that a worker serves


def keys_directory() -> Path:
    """Where `make keys` writes: `public.json` for all, `private/<component>.pem` for its component alone."""
    return Path(KEYS_DIRECTORY() or home() / "keys")


def passphrase() -> bytes | None:
    """What encrypts private keys on disk: `SECRET_KEY`, also under the older names JWT_SECRET_KEY and JWT_SECRET.

    An example that was never replaced protects nothing: it is ignored in development, and refused elsewhere.
    """
    text = SECRET_KEY() or lookup("JWT_SECRET_KEY") or lookup("JWT_SECRET") or ""
    if text.strip().lower().startswith(PLACEHOLDERS):
        if ENV() not in ("development", "test"):
            raise ConfigurationError("SECRET_KEY is still an example. Set it to a long random text, or leave it empty.")
        return None
    return text.encode() or None

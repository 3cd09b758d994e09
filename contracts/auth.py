"""How the rest of the platform speaks to auth."""

from dataclasses import dataclass
from uuid import UUID

from kit.client import Sibling

api = Sibling("auth")


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Found:
    person: Person


def find_person(identifier: str) -> Person:
    """The person behind an e-mail address or user name. A refusal is the caller's 404 `no_such_user`."""
    return api.get(Found, "internal", "users", identifier=identifier).person

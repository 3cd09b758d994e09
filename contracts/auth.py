"""How the rest of the platform speaks to auth."""

from dataclasses import dataclass
from uuid import UUID

from kit.client import Sibling

api = Sibling("auth")


@dataclass(frozen=True, slots=True)
class Person:
    """A person who is logged in. `identifiers` are the address and user name, as auth keeps them."""

    id: UUID
    name: str
    email: str
    identifiers: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    person: Person


def person_of(user_id: UUID) -> Person:
    """Return the person of an id. No route leads from an identifier to a person, so that no sibling can tell of one."""
    return api.get(Found, "internal", "users", user_id).person

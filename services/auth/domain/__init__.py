"""The verbs of auth: people register and log in; sessions refresh, switch and end."""

from services.auth.domain.people import (
    change_password,
    get_person,
    login,
    logout,
    me,
    person_of_id,
    promote,
    register,
    validate_token,
)
from services.auth.domain.sessions import Grant, refresh, switch_tenant

__all__ = [
    "Grant",
    "change_password",
    "get_person",
    "login",
    "logout",
    "me",
    "person_of_id",
    "promote",
    "refresh",
    "register",
    "switch_tenant",
    "validate_token",
]

"""Keep a session in the context of its request or step, and nowhere else."""

from collections.abc import Callable
from typing import Any, cast

from flask import g

NAME = "session"


class ForeignSession(Exception):
    """A session was used outside of the context that it was made for."""


class Sessions:
    """The registry behind `db.session`: a session lies in `g`, and so ends with the context that it belongs to.

    Flask-SQLAlchemy keys its registry by the address of the context. Python uses an address again, so that a session
    which was not removed came back as the session of another person's request.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __call__(self) -> Any:
        here = present()
        session = here.get(NAME)
        if session is None:
            session = self.make()
            self.set(session)
        return session

    def has(self) -> bool:
        """Return whether the present context has a session."""
        return NAME in present()

    def set(self, session: Any) -> None:
        """Give the present context a session."""
        here = present()
        here.session = session
        session.info["context"] = here

    def clear(self) -> None:
        """Take the session away from the present context."""
        present().pop(NAME, None)


def present() -> Any:
    """Return what `g` stands for: the variables of the present context, which no other context shares."""
    return cast(Any, g)._get_current_object()


def check(session: Any) -> None:
    """Raise ForeignSession unless the session belongs to the present context, and so to the person who asks."""
    if session.info.get("context") is not present():
        raise ForeignSession

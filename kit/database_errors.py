"""What the database refuses, in our words: a race is decided by a constraint, so its error is an answer like others."""

from typing import Any

import psycopg2
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from kit.errors import Conflict, DeadlineExceeded, Problem, Unavailable

AWAY = ("08", "53", "57P")  # classes of errors: of the connection, of room, of a server that ends or begins
LOST_CONNECTION = "8s2b"  # how SQLAlchemy names a transaction that goes on after its connection was lost


class AlreadyExists(Conflict):
    """Another record already has this value."""


class StillReferenced(Conflict):
    """Something else still points at this."""


class OutcomeUnknown(Unavailable):
    """The database went away while this was being kept, and may have kept it. Repeat it with the same Idempotency-Key,
    or look before you repeat it."""

    def __init__(self) -> None:
        super().__init__(retry_after_s=2)


def from_database(error: Exception) -> Problem | None:
    """Return the problem that a database error stands for, or None when it is a defect of ours.

    A unique index is named `uq_<table>_<field>`, so the field that clashed can be named from it.
    """
    if not isinstance(error, SQLAlchemyError | psycopg2.Error):
        return None
    original: Any = getattr(error, "orig", error)
    state = getattr(original, "pgcode", None) or ""
    if isinstance(error, IntegrityError) and state == "23505":
        constraint = original.diag.constraint_name or ""
        field = constraint.removeprefix(f"uq_{original.diag.table_name}_")
        return AlreadyExists(f"Another record already has this {field}.", errors={field: ["Is already in use."]})
    if state == "23503":
        return StillReferenced()
    if state == "57014":
        return DeadlineExceeded()
    if state in ("40001", "40P01", "55P03") or isinstance(error, StaleDataError):
        return Unavailable("Others are changing the same record. Try again.", code="busy", retry_after_s=1)
    if _is_away(error, state):
        return Unavailable(
            "The database cannot be reached. Try again shortly.", code="database_unavailable", retry_after_s=2
        )
    return None


def _is_away(error: Exception, state: str) -> bool:
    """Return whether there is no connection, or none any more."""
    if isinstance(error, PendingRollbackError):
        return error.code == LOST_CONNECTION
    return (
        isinstance(error, OperationalError | PoolTimeout | psycopg2.OperationalError | psycopg2.InterfaceError)
        or getattr(error, "connection_invalidated", False)
        or state.startswith(AWAY)
    )

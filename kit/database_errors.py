"""What the database refuses, in our words: a race is decided by a constraint, so its error is an answer like others."""

from typing import Any

from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

from kit.errors import Conflict, DeadlineExceeded, Problem, Unavailable


class AlreadyExists(Conflict):
    """Another record already has this value."""


class StillReferenced(Conflict):
    """Something else still points at this."""


def from_database(error: SQLAlchemyError) -> Problem | None:
    """The problem that a database error stands for, or None when it is a defect of ours.

    A unique index is named `uq_<table>_<field>`, so the field that clashed can be named from it.
    """
    original: Any = getattr(error, "orig", None)
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
    if isinstance(error, OperationalError) or "QueuePool" in str(error) or state.startswith(("08", "53", "57P")):
        return Unavailable(
            "The database cannot be reached. Try again shortly.", code="database_unavailable", retry_after_s=2
        )
    return None

"""Out of use, and back: records are deactivated rather than deleted, so that they can return whole."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kit import clock
from kit.errors import Conflict
from kit.identity import current


class AlreadyInactive(Conflict):
    """This is deactivated already."""


class AlreadyActive(Conflict):
    """This is active already."""


class Retirable:
    """A record that can be taken out of use."""

    is_active: Mapped[bool] = mapped_column(default=True, sort_order=80)
    deactivated_at: Mapped[datetime | None] = mapped_column(sort_order=81)
    deactivated_by: Mapped[UUID | None] = mapped_column(sort_order=82)


def deactivate(record: Any) -> None:
    """Take a locked record out of use. Raises AlreadyInactive."""
    if not record.is_active:
        raise AlreadyInactive
    record.is_active = False
    record.deactivated_at, record.deactivated_by = clock.now(), current.user_id


def activate(record: Any) -> None:
    """Bring a locked record back; a value that was taken meanwhile is refused by the database. Raises AlreadyActive."""
    if record.is_active:
        raise AlreadyActive
    record.is_active = True
    record.deactivated_at = record.deactivated_by = None

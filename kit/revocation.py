"""What was granted and no longer holds: a feed that the gateway reads every second.

A row says: tokens about this subject that were issued before `at` are void. Kinds and their subjects: `session` (its
id), `user`, `tenant`, and `membership` (`<user id>:<tenant id>`).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import request
from sqlalchemy import Index, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from kit import clock
from kit.blueprint import Blueprint
from kit.errors import BadRequest
from kit.identity import GATEWAY, internal

KEPT = timedelta(days=2)  # longer than any access token lives


def revocation_table(db: Any) -> Any:
    """A service's table of revocations. It names ids only, so that it needs no fence."""

    class Revocation(db.Model):
        __table_args__ = (Index("ix_revocation_at", "at"),)
        id: Mapped[UUID] = mapped_column(primary_key=True, default=clock.new_id)
        kind: Mapped[str]
        subject: Mapped[str]
        at: Mapped[datetime] = mapped_column(default=clock.now)

    return Revocation


def revoke(db: Any, table: Any, kind: str, subject: object) -> None:
    """Void, from this moment, what was issued about a subject. Committed with the change that it belongs to."""
    db.session.add(table(kind=kind, subject=str(subject)))
    db.session.execute(delete(table).where(table.at < clock.now() - KEPT))
    db.session.flush()


def feed(db: Any, table: Any) -> Blueprint:
    """The internal route from which the gateway reads revocations."""
    routes = Blueprint("revocations", __name__, url_prefix="/internal/revocations")

    @routes.get("")
    @internal(GATEWAY)
    @routes.answers(200)
    def list_revocations() -> dict[str, Any]:
        """Everything revoked since a moment (`since`, RFC 3339); repeats do no harm."""
        try:
            since = datetime.fromisoformat(request.args.get("since", ""))
        except ValueError:
            raise BadRequest("Give `since` as an RFC 3339 moment.") from None
        rows = db.session.scalars(select(table).where(table.at >= since).order_by(table.at))
        return {"revocations": [{"kind": r.kind, "subject": r.subject, "at": r.at} for r in rows]}

    return routes

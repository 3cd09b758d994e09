"""Refusals: from when on a person can be asked by a tenant. They belong to the person, and no tenant can read them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from services.tenant.models import Refusal, db


def refuse_until(moment: datetime, tenant_id: UUID, user_id: UUID) -> None:
    """Hide from a person all that a tenant offers before this moment; an earlier refusal that lasts longer stays."""
    made = insert(Refusal).values(user_id=user_id, tenant_id=tenant_id, until=moment)
    later = {"until": func.greatest(Refusal.until, made.excluded.until)}
    with db.every_tenant():  # whoever removes a person is another person
        db.session.execute(made.on_conflict_do_update(index_elements=["user_id", "tenant_id"], set_=later))

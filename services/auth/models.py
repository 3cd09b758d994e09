"""The nouns of auth."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, synonym

from kit import clock
from kit.db import Database, Record, Stamped, UserOwned
from kit.guessing import guess_table
from kit.revocation import revocation_table

db = Database()


class Login(db.Model):
    """The way from an identifier (e-mail address or user name) to a person. The only rows of auth without a fence:

    they must be readable before anybody is known, and hold nothing but an identifier's key and an id.
    """

    identifier: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]


class User(db.Model, UserOwned, Stamped):
    """A person. `tenant_id` is the tenant drawn at registration; `is_provisioned` says that tenant knows of it.

    Devices that logged in before `devices_since` are no longer known.
    """

    id = synonym("user_id")
    email: Mapped[str]
    username: Mapped[str | None]
    name: Mapped[str]
    password_hash: Mapped[str]
    tenant_id: Mapped[UUID]
    tenant_name: Mapped[str]
    is_provisioned: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    is_platform_admin: Mapped[bool] = mapped_column(default=False)
    devices_since: Mapped[datetime | None]

    @property
    def identifiers(self) -> list[str]:
        """Return the address and user name of the person, as they were registered."""
        return [self.email] + ([self.username] if self.username else [])


class Session(db.Model, UserOwned, Record):
    """One login: the family of its refresh tokens, and the tenant it works in."""

    tenant_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RefreshToken(db.Model, UserOwned):
    """A refresh token, known by the SHA-256 of its secret; it works once."""

    __table_args__ = (
        ForeignKeyConstraint(["user_id", "session_id"], ["session.user_id", "session.id"], ondelete="CASCADE"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


Revocation = revocation_table(db)
Guess = guess_table(db)

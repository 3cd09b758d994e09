"""Count guesses, know devices, and keep identifiers by their key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.auth.domain import identifiers

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guess",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("forgotten_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("next_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_guess")),
    )
    op.create_index("ix_guess_forgotten_at", "guess", ["forgotten_at"], unique=False)
    op.add_column("user", sa.Column("devices_since", postgresql.TIMESTAMP(timezone=True), nullable=True))
    _key_identifiers()


def _key_identifiers() -> None:
    # Only what is not ASCII has a key of its own. Where the key is taken, because look-alikes have registered beside
    # each other before there were keys, both keep the row that they have: a log-in looks for the written form first.
    login = sa.table("login", sa.column("identifier", sa.Text()), sa.column("user_id", sa.Uuid()))
    connection = op.get_bind()
    foreign = sa.select(login).where(login.c.identifier.regexp_match("[^ -~]")).order_by(login.c.user_id)
    for written, user_id in connection.execute(foreign).all():
        row = {"identifier": identifiers.key(written), "user_id": user_id}
        connection.execute(postgresql.insert(login).values(row).on_conflict_do_nothing())


def downgrade() -> None:
    op.drop_column("user", "devices_since")
    op.drop_index("ix_guess_forgotten_at", table_name="guess")
    op.drop_table("guess")

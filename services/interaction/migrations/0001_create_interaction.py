"""Create interaction."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations.fences import append_only, fence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SIGN = "CASE WHEN reverses_id IS NULL THEN amount ELSE -amount END"


def upgrade() -> None:
    op.create_table(
        "interaction_type",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("deactivated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deactivated_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_interaction_type")),
    )
    op.create_index("ix_interaction_type_name", "interaction_type", ["tenant_id", "name", "id"], unique=False)
    op.create_index(
        "uq_interaction_type_code",
        "interaction_type",
        ["tenant_id", "code"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_table(
        "interaction",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("type_id", sa.Uuid(), nullable=False),
        sa.Column("ds_notes", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("happened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("related", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("deactivated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deactivated_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("direction IN ('inbound', 'outbound', 'internal')", name=op.f("ck_interaction_direction")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "type_id"],
            ["interaction_type.tenant_id", "interaction_type.id"],
            name=op.f("fk_interaction_tenant_id_type_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_interaction")),
    )
    op.create_index("ix_interaction_created_at", "interaction", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_interaction_customer_id", "interaction", ["tenant_id", "customer_id", "happened_at", "id"], unique=False
    )
    op.create_index("ix_interaction_happened_at", "interaction", ["tenant_id", "happened_at", "id"], unique=False)
    op.create_index("ix_interaction_type_id", "interaction", ["tenant_id", "type_id"], unique=False)
    op.create_table(
        "interaction_word",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "record_id"],
            ["interaction.tenant_id", "interaction.id"],
            name=op.f("fk_interaction_word_tenant_id_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "word", "record_id", name=op.f("pk_interaction_word")),
    )
    op.create_index("ix_interaction_word_record", "interaction_word", ["tenant_id", "record_id"], unique=False)
    op.create_table(
        "transaction",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("happened_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("settles_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("balance_delta", sa.BigInteger(), nullable=False),
        sa.Column("outstanding_delta", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(kind IN ('receivable', 'payable')) = (due_date IS NOT NULL)", name=op.f("ck_transaction_due_date")
        ),
        sa.CheckConstraint(
            f"balance_delta = CASE kind WHEN 'income' THEN 1 WHEN 'expense' THEN -1 ELSE 0 END * {SIGN}",
            name=op.f("ck_transaction_balance_delta"),
        ),
        sa.CheckConstraint("kind IN ('income', 'expense', 'receivable', 'payable')", name=op.f("ck_transaction_kind")),
        sa.CheckConstraint(
            "method IN ('cash', 'pix', 'card', 'boleto', 'transfer', 'other')", name=op.f("ck_transaction_method")
        ),
        sa.CheckConstraint(
            "outstanding_delta = CASE WHEN kind = 'receivable' OR (kind = 'expense' AND settles_id IS NOT NULL) THEN 1 "
            f"WHEN kind = 'payable' OR (kind = 'income' AND settles_id IS NOT NULL) THEN -1 ELSE 0 END * {SIGN}",
            name=op.f("ck_transaction_outstanding_delta"),
        ),
        sa.CheckConstraint(
            "settles_id IS NULL OR kind IN ('income', 'expense')", name=op.f("ck_transaction_settles_id")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transaction_amount")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "reverses_id"],
            ["transaction.tenant_id", "transaction.id"],
            name=op.f("fk_transaction_tenant_id_reverses_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "settles_id"],
            ["transaction.tenant_id", "transaction.id"],
            name=op.f("fk_transaction_tenant_id_settles_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_transaction")),
    )
    op.create_index("ix_transaction_created_at", "transaction", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_transaction_customer_id", "transaction", ["tenant_id", "customer_id", "occurred_on", "id"], unique=False
    )
    op.create_index(
        "ix_transaction_due_date",
        "transaction",
        ["tenant_id", "due_date"],
        unique=False,
        postgresql_where=sa.text("due_date IS NOT NULL"),
    )
    op.create_index(
        "ix_transaction_happened_at", "transaction", ["tenant_id", "customer_id", "happened_at", "id"], unique=False
    )
    op.create_index("ix_transaction_occurred_on", "transaction", ["tenant_id", "occurred_on", "id"], unique=False)
    op.create_index(
        "ix_transaction_settles_id",
        "transaction",
        ["tenant_id", "settles_id"],
        unique=False,
        postgresql_where=sa.text("settles_id IS NOT NULL"),
    )
    op.create_index("uq_transaction_idempotency_key", "transaction", ["tenant_id", "idempotency_key"], unique=True)
    op.create_index("uq_transaction_reverses_id", "transaction", ["tenant_id", "reverses_id"], unique=True)
    op.create_table(
        "departure",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("winner_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(reason = 'merged') = (winner_id IS NOT NULL)", name=op.f("ck_departure_winner_id")),
        sa.CheckConstraint("reason IN ('merged', 'erased', 'removed')", name=op.f("ck_departure_reason")),
        sa.PrimaryKeyConstraint("tenant_id", "customer_id", name=op.f("pk_departure")),
    )
    op.create_index("ix_departure_winner_id", "departure", ["tenant_id", "winner_id"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("heard_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_heard_at", "inbox", ["tenant_id", "heard_at"], unique=False)
    op.create_table(
        "replay",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "operation", "key", name=op.f("pk_replay")),
    )
    op.create_index("ix_replay_created_at", "replay", ["tenant_id", "created_at"], unique=False)
    for table in ("interaction_type", "interaction", "interaction_word", "transaction", "departure", "inbox", "replay"):
        fence(table, "tenant")
    append_only("transaction", "customer_id", "description", "reference")  # a merge moves, an erasure blanks


def downgrade() -> None:
    for table in ("replay", "inbox", "departure", "transaction", "interaction_word", "interaction", "interaction_type"):
        op.drop_table(table)

"""Create customer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations.fences import fence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("emails", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("phones", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("addresses", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("lifecycle_stage", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("preferred_language", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("consents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("custom", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("deactivated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deactivated_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("document_type IN ('cpf', 'cnpj', 'other')", name=op.f("ck_customer_document_type")),
        sa.CheckConstraint(
            "lifecycle_stage IN ('lead', 'prospect', 'customer', 'former')",
            name=op.f("ck_customer_lifecycle_stage"),
        ),
        sa.CheckConstraint("type IN ('person', 'company')", name=op.f("ck_customer_type")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_customer")),
    )
    op.create_index("ix_customer_created_at", "customer", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index("ix_customer_name", "customer", ["tenant_id", "name", "id"], unique=False)
    op.create_index("ix_customer_updated_at", "customer", ["tenant_id", "updated_at", "id"], unique=False)
    op.create_index(
        "uq_customer_document",
        "customer",
        ["tenant_id", "document"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_index(
        "uq_customer_email",
        "customer",
        ["tenant_id", "email"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_index(
        "uq_customer_external_id",
        "customer",
        ["tenant_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_table(
        "customer_word",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "record_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_customer_word_tenant_id_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "word", "record_id", name=op.f("pk_customer_word")),
    )
    op.create_index("ix_customer_word_record", "customer_word", ["tenant_id", "record_id"], unique=False)
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
    fence("customer", "tenant")
    fence("customer_word", "tenant")
    fence("replay", "tenant")


def downgrade() -> None:
    op.drop_index("ix_replay_created_at", table_name="replay")
    op.drop_table("replay")
    op.drop_index("ix_customer_word_record", table_name="customer_word")
    op.drop_table("customer_word")
    op.drop_index("uq_customer_external_id", table_name="customer", postgresql_where=sa.text("is_active"))
    op.drop_index("uq_customer_email", table_name="customer", postgresql_where=sa.text("is_active"))
    op.drop_index("uq_customer_document", table_name="customer", postgresql_where=sa.text("is_active"))
    op.drop_index("ix_customer_updated_at", table_name="customer")
    op.drop_index("ix_customer_name", table_name="customer")
    op.drop_index("ix_customer_created_at", table_name="customer")
    op.drop_table("customer")

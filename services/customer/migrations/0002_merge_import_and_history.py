"""Merge, import and history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations.fences import append_only, fence, queue
from kit.search import terms

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("customer", sa.Column("merged_into_id", sa.Uuid(), nullable=True))
    op.add_column("customer", sa.Column("erased_at", MOMENT, nullable=True))
    op.create_foreign_key(
        op.f("fk_customer_tenant_id_merged_into_id"),
        "customer",
        "customer",
        ["tenant_id", "merged_into_id"],
        ["tenant_id", "id"],
        ondelete="CASCADE",
    )
    op.create_index("ix_customer_merged_into_id", "customer", ["tenant_id", "merged_into_id"], unique=False)
    op.create_table(
        "customer_key",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=300, collation="C"), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "record_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_customer_key_tenant_id_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "key", "record_id", name=op.f("pk_customer_key")),
    )
    op.create_index("ix_customer_key_record", "customer_key", ["tenant_id", "record_id"], unique=False)
    op.create_table(
        "customer_change",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changes", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_customer_change_tenant_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_customer_change")),
    )
    op.create_index(
        "ix_customer_change_customer_id",
        "customer_change",
        ["tenant_id", "customer_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "customer_import",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_dry_run", sa.Boolean(), nullable=False),
        sa.Column("skips_faulty", sa.Boolean(), nullable=False),
        sa.Column("id_property", sa.Text(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('checking', 'writing', 'checked', 'done', 'refused')",
            name=op.f("ck_customer_import_status"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_customer_import")),
    )
    op.create_index("ix_customer_import_created_at", "customer_import", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_customer_import_due",
        "customer_import",
        ["tenant_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "customer_import_row",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cells", JSON, nullable=True),
        sa.Column("keys", JSON, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("errors", JSON, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('valid', 'created', 'updated', 'unchanged', 'faulty')",
            name=op.f("ck_customer_import_row_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"],
            ["customer_import.tenant_id", "customer_import.id"],
            name=op.f("fk_customer_import_row_tenant_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "import_id", "number", name=op.f("pk_customer_import_row")),
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["tenant_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    for table in ("customer_key", "customer_change", "customer_import_row"):
        fence(table, "tenant")
    for table in ("customer_import", "outbox"):
        fence(table, "tenant", "job")
        queue(table)
    append_only("customer_change", "customer_id", "changes")
    _find_keys()


def _find_keys() -> None:
    """Give the customers that exist their keys; from now on each change does."""
    op.execute("ALTER TABLE customer NO FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE customer_key NO FORCE ROW LEVEL SECURITY")
    query = "SELECT tenant_id, id, name, email, emails, phone, phones, document, external_id FROM customer"
    for row in op.get_bind().execute(sa.text(query)).all():
        name = " ".join(terms(row.name)) or row.name
        keys = {f"email:{email}" for email in (row.email, *row.emails) if email}
        keys |= {f"name+phone:{phone} {name}" for phone in (row.phone, *row.phones) if phone}
        keys |= {f"name+email:{email} {name}" for email in row.emails}
        keys |= {f"document:{''.join(filter(str.isalnum, row.document)).upper()}"} if row.document else set()
        keys |= {f"external_id:{row.external_id}"} if row.external_id else set()
        insert = sa.text("INSERT INTO customer_key VALUES (:tenant_id, :key, :id)")
        found = [{"tenant_id": row.tenant_id, "id": row.id, "key": key[:300]} for key in keys or {f"name:{name}"}]
        op.get_bind().execute(insert, found)
    op.execute("ALTER TABLE customer_key FORCE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE customer FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for table in ("outbox", "customer_import_row", "customer_import", "customer_change", "customer_key"):
        op.drop_table(table)
    op.drop_index("ix_customer_merged_into_id", table_name="customer")
    op.drop_constraint(op.f("fk_customer_tenant_id_merged_into_id"), "customer", type_="foreignkey")
    op.drop_column("customer", "erased_at")
    op.drop_column("customer", "merged_into_id")

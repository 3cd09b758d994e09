"""Create product."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kit.migrations.fences import append_only, fence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = postgresql.TIMESTAMP(timezone=True)
FENCED = ("catalogue", "category", "component", "price", "product", "product_word", "replay")


def upgrade() -> None:
    op.create_table(
        "catalogue",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_catalogue")),
    )
    op.create_table(
        "category",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "parent_id"],
            ["category.tenant_id", "category.id"],
            name=op.f("fk_category_tenant_id_parent_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_category")),
    )
    op.create_index("ix_category_created_at", "category", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index("ix_category_name", "category", ["tenant_id", "name", "id"], unique=False)
    op.create_index(
        "uq_category_name",
        "category",
        ["tenant_id", "parent_id", "name"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "publishable_key",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_publishable_key")),
    )
    op.create_index("uq_publishable_key_tenant_id", "publishable_key", ["tenant_id"], unique=True)
    op.create_table(
        "replay",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "operation", "key", name=op.f("pk_replay")),
    )
    op.create_index("ix_replay_created_at", "replay", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "product",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("gtin", sa.Text(), nullable=True),
        sa.Column("gtin14", sa.Text(), sa.Computed("lpad(gtin, 14, '0')", persisted=True), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=True),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("ncm", sa.Text(), nullable=True),
        sa.Column("cest", sa.Text(), nullable=True),
        sa.Column("origin", sa.Integer(), nullable=True),
        sa.Column("cfop", sa.Text(), nullable=True),
        sa.Column("tax_class", sa.Text(), nullable=True),
        sa.Column("tax_rate_bps", sa.Integer(), nullable=True),
        sa.Column("billing_period", sa.Text(), nullable=True),
        sa.Column("billing_count", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("deactivated_at", MOMENT, nullable=True),
        sa.Column("deactivated_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "billing_period IN ('day', 'week', 'month', 'year')", name=op.f("ck_product_billing_period")
        ),
        sa.CheckConstraint("kind IN ('good', 'service', 'bundle', 'subscription')", name=op.f("ck_product_kind")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "category_id"],
            ["category.tenant_id", "category.id"],
            name=op.f("fk_product_tenant_id_category_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_product")),
    )
    op.create_index("ix_product_category_id", "product", ["tenant_id", "category_id"], unique=False)
    op.create_index("ix_product_created_at", "product", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index("ix_product_name", "product", ["tenant_id", "name", "id"], unique=False)
    op.create_index("ix_product_price_amount", "product", ["tenant_id", "price_amount"], unique=False)
    op.create_index("ix_product_updated_at", "product", ["tenant_id", "updated_at", "id"], unique=False)
    op.create_index(
        "uq_product_external_id",
        "product",
        ["tenant_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )
    op.create_index(
        "uq_product_gtin", "product", ["tenant_id", "gtin14"], unique=True, postgresql_where=sa.text("is_active")
    )
    op.create_index(
        "uq_product_sku", "product", ["tenant_id", "sku"], unique=True, postgresql_where=sa.text("is_active")
    )
    op.create_table(
        "component",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "bundle_id"],
            ["product.tenant_id", "product.id"],
            name=op.f("fk_component_tenant_id_bundle_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "product_id"],
            ["product.tenant_id", "product.id"],
            name=op.f("fk_component_tenant_id_product_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "bundle_id", "product_id", name=op.f("pk_component")),
    )
    op.create_index("ix_component_product_id", "component", ["tenant_id", "product_id"], unique=False)
    op.create_table(
        "price",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "product_id"],
            ["product.tenant_id", "product.id"],
            name=op.f("fk_price_tenant_id_product_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_price")),
    )
    op.create_index("ix_price_product_id", "price", ["tenant_id", "product_id", "created_at", "id"], unique=False)
    op.create_table(
        "product_word",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "record_id"],
            ["product.tenant_id", "product.id"],
            name=op.f("fk_product_word_tenant_id_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "word", "record_id", name=op.f("pk_product_word")),
    )
    op.create_index("ix_product_word_record", "product_word", ["tenant_id", "record_id"], unique=False)
    for table in FENCED:
        fence(table, "tenant")
    append_only("price")


def downgrade() -> None:
    op.drop_table("product_word")
    op.drop_table("price")
    op.drop_table("component")
    op.drop_table("product")
    op.drop_table("replay")
    op.drop_table("publishable_key")
    op.drop_table("category")
    op.drop_table("catalogue")

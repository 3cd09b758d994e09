"""Find import rows by their customer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "ix_customer_import_row_customer_id"


def upgrade() -> None:
    there = sa.text("customer_id IS NOT NULL")
    op.create_index(INDEX, "customer_import_row", ["tenant_id", "customer_id"], postgresql_where=there)


def downgrade() -> None:
    op.drop_index(INDEX, table_name="customer_import_row")

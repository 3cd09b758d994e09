"""Row-level security for revisions: the database's own fence, with the words of a model's `__fence__`.

FORCE, so that the owner is fenced too; RESTRICTIVE, so that no later policy can widen it; `nullif`, because a
transaction-local setting leaves an empty text behind, which must mean nobody rather than an error.
"""

from alembic import op

CONDITIONS = {
    "tenant": "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid",
    "user": "user_id = nullif(current_setting('app.user_id', true), '')::uuid",
    "everywhere": "current_setting('app.everywhere', true) = 'on'",
}


def fence(table: str, *words: str) -> None:
    """Fence a table: a row is seen and written only where one of the words holds."""
    condition = " OR ".join(CONDITIONS[word] for word in words)
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(f'CREATE POLICY everyone ON "{table}" USING (true) WITH CHECK (true)')
    op.execute(f'CREATE POLICY fence ON "{table}" AS RESTRICTIVE USING ({condition}) WITH CHECK ({condition})')

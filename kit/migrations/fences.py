"""Row-level security for revisions: the database's own fence, with the words of a model's `__fence__`.

FORCE, so that the owner is fenced too; RESTRICTIVE, so that no later policy can widen it; `nullif`, because a
transaction-local setting leaves an empty text behind, which must mean nobody rather than an error.
"""

from alembic import context, op

from kit.connections import role_of

CONDITIONS = {
    "tenant": "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid",
    "user": "user_id = nullif(current_setting('app.user_id', true), '')::uuid",
    "everywhere": "current_setting('app.everywhere', true) = 'on'",
    "job": "right(current_user::text, 4) = '_job'",
}


def fence(table: str, *words: str) -> None:
    """Fence a table: a row is seen and written only where one of the words holds."""
    condition = " OR ".join(CONDITIONS[word] for word in words)
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(f'CREATE POLICY everyone ON "{table}" USING (true) WITH CHECK (true)')
    op.execute(f'CREATE POLICY fence ON "{table}" AS RESTRICTIVE USING ({condition}) WITH CHECK ({condition})')


def queue(table: str) -> None:
    """Let the job role see which rows of a queue are due; what they say is read as their tenant."""
    op.execute(f'GRANT SELECT (tenant_id, id, due_at) ON "{table}" TO "{_role("job")}"')


def append_only(table: str, *changeable: str) -> None:
    """Let the service add rows and never change or remove one, but for the named columns."""
    op.execute(f'REVOKE UPDATE, DELETE ON "{table}" FROM "{_role("")}"')
    if changeable:
        op.execute(f'GRANT UPDATE ({", ".join(changeable)}) ON "{table}" TO "{_role("")}"')


def _role(purpose: str) -> str:
    return role_of(context.config.attributes["service"], purpose)

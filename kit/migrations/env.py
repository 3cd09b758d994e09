"""Alembic's environment, the one of all services. It runs as the owner of the tables, alone, and briefly locked."""

import re
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, pool, text

from kit import grants
from kit.config import DB_SCHEMA
from kit.connections import quoted, role_of, url_of
from kit.db import Entry

config = context.config
service: str = config.attributes["service"]
db = current_app.extensions["migrate"].db
schema, app = DB_SCHEMA.of(service), role_of(service)
append_only = {mapper.local_table.name for mapper in db.Model.registry.mappers if issubclass(mapper.class_, Entry)}


def number(_context: Any, _revision: Any, directives: Any) -> None:
    """Number new revisions 0001, 0002, …; and write none when nothing changed."""
    script = directives[0]
    if getattr(config.cmd_opts, "autogenerate", False) and script.upgrade_ops.is_empty():
        directives[:] = []
        return
    numbers = [int(r) for r in context.script.get_heads() if re.fullmatch(r"\d{4}", r)]
    script.rev_id = f"{max(numbers, default=0) + 1:04d}"


def run() -> None:
    """Run the revisions on a connection of the owner, waiting for another migrator rather than racing it."""
    engine = create_engine(url_of(service, "owner"), poolclass=pool.NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        # All of it ends with the one transaction of the migration, so that it may run through PgBouncer.
        connection.execute(text(f"SET LOCAL search_path = {quoted(schema)}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('alicerce migrations'))"))
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        cursor = connection.connection.cursor()
        grants.before(cursor, schema, app, role_of(service, "job"))
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            process_revision_directives=number,
        )
        with context.begin_transaction():
            context.run_migrations()
        grants.after(cursor, schema, app, append_only)
        connection.commit()


run()

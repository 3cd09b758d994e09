"""Alembic's environment, the one of all services. It runs as the owner of the tables, alone, and briefly locked."""

import re
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, pool, text

from kit.config import DB_SCHEMA
from kit.db import url_of

config = context.config
service: str = config.attributes["service"]
metadata = current_app.extensions["migrate"].db.metadata
schema = DB_SCHEMA.of(service)


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
    engine = create_engine(
        url_of(service, "owner"),
        poolclass=pool.NullPool,
        connect_args={"connect_timeout": 5, "options": f"-c search_path={schema} -c lock_timeout=10s"},
    )
    with engine.connect() as connection:
        # Transaction-level, so that it ends with the migration's own commit or with the connection.
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('alicerce migrations'))"))
        connection.execute(text("SET lock_timeout = '10s'"))
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_type=True,
            process_revision_directives=number,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()

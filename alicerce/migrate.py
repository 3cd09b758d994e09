"""Bring the databases of services to their newest revision, each as the owner of its tables."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import flask_migrate
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, pool, text

from kit.config import DB_SCHEMA
from kit.connections import quoted, url_of
from kit.migrations import attach


def _app(service: str) -> Any:
    app = import_module(f"services.{service}").create_app()
    if "migrate" not in app.extensions:
        attach(app, app.db)
    return app


def migrate(services: Sequence[str]) -> None:
    """Upgrade each service's database; one that is at its newest revision stays as it is."""
    for service in services:
        app = _app(service)
        with app.app_context():
            flask_migrate.upgrade()


def differences(service: str) -> list[Any]:
    """What the models say and the migrated database does not; empty when they agree."""
    app = _app(service)
    engine = create_engine(url_of(service, "owner"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL search_path = {quoted(DB_SCHEMA.of(service))}"))
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, app.db.metadata))

"""Grants to a service's roles on the tables of its owner. The owner itself may make all of them, so that a database of
another maker needs no administrator and no default privileges before its first migration.

Each function takes a cursor of the owner.
"""

from collections.abc import Collection
from typing import Any

from psycopg2 import sql

PUBLIC = "public"
OWNED = "SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s"
UNUSABLE = """
    SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind IN ('r', 'p')
    AND pg_has_role(current_user, relowner, 'USAGE') AND NOT has_table_privilege(%s, oid, 'SELECT') ORDER BY relname
"""


def before(cursor: Any, schema: str, app: str, job: str) -> None:
    """Let the roles reach the schema, which is made where it is missing, and the application use later tables."""
    names = {"schema": sql.Identifier(schema), "app": sql.Identifier(app), "job": sql.Identifier(job)}
    statements = []
    cursor.execute(OWNED, [schema])
    if (row := cursor.fetchone()) is None:
        statements += ["CREATE SCHEMA {schema}"]
    if row is None or row[0]:  # what another owner has to grant, `alicerce.access` asks for
        statements += ["GRANT USAGE ON SCHEMA {schema} TO {app}, {job}"]
    cursor.execute(OWNED, [PUBLIC])
    if cursor.fetchone() == (True,):
        statements += ["REVOKE CREATE ON SCHEMA public FROM PUBLIC"]
    later = "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT "
    statements += [later + "SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}"]
    statements += [later + "USAGE, SELECT ON SEQUENCES TO {app}"]
    for statement in statements:
        cursor.execute(sql.SQL(statement).format(**names))


def after(cursor: Any, schema: str, app: str, append_only: Collection[str]) -> None:
    """Let the application use tables that were made before it had default privileges."""
    for table in unusable(cursor, schema, app):
        rights = "SELECT, INSERT" if table in append_only else "SELECT, INSERT, UPDATE, DELETE"
        names = sql.Identifier(schema, table), sql.Identifier(app)
        cursor.execute(sql.SQL(f"GRANT {rights} ON {{}} TO {{}}").format(*names))


def unusable(cursor: Any, schema: str, app: str) -> list[str]:
    """Return the tables of the owner that the application may not read."""
    cursor.execute(UNUSABLE, [schema, app])
    return [name for (name,) in cursor.fetchall()]

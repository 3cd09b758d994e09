"""What backup and restore know of databases: where each service's lies, who may read all of it, what it holds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection

from alicerce import control, databases
from alicerce.databases import execute, reason
from alicerce.postgres import EmbeddedPostgres, ready_pid
from alicerce.services import services, without_database
from kit.config import ConfigurationError, lookup

POOLER = "unsupported startup parameter"
MAINTENANCE = "postgres"  # where to stand while another database is made or renamed
TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Database:
    """The database of a service: its name, its owner's URL, and the URL of whoever may read past its fences."""

    service: str
    name: str
    owner: str
    admin: str

    def at(self, name: str) -> "Database":
        """The same roles on another database of the server."""
        return Database(self.service, name, within(self.owner, name), within(self.admin, name))

    @property
    def maintenance(self) -> str:
        """The administrator's URL, beside the databases of services."""
        return within(self.admin, MAINTENANCE)


def within(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def of_services(nouns: Iterable[str]) -> list[Database]:
    """The databases of these services. Raises ConfigurationError when the embedded server does not run."""
    nouns = tuple(nouns)
    ours = without_database(nouns)
    shared = databases.server_url() if ours else ""
    found = []
    for noun in nouns:
        server = databases.server_of(shared, noun) if noun in ours else ""
        owner = databases.role_url(server, noun, "owner") if noun in ours else databases.owner_url(noun)
        name = unquote(urlsplit(owner).path.lstrip("/"))
        admin = server or databases.normalise(databases.DATABASE_ADMIN_URL.of(noun) or owner)
        found.append(Database(noun, name, owner, within(admin, name)))
    return found


@contextmanager
def embedded(folder: Path, *, alone: bool) -> Iterator[None]:
    """Have the embedded Postgres up, if it is what we use; start and stop it when nobody else does.

    With `alone`, hold the lock of the folder, so that Alicerce cannot start here meanwhile. Raises ConfigurationError
    when it runs.
    """
    needed = bool(without_database(services())) and not lookup("DATABASE_SERVER_URL")
    if not alone and (not needed or ready_pid(folder) is not None):
        yield
        return
    with control.held(folder):
        postgres = EmbeddedPostgres(folder)
        try:
            if needed:
                postgres.start()
            yield
        finally:
            postgres.stop()


@contextmanager
def session(url: str, doing: str) -> Iterator[connection]:
    """A connection in autocommit mode that sees every row. Raises ConfigurationError that says what failed `doing`."""
    try:
        # With this off, a statement that a policy would narrow is an error rather than an answer with holes. It is set
        # for the whole session, or not at all: PgBouncer, behind which there is none, refuses it.
        opened = psycopg2.connect(url, connect_timeout=databases.CONNECT_SECONDS, options="-c row_security=off")
    except psycopg2.Error as error:
        raise ConfigurationError(f"{doing} failed, no connection: {reason(error)}.{_advice(error)}") from error
    try:
        opened.autocommit = True
        yield opened
    except psycopg2.Error as error:
        raise ConfigurationError(f"{doing} failed: {reason(error)}.") from error
    finally:
        opened.close()


def _advice(error: psycopg2.Error) -> str:
    if POOLER not in str(error):
        return ""
    return " This is PgBouncer: let DATABASE_ADMIN_URL or the owner's URL lead past it, to Postgres itself."


def check_exists(database: Database) -> None:
    """Raise ConfigurationError when the database was never made."""
    with session(database.maintenance, f"Looking for {database.name}") as admin:
        if not execute(admin, "SELECT 1 FROM pg_database WHERE datname = {}", database.name):
            raise ConfigurationError(f"{database.service} has no database {database.name} yet: `make run` makes it.")


def fenced_role(admin: connection) -> str:
    """Return the name of this connection's role if row-level security holds it, else an empty text."""
    query = "SELECT rolname FROM pg_roles WHERE rolname = current_user AND NOT (rolsuper OR rolbypassrls)"
    return "".join(name for (name,) in execute(admin, query))


def check_unfenced(admin: connection, service: str) -> None:
    """Raise ConfigurationError when this role cannot read past row-level security."""
    if name := fenced_role(admin):
        raise ConfigurationError(
            f"The database role {name} sees the rows of no tenant, and a copy needs all of {service}: let a superuser "
            f"run `ALTER ROLE {name} BYPASSRLS`, or set DATABASE_ADMIN_URL (DATABASE_SERVER_URL where that is used) "
            "to a role that has it."
        )


def rows_per_table(admin: connection) -> dict[str, int]:
    """How many rows each table has, exactly; tables are named `schema.table`."""
    return {
        f"{schema}.{table}": execute(admin, "SELECT count(*) FROM {}", sql.Identifier(schema, table))[0][0]
        for schema, table in execute(admin, TABLES)
    }

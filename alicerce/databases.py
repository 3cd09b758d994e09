"""One database and three roles per service, on the embedded Postgres or on a server that exists.

    <service>_owner   owns the tables; migrations run as this role
    <service>_app     reads and writes rows, under row-level security; the service runs as this role
    <service>_job     may connect, nothing more: each migration grants what the relay and the jobs need

Everything here can be repeated, and needs an administrator who may create roles and databases, not a superuser.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, encrypt_password

from alicerce import home
from alicerce.postgres import EmbeddedPostgres, ready_pid
from alicerce.services import ROOT, services, without_database
from kit import grants
from kit.config import DB_SCHEMA, ConfigurationError, lookup, setting

DATABASE_SERVER_URL = setting(
    "DATABASE_SERVER_URL",
    "",
    "Postgres to make the databases on, as an administrator; empty: the embedded one.",
)
DATABASE_ADMIN_URL = setting(
    "DATABASE_ADMIN_URL",
    "",
    "Administrator of databases that you made yourself, for backup and restore; empty: their owner.",
)
OLDEST_VERSION = 150000
ADVISORY_LOCK = 0x616C6963  # "alic": any number will do, as long as every version of us takes the same
CONNECT_SECONDS = 5
LOCK_WAIT = "60s"
SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg")
PURPOSES = {
    "APP": "",
    "OWNER": "OWNER_",
    "JOB": "JOB_",
}  # role suffix -> what its URL's variable says before URL


def server_url() -> str:
    """The administrator's URL: `DATABASE_SERVER_URL`, else the embedded server's, which must be running."""
    if DATABASE_SERVER_URL():
        return normalise(DATABASE_SERVER_URL())
    folder = home.folder()
    if ready_pid(folder) is None:
        raise ConfigurationError("The embedded Postgres does not run: start Alicerce first, with `make run`.")
    return EmbeddedPostgres(folder).url


def normalise(url: str) -> str:
    """The same URL with the scheme that libpq knows. Raises ConfigurationError when it is no Postgres URL."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ConfigurationError(f"A database URL starts with postgresql://, not with {scheme.split(':')[0]!r}.")
    return f"postgresql://{rest}"


def prepare(admin_url: str, services: Sequence[str]) -> dict[str, str]:
    """Make the databases and roles that are missing; the environment that leads each service to its own.

    Services to which the user gave a database are left alone. The result, variable name to URL, is also written to
    the generated `environment` file, where `kit.config` finds it.
    """
    wanted = without_database(services)
    by_server: dict[str, list[str]] = {}
    for service in wanted:
        by_server.setdefault(server_of(admin_url, service), []).append(service)
    for url, nouns in by_server.items():
        _prepare_server(url, nouns)
    environment = urls(admin_url, wanted)
    home.write(home.folder() / "environment", "".join(f"{name}={url}\n" for name, url in environment.items()))
    return environment


def urls(admin_url: str, services: Iterable[str]) -> dict[str, str]:
    """The variables that lead services to the databases that `prepare` makes, whether it has made them or not."""
    found = {}
    for service in services:
        server = server_of(admin_url, service)
        for purpose, word in PURPOSES.items():
            found[f"{service.upper()}_SERVICE_DATABASE_{word}URL"] = role_url(server, service, purpose.lower())
    return found


def server_of(admin_url: str, service: str) -> str:
    """The administrator's URL of a service's own server (`<NOUN>_SERVICE_DATABASE_SERVER_URL`), else of everybody's."""
    return normalise(DATABASE_SERVER_URL.of(service) or admin_url)


def _prepare_server(admin_url: str, services: Sequence[str]) -> None:
    with connected(admin_url) as admin:
        _check_version(admin)
        with _alone(admin_url):
            for service in services:
                _make_roles(admin, service)
                _make_database(admin, service)
                with connected(role_url(admin_url, service, "owner")) as owner:
                    _make_schema(owner, service)
            _check_powerless(admin, services)


def behind(services: Iterable[str]) -> list[str]:
    """The services whose database lacks a revision. It asks Postgres only, so that a start which has nothing to
    migrate does not load Alembic and every service."""
    return [service for service in services if applied(service, owner_url(service)) != newest(service)]


def newest(service: str) -> str | None:
    """The newest revision that this code has for a service."""
    revisions = (ROOT / "services" / service / "migrations").glob("[0-9]*.py")
    return max((path.name.partition("_")[0] for path in revisions), default=None)


def owner_url(service: str) -> str:
    """Where the owner of a service's tables connects. Raises ConfigurationError when nothing says it."""
    prefix = f"{service.upper()}_SERVICE_DATABASE_"
    url = lookup(f"{prefix}OWNER_URL") or lookup(f"{prefix}URL") or lookup("DATABASE_URL")
    if not url:
        raise ConfigurationError(f"{service} has no database: set {prefix}URL, or leave it to `make run`.")
    return normalise(url)


def applied(service: str, url: str) -> str | None:
    """The revision of the database of a service; None when it was never migrated."""
    table = sql.Identifier(DB_SCHEMA.of(service), "alembic_version")
    with connected(url) as owner:
        if execute(owner, "SELECT to_regclass({})", table.as_string(owner))[0][0] is None:
            return None
        rows = execute(owner, "SELECT version_num FROM {}", table)
    return str(rows[0][0]) if rows else None


@contextmanager
def connected(url: str) -> Iterator[connection]:
    """A connection in autocommit mode. Raises ConfigurationError that names the server and its reason."""
    place = urlsplit(url).netloc.rpartition("@")[2] or "the local socket"
    timeout = {} if "connect_timeout=" in url else {"connect_timeout": CONNECT_SECONDS}
    try:
        opened = psycopg2.connect(url, **timeout)
    except psycopg2.Error as error:
        message = f"The database server {place} cannot be used ({reason(error)}): {_advice(url)}."
        raise ConfigurationError(message) from error
    try:
        opened.autocommit = True
        yield opened
    except psycopg2.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"The database server {place} refused to make databases and roles ({reason(error)}): "
            "DATABASE_SERVER_URL needs a user with CREATEROLE and CREATEDB."
        ) from error
    except psycopg2.errors.LockNotAvailable as error:
        raise ConfigurationError(
            f"Somebody else has been preparing {place} for a minute: try again when that has ended."
        ) from error
    except psycopg2.Error as error:
        raise ConfigurationError(f"The databases on {place} could not be prepared: {reason(error)}.") from error
    finally:
        opened.close()


def _advice(url: str) -> str:
    ours = without_database(services())
    if any(noun not in ours and url == owner_url(noun) for noun in services()):
        return "correct its URL"
    if DATABASE_SERVER_URL():
        return "check DATABASE_SERVER_URL"
    return f"restore {home.folder() / 'secrets.json'}, or remove that folder to start anew"


def reason(error: psycopg2.Error) -> str:
    """What Postgres said, in one line without its last full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[0].partition(" failed: ")[2] or lines[0]
    return said.replace("FATAL:", "").strip().rstrip(".")


def _check_version(admin: connection) -> None:
    if admin.server_version < OLDEST_VERSION:
        raise ConfigurationError(
            f"The database server {admin.info.host} runs Postgres {admin.server_version // 10000}, which is too old: "
            "use 15 or newer."
        )


@contextmanager
def _alone(admin_url: str) -> Iterator[None]:
    """One preparation at a time on a server: roles belong to it as a whole. The lock ends with its transaction, so that
    it is one behind PgBouncer as well, and a connection of its own holds it: no database is made in a transaction."""
    with connected(admin_url) as holder:
        execute(holder, "BEGIN")
        execute(holder, "SET LOCAL lock_timeout = {}", LOCK_WAIT)
        execute(holder, "SELECT pg_advisory_xact_lock({})", ADVISORY_LOCK)
        yield
        execute(holder, "COMMIT")


def _make_roles(admin: connection, service: str) -> None:
    superuser = execute(admin, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]
    for role in _roles(service):
        # Hashed here, so that no password ever stands in a statement that the server may log.
        password = encrypt_password(home.secret(role), role, scope=admin, algorithm="scram-sha-256")
        if not execute(admin, "SELECT 1 FROM pg_roles WHERE rolname = {}", role):
            powers = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION"
            execute(admin, f"CREATE ROLE {{}} LOGIN {powers} PASSWORD {{}}", _name(role), password)
        else:
            execute(admin, "ALTER ROLE {} LOGIN PASSWORD {}", _name(role), password)
    if not superuser:
        # Only a member may make a database that belongs to the role (Postgres 16 gives its maker no membership).
        execute(admin, "GRANT {} TO CURRENT_USER", _name(f"{service}_owner"))


def _make_database(admin: connection, service: str) -> None:
    database, owner = _name(f"{service}_db"), _name(f"{service}_owner")
    if not execute(admin, "SELECT 1 FROM pg_database WHERE datname = {}", f"{service}_db"):
        # C everywhere: the same order and the same index use on the embedded server and on a given one.
        options = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'"
        execute(admin, f"CREATE DATABASE {{}} OWNER {{}} {options}", database, owner)
    roles = sql.SQL(", ").join(_name(role) for role in _roles(service))
    execute(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    execute(admin, "GRANT CONNECT ON DATABASE {} TO {}", database, roles)


def _make_schema(owner: connection, service: str) -> None:
    """What the owner itself may grant within its database, so that no superuser is needed for it."""
    with owner.cursor() as cursor:
        grants.before(cursor, DB_SCHEMA.of(service), f"{service}_app", f"{service}_job")
    if execute(owner, "SELECT has_schema_privilege({}, 'public', 'CREATE')", f"{service}_app")[0][0]:
        raise ConfigurationError(
            f"Anybody may create tables in {service}_db: run `REVOKE CREATE ON SCHEMA public FROM PUBLIC` there once, "
            "as the owner of that schema."
        )


def _check_powerless(admin: connection, services: Iterable[str]) -> None:
    """Row-level security holds only for roles that cannot step over it, and roles may have been made elsewhere."""
    names = [role for service in services for role in _roles(service)]
    query = (
        "SELECT rolname FROM pg_roles WHERE rolname = ANY ({}::text[])"
        " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)"
    )
    powerful = [row[0] for row in execute(admin, query, names)]
    if powerful:
        raise ConfigurationError(
            f"These database roles have powers that no service may have: {', '.join(powerful)}. Take them away with "
            "`ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION`."
        )


def _roles(service: str) -> tuple[str, ...]:
    return tuple(f"{service}_{purpose.lower()}" for purpose in PURPOSES)


def role_url(admin_url: str, service: str, purpose: str) -> str:
    """The URL of a role: host, port and options (`sslmode` …) are the administrator's."""
    parts = urlsplit(admin_url)
    role = f"{service}_{purpose}"
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role)}:{quote(home.secret(role))}@{place}", path=f"/{service}_db"))


def _name(text: str) -> sql.Identifier:
    return sql.Identifier(text)


def execute(target: connection, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement; `{}` takes a name (sql.Composable) or, quoted as a literal, any other value."""
    composed = [value if isinstance(value, sql.Composable) else sql.Literal(value) for value in values]
    with target.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*composed))
        return cursor.fetchall() if cursor.description else []

"""The address of each service's database, and the beginning of a connection and of a transaction on it."""

from typing import Any

import orjson
from sqlalchemy import make_url

from kit.config import DB_SCHEMA, ConfigurationError, lookup, setting
from kit.pool import Pool

IDLE_TIMEOUT = "15s"


def at_least_two(text: str) -> int:
    """Read a number of connections: one request of solo may need two."""
    if int(text) < 2:
        raise ValueError("use a number from 2")
    return int(text)


DATABASE_URL = setting("DATABASE_URL", "", "Postgres of a service, as its own unprivileged role.")
DB_CONNECTIONS = setting(
    "DB_CONNECTIONS", 60, "Most connections of one process to databases, over all its services.", at_least_two
)
DB_POOL_SIZE = setting(
    "DB_POOL_SIZE", 5, "Connections of a service and process beyond which a request first waits a moment for one."
)


def normalise(url: str) -> str:
    """A URL of any Postgres scheme as the one of our driver."""
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ConfigurationError(
            "A DATABASE_URL cannot be read; write postgresql://user:password@host:5432/name."
        ) from error
    if not parsed.drivername.startswith("postgres"):
        raise ConfigurationError(f"A DATABASE_URL names {parsed.drivername}; this platform needs Postgres.")
    return parsed.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def standing(service: str) -> dict[str, str]:
    """Return the settings of each of a service's transactions, by name.

    They travel with BEGIN. What belongs to a connection or a session gets lost behind PgBouncer in transaction mode,
    and PgBouncer refuses connections that name settings (`options`).
    """
    return {
        "search_path": quoted(DB_SCHEMA.of(service)),
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
        "max_parallel_workers_per_gather": "0",  # starting helpers costs a short query more than they save
    }


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it within a text."""
    return '"' + name.replace('"', '""').replace("'", "''") + '"'


def opening(settings: dict[str, Any], mode: str = "") -> bytes:
    """Return the SQL that begins a transaction (READ ONLY, if that is its mode) with these settings."""
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"BEGIN {mode}; SELECT {calls};".encode()


def engine_options(service: str) -> dict[str, Any]:
    """Return a service's engine options: bounded waits, strict JSON, no state of a session."""
    return {
        "poolclass": Pool,
        "pool_logging_name": service,
        "usual_size": DB_POOL_SIZE.of(service),
        "connections": DB_CONNECTIONS.of(service),
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "hide_parameters": True,  # rows and password hashes do not belong into logs
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        "connect_args": {
            "connect_timeout": 3,
            "application_name": service,
            "keepalives_idle": 10,
            "tcp_user_timeout": 10_000,
        },
    }


def url_of(service: str, role: str = "") -> str:
    """The URL of a service's database, for one of its roles: the application's, or `owner`, or `job`."""
    name = f"DATABASE_{role.upper()}_URL" if role else "DATABASE_URL"
    url = lookup(f"{service.upper()}_SERVICE_{name}") or lookup(name)
    if not url and role:
        return url_of(service)
    if not url:
        raise ConfigurationError(
            f"{service} has no database. Start the platform with `make run`, or set {service.upper()}_SERVICE_{name}."
        )
    return normalise(url)


def role_of(service: str, purpose: str = "") -> str:
    """Return the name of a role, as its URL has it: of the application, or of `owner` or `job`."""
    return str(make_url(url_of(service, purpose)).username)

"""External databases: the checks before a service uses one, and the SQL or the settings that mend each fault.

Migrations grant what the owner may grant (`kit.grants`). These checks ask for the rest, before migrations run.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg2
from psycopg2.extensions import connection

from alicerce import databases
from alicerce.databases import PURPOSES, execute, reason
from alicerce.services import services, without_database
from kit import grants
from kit.config import DB_SCHEMA, ConfigurationError, lookup

POWERS = "NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION"
OF_ROLE = """
    SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication,
           NOT rolsuper AND pg_has_role(rolname, {owner}, 'MEMBER'),
           EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND relkind IN ('r', 'p'))
               OR EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND datdba = r.oid),
           coalesce(has_schema_privilege(rolname, to_regnamespace(quote_ident({schema})), 'USAGE'), false),
           coalesce(has_schema_privilege(rolname, to_regnamespace(quote_ident({schema})), 'CREATE'), false)
      FROM pg_roles r WHERE rolname = {role}
"""
OF_OWNER = """
    SELECT pg_encoding_to_char(encoding), n.oid IS NOT NULL,
           coalesce(pg_has_role(current_user, n.nspowner, 'USAGE'), false),
           CASE WHEN n.oid IS NULL THEN has_database_privilege(datname, 'CREATE')
                ELSE has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE') END
      FROM pg_database LEFT JOIN pg_namespace n ON n.nspname = {schema} WHERE datname = current_database()
"""
OF_OTHERS = """
    SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident({schema})) AND relkind IN ('r', 'p')
    AND (relrowsecurity OR relname = 'alembic_version') AND NOT pg_has_role(current_user, relowner, 'USAGE') ORDER BY 1
"""
SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Fault:
    """One fault, in a sentence, and the lines that mend it: SQL for an administrator, or settings."""

    message: str
    mend: str


class ExternalDatabase:
    """The external database of one service: its URLs, and a connection and a role for each purpose."""

    def __init__(self, service: str) -> None:
        self.service, self.schema = service, DB_SCHEMA.of(service)
        urls = {p: lookup(variable(service, p)) or lookup(f"DATABASE_{word}URL") for p, word in PURPOSES.items()}
        self.urls = {purpose: databases.normalise(url) for purpose, url in urls.items() if url}
        self.connections: dict[str, connection] = {}
        self.roles: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The database's name."""
        return unquote(urlsplit(self.urls["APP"]).path.lstrip("/"))

    def connect(self, purpose: str) -> None:
        """Connect for one purpose. Raises psycopg2.Error."""
        link = psycopg2.connect(self.urls[purpose], connect_timeout=databases.CONNECT_SECONDS)
        self.connections[purpose], link.autocommit = link, True
        self.roles[purpose] = execute(link, "SELECT current_user")[0][0]

    def ask(self, purpose: str, query: str, **values: str) -> list[tuple[Any, ...]]:
        """Ask as one of the roles."""
        with self.connections[purpose].cursor() as cursor:
            cursor.execute(re.sub(r"{(\w+)}", r"%(\1)s", query), values)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close every connection."""
        for link in self.connections.values():
            link.close()


def check(nouns: Iterable[str]) -> None:
    """Raise ConfigurationError that lists every fault of the external databases of these services."""
    listed = faults(nouns)
    if listed:
        text = "\n".join(f"{fault.message}\n{indented(fault.mend)}" for fault in listed)
        raise ConfigurationError(f"{text}\ndocs/databases.md shows the whole of it.")


def indented(text: str) -> str:
    """Return a text with each of its lines moved to the right."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def faults(nouns: Iterable[str]) -> list[Fault]:
    """Return the faults of the external databases of these services."""
    nouns = tuple(nouns)
    ours, single = without_database(nouns), lookup("DATABASE_URL")
    result = [_one_for_all(single)] if ours and single else []
    for noun in nouns:
        if noun not in ours:
            with closing(ExternalDatabase(noun)) as database:
                try:
                    result += _faults(database)
                except psycopg2.Error as error:
                    raise ConfigurationError(f"The database of {noun} cannot be looked at: {reason(error)}.") from error
    return result


def is_usable(service: str) -> bool:
    """Return whether the application may read each table that its owner made."""
    app = unquote(urlsplit(ExternalDatabase(service).urls["APP"]).username or "")
    with databases.connected(databases.owner_url(service)) as owner, owner.cursor() as cursor:
        return not grants.unusable(cursor, DB_SCHEMA.of(service), app)


def variable(service: str, purpose: str) -> str:
    """Return the variable that holds a URL of a service: for APP, OWNER or JOB."""
    return f"{service.upper()}_SERVICE_DATABASE_{PURPOSES[purpose]}URL"


def _one_for_all(url: str) -> Fault:
    first = variable(services()[0], "APP")
    return Fault(
        "DATABASE_URL is one database and one role for everything; each service needs a database and three roles.",
        "Name the server instead, as a role that may make databases and roles, and Alicerce makes them:\n"
        f"DATABASE_SERVER_URL={_shown(databases.normalise(url))}\n"
        f"Or make them yourself, and set three URLs for each service, from {first} on.",
    )


def _faults(database: ExternalDatabase) -> list[Fault]:
    for purpose in database.urls:
        try:
            database.connect(purpose)
        except psycopg2.Error as error:
            message = f"{database.service} cannot use {variable(database.service, purpose)} ({reason(error)})."
            return [Fault(message, _making(database, purpose))]
    if len(set(database.roles.values())) < len(PURPOSES):
        return [_too_few_roles(database)]
    of_roles = [fault for purpose in ("APP", "JOB") for fault in _of_role(database, purpose)]
    return [*_of_owner(database), *of_roles]


def _making(database: ExternalDatabase, purpose: str) -> str:
    role, name = quoted(unquote(urlsplit(database.urls[purpose]).username or "")), quoted(database.name)
    return (
        "Correct the URL; or let an administrator make what it names, as far as it is missing:\n"
        f"CREATE ROLE {role} LOGIN PASSWORD '…';\n"
        f"CREATE DATABASE {name}{f' OWNER {role}' if purpose == 'OWNER' else ''} TEMPLATE template0 ENCODING 'UTF8';\n"
        f"GRANT CONNECT ON DATABASE {name} TO {role};"
    )


def _too_few_roles(database: ExternalDatabase) -> Fault:
    service, owner = database.service, database.urls.get("OWNER") or database.urls["APP"]
    app, job = f"{service}_app", f"{service}_job"
    role = database.roles["APP"]
    creator = "SELECT FROM pg_roles WHERE rolname = {role} AND (rolsuper OR rolcreaterole AND rolcreatedb)"
    simpler = ""
    if database.ask("APP", creator, role=role):
        simpler = (
            f"Name the server instead of the database, and Alicerce makes both (without {variable(service, 'APP')}):\n"
            f"DATABASE_SERVER_URL={_shown(owner)}\nOr let "
        )
    return Fault(
        f"{service} has {len(set(database.roles.values()))} of three database roles. The role that serves requests "
        "must own nothing, or row-level security would not hold it; the jobs' role sees what is due, and nothing else.",
        f"{simpler or 'Let '}an administrator run, with passwords of your own:\n"
        f"CREATE ROLE {app} LOGIN PASSWORD '…';\n"
        f"CREATE ROLE {job} LOGIN PASSWORD '…';\n"
        f"GRANT CONNECT ON DATABASE {quoted(database.name)} TO {app}, {job};\n"
        "and set, with these passwords:\n"
        f"{variable(service, 'APP')}={_shown(owner, app)}\n"
        f"{variable(service, 'OWNER')}={_shown(owner)}\n"
        f"{variable(service, 'JOB')}={_shown(owner, job)}",
    )


def _of_owner(database: ExternalDatabase) -> Iterator[Fault]:
    owner, schema, name = quoted(database.roles["OWNER"]), quoted(database.schema), quoted(database.name)
    server = database.connections["OWNER"].server_version
    if server < databases.OLDEST_VERSION:
        yield Fault(f"{database.service} is on Postgres {server // 10000}, which is too old.", "Use 15 or newer.")
    encoding, exists, owns, creates = database.ask("OWNER", OF_OWNER, schema=database.schema)[0]
    if encoding != "UTF8":
        yield Fault(
            f"{database.name} holds texts in {encoding}, and {database.service} needs UTF8.",
            f"Make another one: CREATE DATABASE … OWNER {owner} TEMPLATE template0 ENCODING 'UTF8';",
        )
    if not creates:
        mend = f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner};"
        mend = mend if exists else f"CREATE SCHEMA {schema} AUTHORIZATION {owner};"
        yield Fault(f"{owner} may not make tables in the schema {schema} of {name}.", mend)
    for (table,) in database.ask("OWNER", OF_OTHERS, schema=database.schema):
        yield Fault(
            f"The table {table} of {name} does not belong to {owner}, which has to migrate it.",
            f"ALTER TABLE {schema}.{quoted(table)} OWNER TO {owner};",
        )
    if exists and not owns:
        yield from _of_schema(database)


def _of_schema(database: ExternalDatabase) -> Iterator[Fault]:
    """Return what the owner of the schema has to grant or revoke."""
    schema, roles = quoted(database.schema), [database.roles["APP"], database.roles["JOB"]]
    facts = {role: _facts(database, role) for role in roles}
    if without := ", ".join(quoted(role) for role in roles if not facts[role][3]):
        yield Fault(f"{without} may not use the schema {schema}.", f"GRANT USAGE ON SCHEMA {schema} TO {without};")
    if makers := ", ".join(quoted(role) for role in roles if facts[role][4] and not facts[role][0]):
        yield Fault(
            f"{makers} may make tables in the schema {schema}, and only the owner may.",
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {makers};\n"
            f"GRANT CREATE ON SCHEMA {schema} TO {quoted(database.roles['OWNER'])};",
        )


def _facts(database: ExternalDatabase, role: str) -> tuple[Any, ...]:
    return database.ask("OWNER", OF_ROLE, role=role, owner=database.roles["OWNER"], schema=database.schema)[0]


def _of_role(database: ExternalDatabase, purpose: str) -> Iterator[Fault]:
    name, owner = database.roles[purpose], quoted(database.roles["OWNER"])
    role = quoted(name)
    is_powerful, is_owner, owns, *_ = _facts(database, name)
    if is_powerful:
        yield Fault(
            f"{role} has powers by which it could step over row-level security.", f"ALTER ROLE {role} {POWERS};"
        )
    if is_owner:
        yield Fault(f"{role} is a member of {owner}, so it owns what that owns.", f"REVOKE {owner} FROM {role};")
    if owns:
        yield Fault(
            f"{role} owns {quoted(database.name)} or tables in it; row-level security does not hold an owner.",
            f"REASSIGN OWNED BY {role} TO {owner};\nGRANT CONNECT ON DATABASE {quoted(database.name)} TO {role};",
        )
    if name.endswith("_job") != (purpose == "JOB"):
        yield Fault(
            f"{role} is named in {variable(database.service, purpose)}, and the policies know the jobs' role by its "
            "ending _job, which no other may have.",
            f"ALTER ROLE {role} RENAME TO {database.service}_{purpose.lower()};",
        )


def _shown(url: str, user: str = "") -> str:
    """Return a URL without its password, with another user if one is named."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user or parts.username or ''}:…@{place}"))


def quoted(name: str) -> str:
    """Return a name as SQL takes it, quoted only where it has to be."""
    return name if SIMPLE.fullmatch(name) else '"' + name.replace('"', '""') + '"'

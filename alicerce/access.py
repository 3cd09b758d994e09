"""Databases that people bring: what keeps a service from using one safely, and the SQL or the settings that mend it.

The owner grants by itself what it may, in migrations (`kit.grants`). Here is asked for the rest, before they run.
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
class Lack:
    """What is missing, in a sentence, and the lines that mend it: SQL for an administrator, or settings."""

    message: str
    mend: str


class Brought:
    """The database that somebody brought for a service: its URLs, and a connection and a role for each purpose."""

    def __init__(self, service: str) -> None:
        self.service, self.schema = service, DB_SCHEMA.of(service)
        found = {p: lookup(variable(service, p)) or lookup(f"DATABASE_{word}URL") for p, word in PURPOSES.items()}
        self.urls = {purpose: databases.normalise(url) for purpose, url in found.items() if url}
        self.opened: dict[str, connection] = {}
        self.roles: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The database's name."""
        return unquote(urlsplit(self.urls["APP"]).path.lstrip("/"))

    def connect(self, purpose: str) -> None:
        """Connect for one purpose. Raises psycopg2.Error."""
        opened = psycopg2.connect(self.urls[purpose], connect_timeout=databases.CONNECT_SECONDS)
        self.opened[purpose], opened.autocommit = opened, True
        self.roles[purpose] = execute(opened, "SELECT current_user")[0][0]

    def ask(self, purpose: str, query: str, **values: str) -> list[tuple[Any, ...]]:
        """Ask as one of the roles."""
        with self.opened[purpose].cursor() as cursor:
            cursor.execute(re.sub(r"{(\w+)}", r"%(\1)s", query), values)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close every connection."""
        for opened in self.opened.values():
            opened.close()


def check(nouns: Iterable[str]) -> None:
    """Raise ConfigurationError that says all that the databases which people brought still lack."""
    found = lacks(nouns)
    if found:
        text = "\n".join(f"{lack.message}\n{indented(lack.mend)}" for lack in found)
        raise ConfigurationError(f"{text}\ndocs/databases.md shows the whole of it.")


def indented(text: str) -> str:
    """Return a text with each of its lines moved to the right."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def lacks(nouns: Iterable[str]) -> list[Lack]:
    """Return what the databases of services lack, as far as people brought them."""
    nouns = tuple(nouns)
    ours, single = without_database(nouns), lookup("DATABASE_URL")
    found = [_one_for_all(single)] if ours and single else []
    for noun in nouns:
        if noun not in ours:
            with closing(Brought(noun)) as brought:
                try:
                    found += _lacks(brought)
                except psycopg2.Error as error:
                    raise ConfigurationError(f"The database of {noun} cannot be looked at: {reason(error)}.") from error
    return found


def is_usable(service: str) -> bool:
    """Return whether the application may read each table that its owner made."""
    app = unquote(urlsplit(Brought(service).urls["APP"]).username or "")
    with databases.connected(databases.owner_url(service)) as owner, owner.cursor() as cursor:
        return not grants.unusable(cursor, DB_SCHEMA.of(service), app)


def variable(service: str, purpose: str) -> str:
    """Return the variable that holds a URL of a service: for APP, OWNER or JOB."""
    return f"{service.upper()}_SERVICE_DATABASE_{PURPOSES[purpose]}URL"


def _one_for_all(url: str) -> Lack:
    first = variable(services()[0], "APP")
    return Lack(
        "DATABASE_URL is one database and one role for everything; each service needs a database and three roles.",
        "Name the server instead, as a role that may make databases and roles, and Alicerce makes them:\n"
        f"DATABASE_SERVER_URL={_shown(databases.normalise(url))}\n"
        f"Or make them yourself, and set three URLs for each service, from {first} on.",
    )


def _lacks(brought: Brought) -> list[Lack]:
    for purpose in brought.urls:
        try:
            brought.connect(purpose)
        except psycopg2.Error as error:
            message = f"{brought.service} cannot use {variable(brought.service, purpose)} ({reason(error)})."
            return [Lack(message, _making(brought, purpose))]
    if len(set(brought.roles.values())) < len(PURPOSES):
        return [_too_few_roles(brought)]
    of_roles = [lack for purpose in ("APP", "JOB") for lack in _of_role(brought, purpose)]
    return [*_of_owner(brought), *of_roles]


def _making(brought: Brought, purpose: str) -> str:
    role, name = quoted(unquote(urlsplit(brought.urls[purpose]).username or "")), quoted(brought.name)
    return (
        "Correct the URL; or let an administrator make what it names, as far as it is missing:\n"
        f"CREATE ROLE {role} LOGIN PASSWORD '…';\n"
        f"CREATE DATABASE {name}{f' OWNER {role}' if purpose == 'OWNER' else ''} TEMPLATE template0 ENCODING 'UTF8';\n"
        f"GRANT CONNECT ON DATABASE {name} TO {role};"
    )


def _too_few_roles(brought: Brought) -> Lack:
    service, owner = brought.service, brought.urls.get("OWNER") or brought.urls["APP"]
    app, job = f"{service}_app", f"{service}_job"
    role = brought.roles["APP"]
    creator = "SELECT FROM pg_roles WHERE rolname = {role} AND (rolsuper OR rolcreaterole AND rolcreatedb)"
    simpler = ""
    if brought.ask("APP", creator, role=role):
        simpler = (
            f"Name the server instead of the database, and Alicerce makes both (without {variable(service, 'APP')}):\n"
            f"DATABASE_SERVER_URL={_shown(owner)}\nOr let "
        )
    return Lack(
        f"{service} has {len(set(brought.roles.values()))} of three database roles. The role that serves requests must "
        "own nothing, or row-level security would not hold it; the jobs' role sees what is due, and nothing else.",
        f"{simpler or 'Let '}an administrator run, with passwords of your own:\n"
        f"CREATE ROLE {app} LOGIN PASSWORD '…';\n"
        f"CREATE ROLE {job} LOGIN PASSWORD '…';\n"
        f"GRANT CONNECT ON DATABASE {quoted(brought.name)} TO {app}, {job};\n"
        "and set, with these passwords:\n"
        f"{variable(service, 'APP')}={_shown(owner, app)}\n"
        f"{variable(service, 'OWNER')}={_shown(owner)}\n"
        f"{variable(service, 'JOB')}={_shown(owner, job)}",
    )


def _of_owner(brought: Brought) -> Iterator[Lack]:
    owner, schema, name = quoted(brought.roles["OWNER"]), quoted(brought.schema), quoted(brought.name)
    server = brought.opened["OWNER"].server_version
    if server < databases.OLDEST_VERSION:
        yield Lack(f"{brought.service} is on Postgres {server // 10000}, which is too old.", "Use 15 or newer.")
    encoding, exists, owns, creates = brought.ask("OWNER", OF_OWNER, schema=brought.schema)[0]
    if encoding != "UTF8":
        yield Lack(
            f"{brought.name} holds texts in {encoding}, and {brought.service} needs UTF8.",
            f"Make another one: CREATE DATABASE … OWNER {owner} TEMPLATE template0 ENCODING 'UTF8';",
        )
    if not creates:
        mend = f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner};"
        mend = mend if exists else f"CREATE SCHEMA {schema} AUTHORIZATION {owner};"
        yield Lack(f"{owner} may not make tables in the schema {schema} of {name}.", mend)
    for (table,) in brought.ask("OWNER", OF_OTHERS, schema=brought.schema):
        yield Lack(
            f"The table {table} of {name} does not belong to {owner}, which has to migrate it.",
            f"ALTER TABLE {schema}.{quoted(table)} OWNER TO {owner};",
        )
    if exists and not owns:
        yield from _of_schema(brought)


def _of_schema(brought: Brought) -> Iterator[Lack]:
    """What only the owner of the schema may grant and revoke."""
    schema, roles = quoted(brought.schema), [brought.roles["APP"], brought.roles["JOB"]]
    facts = {role: _facts(brought, role) for role in roles}
    if without := ", ".join(quoted(role) for role in roles if not facts[role][3]):
        yield Lack(f"{without} may not use the schema {schema}.", f"GRANT USAGE ON SCHEMA {schema} TO {without};")
    if makers := ", ".join(quoted(role) for role in roles if facts[role][4] and not facts[role][0]):
        yield Lack(
            f"{makers} may make tables in the schema {schema}, and nobody but the owner must.",
            f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {makers};\n"
            f"GRANT CREATE ON SCHEMA {schema} TO {quoted(brought.roles['OWNER'])};",
        )


def _facts(brought: Brought, role: str) -> tuple[Any, ...]:
    return brought.ask("OWNER", OF_ROLE, role=role, owner=brought.roles["OWNER"], schema=brought.schema)[0]


def _of_role(brought: Brought, purpose: str) -> Iterator[Lack]:
    name, owner = brought.roles[purpose], quoted(brought.roles["OWNER"])
    role = quoted(name)
    is_powerful, is_owner, owns, *_ = _facts(brought, name)
    if is_powerful:
        yield Lack(f"{role} has powers by which it could step over row-level security.", f"ALTER ROLE {role} {POWERS};")
    if is_owner:
        yield Lack(f"{role} is a member of {owner}, so it owns what that owns.", f"REVOKE {owner} FROM {role};")
    if owns:
        yield Lack(
            f"{role} owns {quoted(brought.name)} or tables in it; row-level security does not hold an owner.",
            f"REASSIGN OWNED BY {role} TO {owner};\nGRANT CONNECT ON DATABASE {quoted(brought.name)} TO {role};",
        )
    if name.endswith("_job") != (purpose == "JOB"):
        yield Lack(
            f"{role} is named in {variable(brought.service, purpose)}, and the policies know the jobs' role by its "
            "ending _job, which no other may have.",
            f"ALTER ROLE {role} RENAME TO {brought.service}_{purpose.lower()};",
        )


def _shown(url: str, user: str = "") -> str:
    """A URL for people: without its password, and with another user if one is named."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user or parts.username or ''}:…@{place}"))


def quoted(name: str) -> str:
    """Return a name as SQL takes it, quoted only where it has to be."""
    return name if SIMPLE.fullmatch(name) else '"' + name.replace('"', '""') + '"'

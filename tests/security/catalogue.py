"""What a database says of itself: rules about tables, roles and grants, each a query that must find nothing.

The rules are asked of every service. What they find is a list of sentences, empty when all is well.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import make_url

from kit.migrations.fences import CONDITIONS
from tests.services.helpers import app_of

UNFENCED = {
    ("auth", "guess"): "written before anybody is known; holds keyed hashes and moments",
    ("auth", "login"): "read before anybody is known; holds an identifier's key and an id",
    ("auth", "revocation"): "read by the gateway for all; holds ids only",
    ("product", "publishable_key"): "read before any tenant is known; holds a key that is public, and an id",
    ("tenant", "revocation"): "read by the gateway for all; holds ids only",
}
# Indexes of fenced tables that are read across tenants, by a verb that says why.
ACROSS_TENANTS = {("tenant", "ix_offer_addressee"): "a person finds what any tenant offers to their own addresses"}
# Types whose comparisons are leakproof in Postgres, so that an index on them serves behind a policy.
LEAKPROOF = {"uuid", "text", "varchar", "int2", "int4", "int8", "bool", "date", "timestamptz"}
QUEUE_COLUMNS = {"tenant_id", "id", "due_at"}
OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


@dataclass(frozen=True)
class Catalogue:
    """The system tables of a service's database, in one transaction of its owner."""

    service: str
    connection: Any

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


Rule = Callable[[Catalogue], Iterator[str]]


@contextmanager
def asked(service: str, *changes: str) -> Iterator[Catalogue]:
    """The catalogue of a service as it would be after these changes, none of which stays."""
    url = make_url(os.environ[f"{service.upper()}_SERVICE_DATABASE_OWNER_URL"]).set(drivername="postgresql")
    with closing(psycopg2.connect(url.render_as_string(hide_password=False))) as connection:
        with connection.cursor() as cursor:
            for change in changes:
                cursor.execute(change)
        yield Catalogue(service, connection)
        connection.rollback()


def mapped(service: str) -> list[Any]:
    """The classes of a service's models."""
    return [mapper.class_ for mapper in app_of(service).db.Model.registry.mappers]


def fences(service: str) -> dict[str, tuple[str, ...]]:
    """The words of each table's fence; none for a table without one."""
    return {cls.__tablename__: getattr(cls, "__fence__", ()) for cls in mapped(service)}


def tables_are_known(of: Catalogue) -> Iterator[str]:
    """Every relation is a table of the models, or of the migrations: no view, sequence or foreign table besides."""
    query = f"SELECT relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE {OURS}"
    expected = {(name, "r") for name in (*fences(of.service), "alembic_version")}
    found = {row for row in of.rows(query) if row[1] not in ("i", "I", "t")}
    yield from (
        f"{name} (relkind {kind}) is not a table of the models, or is not there" for name, kind in found ^ expected
    )


def tables_are_fenced(of: Catalogue) -> Iterator[str]:
    """Row-level security is on and forced; a table without a fence is on the list above, and none is on it in vain."""
    query = (
        "SELECT relname, relrowsecurity AND relforcerowsecurity, rolname FROM pg_class c JOIN pg_namespace n"
        f" ON n.oid = relnamespace JOIN pg_roles r ON r.oid = relowner WHERE relkind IN ('r', 'p') AND {OURS}"
    )
    words = fences(of.service)
    for table, forced, owner in of.rows(query):
        if owner != f"{of.service}_owner":
            yield f"{table} belongs to {owner}"
        if words.get(table) and not forced:
            yield f"{table} has no row-level security, or does not force it on its owner"
    unfenced = {table for table, fence in words.items() if not fence}
    for table in unfenced ^ {table for name, table in UNFENCED if name == of.service}:
        yield f"{table} has no fence and no reason, or a reason and a fence"


def policies_say_what_models_say(of: Catalogue) -> Iterator[str]:
    """One restrictive policy, for all commands and all roles, with the words of the model; one permissive; no more."""
    query = "SELECT tablename, policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies"
    found = {(row[0], row[1]): row[2:] for row in of.rows(query)}
    words = {table: fence for table, fence in fences(of.service).items() if fence}
    for table, name in found.keys() ^ {(table, name) for table in words for name in ("everyone", "fence")}:
        yield f"{table} has a policy {name} too many or too few"
    for table, fence in words.items():
        kind, roles, command, seen, written = found.get((table, "fence"), ("", "", "", "", ""))
        if (kind, roles, command) != ("RESTRICTIVE", "{public}", "ALL") or seen != written:
            yield f"the fence of {table} is not restrictive, not for everybody, or not for everything"
        for word, condition in CONDITIONS.items():
            if (condition.split("'")[1] in (seen or "")) is not (word in fence):
                yield f"the fence of {table} and its model disagree about {word}"
        if "SELECT" in (seen or "").upper().split():
            yield f"the fence of {table} asks another table"


def roles_have_no_powers(of: Catalogue) -> Iterator[str]:
    """None of the three steps over policies or is another role; only the owner owns; nothing is set for them before."""
    like = rf"rolname LIKE '{of.service}\_%'"
    powers = f"SELECT rolname FROM pg_roles WHERE {like} AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb"
    yield from (f"{name} has powers" for (name,) in of.rows(powers + " OR rolreplication)"))
    owned = "SELECT relname, rolname FROM pg_class c JOIN pg_roles r ON r.oid = relowner"
    owned += f" WHERE {like} AND rolname <> '{of.service}_owner'"
    yield from (f"{table} belongs to {name}" for table, name in of.rows(owned))
    members = f"SELECT rolname FROM pg_auth_members m JOIN pg_roles ON pg_roles.oid = m.member WHERE {like}"
    yield from (f"{name} is a member of another role" for (name,) in of.rows(members))
    preset = "SELECT unnest(setconfig) FROM pg_db_role_setting"
    for (setting,) in of.rows(preset):
        if setting.startswith(("app.", "row_security")):
            yield f"{setting} is set for whoever connects"


def grants_are_narrow(of: Catalogue) -> Iterator[str]:
    """The service reads and writes rows, the job role sees when queues are due, and PUBLIC nothing."""
    query = (
        "SELECT c.relname, coalesce(r.rolname, 'PUBLIC'), a.privilege_type FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
        f" WHERE {OURS}"
    )
    rights = {f"{of.service}_owner": None, f"{of.service}_app": {"SELECT", "INSERT", "UPDATE", "DELETE"}}
    for table, role, privilege in of.rows(query):
        allowed = rights.get(role, set())
        if allowed is not None and privilege not in allowed:
            yield f"{role} may {privilege} {table}"
    columns = "SELECT table_name, column_name, grantee, privilege_type FROM information_schema.column_privileges"
    for table, column, role, privilege in of.rows(f"{columns} WHERE grantee IN ('{of.service}_job', 'PUBLIC')"):
        outside = table in fences(of.service) and not (role.endswith("_job") and privilege == "SELECT")
        if outside or (table in fences(of.service) and column not in QUEUE_COLUMNS):
            yield f"{role} may {privilege} {table}.{column}"


def nobody_creates(of: Catalogue) -> Iterator[str]:
    """Only the owner makes tables, and what it will make is granted to no more than what it has made."""
    roles = (f"{of.service}_app", f"{of.service}_job")
    for role in (*roles, "public"):
        may = f"SELECT nspname FROM pg_namespace n WHERE {OURS} AND has_schema_privilege('{role}', n.oid, 'CREATE')"
        yield from (f"{role} may create in {schema}" for (schema,) in of.rows(may))
    may = "SELECT has_database_privilege('{0}', current_database(), 'CREATE')"
    yield from (f"{role} may create schemas" for role in roles if of.rows(may.format(role)) == [(True,)])
    later = (
        "SELECT coalesce(r.rolname, 'PUBLIC'), a.privilege_type FROM pg_default_acl CROSS JOIN LATERAL"
        " aclexplode(defaclacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE defaclobjtype = 'r'"
    )
    for role, privilege in of.rows(later):
        if role != f"{of.service}_owner" and (role != f"{of.service}_app" or privilege in ("TRUNCATE", "TRIGGER")):
            yield f"{role} will be allowed to {privilege}"


def keys_lead_with_the_fence(of: Catalogue) -> Iterator[str]:
    """Every index of a fenced table, unique or not, begins with tenant or person, and holds leakproof types only."""
    query = (
        "SELECT t.relname, i.relname, a.attname, k.position, y.typname FROM pg_index x"
        " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace"
        " CROSS JOIN LATERAL unnest(x.indkey::int[]) WITH ORDINALITY k(number, position)"
        " LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number AND k.number > 0"
        f" LEFT JOIN pg_type y ON y.oid = a.atttypid WHERE {OURS}"
    )
    words = fences(of.service)
    for table, index, column, position, kind in of.rows(query):
        if not words.get(table):
            continue
        if column is None:
            yield f"{index} holds an expression, which no policy can be sure of"
        elif position == 1 and column.removesuffix("_id") not in words[table] and not is_across(of, index):
            yield f"{index} begins with {column}"
        elif kind not in LEAKPROOF and kind != "bytea":
            yield f"{index} holds {column}, whose type {kind} is not compared leakproof"


def is_across(of: Catalogue, index: str) -> bool:
    """Return whether an index may begin with anything, because its reason is on the list above."""
    return (of.service, index) in ACROSS_TENANTS


def fences_are_never_null(of: Catalogue) -> Iterator[str]:
    """A row of nobody would be seen by nobody, and counted by constraints all the same."""
    query = "SELECT table_name, column_name FROM information_schema.columns WHERE is_nullable = 'YES'"
    for table, column in of.rows(query):
        if column.removesuffix("_id") in fences(of.service).get(table, ()):
            yield f"{table}.{column} may be NULL"


def foreign_keys_carry_the_fence(of: Catalogue) -> Iterator[str]:
    """Constraints are checked past policies, so that they have to name the tenant or the person themselves."""
    query = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
    for name, definition in of.rows(query):
        local, remote = definition.split("REFERENCES")
        first = local.split("(")[1].split(",")[0].strip(") ")
        if first not in ("tenant_id", "user_id") or first not in remote:
            yield f"{name} does not carry the fence"


def nothing_steps_around(of: Catalogue) -> Iterator[str]:
    """No function, rule, trigger, publication or extension of ours, any of which could see with other eyes."""
    outside = {
        "function": f"SELECT proname FROM pg_proc c JOIN pg_namespace n ON n.oid = pronamespace WHERE {OURS}",
        "rule": f"SELECT rulename FROM pg_rules n WHERE {OURS.replace('n.nspname', 'n.schemaname')}",
        "trigger": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
        "publication": "SELECT pubname FROM pg_publication",
        "extension": "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'",
        "leakproof function": "SELECT proname FROM pg_proc WHERE proleakproof AND oid >= 16384",
    }
    for kind, query in outside.items():
        yield from (f"there is a {kind} {name}" for (name,) in of.rows(query))


RULES: tuple[Rule, ...] = (
    tables_are_known,
    tables_are_fenced,
    policies_say_what_models_say,
    roles_have_no_powers,
    grants_are_narrow,
    nobody_creates,
    keys_lead_with_the_fence,
    fences_are_never_null,
    foreign_keys_carry_the_fence,
    nothing_steps_around,
)

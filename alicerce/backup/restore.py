"""`make restore from=…`: bring back what `make backup` copied, all of it or nothing.

Every archive is first restored into a database of its own beside the present one and counted. Only when all have
succeeded are the names exchanged, in one transaction per server, and the old databases dropped.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from psycopg2 import sql
from psycopg2.extensions import connection

from alicerce import databases, home
from alicerce.backup import manifest as manifests
from alicerce.backup.databases import (
    Database,
    check_exists,
    check_unfenced,
    embedded,
    of_services,
    rows_per_table,
    session,
)
from alicerce.backup.make import program, pump, say
from alicerce.backup.manifest import Dump, Manifest
from alicerce.databases import execute
from alicerce.services import services, without_database
from kit.config import ConfigurationError, keys_directory

LONGEST_STEM = 50  # Postgres cuts names at 63 bytes
ROLES = ("postgres", "_owner", "_app", "_job")  # how the names of database roles end, in secrets.json
Exchange = tuple[str, str]  # a database is renamed from, to


def restore(source: str, *, force: bool) -> None:
    """Restore a backup: a path, or the name of a folder of `<home>/backups`, or `latest`.

    Raises ConfigurationError, having changed nothing, when the backup is not whole or newer than this code, when
    Alicerce runs, when a database holds rows (unless `force`), or when an archive does not restore as it was.
    """
    folder = _find(source)
    manifest = manifests.read(folder)
    print(f"Checking {folder} …", flush=True)
    manifests.check(folder, manifest)
    with embedded(home.folder(), alone=True):
        if without_database(services()):
            databases.prepare(databases.server_url(), services())
        present = of_services(manifest.databases)
        for database in present:
            _check_replaceable(database, force=force)
        with _beside(present):
            for database in present:
                _fill(database, manifest.databases[database.service], folder)
            _exchange(present, folder, manifest)
    print("Everything is restored. `make run` starts it; people log in with the passwords that they had then.")


def _find(source: str) -> Path:
    backups = home.folder() / "backups"
    if source == "latest":
        whole = sorted(path.parent for path in backups.glob(f"*/{manifests.NAME}") if path.parent.suffix == "")
        if not whole:
            raise ConfigurationError(f"There is no backup in {backups}: name its folder, from=/path/to/it.")
        return whole[-1]
    for path in (Path(source), backups / source):
        if path.is_dir():
            return path.resolve()
    raise ConfigurationError(
        f"There is no folder {source}, nor {backups / source}: `ls {backups}` shows what there is."
    )


def _check_replaceable(database: Database, *, force: bool) -> None:
    check_exists(database)
    with session(database.maintenance, f"Looking at {database.name}") as admin:
        check_unfenced(admin, database.service)
        if not execute(admin, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")[0][0]:
            raise ConfigurationError(
                f"Restoring {database.service} makes a new database, which this role may not: give it CREATEDB for "
                "that time, or set DATABASE_ADMIN_URL to a role that has it."
            )
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = {} AND backend_type = 'client backend'"
        if execute(admin, query, database.name)[0][0]:
            raise ConfigurationError(f"Somebody is connected to {database.name}: stop what uses it, and try again.")
    with session(database.admin, f"Looking at {database.name}") as admin:
        rows = {table: n for table, n in rows_per_table(admin).items() if not table.endswith(".alembic_version")}
        if any(rows.values()) and not force:
            raise ConfigurationError(
                f"{database.name} holds {sum(rows.values()):,} rows, which a restore would replace: make a backup of "
                "them if they matter, then say force=yes."
            )


@contextmanager
def _beside(present: Sequence[Database]) -> Iterator[None]:
    """An empty database beside each present one; whatever is left beside them at the end is dropped."""
    for database in present:
        _drop_beside(database)
    try:
        for database in present:
            with session(database.maintenance, f"Making {_restoring(database.name)}") as admin:
                _make_like(admin, database.name, _restoring(database.name))
        yield
    finally:
        for database in present:
            _drop_beside(database)


def _restoring(name: str) -> str:
    return f"{name[:LONGEST_STEM]}_restoring"


def _replaced(name: str) -> str:
    return f"{name[:LONGEST_STEM]}_replaced"


def _drop_beside(database: Database) -> None:
    with session(database.maintenance, f"Dropping what lies beside {database.name}") as admin:
        for name in (_restoring(database.name), _replaced(database.name)):
            execute(admin, "DROP DATABASE IF EXISTS {}", sql.Identifier(name))


def _make_like(admin: connection, name: str, new: str) -> None:
    """Make an empty database with the owner, encoding, locale and privileges of another. Archives do not hold these."""
    query = "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datacl IS NULL"
    owner, encoding, collate, ctype, usual = execute(admin, query + " FROM pg_database WHERE datname = {}", name)[0]
    target = sql.Identifier(new)
    statement = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}"
    execute(admin, statement, target, sql.Identifier(owner), encoding, collate, ctype)
    if usual:
        return
    execute(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", target)
    granted = """SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, privilege_type
        FROM pg_database, aclexplode(datacl) WHERE datname = {}"""
    for grantee, privilege in execute(admin, granted, name):
        execute(admin, "GRANT {} ON DATABASE {} TO {}", sql.SQL(privilege), target, sql.SQL(grantee))


def _fill(database: Database, dump: Dump, folder: Path) -> None:
    """Restore one archive as the owner of the tables, and count what has arrived."""
    began = time.monotonic()
    beside = database.at(_restoring(database.name))
    # The owner makes everything, so that roles, grants and default privileges are as after its migrations.
    with (
        (folder / dump.file).open("rb") as file,
        program("pg_restore", beside.owner, ["--no-owner"], reads=True) as archive,
    ):
        pump(file, archive, database.service)
    with session(beside.admin, f"Counting {beside.name}") as admin:
        rows = rows_per_table(admin)
        execute(admin, "ANALYZE")
    if rows != dump.rows:
        tables = sorted(table for table in rows.keys() | dump.rows if rows.get(table) != dump.rows.get(table))
        raise ConfigurationError(
            f"{database.service} has not come back as it was (tables {', '.join(tables)}), so everything stays as it "
            "is now: choose another backup."
        )
    say(database.service, rows, dump.bytes, time.monotonic() - began)


def _exchange(present: Sequence[Database], folder: Path, manifest: Manifest) -> None:
    """Let the new databases take the names of the old ones, and the keys and secrets their places; undo it if not."""
    servers: dict[str, list[Exchange]] = {}
    for database in present:
        pairs = [(database.name, _replaced(database.name)), (_restoring(database.name), database.name)]
        servers.setdefault(database.maintenance, []).extend(pairs)
    done: list[str] = []
    try:
        for url, pairs in servers.items():
            _rename(url, pairs)
            done.append(url)
        _put_secrets_back(folder, manifest)
    except BaseException:
        for url in done:
            _rename(url, [(new, old) for old, new in reversed(servers[url])])
        raise


def _rename(url: str, pairs: Sequence[Exchange]) -> None:
    """Rename databases of one server, all or none: statements sent together are one transaction."""
    statements = [
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)) for old, new in pairs
    ]
    with session(url, f"Renaming databases on {urlsplit(url).hostname}") as admin, admin.cursor() as cursor:
        cursor.execute(sql.SQL("; ").join(statements))


def _put_secrets_back(folder: Path, manifest: Manifest) -> None:
    """Keys replace those of here. So do secrets, but for the passwords of database roles: these are the server's."""
    for name in manifest.files:
        text = (folder / name).read_text("utf-8")
        if name == "secrets.json":
            path = home.folder() / name
            here = json.loads(path.read_text("utf-8")) if path.exists() else {}
            kept = {role: password for role, password in here.items() if role.endswith(ROLES)}
            text = json.dumps({**here, **json.loads(text), **kept}, indent=1, sort_keys=True) + "\n"
        else:
            path = keys_directory() / Path(name).relative_to("keys")
        home.private_folder(path.parent)
        home.write(path, text, 0o644 if path.name == "public.json" else 0o600)

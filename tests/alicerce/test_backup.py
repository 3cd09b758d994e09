"""The restore drill: a real platform with two tenants is backed up, wrecked and brought back, row for row."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from alicerce import keys
from alicerce.backup.databases import TABLES, of_services
from alicerce.backup.make import backup
from alicerce.backup.restore import restore
from alicerce.databases import newest, prepare
from alicerce.postgres import EmbeddedPostgres
from alicerce.services import services
from kit.config import ConfigurationError
from tests.api import Person, add_member, new_person
from tests.topologies import ROOT, environment, running

POWERS = "rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, rolreplication"
CATALOGUE = f"""
    SELECT 'table', n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), c.relrowsecurity::text,
           c.relforcerowsecurity::text, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a)::text
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'
    UNION ALL SELECT 'column', a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod),
           a.attnotnull::text, pg_get_expr(d.adbin, d.adrelid), a.attacl::text, ''
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
      LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum) WHERE a.attnum > 0 AND NOT attisdropped
    UNION ALL SELECT 'policy', tablename, policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '', '', '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'default', pg_get_userbyid(defaclrole), defaclobjtype::text, defaclacl::text, '', '', '', ''
      FROM pg_default_acl
    UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), nspacl::text, '', '', '', ''
      FROM pg_namespace WHERE nspname = 'public'
    UNION ALL SELECT 'database', datname, pg_get_userbyid(datdba), datcollate, pg_encoding_to_char(encoding),
           (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a)::text, '', ''
      FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'role', (r.*)::text, '', '', '', '', '', '' FROM (SELECT {POWERS} FROM pg_roles) r
    ORDER BY 1, 2, 3, 4
"""


@dataclass(frozen=True)
class Saved:
    """A platform that was backed up and stopped: its folder, the backup, what it held, and people who were in it."""

    folder: Path
    backup: Path
    held: dict[str, Any]
    people: tuple[Person, Person]
    while_running: str  # what a restore said to the platform that still ran

    @property
    def home(self) -> Path:
        return self.folder / "alicerce"


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m alicerce` as a person does."""
    line = [sys.executable, "-m", "alicerce", *words]
    return subprocess.run(line, cwd=ROOT, env=environment(home, {}), check=False, capture_output=True, text=True)


def ask(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def contents() -> dict[str, Any]:
    """A hash of the rows of every table of every service, and the catalogue around them."""
    held: dict[str, Any] = {}
    for database in of_services(services()):
        held[database.service] = ask(database.admin, CATALOGUE)
        for _, table in ask(database.admin, TABLES):
            rows = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)), count(*) FROM \"{table}\" t"
            held[f"{database.service}.{table}"] = ask(database.admin, rows)[0]
    return held


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    """Made once; every test leaves its databases as they were."""
    folder = tmp_path_factory.mktemp("drill")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if "_SERVICE_" in name or name == "DATABASE_SERVER_URL"]:
            patch.delenv(name)
        patch.setenv("ALICERCE_HOME", str(folder / "alicerce"))
        with running("solo", folder) as platform:
            people = new_person(platform.url), new_person(platform.url)
            add_member(people[0], "viewer")
            for person in people:
                person.post("/api/customers/", {"name": "Padaria Conceição", "type": "company"}).ok(201)
                person.post("/api/products/", {"name": "Pão", "sku": "PQ-1", "price": "4.50"}).ok(201)
            made = command(platform.home, "backup")
            assert made.returncode == 0, made.stderr
            (made_folder,) = (platform.home / "backups").iterdir()
            refused = command(platform.home, "restore", "latest", "--force")
            result = Saved(folder, made_folder, contents(), people, refused.stderr)
        yield result


@pytest.fixture
def copied(saved: Saved, tmp_path: Path) -> Path:
    """A copy of the backup, to be damaged."""
    return Path(shutil.copytree(saved.backup, tmp_path / "copied"))


def refusal(source: Path | str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        restore(str(source), force=False)
    return str(refused.value)


def test_a_backup_names_its_rows_and_is_for_its_owner_alone(saved: Saved) -> None:
    manifest = json.loads((saved.backup / "manifest.json").read_text())
    assert set(manifest["databases"]) == set(services())
    assert manifest["databases"]["customer"]["rows"]["public.customer"] == 2
    assert manifest["databases"]["customer"]["revision"] == newest("customer")
    assert {"secrets.json", "keys/public.json", "keys/private/gateway.pem"} <= set(manifest["files"])
    for path in [saved.backup, *saved.backup.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_running_platform_is_not_replaced(saved: Saved) -> None:
    assert "Alicerce already runs here" in saved.while_running and "`make stop`" in saved.while_running


def test_a_folder_without_a_manifest_is_no_backup(copied: Path) -> None:
    (copied / "manifest.json").unlink()
    assert "no complete backup" in refusal(copied)


def test_an_unknown_backup_is_named(saved: Saved) -> None:
    assert "19990101T000000Z" in refusal("19990101T000000Z")


def change(copied: Path, **members: Any) -> None:
    path = copied / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def test_a_manifest_of_another_format_is_refused(copied: Path) -> None:
    change(copied, format=2)
    assert "backup format 2" in refusal(copied)


def test_a_manifest_that_cannot_be_read_is_refused(copied: Path) -> None:
    (copied / "manifest.json").write_text('{"format": 1, "databases"')
    assert "cannot be read" in refusal(copied)


def test_an_archive_that_was_changed_is_refused(copied: Path) -> None:
    with (copied / "auth.dump").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    assert "auth.dump is not as it was" in refusal(copied)


def test_a_missing_archive_is_refused(copied: Path) -> None:
    (copied / "tenant.dump").unlink()
    assert "tenant.dump is missing" in refusal(copied)


def test_a_file_outside_of_the_folder_is_refused(copied: Path) -> None:
    change(copied, files={"../secrets.json": "0"})
    assert "outside of its folder" in refusal(copied)


def test_a_schema_that_is_newer_than_the_code_is_refused(copied: Path) -> None:
    databases = json.loads((copied / "manifest.json").read_text())["databases"]
    databases["customer"]["revision"] = "9999"
    change(copied, databases=databases)
    assert "customer at revision 9999" in refusal(copied)


@contextmanager
def postgres(home: Path) -> Iterator[None]:
    server = EmbeddedPostgres(home)
    server.start()
    try:
        yield
    finally:
        server.stop()


def wreck(home: Path) -> None:
    """What goes wrong on a bad day: rows deleted, a table dropped, fences opened, keys replaced."""
    with postgres(home):
        urls = {database.service: database.admin for database in of_services(services())}
        ask(urls["customer"], "DELETE FROM customer", "DROP POLICY fence ON customer")
        ask(urls["customer"], "GRANT SELECT ON ALL TABLES IN SCHEMA public TO customer_job")
        ask(urls["product"], "DROP TABLE product CASCADE")
        ask(urls["tenant"], "ALTER DEFAULT PRIVILEGES FOR ROLE tenant_owner REVOKE SELECT ON TABLES FROM tenant_app")
        ask(urls["auth"], "TRUNCATE login CASCADE")
    keys.rotate("all")


def test_databases_that_hold_rows_are_not_replaced_unasked(saved: Saved) -> None:
    assert "then say force=yes" in refusal("latest")
    with postgres(saved.home):
        assert contents() == saved.held


def test_an_archive_that_comes_back_otherwise_changes_nothing(saved: Saved, copied: Path) -> None:
    databases = json.loads((copied / "manifest.json").read_text())["databases"]
    databases["tenant"]["rows"]["public.tenant"] += 1
    change(copied, databases=databases)
    with pytest.raises(ConfigurationError, match=r"tenant has not come back as it was \(tables public\.tenant\)"):
        restore(str(copied), force=True)
    with postgres(saved.home):
        assert contents() == saved.held
        names = ask(of_services(["auth"])[0].admin, "SELECT datname FROM pg_database WHERE NOT datistemplate")
    assert {name for (name,) in names} == {"postgres", *(f"{service}_db" for service in services())}


def test_what_was_wrecked_comes_back_row_for_row_with_its_fences(saved: Saved) -> None:
    wreck(saved.home)
    restored = command(saved.home, "restore", "latest", "--force")
    assert restored.returncode == 0, restored.stderr
    with postgres(saved.home):
        assert contents() == saved.held


def test_on_another_machine_people_log_in_as_before(saved: Saved, tmp_path: Path) -> None:
    restored = command(tmp_path / "alicerce", "restore", str(saved.backup))
    assert restored.returncode == 0, restored.stderr
    with running("solo", tmp_path) as platform:
        for person in saved.people:
            then = replace(person, target=platform.url)
            assert then.get("/api/customers/").ok()["total"] == 1  # with the token of before: the keys came along
            assert then.login().get("/api/products/").ok()["total"] == 1


def test_databases_that_a_person_made_are_copied_by_whom_they_name(
    server: EmbeddedPostgres, generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if "_SERVICE_" in name]:
        monkeypatch.delenv(name)
    for name, url in prepare(server.url, services()).items():
        monkeypatch.setenv(name, url)
    for database in of_services(services()):
        fenced = "ALTER TABLE kept ENABLE ROW LEVEL SECURITY", "ALTER TABLE kept FORCE ROW LEVEL SECURITY"
        ask(database.owner, "CREATE TABLE kept AS SELECT 1 AS id", *fenced)
    with pytest.raises(ConfigurationError, match="ALTER ROLE auth_owner BYPASSRLS"):
        backup()
    assert list((generated / "backups").iterdir()) == []
    monkeypatch.setenv("DATABASE_ADMIN_URL", server.url)
    before, folder = contents(), backup()
    ask(of_services(["auth"])[0].owner, "DROP TABLE kept")
    assert contents() != before
    restore(folder.name, force=True)
    assert contents() == before

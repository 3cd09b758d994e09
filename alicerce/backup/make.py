"""`make backup`: every database, the signing keys and the generated secrets, in one folder that can be restored.

    <home>/backups/20261121T071500Z/
        manifest.json      what is in it (`alicerce.backup.manifest`)
        <service>.dump     one pg_dump archive per database
        secrets.json keys/ secrets: whoever has this folder can act as anybody, so keep it as you keep passwords

Each archive is consistent in itself. The snapshots of all databases are taken before the first is copied, within
milliseconds of each other; what was under way between two services at that moment is delivered again by their queues.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from psycopg2.extensions import connection

from alicerce import binaries, databases, home
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
from alicerce.backup.manifest import CHUNK_BYTES, Dump, Manifest
from alicerce.databases import execute
from alicerce.services import services
from kit.config import VERSION, ConfigurationError, keys_directory

REPORT_S = 2.0
KIB, MIB = 1024, 1024**2


def backup() -> Path:
    """Copy everything into a new folder and say where it is. It may run beside the platform, which goes on working.

    Raises ConfigurationError when a database cannot be read as a whole; then no folder is left behind.
    """
    folder = home.private_folder(home.folder() / "backups")
    made_at = datetime.now(UTC)
    final = folder / made_at.strftime("%Y%m%dT%H%M%SZ")
    partial = final.with_name(f"{final.name}.partial")
    if final.exists() or partial.exists():
        raise ConfigurationError(f"{final} is being made by somebody else: try again in a second.")
    partial.mkdir(mode=0o700)
    try:
        with embedded(home.folder(), alone=False):
            dumps = _copy_databases(partial)
        files = _copy_secrets(partial)
        moment = made_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        manifests.write(partial, Manifest(moment, VERSION, dumps, files))
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    print(f"{final} is complete. It holds signing keys and passwords: store it as a secret, on another machine.")
    return final


def _copy_databases(folder: Path) -> dict[str, Dump]:
    found = of_services(services())
    for database in found:
        check_exists(database)
    with ExitStack() as stack:
        snapshots = [(database, *stack.enter_context(_snapshot(database))) for database in found]
        return {
            database.service: _copy(database, reader, snapshot, folder / f"{database.service}.dump")
            for database, reader, snapshot in snapshots
        }


@contextmanager
def _snapshot(database: Database) -> Iterator[tuple[connection, str]]:
    """A transaction that sees one moment of the database, and the name under which others may see the same."""
    with session(database.admin, f"Reading {database.name}") as reader:
        check_unfenced(reader, database.service)
        execute(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield reader, execute(reader, "SELECT pg_export_snapshot()")[0][0]


def _copy(database: Database, reader: connection, snapshot: str, path: Path) -> Dump:
    began = time.monotonic()
    words = ["--format=custom", f"--snapshot={snapshot}", "--lock-wait-timeout=10s"]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, program("pg_dump", database.admin, words, reads=False) as output:
        sha256, size = pump(output, file, database.service)
        os.fsync(file.fileno())
    rows = rows_per_table(reader)
    seconds = time.monotonic() - began
    say(database.service, rows, size, seconds)
    revision = databases.applied(database.service, database.owner)
    return Dump(path.name, sha256, size, revision, rows, reader.server_version, round(seconds, 3))


@contextmanager
def program(name: str, url: str, words: list[str], *, reads: bool) -> Iterator[IO[bytes]]:
    """Run a Postgres program on a database; its standard input if it `reads`, else its output.

    The password goes by the environment, because everybody on the machine may see a command line.
    Raises ConfigurationError with its last words when it fails.
    """
    parts = urlsplit(url)
    user, host = parts.netloc.rpartition("@")[0].partition(":")[0], parts.netloc.rpartition("@")[2]
    place = urlunsplit(parts._replace(netloc=f"{user}@{host}"))
    environment = {**os.environ, "LC_ALL": "C", "PGAPPNAME": "alicerce backup"}
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
    command = [str(binaries.find().folder / name), f"--dbname={place}", "--no-password", *words]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if reads else subprocess.PIPE,
            stderr=complaints,
            env=environment,
        )
        stream = process.stdin if reads else process.stdout
        assert stream is not None
        try:
            yield stream
            stream.close()
        except BrokenPipeError:
            pass  # it has failed, and says why below
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        complaints.seek(0)
        _check(name, parts.path.lstrip("/"), status, complaints.read().decode("utf-8", "replace"))


def _check(name: str, database: str, status: int, said: str) -> None:
    errors = [line for line in said.splitlines() if "error:" in line]
    # A newer pg_restore switches off a setting that older servers do not have; that is no fault of the data.
    faults = [line for line in errors if 'parameter "transaction_timeout"' not in line]
    if status != 0 and (faults or not errors):
        reasons = (faults or said.splitlines() or ["it said nothing"])[0]
        raise ConfigurationError(f"{name} failed on {database}: {reasons.removeprefix(f'{name}: error: ')}")


def pump(source: IO[bytes], sink: IO[bytes], service: str) -> tuple[str, int]:
    """Pass everything on, saying how fast when it takes long; its SHA-256 and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    began = reported = time.monotonic()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        sink.write(chunk)
        size += len(chunk)
        now = time.monotonic()
        if now - reported > REPORT_S:
            reported = now
            print(f"{service:<14} … {size / MIB:.0f} MiB, {size / MIB / (now - began):.1f} MiB/s", flush=True)
    return digest.hexdigest(), size


def say(service: str, rows: dict[str, int], size: int, seconds: float) -> None:
    """The one line about a database that is done."""
    speed = f", {size / MIB / seconds:.1f} MiB/s" if seconds > REPORT_S else ""
    print(f"{service:<14} {sum(rows.values()):>12,} rows {size / KIB:>12,.0f} KiB {seconds:>7.1f} s{speed}", flush=True)


def _copy_secrets(folder: Path) -> dict[str, str]:
    """Copy keys and secrets; the SHA-256 of each copy by its path within the folder."""
    keys = keys_directory()
    sources = {"secrets.json": home.folder() / "secrets.json"}
    sources |= {f"keys/{path.relative_to(keys)}": path for path in sorted(keys.glob("**/*.pem"))}
    sources["keys/public.json"] = keys / "public.json"
    hashes = {}
    for name, source in sources.items():
        if source.exists():
            copy = folder / name
            home.private_folder(copy.parent)
            home.write(copy, source.read_text("utf-8"))
            hashes[name] = manifests.file_sha256(copy)
    return hashes

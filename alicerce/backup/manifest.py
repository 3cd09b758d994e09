"""The manifest of a backup: what it holds, and how to tell that it is whole.

`manifest.json` is written last. A folder without one is not a backup; one whose files have other hashes is damaged.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from alicerce import databases, home
from alicerce.services import services
from kit.config import ConfigurationError

NAME = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Dump:
    """One database: its file, its revision, the rows of each `schema.table`, and how long the copy took."""

    file: str
    sha256: str
    bytes: int
    revision: str | None
    rows: dict[str, int]
    server_version: int
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """All databases by service, and the SHA-256 of every other file by its path within the folder."""

    made_at: str
    version: str
    databases: dict[str, Dump]
    files: dict[str, str]
    format: int = FORMAT


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the folder of a backup."""
    home.write(folder / NAME, json.dumps(asdict(manifest), indent=1) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises ConfigurationError when it is missing, unreadable, or of another format."""
    try:
        said = json.loads((folder / NAME).read_text("utf-8"))
        version = said["format"]
        if version != FORMAT:
            raise ConfigurationError(
                f"{folder} has backup format {version}, and this version of Alicerce reads {FORMAT}: restore it with "
                f"version {said.get('version')}, which made it."
            )
        dumps = {service: Dump(**entry) for service, entry in said["databases"].items()}
        return Manifest(said["made_at"], said["version"], dumps, dict(said["files"]))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{folder} holds no {NAME}, so it is no complete backup: choose another folder of {folder.parent}."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"{folder / NAME} cannot be read: choose another backup.") from None


def check(folder: Path, manifest: Manifest) -> None:
    """Raise ConfigurationError when a file is missing or changed, or a database is newer than this code."""
    expected = {dump.file: dump.sha256 for dump in manifest.databases.values()} | manifest.files
    for name, sha256 in expected.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ConfigurationError(f"{folder / NAME} names a file outside of its folder: choose another backup.")
        if not path.is_file():
            raise ConfigurationError(f"{path} is missing, so the backup is not complete: choose another one.")
        if file_sha256(path) != sha256:
            raise ConfigurationError(f"{path} is not as it was when the backup was made: choose another one.")
    for service, dump in manifest.databases.items():
        if service not in services() or (dump.revision or "") > (databases.newest(service) or ""):
            raise ConfigurationError(
                f"The backup has {service} at revision {dump.revision}, which this code does not know: restore it with "
                f"Alicerce {manifest.version} or newer."
            )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What containers find when they start: `python -m alicerce.containers FOLDER`, before Postgres runs.

FOLDER/<component>/   mounted by that component alone, as its generated folder: the public keys of all, its own
                      private keys, and the URLs of its own database, but not its owner's;
                      for the gateway the METRICS_TOKEN that opens /ops
FOLDER/postgres/      the password of the Postgres containers' administrator
FOLDER/pgadmin/       the password of pgAdmin's first account

Only the one-shot containers see the generated folder itself. What is unchanged is not written again.
"""

import os
import sys
from pathlib import Path

from alicerce import databases, home, keys
from alicerce.services import services, without_database
from kit.config import ConfigurationError, keys_directory, lookup

READ_BY_ANOTHER_USER = 0o644  # within a volume that only this other user's container mounts
OWN_KEYS = {"auth": ("auth", "access")}  # a component that signs under more than its own name


def hand_out(folder: Path) -> None:
    """Give each component what it alone may know, and make what is missing. Raises ConfigurationError."""
    keys.ensure(keys.components())
    components = ("gateway", *services())
    public = (keys_directory() / "public.json").read_text("utf-8")
    for component in components:
        # To all, before any private key: nothing is ever signed with a key that others cannot find.
        _put(folder / component / "keys" / "public.json", public)
    for component in components:
        for name in OWN_KEYS.get(component, (component,)):
            pem = (keys_directory() / "private" / f"{name}.pem").read_text("utf-8")
            _put(folder / component / "keys" / "private" / f"{name}.pem", pem)
    for service in services():
        _put(folder / service / "environment", _databases_of(service))
    _put(folder / "gateway" / "environment", f"METRICS_TOKEN={home.secret('metrics')}\n")
    _administrator(folder / "postgres" / "password")
    _put(folder / "pgadmin" / "password", home.secret("pgadmin"), READ_BY_ANOTHER_USER)


def _databases_of(service: str) -> str:
    """The environment file of a service. Without its owner's URL: whoever takes over a service must not get past
    row-level security with what lies there."""
    made = databases.urls(databases.server_url(), without_database([service]))
    names = [f"{service.upper()}_SERVICE_DATABASE_{word}URL" for word in ("", "JOB_")]
    found = {name: made.get(name) or lookup(name) for name in names}
    return "".join(f"{name}={url}\n" for name, url in found.items() if url)


def _administrator(path: Path) -> None:
    """The administrator's password: for Postgres as it is, for ourselves as libpq's password file (PGPASSFILE)."""
    password = lookup("POSTGRES_PASSWORD") or home.secret("administrator")
    escaped = password.replace("\\", r"\\").replace(":", r"\:")
    _put(home.folder() / "pgpass", f"*:*:*:postgres:{escaped}\n")
    _put(path, password, READ_BY_ANOTHER_USER)


def _put(path: Path, text: str, mode: int = 0o600) -> None:
    for parent in (path.parent.parent, path.parent):
        home.private_folder(parent)
    if not path.exists() or path.read_text("utf-8") != text:
        home.write(path, text, mode)


def main() -> int:
    """Hand out; a foreseeable fault is one sentence on standard error and exit status 1."""
    try:
        hand_out(Path(sys.argv[1]))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename} cannot be used: {os.strerror(error.errno or 0)}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

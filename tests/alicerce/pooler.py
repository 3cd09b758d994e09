"""A real PgBouncer, configured as docs/databases.md says, before a server of the tests."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alicerce.processes import die_with_parent
from tests.alicerce import external
from tests.topologies import eventually, free_ports

UNPRIVILEGED = "nobody"  # it refuses to run as root


def program() -> str:
    """The program. Where it is missing, a test is skipped; in CI it fails."""
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("PgBouncer is not installed.")
    return str(found)


@contextmanager
def pooling(port: int, given: Mapping[str, str]) -> Iterator[str]:
    """Run PgBouncer before the server at this port; the place at which the roles of the given URLs reach it."""
    command, (own,) = program(), free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)
    roles = {f'"{urlsplit(url).username}" "{urlsplit(url).password}"' for url in given.values()}
    (folder / "userlist.txt").write_text("\n".join(sorted(roles)) + "\n")
    (text,) = external.blocks("ini", "PgBouncer")
    text = text.replace("host=db.example.com port=5432", f"host=127.0.0.1 port={port}").replace("6432", str(own))
    (folder / "pgbouncer.ini").write_text(text.replace("userlist.txt", str(folder / "userlist.txt")))
    user = [f"--user={UNPRIVILEGED}"] if os.geteuid() == 0 else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, *user, str(folder / "pgbouncer.ini")],
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
    try:
        eventually(lambda: _listens(own) or process.poll() is not None, "PgBouncer listens")
        assert process.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{own}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

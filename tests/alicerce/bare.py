"""A container as it is by default, of Debian packages and namespaces: root, few capabilities, no user namespaces."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("mmdebstrap", "unshare", "setpriv")
# What Docker and Podman leave to root unless they are told otherwise.
CAPABILITIES = (
    *("chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap"),
    *("net_bind_service", "sys_chroot", "kill", "audit_write"),
)
# Files of this machine that lead to its package index: carried along, never written down.
CARRIED = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/uv", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
CARRIED_FROM_HOME = (".config/pip", ".pip", ".config/uv", ".netrc")
NAMES_OF_FILES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CONFIG_FILE",
)
# The user namespace knows every id of this machine; in it, and only there, no further one may be made.
ENTER = """
read mapped
exec unshare --mount --pid --fork --kill-child sh -e -c '
root=$0; bounds=$1; shift
echo 0 > /proc/sys/user/max_user_namespaces
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
[ "$1" = - ] || mount --bind "$1" "$root/root/.cache/uv"
shift
exec setpriv --bounding-set "$bounds" --inh-caps=-all chroot "$root" "$@"
' "$@"
"""


def missing() -> str:
    """Return why this machine cannot make such a container; empty when it can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{', '.join(absent)} not found: apt-get install mmdebstrap" if absent else ""


def build(folder: Path, packages: Sequence[str]) -> None:
    """Make a minimal Debian 13 with these packages, whatever release this machine runs."""
    words = ["mmdebstrap", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
    words += [f"--include={','.join(packages)}", "trixie", str(folder)]
    made = subprocess.run(words, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]


def furnish(root: Path) -> Path:
    """Put the tree into root's home folder, and what leads to the package index where it is looked for; the tree."""
    home = root / "root"
    home.chmod(0o700)
    tree = home / "alicerce"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (home / ".cache" / "uv").mkdir(parents=True)
    own = [(Path.home() / name, home / name) for name in CARRIED_FROM_HOME]
    named = [os.environ[name] for name in NAMES_OF_FILES if os.environ.get(name)]
    for source, target in [*own, *((Path(name), root / name.lstrip("/")) for name in (*CARRIED, *named))]:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return tree


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment of which only the way to the package index is this machine's."""
    prefixes, names = ("PIP_", "UV_", "SSL_CERT"), ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    carried = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(prefixes) or name in names or name.lower().endswith("_proxy")
    }
    fixed = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "UV_LINK_MODE": "copy"}
    return carried | {"UV_CACHE_DIR": "/root/.cache/uv"} | fixed | dict(settings)


@contextmanager
def entered(root: Path, script: str, settings: Mapping[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shell script there as its first process; everything in it ends with it, at the latest when this does."""
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache/uv")
    bounds = ",".join(["-all", *(f"+{name}" for name in CAPABILITIES)])
    words = [str(root), bounds, str(cache) if cache.is_dir() else "-", "sh", "-c", script]
    with output.open("ab") as said:
        process = subprocess.Popen(
            ["unshare", "--user", "sh", "-c", ENTER, "sh", *words],
            env=variables(settings),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,  # without new privileges (`die_with_parent`) it could not map its own ids
        )
    try:
        _map_every_id(process)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def _map_every_id(process: subprocess.Popen[bytes]) -> None:
    """Give the new user namespace all ids of this one, then let its shell go on."""
    ours, theirs = Path("/proc/self/ns/user"), Path(f"/proc/{process.pid}/ns/user")
    deadline = time.monotonic() + 60
    while theirs.readlink() == ours.readlink():
        assert process.poll() is None and time.monotonic() < deadline, "no user namespace was made"
        time.sleep(0.01)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{process.pid}/{name}").write_text("0 0 65536\n")
    assert process.stdin is not None
    process.stdin.write(b"mapped\n")
    process.stdin.close()


def living(root: Path) -> dict[int, str]:
    """Return the processes whose root folder is this one: id -> command."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "root").resolve() == root.resolve():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:  # it has ended meanwhile
            continue
    return found

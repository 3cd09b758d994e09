"""What `make doctor` checks of the machine: programs, room, ports, the generated folder, and what runs."""

import os
import platform
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from alicerce import binaries, children, control, probe
from alicerce.doctor.findings import Finding, ok, problem, warning
from alicerce.postgres import FREE_BYTES, ready_pid
from alicerce.services import ports as wanted_ports
from alicerce.supervise import LISTEN_ADDRESS, LOCAL, TOPOLOGY
from kit.config import ConfigurationError, lookup

GIB, MIB = 1024**3, 1024**2
SPARE_DISK_BYTES = 2 * GIB
SPARE_MEMORY_BYTES = 512 * MIB
MEMORY = Path("/proc/meminfo")
FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
PROGRAMS = ("initdb", "postgres", "pg_dump", "pg_restore")
ASK_S = 2.0


def python(folder: Path) -> Iterator[Finding]:
    """The interpreter. An older one than 3.11 never gets here: `make` refuses it."""
    yield ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def tools(folder: Path) -> Iterator[Finding]:
    """The Postgres programs, for the embedded server and for backups."""
    try:
        found = binaries.find()
    except ConfigurationError as error:
        say = warning if lookup("DATABASE_SERVER_URL") else problem
        yield say("tools", str(error), "install Postgres 15 or newer; backups need its pg_dump, too")
        return
    missing = [name for name in PROGRAMS if not (found.folder / name).is_file()]
    if missing:
        yield problem(
            "tools", f"{found.folder} lacks {', '.join(missing)}.", "install Postgres with its client programs"
        )
    else:
        yield ok("tools", f"Postgres {found.major} in {found.folder}")


def disk(folder: Path) -> Iterator[Finding]:
    """Room for data, logs and backups."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    message = f"{free / GIB:.1f} GiB free for {folder}"
    if free < FREE_BYTES:
        yield problem("disk", message, "make room: Postgres does not start with less than 200 MB")
    elif free < SPARE_DISK_BYTES:
        yield warning("disk", message, "make room: data, logs and backups grow, and a restore needs room for all twice")
    else:
        yield ok("disk", message)


def memory(folder: Path) -> Iterator[Finding]:
    """Memory that programs could still get; unknown outside of Linux."""
    if not MEMORY.exists():
        return
    values = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines())
    free = int(values["MemAvailable"].split()[0]) * 1024
    message = f"{free / MIB:,.0f} MiB available"
    if free < SPARE_MEMORY_BYTES:
        yield warning("memory", message, "end other programs, or run TOPOLOGY=solo with WEB_CONCURRENCY=1")
    else:
        yield ok("memory", message)


def folder(folder: Path) -> Iterator[Finding]:
    """The generated folder and what is secret in it: ours, and closed to others."""
    if not folder.exists():
        yield ok("folder", f"{folder} is not there yet; `make run` makes it")
        return
    secret = [folder, *(folder / name for name in ("secrets.json", "environment", "keys/private", "backups"))]
    secret += folder.glob("keys/private/*.pem")
    sound = True
    for path in filter(Path.exists, secret):
        found = path.stat()
        if found.st_uid != os.geteuid():
            sound = False
            advice = f"run as that user, or: chown -R {os.geteuid()} {path}"
            yield problem("folder", f"{path} belongs to user {found.st_uid}, and this is {os.geteuid()}.", advice)
        if found.st_mode & FOR_OTHERS:
            sound = False
            mode = "700" if path.is_dir() else "600"
            yield problem(
                "folder", f"{path} may be read by others ({stat.filemode(found.st_mode)}).", f"chmod {mode} {path}"
            )
    if sound:
        yield ok("folder", f"{folder} belongs to this user alone")


def ports(folder: Path) -> Iterator[Finding]:
    """The ports of the topology: free, or held by what runs here."""
    ours = {port for _, process, _, port in children.recorded(folder) if process.alive()}
    where = wanted_ports()
    names = where if TOPOLOGY() == "split" else ["gateway"]
    for name in names:
        port, variable = where[name], "GATEWAY_PORT" if name == "gateway" else f"{name.upper()}_SERVICE_PORT"
        if port in ours:
            yield ok("port", f"{port} ({name}) is ours")
        elif fault := _bind(LISTEN_ADDRESS() if name == "gateway" else LOCAL, port):
            yield problem("port", f"{port} ({name}): {fault}.", f"stop what holds it, or set {variable} to another one")
        else:
            yield ok("port", f"{port} ({name}) is free")


def _bind(host: str, port: int) -> str:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def processes(folder: Path) -> Iterator[Finding]:
    """Whether what the supervisor started is ready."""
    if not (folder.exists() and control.supervisor()):
        yield ok("processes", "Alicerce does not run here")
        return
    for name, process, host, port in children.recorded(folder):
        if name == "postgres":
            ready = ready_pid(folder) == process.pid
        else:
            ready = process.alive() and probe.ready(host, port, ASK_S)
        if ready:
            yield ok("processes", f"{name} is ready (process {process.pid})")
        else:
            advice = f"`make logs service={name}` says why; `make restart` starts it anew"
            yield problem("processes", f"{name} is not ready (process {process.pid}).", advice)


def leftovers(folder: Path) -> Iterator[Finding]:
    """What a killed run left behind."""
    found = list(_leftovers(folder)) if folder.exists() else []
    yield from found or [ok("leftovers", "none")]


def _leftovers(folder: Path) -> Iterator[Finding]:
    for partial in sorted(folder.glob("backups/*.partial")):
        yield warning("leftovers", f"{partial} is a backup that was cut, or is being made.", f"rm -r {partial}")
    if control.supervisor():
        return
    for name, process, _, _ in children.recorded(folder):
        if process.alive() and name != "postgres":
            message = f"{name} (process {process.pid}) outlived the supervisor that started it."
            yield problem("leftovers", message, "`make run` ends it and starts anew")
    mark = folder / "postgres" / "postmaster.pid"
    if mark.exists() and ready_pid(folder) is not None:
        message = (
            f"Postgres (process {ready_pid(folder)}) runs without a supervisor: one was killed, or a backup is made."
        )
        yield warning("leftovers", message, "`make run` takes care of it")
    elif mark.exists():
        yield warning(
            "leftovers", f"{mark} is of a Postgres that was killed.", "`make run` clears it and recovers the data"
        )
    if (folder / "postgres.new").exists():
        yield warning("leftovers", "A first start was cut.", "`make run` begins it again")

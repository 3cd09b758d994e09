"""What a person does to the supervisor: run it, stop it, restart it, look at it, read its log."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alicerce import children, home, journal, probe, processes
from alicerce.postgres import ready_pid
from alicerce.services import ports, services
from alicerce.supervise import RESTART, Supervisor
from alicerce.watch import Watch
from kit.config import ConfigurationError, lookup

STOP_S = 120.0  # longer than web processes (30 s) and Postgres (60 s) may take together
ASK_S = 2.0
NOT_RUNNING = "Alicerce does not run here: `make run` starts it."


def run(topology: str, watch: Watch | None = None) -> None:
    """Run until a signal ends it, starting anew what is watched and changes.

    Raises ConfigurationError when it cannot start, or runs here already.
    """
    folder = home.folder()
    with held(folder):
        Supervisor(topology, folder, watch).run()


def start(topology: str) -> None:
    """Run in the background and return once everything is ready. Raises ConfigurationError when that fails."""
    if pid := supervisor():
        raise ConfigurationError(f"Alicerce already runs here as process {pid}. `make stop` ends it.")
    said = home.private_folder(home.folder() / "logs") / "start.log"
    words = [sys.executable, "-m", "alicerce", "run", "--topology", topology]
    with open(said, "wb", opener=home.private) as output:
        # Its own session: it stays when the terminal is closed.
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output, start_new_session=True
        )
    wanted = {"gateway", *services()} if topology == "split" else {"solo"}
    while not _ready(wanted):
        if process.poll() is not None:
            raise ConfigurationError(said.read_text("utf-8", "replace").strip() or f"It ended; see {said}.")
        time.sleep(0.1)
    print(f"Alicerce is ready at http://localhost:{ports()['gateway']} (process {process.pid}).")


def _ready(wanted: set[str]) -> bool:
    web = {name: (host, port) for name, _, host, port in children.recorded(home.folder()) if name in wanted}
    return supervisor() is not None and len(web) == len(wanted) and all(probe.ready(*at, ASK_S) for at in web.values())


def stop() -> None:
    """End the supervisor and wait until it has gone; nothing happens when it does not run."""
    pid = supervisor()
    if pid is None:
        print("Alicerce does not run here.")
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while supervisor() == pid:
        if time.monotonic() > deadline:
            raise ConfigurationError(f"Process {pid} has not ended within {STOP_S:.0f} s: see logs/alicerce.log.")
        time.sleep(0.05)
    print("Alicerce has stopped.")


def restart(service: str | None) -> None:
    """Start the web processes anew, one after another, without refusing a request; of one service alone in split."""
    pid = supervisor()
    if pid is None:
        raise ConfigurationError(NOT_RUNNING)
    if service and service not in ("gateway", *services()):
        raise ConfigurationError(f"There is no service {service}: there are {', '.join(services())}.")
    home.write(home.folder() / RESTART, service or "")
    os.kill(pid, signal.SIGHUP)
    print("Alicerce is restarting; `make logs` shows it.")


def status() -> bool:
    """Print a row per process; whether Alicerce runs here."""
    pid = supervisor()
    if pid is None:
        print(NOT_RUNNING)
        return False
    folder = home.folder()
    row = "{:<12} {:>8} {:>6} {:<10} {:>10}".format
    print(row("name", "pid", "port", "state", "memory"))
    print(row("supervisor", pid, "", "running", _mib(pid, alone=True)))
    for name, process, host, port in children.recorded(folder):
        if name == "postgres":
            ready = ready_pid(folder) == process.pid
        else:
            ready = process.alive() and probe.ready(host, port, ASK_S)
        print(row(name, process.pid, port, "ready" if ready else "not ready", _mib(process.pid)))
    return True


def logs(service: str | None) -> None:
    """Print the end of the log and, while Alicerce runs, what follows; of one service alone if it is named.

    With LOG_FORMAT=text, lines are shown as their program wrote them.
    """
    as_text = lookup("LOG_FORMAT") == "text"
    for line in journal.follow(home.folder() / "logs" / "alicerce.log", lambda: supervisor() is not None):
        record = journal.record_of(line)
        if service is None or _concerns(record, service):
            print(record["message"] if as_text and record.get("logger") == journal.OUTPUT else line, flush=True)


def supervisor() -> int | None:
    """The process id of the supervisor of this folder; None when it does not run."""
    try:
        descriptor = os.open(home.folder() / "supervisor.pid", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        # The lock is the proof, not the number: the kernel drops it when the process dies, however that happens.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _number(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of this folder. The file stays when it ends: removing it would let two hold different ones."""
    descriptor = os.open(folder / "supervisor.pid", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Take the lock. `stop` and `status` touch it for an instant, so one refusal is not yet an answer."""
    for _ in range(10):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
    pid = _number(descriptor)
    raise ConfigurationError(f"Alicerce already runs here as process {pid}. `make stop` ends it.")


def _number(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _concerns(record: Mapping[str, Any], service: str) -> bool:
    """Tell whether a record is of this service: by its own word, by its process (split), or by its text form."""
    return service in (record.get("service"), record.get("process")) or f" - {service} - " in str(record.get("message"))


def _mib(pid: int, *, alone: bool = False) -> str:
    used = processes.memory_mib(pid, family=not alone)
    return "-" if used is None else f"{used:.0f} MiB"

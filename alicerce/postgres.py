"""The embedded Postgres: one server per generated folder, over TCP on this machine alone, a direct child of ours.

It is for laptops, demonstrations and tests. Whoever starts it owns the folder: nobody else may start it there.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from alicerce import binaries, home, processes
from kit.config import ConfigurationError

HOST = "127.0.0.1"
ADMIN = "postgres"
FREE_BYTES = 200 * 1024**2
START_SECONDS = 60.0
STOP_SECONDS = 60.0
SHOWN_LINES = 8

# For a laptop: little memory, few processes, and a write-ahead log that stays small on disk.
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "32MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_worker_processes": "4",
    "autovacuum_max_workers": "2",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
SINCE_18 = {"io_method": "sync"}  # otherwise three more processes wait for work that a laptop seldom has
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

TAKEN = re.compile("could not bind|could not create any TCP/IP sockets")
LINGERING = re.compile("pre-existing shared memory block|lock file .* already exists")


class EmbeddedPostgres:
    """One server whose data, log, port and password lie in a folder. `durable=False` is for tests: a crash of the
    machine may then lose the data, but nothing waits for the disk."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder, self.durable = folder.resolve(), durable
        self.data = self.folder / "postgres"
        self.log = self.folder / "logs" / "postgres.log"
        self.port = recorded_port(self.folder)
        self._programs: binaries.Programs | None = None
        self._launch = binaries.Launch((), os.geteuid())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where and as whom to administer the server: `postgresql://postgres:…@127.0.0.1:port/postgres`."""
        return f"postgresql://{ADMIN}:{home.secret('postgres', self.folder)}@{HOST}:{self.port}/{ADMIN}"

    @property
    def pid(self) -> int:
        """Process id of the server that was started here."""
        return self._process.pid if self._process else 0

    def start(self) -> str:
        """Make the data if there is none, clear what a crash left, start, and wait until it accepts: the admin URL.

        Raises ConfigurationError when it cannot start, with the last lines of its log, or within a minute.
        """
        self._prepare()
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.port = _free_port(self.port)
            mark = self._log_size()
            self.spawn()
            if self._accepts_before(deadline):
                home.write(self.folder / "postgres.port", f"{self.port}\n")
                return self.url
            self.stop()
            said = self._said_since(mark)
            if not (TAKEN.search(said) or LINGERING.search(said)) or time.monotonic() > deadline:
                raise ConfigurationError(f"The embedded Postgres did not start. {self._last(said)}")
            time.sleep(0.1)

    def spawn(self) -> None:
        """Start the server on its port and return at once; `accepting` says when it can be used."""
        assert self._programs is not None
        self._clear_leftover()
        settings = {**SETTINGS, **(SINCE_18 if self._programs.major >= 18 else {})}
        settings.update({} if self.durable else FORGETFUL)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        place = ["-D", str(self.data), "-h", HOST, "-p", str(self.port), "-k", ""]
        with open(self.log, "ab", opener=home.private) as log:
            self._process = subprocess.Popen(
                self._command("postgres", [*place, *options]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                # Its own session: Ctrl-C in the terminal must not reach it before the programs that use it.
                start_new_session=True,
                preexec_fn=processes.die_with_parent(signal.SIGINT, self._launch.become),
            )

    def accepting(self) -> bool:
        """Whether the server that was started here has said that it takes connections."""
        return self._process is not None and ready_pid(self.folder) == self._process.pid

    def poll(self) -> int | None:
        """The exit status of the server; None while it runs."""
        return self._process.poll() if self._process else 0

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, what was committed is on disk."""
        if self._process is None:
            return
        for number, seconds in (
            (signal.SIGINT, STOP_SECONDS),
            (signal.SIGQUIT, 10.0),
            (signal.SIGKILL, 10.0),
        ):
            if self._process.poll() is None:
                self._process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(seconds)

    def _prepare(self) -> None:
        home.private_folder(self.folder)
        home.private_folder(self.log.parent)
        if shutil.disk_usage(self.folder).free < FREE_BYTES:
            raise ConfigurationError(f"Less than 200 MB are free for {self.folder}: make room and start again.")
        self._programs = binaries.find()
        self._launch = binaries.launch(self._programs, self.folder)
        if not self.data.exists():
            self._initialise()
        made_by = int((self.data / "PG_VERSION").read_text())
        if made_by != self._programs.major:
            raise ConfigurationError(
                f"{self.data} was made by Postgres {made_by}, but {self._programs.major} is what this machine has: "
                f"install Postgres {made_by}, or move the folder away to start with empty databases."
            )
        self._clear_leftover()  # it may run as another user, and goes on writing files of its own until it ends
        binaries.give(self.data, self._launch.owner)

    def _initialise(self) -> None:
        """Make the data beside its place and rename it, so that a first start that is cut leaves no half of it."""
        unfinished = self.data.with_name("postgres.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        binaries.give(unfinished, self._launch.owner)
        words = ["-D", str(unfinished), "-U", ADMIN, "-E", "UTF8", "--locale=C", "--no-instructions"]
        words += ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--pwfile=/dev/stdin"]
        made = subprocess.run(
            self._command("initdb", words + ([] if self.durable else ["--no-sync"])),
            check=False,
            input=home.secret("postgres", self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            start_new_session=True,
            preexec_fn=processes.die_with_parent(signal.SIGKILL, self._launch.become),
        )
        if made.returncode != 0:
            raise ConfigurationError(f"The embedded Postgres could not be made. {self._last(made.stdout)}")
        unfinished.rename(self.data)

    def _clear_leftover(self) -> None:
        """End a server that outlived its supervisor, or remove the mark of one that did not.

        The mark may name a process that has nothing to do with us, since ids are reused: then only the mark goes.
        """
        mark = self.data / "postmaster.pid"
        orphan = processes.identify(_marked_pid(mark))
        words = processes.command(orphan.pid) if orphan else []
        ours = words and Path(words[0]).name == "postgres" and str(self.data) in words
        if orphan and ours and not orphan.end((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
            raise ConfigurationError(f"An old Postgres (process {orphan.pid}) does not stop: end it and start again.")
        mark.unlink(missing_ok=True)

    def _accepts_before(self, deadline: float) -> bool:
        while self.poll() is None and time.monotonic() < deadline:
            if self.accepting():
                return True
            time.sleep(0.01)
        return False

    def _command(self, program: str, words: Sequence[str]) -> list[str]:
        assert self._programs is not None
        return [*self._launch.prefix, str(self._programs.folder / program), *words]

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _said_since(self, mark: int) -> str:
        with self.log.open("rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")

    def _last(self, said: str) -> str:
        lines = said.strip().splitlines()[-SHOWN_LINES:]
        return "\n  ".join(["Its last words:", *lines]) if lines else f"It said nothing; see {self.log}."


def recorded_port(folder: Path) -> int:
    """The port that the server of this folder used last; 0 when it never ran."""
    try:
        return int((folder / "postgres.port").read_text())
    except (OSError, ValueError):
        return 0


def ready_pid(folder: Path) -> int | None:
    """The process id of the server of this folder if it says that it accepts connections.

    `postmaster.pid` is what `pg_ctl -w` itself reads: line 1 is the process id, line 8 the state.
    """
    try:
        lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready" and processes.identify(int(lines[0])) is not None
    return int(lines[0]) if ready else None


def _marked_pid(mark: Path) -> int:
    try:
        return int(mark.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _free_port(preferred: int) -> int:
    """The preferred port if nobody listens there, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise ConfigurationError("No free TCP port was found for the embedded Postgres.")


def _environment() -> dict[str, str]:
    """Messages in English, whatever the locale: what the launcher looks for in them must be found."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

"""The supervisor: the parent of Postgres and of the web processes, and the owner of their listening sockets.

It stays small, because it lives as long as they do: what needs a library happens in a process that ends.
Order: sockets, Postgres, `prepare` (keys, databases, migrations), web processes; at the end the reverse.
"""

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from alicerce import children, home
from alicerce.children import Child
from alicerce.journal import Journal, turn_open
from alicerce.postgres import EmbeddedPostgres
from alicerce.probe import Probe
from alicerce.services import handed, ports, services, without_database
from alicerce.watch import Watch, affected
from kit.config import ConfigurationError, lookup, one_of, setting

LISTEN_ADDRESS = setting(
    "LISTEN_ADDRESS", "127.0.0.1", "Address on which the gateway listens; 0.0.0.0 is every network."
)
TOPOLOGY = setting(
    "TOPOLOGY", "solo", "One process for all (solo), or one per service (split).", one_of("solo", "split")
)
LOCAL = "127.0.0.1"
READY_S = 60.0
TICK_S = 0.5
STARTING_TICK_S = 0.05
SHOWN_CHANGES = 3
RESTART = "restart"


class Stop(BaseException):
    """Somebody asked the supervisor to end."""


class Supervisor:
    """Starts one topology, keeps it alive, and ends it in order."""

    def __init__(self, topology: str, folder: Path, watch: Watch | None = None) -> None:
        self.topology, self.folder, self.watch = topology, folder, watch
        self.environment = {**os.environ, "ALICERCE_HOME": str(folder), "PYTHONUNBUFFERED": "1"}
        self.journal = Journal(home.private_folder(folder / "logs") / "alicerce.log")
        self.postgres: EmbeddedPostgres | None = None
        self.postgres_delay = children.Delay()
        self.web: list[Child] = []
        self.replaced: list[Child] = []
        self.reload_wanted = False
        self._selector = selectors.DefaultSelector()
        self._width = max(len(name) for name in ("gateway", *services()))
        self._wake_in, self._wake_out = socket.socketpair()

    def run(self) -> None:
        """Run until a signal ends it. Raises ConfigurationError when it cannot start."""
        began = time.monotonic()
        self._watch_signals()
        try:
            self._start()
            self._wait_until_ready(self.web)
            port = self.web[0].port
            took = time.monotonic() - began
            self.journal.write(f"Alicerce is ready at http://localhost:{port} ({self.topology}, {took:.1f} s).")
            while True:
                self._tick(TICK_S)
                if self.reload_wanted:
                    self.reload_wanted = False
                    self._replace(self._asked_for())
                elif self.watch:
                    self._follow(self.watch.changed())
        except Stop:
            self.journal.write("Alicerce is stopping.")
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            self._shut_down()

    def _watch_signals(self) -> None:
        def stop(number: int, frame: object) -> None:
            raise Stop

        in_terminal = _has_terminal()

        def reload(number: int, frame: object) -> None:
            # The same signal says that the terminal was closed: then nobody is left who wants it to run.
            if in_terminal and not _has_terminal():
                raise Stop
            self.reload_wanted = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, reload)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        # A signal also makes the selector return: a dead child is noticed at once, not at the next tick.
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)

    def _start(self) -> None:
        patience = children.end_leftovers(self.folder)
        where = ports()
        names = ["gateway", *services()] if self.topology == "split" else ["gateway"]
        # Only the gateway is a public door: the services never listen on the network.
        listeners = {
            name: children.bind(name, LISTEN_ADDRESS() if name == "gateway" else LOCAL, where[name], patience)
            for name in names
        }
        if without_database(services()) and not lookup("DATABASE_SERVER_URL"):
            self.postgres = EmbeddedPostgres(self.folder)
            self.postgres.start()
            self._record()
        self._prepare()
        if self.topology == "split":
            reached = {f"{n.upper()}_SERVICE_URL": f"http://{LOCAL}:{where[n]}" for n in names[1:]}
            self.environment |= {name: url for name, url in reached.items() if not lookup(name)}
        for name, listener in listeners.items():
            package = "gateway" if name == "gateway" else f"services.{name}"
            if self.topology == "solo":
                name, package = "solo", "alicerce.solo"
            environment = handed(self.environment, name)
            self.web.append(children.gunicorn(name, f"{package}:create_app()", listener, environment))
        for child in self.web:
            self._spawn(child)

    def _prepare(self) -> None:
        once = Child("prepare", [sys.executable, "-m", "alicerce", "prepare"], self.environment)
        self._spawn(once)
        try:
            self._until(lambda: not once.alive())
        finally:
            once.signal(signal.SIGKILL, group=True)
            self._drain(once)
        assert once.process is not None
        if once.process.wait() != 0:
            raise ConfigurationError("Alicerce did not start: keys, databases or migrations failed, see above.")

    def _spawn(self, child: Child) -> None:
        child.spawn()
        assert child.process is not None and child.process.stdout is not None
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        self._record()

    def _record(self) -> None:
        web = [*self.web, *self.replaced]
        running = [(child.name, child.pid, child.host, child.port) for child in web if child.alive()]
        if self.postgres:
            running.insert(0, ("postgres", self.postgres.pid, LOCAL, self.postgres.port))
        children.record(self.folder, running)

    def _tick(self, seconds: float) -> None:
        """Pass on what was said, and start again what has died and is due."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._wake_out.recv(4096)
            elif not self._pass_on(key.data):
                self._selector.unregister(key.fileobj)
        for child in self.web:
            if child.process is not None and not child.alive() and not child.leaving and child.delay.due():
                self._drain(child)
                self._again(child.name, child.process.returncode, partial(self._spawn, child))
        if self.postgres:
            turn_open(self.postgres.log)
        if self.postgres and self.postgres.poll() is not None and self.postgres_delay.due():
            self.postgres_delay.started()
            self._again("postgres", self.postgres.poll(), self.postgres.spawn)
            self._record()

    def _again(self, name: str, status: int | None, start: Callable[[], None]) -> None:
        self.journal.write(f"{name} ended with status {status}; it is started again.")
        try:
            start()
        except (OSError, ConfigurationError) as error:  # no memory, no descriptor: that may pass, so it is tried again
            self.journal.write(f"{name} could not be started: {error}")

    def _pass_on(self, child: Child) -> bool:
        """Write the lines that have come; False at the end of the child's output."""
        lines = child.lines()
        prefix = f"{child.name:<{self._width}} | " if self.topology == "split" else ""
        for line in lines or ():
            self.journal.write(line, child.name, prefix=prefix)
        return lines is not None

    def _drain(self, child: Child) -> None:
        """Read what a dead child still had to say. What it started may hold the pipe open: nobody waits for that."""
        assert child.process is not None and child.process.stdout is not None
        output = child.process.stdout
        if output.closed or output not in self._selector.get_map():
            return
        with selectors.DefaultSelector() as ending:
            ending.register(output, selectors.EVENT_READ)
            while ending.select(0) and self._pass_on(child):
                pass
        self._selector.unregister(output)

    def _until(self, condition: Callable[[], bool], seconds: float = float("inf")) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._tick(STARTING_TICK_S)
        return True

    def _wait_until_ready(self, waiting: list[Child]) -> None:
        """Until `/ready` of each answers 200. Raises ConfigurationError when one dies, or after a minute."""
        deadline = time.monotonic() + READY_S
        for child in waiting:
            while not self._ask(child, deadline):
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"{child.name} was not ready within {READY_S:.0f} s: see the lines above.")
                self._tick(STARTING_TICK_S)

    def _ask(self, child: Child, deadline: float) -> bool:
        """Whether the child is ready, at its first answer. Raises ConfigurationError when it dies meanwhile."""
        started, probe = child.pid, Probe(child.host, child.port)
        answer: bool | None = None

        def settled() -> bool:
            nonlocal answer
            answer = probe.answer()
            return answer is not None or child.pid != started or not child.alive()

        try:
            self._until(settled, deadline - time.monotonic())
        finally:
            probe.close()
        if child.pid != started or not child.alive():
            self._drain(child)
            raise ConfigurationError(child.fault())
        return answer is True

    def _follow(self, changed: Sequence[Path]) -> None:
        """Start anew what these files belong to, and migrate first if one is a revision."""
        if not changed:
            return
        self.journal.write(f"{', '.join(map(str, changed[:SHOWN_CHANGES]))} changed.")
        if any("migrations" in path.parts for path in changed):
            try:
                self._prepare()
            except ConfigurationError:  # its author is still at it
                self.journal.write("The migrations failed, see above; the next change tries them again.")
        names = affected(changed)
        self._replace([child for child in self.web if names is None or child.name in (*names, "solo")])

    def _asked_for(self) -> list[Child]:
        """Whom a restart concerns: what `control.restart` named, or all."""
        wanted = self.folder / RESTART
        name = wanted.read_text() if wanted.exists() else ""
        wanted.unlink(missing_ok=True)
        return [child for child in self.web if child.name == name] or list(self.web)

    def _replace(self, replaced: Sequence[Child]) -> None:
        """Start web processes anew, one after another. Each serves on until its successor does, on the same socket."""
        failed = [child.name for child in replaced if not self._replace_one(child)]
        self.journal.write(f"Not restarted: {', '.join(failed)}." if failed else "Alicerce has restarted.")

    def _replace_one(self, child: Child) -> bool:
        successor, place = child.successor(), self.web.index(child)
        self.web[place] = successor
        self.replaced.append(child)
        self._spawn(successor)
        serves = self._serves(successor)
        leaving = child
        if not serves:
            self._drain(successor)
            self.journal.write(successor.fault())
        if not serves and child.alive():  # else the successor is tried again, like any child that dies
            self.journal.write(f"The {child.name} from before serves on.")
            leaving, self.web[place], self.replaced[:] = successor, child, [successor]
        self._end([leaving])
        self._drain(leaving)
        self.replaced.clear()
        self._record()
        return serves

    def _serves(self, successor: Child) -> bool:
        """Wait until it says so; False when it died, or after a minute."""
        successor.leaving = True  # so that nothing starts it again meanwhile
        serves = self._until(lambda: successor.has_said_it_serves() or not successor.alive(), READY_S)
        successor.leaving = False
        return serves and successor.alive()

    def _end(self, leaving: list[Child]) -> None:
        for child in leaving:
            child.leaving = True
            child.signal(signal.SIGTERM)
        if not self._until(lambda: not any(child.alive() for child in leaving), children.GRACE_S):
            for child in leaving:
                child.signal(signal.SIGKILL, group=True)
            self._until(lambda: not any(child.alive() for child in leaving), children.GRACE_S)

    def _shut_down(self) -> None:
        postgres, self.postgres = self.postgres, None  # nothing may start it again while the others end
        self._end([*self.web, *self.replaced])
        for child in [*self.web, *self.replaced]:
            if child.process is not None:
                self._drain(child)
        if postgres:
            postgres.stop()
        with suppress(OSError):
            (self.folder / "children.json").unlink(missing_ok=True)
        self.journal.close()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True

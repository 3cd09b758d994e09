"""gunicorn's worker as every component uses it: many threads, of which one leads.

The leader takes what happens on the sockets of all connections and answers requests one after the other. Who has to
wait while it answers calls `kit.waiting.yielding()`, and another thread leads from then on; so there are as many waits
at once as there are threads, and a request that needs none costs no change of threads. An application that does not
say when it waits (`says_when_it_waits`) is taken to wait always.
"""

import os
import select
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.base import Worker as GunicornWorker

from kit.patience import ClientGone, NothingCame, PatientSocket, is_unread
from kit.poller import READABLE, WRITABLE, poller
from kit.waiting import SUSPEND, leading, yielding
from kit.wsgi import PlainParser, Response, connection_environ, environ, fixed

TICK_S = 1.0
STOPPING_TICK_S = 0.05
DRAIN_S = 5.0
STOPPING_KEEPALIVE_S = 2.0  # for requests that clients may be sending already while the worker stops
CROWDED_KEEPALIVE_S = 2.0  # while others cannot get a connection at all
NEVER = float("inf")


class Connection:
    """One client's connection. It belongs to the poller, or to the one thread that took it out of `Worker.idle`."""

    __slots__ = ("client", "environ", "expires", "parser", "sock")

    def __init__(self, cfg: Any, inner: socket.socket, client: Any, server: Any) -> None:
        self.client = client
        self.sock = PatientSocket(inner, client[0] if client else "")
        self.parser = PlainParser(cfg, self.sock, client)
        self.environ = connection_environ(cfg, client, server)
        self.expires = 0.0

    @property
    def has_more(self) -> bool:
        """Whether a part of the next request has been read already."""
        return bool(self.parser.unreader.buf.getbuffer().nbytes)


class After(Enum):
    """What becomes of a connection."""

    KEPT = auto()
    CLOSED = auto()
    SUSPENDED = auto()
    UNTOUCHED = auto()


class Exchange:
    """A request and its answer, until the answer is over."""

    __slots__ = ("awaited", "body", "connection", "pieces", "request", "response", "worker")

    def __init__(self, worker: "Worker", connection: Connection) -> None:
        self.worker, self.connection = worker, connection
        self.request: Any = None
        self.response: Any = None
        self.body: Any = None
        self.pieces: Any = None
        self.awaited: tuple[int, float] | None = None

    def run(self) -> After:
        """Go on with it. Whatever was suspended waits for what is `awaited`."""
        connection = self.connection
        try:
            if self.body is None:
                self._begin()
            if not self._write():
                return After.SUSPENDED
            ends = self.response.should_close() or self.response.is_short
            if not ends and connection.parser.finish_body(time.monotonic() + DRAIN_S):
                return After.KEPT
        except NothingCame:
            return After.UNTOUCHED
        except (NoMoreData, StopIteration, ClientGone):
            pass
        except Exception as error:
            if self.response is not None and self.response.headers_sent:  # a second answer would corrupt the first
                self.worker.log.exception("An answer broke off.")
            else:
                self.worker.handle_error(self.request, connection.sock, connection.client, error)
        if connection.sock.refused or is_unread(connection.parser):
            with suppress(OSError):
                connection.sock.inner.shutdown(socket.SHUT_WR)
                connection.sock.linger()
        return After.CLOSED

    def _begin(self) -> None:
        """Read the request and ask the application."""
        worker, sock = self.worker, self.connection.sock
        sock.begin(self.connection.has_more)
        self.request = next(self.connection.parser)
        self.response = Response(self.request, sock, worker.plain)
        if self.request._expected_100_continue:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        worker.count(self.response)
        made = environ(self.connection.environ, self.request)
        if getattr(worker.wsgi, "says_when_it_waits", False):
            made[SUSPEND] = self._suspend
        else:
            yielding()
        self.body = worker.wsgi(made, self.response.start_response)
        self.pieces = iter(self.body)

    def _suspend(self, number: int, moment: float) -> None:
        self.awaited = (number, moment)

    @property
    def is_waiting(self) -> bool:
        """Whether the application asked to be suspended."""
        return self.awaited is not None

    def _write(self) -> bool:
        """Write the answer; False when it has to wait first.

        The application is told of the end before the client is: who has an answer finds it counted and logged.
        """
        self.awaited = None
        try:
            for piece in self.pieces:
                if self.is_waiting:
                    return False
                if self.response.is_whole(piece):
                    self.close()
                    self.response.write(piece)
                    break
                self.response.write(piece)
        except BaseException:
            self.close()
            raise
        self.close()
        self.response.close()
        return True

    def close(self) -> None:
        """Tell the application of the end."""
        body, self.body = self.body, ()
        close = getattr(body, "close", None)
        if close:
            close()


class Lead:
    """Which of several threads leads. Of those that wait for it the last one is next: the processor still knows what
    it worked on, and the others may sleep on until there is more to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: list[threading.Lock] = []

    def take(self, turn: threading.Lock) -> None:
        """Wait for the lead. `turn` is a lock of the thread's own, which it holds."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            self._waiting.append(turn)
        turn.acquire()

    def give(self) -> None:
        """Hand it to the next, or to whoever comes."""
        with self._lock:
            if self._waiting:
                self._waiting.pop().release()
            else:
                self._is_taken = False


class Worker(GunicornWorker):
    """A process that serves connections with a leader and its followers."""

    alive: bool

    def init_process(self) -> None:
        self.prepare()
        super().init_process()

    def prepare(self) -> None:
        """Make what belongs to this process alone."""
        self.poller = poller()
        self.plain = fixed(self.cfg)
        self.listeners: dict[int, Any] = {}
        # A number means another connection as soon as its own is closed, so these change together, under the lock.
        self.idle: dict[int, Connection] = {}
        self.suspended: dict[int, Exchange] = {}
        self.open = 0
        self._paused: set[int] = set()
        self._lock = threading.Lock()
        self._looks_at = NEVER
        self._events: deque[int] = deque()
        self._lead = Lead()

    def run(self) -> None:
        """Serve until the arbiter says otherwise, then let what runs come to its end."""
        for listener in self.sockets:
            listener.setblocking(False)
            self.listeners[listener.fileno()] = listener
            self.poller.ask(listener.fileno(), READABLE)
        for number in range(self.cfg.threads):
            threading.Thread(target=self._serve, name=f"serving-{number}", daemon=True).start()
        while self.alive and self.ppid == os.getppid():
            self._tick(TICK_S)
        with self._lock:
            self.alive = False
            for number in self.listeners:
                self.poller.forget(number)
        now = time.monotonic()
        while self.open and time.monotonic() < now + self.cfg.graceful_timeout:
            self._end_idle_by(now + STOPPING_KEEPALIVE_S)
            self._tick(STOPPING_TICK_S)

    def count(self, response: Response) -> None:
        """One more request; the last ones end their connections."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive:
            response.force_close()

    def _tick(self, most_s: float) -> None:
        """Wait a moment, less when a signal comes or a suspended request's time is over, and look after everybody."""
        self.notify()
        with self._lock:
            moments = [exchange.awaited[1] for exchange in self.suspended.values() if exchange.awaited]
            now = time.monotonic()
            self._looks_at = min([now + most_s, *moments])
        waiting = select.poll()
        waiting.register(self.PIPE[0], select.POLLIN)
        if waiting.poll(max(0.0, self._looks_at - now) * 1000):
            with suppress(OSError):
                os.read(self.PIPE[0], 1024)
        self._end_waits()
        self._end_idle()
        with self._lock:
            self._resume()

    def _end_waits(self) -> None:
        with self._lock:
            now = time.monotonic()
            for number, exchange in self.suspended.items():
                if exchange.awaited and exchange.awaited[1] <= now:  # it is told by a thread that serves
                    exchange.awaited = (number, NEVER)
                    with suppress(OSError):
                        self.poller.ask(number, WRITABLE)

    def _end_idle(self) -> None:
        with self._lock:
            ends = time.monotonic()
            if self._paused and self.open >= self.cfg.worker_connections:
                ends += max(0.0, self.cfg.keepalive - CROWDED_KEEPALIVE_S)
            # Whose request has come already has only to wait for a thread.
            over = [one for one in self.idle.values() if one.expires < ends and not one.has_more and one.sock.is_quiet]
            for connection in over:
                number = connection.sock.fileno()
                del self.idle[number]
                self.poller.forget(number)
        for connection in over:
            self._close(connection)

    def _end_idle_by(self, moment: float) -> None:
        with self._lock:
            for connection in self.idle.values():
                connection.expires = min(connection.expires, moment)

    def _serve(self) -> None:
        """One thread: wait for the lead, lead until something has to be waited for, and again."""
        turn = threading.Lock()
        turn.acquire()
        while True:
            self._lead.take(turn)
            is_leader = True

            def resign() -> None:
                nonlocal is_leader
                is_leader = False
                self._lead.give()

            leading(resign)
            while is_leader:
                try:
                    if self._events:
                        self.take(self._events.popleft())
                    else:
                        self._events.extend(self.poller.wait())
                except BaseException:  # a thread that ends while it leads would take all others with it
                    self.log.exception("Serving failed.")

    def take(self, number: int) -> None:
        """Something happened on a descriptor, or seems to have: it may have been another connection's."""
        listener = self.listeners.get(number)
        if listener is not None:
            self._accept(number, listener)
            return
        with self._lock:
            exchange = self.suspended.pop(number, None)
            connection = self.idle.pop(number, None) if exchange is None else None
        if connection is not None:
            exchange = Exchange(self, connection)
        if exchange is not None:
            self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        connection, after = exchange.connection, After.CLOSED
        try:
            after = exchange.run()
            if after is After.SUSPENDED:
                self._suspend(exchange)
            elif after is After.KEPT:
                linger_s = self.cfg.keepalive if self.alive else STOPPING_KEEPALIVE_S
                connection.expires = time.monotonic() + linger_s
                self._await(connection)
            elif after is After.UNTOUCHED:
                self._await(connection)
        except BaseException:
            after = After.CLOSED
            exchange.close()
            raise
        finally:
            if after is After.CLOSED:
                self._close(connection)

    def _suspend(self, exchange: Exchange) -> None:
        assert exchange.awaited is not None
        number, moment = exchange.awaited
        with self._lock:
            self.poller.ask(number, READABLE)
            self.suspended[number] = exchange
            is_early = moment < self._looks_at
            self._looks_at = min(moment, self._looks_at)
        if is_early:
            with suppress(BlockingIOError):
                os.write(self.PIPE[1], b".")

    def _await(self, connection: Connection) -> None:
        """Give a connection back to the poller. What was read ahead waits its turn behind what others sent."""
        number = connection.sock.fileno()
        with self._lock:
            self.poller.ask(number, WRITABLE if connection.has_more else READABLE)
            self.idle[number] = connection

    def _accept(self, number: int, listener: Any) -> None:
        try:
            inner, client = listener.accept()
        except BlockingIOError:  # another process was faster
            with self._lock:
                self._listen(number)
            return
        except OSError as error:  # too many open files, for one: again at the next tick
            self.log.warning("A connection could not be accepted: %s", error)
            with self._lock:
                self._paused.add(number)
            return
        connection = Connection(self.plain, inner, client, listener.getsockname())
        connection.expires = time.monotonic() + self.cfg.keepalive
        with self._lock:
            self.open += 1
            self._listen(number)
        self._await(connection)

    def _listen(self, number: int) -> None:
        """Take one more connection, if there may be one. Called under the lock, as `_resume`."""
        if not self.alive:
            return
        if self.open < self.cfg.worker_connections:
            self.poller.ask(number, READABLE)
        else:
            self._paused.add(number)

    def _resume(self) -> None:
        while self._paused and self.open < self.cfg.worker_connections:
            self._listen(self._paused.pop())

    def _close(self, connection: Connection) -> None:
        sock = connection.sock
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)  # the client sees an end, and not that unread bytes were thrown away
            with suppress(BlockingIOError):
                sock.inner.recv(64 * 1024)
        with suppress(OSError):
            sock.close()
        with self._lock:
            self.open -= 1
            self._resume()

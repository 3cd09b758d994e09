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
from typing import Any

import gunicorn.util
from gunicorn.http.errors import InvalidHTTPVersion
from gunicorn.workers.base import Worker as GunicornWorker

from kit.exchange import After, Connection, Exchange
from kit.lead import Lead
from kit.poller import READABLE, WRITABLE, poller
from kit.waiting import leading
from kit.wsgi import Response, fixed

TICK_S = 1.0
STOPPING_TICK_S = 0.05
STOPPING_KEEPALIVE_S = 2.0  # for requests that clients may be sending already while the worker stops
CROWDED_KEEPALIVE_S = 2.0  # while others cannot get a connection at all
NEVER = float("inf")


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
        self.is_ending = False
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
        self._stop_listening()
        now = time.monotonic()
        while self.open and time.monotonic() < now + self.cfg.graceful_timeout:
            self._end_idle_by(now + STOPPING_KEEPALIVE_S)
            self._tick(STOPPING_TICK_S)

    def count(self, response: Response) -> None:
        """One more request; the last ones end their connections."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
            response.force_close()
        if self.is_ending:
            response.force_close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Log an error and answer it, as gunicorn does; another major version of HTTP is 505 (RFC 9110, 15.6.6)."""
        if isinstance(exc, InvalidHTTPVersion) and isinstance(exc.version, tuple):
            gunicorn.util.write_error(client, 505, "", "")
        else:
            super().handle_error(req, client, addr, exc)

    def _stop_listening(self) -> None:
        """Take the connections that wait already, then close the listeners, so that new ones are refused at once.

        Where the supervisor or a successor holds them too, nothing is refused: what comes later waits for that one.
        Only then do connections end with their next answer: their clients would come back to us.
        """
        with self._lock:
            self.alive = False
            listeners, self.listeners = self.listeners, {}
            for number in listeners:
                self.poller.forget(number)
        for listener in listeners.values():
            for _ in range(self.cfg.backlog):
                if not self._accept(listener):
                    break
            listener.close()
        self.is_ending = True

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
            self._accept(listener)
            with self._lock:
                self._listen(number)
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

    def _accept(self, listener: Any) -> bool:
        """Take a connection that waits; False when none does."""
        try:
            inner, client = listener.accept()
        except BlockingIOError:  # another process was faster
            return False
        except OSError as error:  # too many open files, for one: again at the next tick
            if self.alive:
                self.log.warning("A connection could not be accepted: %s", error)
                with self._lock:
                    self._paused.add(listener.fileno())
            return False
        connection = Connection(self.plain, inner, client, listener.getsockname())
        connection.expires = time.monotonic() + self.cfg.keepalive
        with self._lock:
            self.open += 1
        self._await(connection)
        return True

    def _listen(self, number: int) -> None:
        """Take one more connection, if there may be one. Called under the lock, as `_resume`."""
        if not self.alive or number in self._paused:
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

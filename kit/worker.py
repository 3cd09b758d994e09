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

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.base import Worker as GunicornWorker

from kit.patience import PatientSocket, is_unread
from kit.waiting import SUSPEND, leading, yielding
from kit.wsgi import PlainParser, Response, connection_environ, environ, fixed

TICK_S = 1.0
WAITING_TICK_S = 0.05
BATCH = 64
DRAIN_S = 5.0
STOPPING_KEEPALIVE_S = 2.0  # for requests that clients may be sending already while the worker stops
READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT


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

    def run(self) -> bool | None:
        """Go on with it; whether the connection stays open afterwards. None: it waits for what is `awaited`."""
        connection = self.connection
        try:
            if self.body is None:
                self._begin()
            if not self._write():
                return None
            return not self.response.should_close() and connection.parser.finish_body(time.monotonic() + DRAIN_S)
        except (NoMoreData, StopIteration, ConnectionError, TimeoutError):  # the client has gone, or is given up
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
        return False

    def _begin(self) -> None:
        """Read the request and ask the application."""
        worker, sock = self.worker, self.connection.sock
        sock.begin()
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
                    self._close()
                    self.response.write(piece)
                    break
                self.response.write(piece)
            self._close()
            self.response.close()
            return True
        finally:
            if not self.is_waiting:
                self._close()

    def _close(self) -> None:
        body, self.body = self.body, ()
        close = getattr(body, "close", None)
        if close:
            close()


class Worker(GunicornWorker):
    """A process that serves connections with a leader and its followers."""

    alive: bool

    def init_process(self) -> None:
        self.poller = select.epoll()
        self.plain = fixed(self.cfg)
        self.listeners: dict[int, Any] = {}
        self.idle: dict[int, Connection] = {}
        self.suspended: dict[int, Exchange] = {}
        self.open = 0
        self._events: deque[tuple[int, int]] = deque()
        self._lead, self._counting = threading.Lock(), threading.Lock()
        self._paused: set[int] = set()
        super().init_process()

    def run(self) -> None:
        """Serve until the arbiter says otherwise, then let what runs come to its end."""
        for listener in self.sockets:
            listener.setblocking(False)
            self.listeners[listener.fileno()] = listener
            self.poller.register(listener, READABLE)
        for number in range(self.cfg.threads):
            threading.Thread(target=self._serve, name=f"serving-{number}", daemon=True).start()
        while self.alive and self.ppid == os.getppid():
            self._tick(WAITING_TICK_S if self.suspended else TICK_S)
        self.alive = False
        for listener in self.listeners.values():
            self.poller.unregister(listener)
        given_up = time.monotonic() + self.cfg.graceful_timeout
        self._end_idle_by(time.monotonic() + STOPPING_KEEPALIVE_S)
        while self.open and time.monotonic() < given_up:
            self._tick(0.05)

    def count(self, response: Response) -> None:
        """One more request; the last ones end their connections."""
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive:
            response.force_close()

    def _tick(self, seconds: float) -> None:
        self.notify()
        waiting = select.poll()
        waiting.register(self.PIPE[0], select.POLLIN)  # a signal writes here
        if waiting.poll(seconds * 1000):
            with suppress(OSError):
                os.read(self.PIPE[0], 1024)
        now = time.monotonic()
        for number, connection in list(self.idle.items()):
            if connection.expires < now and self.idle.pop(number, None) is connection:
                self._close(connection)
        for number, exchange in list(self.suspended.items()):
            if exchange.awaited and exchange.awaited[1] < now:  # it is told by a thread that serves
                with suppress(OSError):
                    self.poller.modify(number, WRITABLE)
        self._resume()

    def _end_idle_by(self, moment: float) -> None:
        for connection in list(self.idle.values()):
            connection.expires = min(connection.expires, moment)

    def _serve(self) -> None:
        """One thread: wait for the lead, lead until something has to be waited for, and again."""
        while True:
            self._lead.acquire()
            is_leader = True

            def resign() -> None:
                nonlocal is_leader
                is_leader = False
                self._lead.release()

            leading(resign)
            while is_leader:
                try:
                    if not self._events:
                        self._events.extend(self.poller.poll(maxevents=BATCH))
                    self._take(self._events.popleft()[0])
                except Exception:
                    self.log.exception("Serving failed.")

    def _take(self, number: int) -> None:
        listener = self.listeners.get(number)
        if listener is not None:
            self._accept(number, listener)
            return
        exchange = self.suspended.pop(number, None)
        if exchange is not None:
            self._go_on(exchange)
            return
        connection = self.idle.pop(number, None)
        if connection is not None:  # else it has expired meanwhile
            self._go_on(Exchange(self, connection))

    def _go_on(self, exchange: Exchange) -> None:
        stays: bool | None = False
        try:
            stays = exchange.run()
        finally:
            if stays:
                self._await(exchange.connection)
            elif stays is None:
                self._suspend(exchange)
            else:
                self._close(exchange.connection)

    def _suspend(self, exchange: Exchange) -> None:
        number = exchange.awaited[0] if exchange.awaited else -1
        self.suspended[number] = exchange
        try:
            self.poller.modify(number, READABLE)
        except FileNotFoundError:  # a new connection to a service
            self.poller.register(number, READABLE)

    def _accept(self, number: int, listener: Any) -> None:
        try:
            inner, client = listener.accept()
        except BlockingIOError:  # another process was faster
            self._listen(number)
            return
        except OSError as error:  # too many open files, for one: again at the next tick
            self.log.warning("A connection could not be accepted: %s", error)
            self._paused.add(number)
            return
        with self._counting:
            self.open += 1
        connection = Connection(self.plain, inner, client, listener.getsockname())
        connection.expires = time.monotonic() + self.cfg.keepalive
        self.idle[inner.fileno()] = connection
        self.poller.register(inner, READABLE)
        self._listen(number)

    def _listen(self, number: int) -> None:
        if not self.alive:
            return
        if self.open < self.cfg.worker_connections:
            with suppress(OSError):
                self.poller.modify(number, READABLE)
        else:
            self._paused.add(number)

    def _resume(self) -> None:
        while self._paused and self.open < self.cfg.worker_connections:
            self._listen(self._paused.pop())

    def _await(self, connection: Connection) -> None:
        """Give a connection back to the poller. What was read ahead waits its turn behind what others sent."""
        linger_s = self.cfg.keepalive if self.alive else STOPPING_KEEPALIVE_S
        connection.expires = time.monotonic() + linger_s
        self.idle[connection.sock.fileno()] = connection
        self.poller.modify(connection.sock.fileno(), WRITABLE if connection.has_more else READABLE)

    def _close(self, connection: Connection) -> None:
        with self._counting:
            self.open -= 1
        sock = connection.sock
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)  # the client sees an end, and not that unread bytes were thrown away
            with suppress(BlockingIOError):
                sock.inner.recv(64 * 1024)
        with suppress(OSError):
            sock.close()
        self._resume()

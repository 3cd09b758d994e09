"""Clients that send slowly hold no threads: they get a deadline, and one address gets half of the threads at most."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gunicorn.util
import pytest

from kit.patience import PatientSocket
from tests.gateway.raw import parse, talk
from tests.gateway.stack import Stack, stack

APP = """
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
THREADS = 4
LINGER_S = 2.0
NORMAL = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A gunicorn of ours, with little patience, before an app that echoes bodies."""
    folder: Path = tmp_path_factory.mktemp("slow")
    (folder / "echo.py").write_text(APP)
    listener = socket.create_server(("127.0.0.1", 0))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(folder)]),
        "SLOW_CLIENT_SECONDS": "0.5",
        "WEB_THREADS": str(THREADS),
        "ALICERCE_HOME": str(folder),
    }
    words = [sys.executable, "-m", "gunicorn", "-c", "python:kit.gunicorn", "echo"]
    process = subprocess.Popen(
        [*words, "--bind", f"fd://{listener.fileno()}"], env=environment, pass_fds=[listener.fileno()]
    )
    try:
        yield listener.getsockname()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        listener.close()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with little patience, before a service."""
    with stack("mounted", tmp_path_factory.mktemp("impatient"), SLOW_CLIENT_SECONDS="1") as built:
        yield built


def connect(port: int, patience: float = 30) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=patience)


def everything(client: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    try:
        while more := client.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    return received


def ask(port: int, patience: float = 30) -> bytes:
    with connect(port, patience) as client:
        client.sendall(NORMAL)
        return everything(client)


def test_a_normal_request_is_answered(port: int) -> None:
    assert ask(port).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    "start",
    [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"],
    ids=["one byte", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_in_time_is_given_up(port: int, start: bytes) -> None:
    with connect(port) as client:
        client.sendall(start)
        assert b"200 OK" not in everything(client)


def test_a_drip_does_not_begin_the_deadline_anew(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ")
        client.settimeout(0.05)
        received = None
        for _ in range(600):
            try:
                client.sendall(b"x")
                received = client.recv(65536)
                break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                received = b""
                break
        assert received == b""


@pytest.mark.parametrize(
    "start", [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"], ids=["CL", "chunks"]
)
def test_a_body_that_does_not_arrive_in_time_is_answered_408(impatient: Stack, start: bytes) -> None:
    head = b"POST /api/customers HTTP/1.1\r\nHost: gateway\r\n" + impatient.authorization
    (reply,) = parse(talk(impatient.port, head + start, half_close=False))
    assert (reply.status, reply.values("Connection")) == (408, ["close"])
    reply.check_problem()


def test_slow_clients_leave_threads_to_others(port: int) -> None:
    slow = [connect(port) for _ in range(THREADS * 3)]
    try:
        for client in slow:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        for _ in range(5):
            assert ask(port).endswith(b"\r\n\r\nok")
    finally:
        for client in slow:
            client.close()


def test_silent_connections_hold_no_thread(port: int) -> None:
    silent = [connect(port) for _ in range(THREADS * 3)]
    try:
        # gunicorn itself would wait five seconds for each of them, in a thread.
        assert ask(port, patience=3).endswith(b"\r\n\r\nok")
    finally:
        for client in silent:
            client.close()


def test_a_client_that_does_not_hang_up_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    patient = PatientSocket(ours, "client")
    patient.begin(False)
    began = time.monotonic()
    # gunicorn does this in the one thread that accepts, and would wait there for the other side to close.
    gunicorn.util.close_graceful(patient, timeout=LINGER_S)
    assert time.monotonic() - began < LINGER_S
    assert theirs.recv(1) == b""
    theirs.close()

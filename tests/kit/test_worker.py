"""The worker over real sockets: nobody is forgotten, mixed up or waited for for ever, with either way to poll."""

import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import gunicorn.config
import pytest

from kit.exchange import Connection
from kit.worker import Worker
from tests.gateway.raw import parse
from tests.kit.served import CLOSE, THREADS, Served, body, everything, get, post, serving
from tests.topologies import PATIENCE_S

CONNECTIONS = 12


@pytest.fixture(scope="module", params=["epoll", pytest.param("poll", marks=pytest.mark.long)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["speaking", "silent"])
def served(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(f"{kind}-{request.param}")
    more = f"worker_connections = {CONNECTIONS}\n"
    with serving(folder, kind, request.param, more, SLOW_CLIENT_SECONDS="6") as running:
        yield running
        assert running.ask("/echo") == b""


@pytest.fixture(scope="module")
def suspending(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp(f"{kind}-suspending"), kind) as running:
        yield running


def test_requests_of_one_connection_are_answered_in_their_order(served: Served) -> None:
    sent = [f"number {number}".encode() for number in range(50)]
    with served.connect() as client:
        client.sendall(b"".join(post("/echo", one) for one in sent) + post("/echo", b"last", CLOSE))
        assert [reply.body for reply in parse(everything(client))] == [*sent, b"last"]


def test_a_pipelined_request_is_answered_that_arrives_in_two_parts(served: Served) -> None:
    with served.connect() as client:
        second = post("/echo", b"second", CLOSE)
        client.sendall(post("/echo", b"first") + second[:10])
        first = client.recv(65536)
        assert first.endswith(b"first")
        client.sendall(second[10:])
        assert body(client) == b"second"


def test_a_connection_is_kept_while_others_come_and_go(served: Served) -> None:
    with served.connect() as kept:
        for number in range(20):
            kept.sendall(post("/echo", b"%04d" % number))
            assert kept.recv(65536).endswith(b"%04d" % number)
            assert served.ask("/echo") == b""


@pytest.mark.parametrize(
    "start", ["", "GET", "GET / HTTP/1.1\r\nHo", "POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
@pytest.mark.parametrize("is_reset", [False, True])
def test_clients_that_vanish_leave_nothing_behind(served: Served, start: str, is_reset: bool) -> None:
    for _ in range(CONNECTIONS * 3):
        client = served.connect()
        client.sendall(start.encode())
        if is_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert served.ask("/echo") == b""


def test_clients_that_vanish_before_their_answer_leave_nothing_behind(served: Served) -> None:
    for _ in range(CONNECTIONS * 3):
        client, called = served.begin("/held")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        called.sendall(b"go")
        assert called.recv(1) == b""
    assert served.ask("/echo") == b""


def test_clients_that_vanish_in_the_middle_of_an_answer_leave_nothing_behind(served: Served) -> None:
    for _ in range(CONNECTIONS * 2):
        with served.connect() as client:
            client.sendall(get("/large/20"))
            assert client.recv(10)
    assert served.ask("/echo") == b""


@pytest.mark.parametrize("error", ["error", "gone", "late"])
def test_an_error_of_the_application_is_told_to_the_client_and_to_the_log(served: Served, error: str) -> None:
    before = served.log.read_text().count("said so")
    with served.connect() as client:
        client.sendall(get(f"/raising/first/{error}"))
        (reply,) = parse(everything(client))
        assert reply.status == 500
        reply.check_problem()
    assert served.log.read_text().count("said so") > before


@pytest.mark.parametrize("error", ["error", "gone", "late"])
def test_an_error_in_the_middle_of_an_answer_breaks_it_off(served: Served, error: str) -> None:
    before = served.log.read_text().count("said so")
    with served.connect() as client:
        client.sendall(get(f"/raising/later/{error}"))
        received = everything(client)
        assert received.endswith(b"\r\n\r\n5\r\nfirst\r\n")
    assert served.log.read_text().count("said so") > before


@pytest.mark.parametrize("when", ["first", "later"])
def test_an_application_that_wants_to_exit_takes_no_thread_with_it(served: Served, when: str) -> None:
    for _ in range(THREADS * 2):
        with served.connect() as client:
            client.sendall(get(f"/raising/{when}/exit"))
            assert b"0\r\n\r\n" not in everything(client)
    assert served.ask("/echo") == b""


def test_a_body_that_the_application_did_not_read_is_no_request(served: Served) -> None:
    hidden = get("/process")
    with served.connect() as client:
        client.sendall(post("/ignored", hidden) + post("/ignored", hidden, CLOSE))
        assert [reply.body for reply in parse(everything(client))] == [b"unread"] * 2


def test_a_client_gets_its_answer_whose_body_nobody_read(served: Served) -> None:
    with served.connect() as client:
        client.sendall(post("/ignored", b"x" * 1_000_000, CLOSE))
        assert body(client) == b"unread"


def test_who_has_a_whole_answer_finds_its_request_over(served: Served) -> None:
    client, called = served.begin("/ending")
    assert called.recv(100) == b"closing"
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    client.settimeout(PATIENCE_S)
    called.sendall(b".")
    assert body(client) == b"whole"


def test_an_answer_shorter_than_it_says_is_not_filled_up_by_the_next_one(served: Served) -> None:
    with served.connect() as client:
        client.sendall(get("/short") + get("/process"))
        received = everything(client)
        assert received.endswith(b"not a thousand bytes")
        (reply,) = parse(received)
        assert not reply.whole


def test_a_reader_who_pauses_gets_everything(served: Served) -> None:
    with served.connect() as client:
        client.sendall(get("/large/20", CLOSE))
        first = client.recv(1000)
        assert served.ask("/echo") == b""  # meanwhile its answer waits
        (reply,) = parse(first + everything(client))
        assert (len(reply.body), reply.whole) == (20_000_000, True)


def test_who_does_not_read_holds_half_of_the_threads_at_most(served: Served) -> None:
    deaf = [served.connect() for _ in range(THREADS)]
    for client in deaf:
        client.sendall(get("/large/20", CLOSE))
    assert served.ask("/echo") == b""
    answers = [parse(everything(client))[0] for client in deaf]
    assert len([answer for answer in answers if not answer.whole]) == THREADS // 2


def test_more_connections_than_there_may_be_are_all_served_in_the_end(served: Served) -> None:
    clients = [served.connect() for _ in range(CONNECTIONS * 3)]
    for number, client in enumerate(clients):
        client.sendall(post("/echo", b"%d" % number, CLOSE))
    for number, client in enumerate(clients):
        assert body(client) == b"%d" % number
        client.close()


def test_connections_that_are_kept_for_nothing_make_room_for_others(served: Served) -> None:
    idle = [served.connect() for _ in range(CONNECTIONS)]
    try:
        for client in idle:
            client.sendall(get("/process"))
            assert client.recv(1000)
        assert served.ask("/echo") == b""
    finally:
        for client in idle:
            client.close()


def test_there_are_as_many_waits_at_once_as_there_are_threads(served: Served) -> None:
    running = [served.begin("/held") for _ in range(THREADS)]
    with served.connect() as client:
        client.sendall(get("/echo", CLOSE))
        for held, called in running:
            called.sendall(b"go")
            assert body(held) == b"go"
            called.close()
            held.close()
        assert body(client) == b""


def test_many_more_requests_are_suspended_than_there_are_threads(suspending: Served) -> None:
    running = [suspending.begin("/suspended/20000") for _ in range(THREADS * 10)]
    assert suspending.ask("/echo") == b""
    for number, (client, called) in reversed(list(enumerate(running))):
        called.sendall(b"number %d" % number)
        assert body(client) == b"number %d" % number
        assert called.recv(1) == b""  # closed


@pytest.mark.parametrize("wait_ms", [0, 1, 20, 300])
def test_a_suspended_request_whose_time_is_over_is_told_so_at_once(suspending: Served, wait_ms: int) -> None:
    # While a request waits that has much more time, and while none does.
    slow, called = suspending.begin("/suspended/20000")
    for _ in range(3):
        client, other = suspending.begin(f"/suspended/{wait_ms}")
        late = body(client)
        assert late.startswith(b"late by ")
        assert int(late.split()[2]) < 500, late
        other.close()
    called.sendall(b"now")
    assert body(slow) == b"now"
    called.close()
    client, other = suspending.begin(f"/suspended/{wait_ms}")
    assert int(body(client).split()[2]) < 500


def test_a_client_that_goes_while_its_request_is_suspended_leaves_nothing_behind(suspending: Served) -> None:
    for _ in range(THREADS * 3):
        client, called = suspending.begin("/suspended/20000")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        called.sendall(b"now")
        assert called.recv(1) == b""  # the application was told of the end
    assert suspending.ask("/echo") == b""


def test_an_error_after_a_request_was_suspended_ends_it(suspending: Served) -> None:
    client, called = suspending.begin("/suspended/20000")
    called.sendall(b"raise")
    assert parse(everything(client))[0].status == 500
    assert called.recv(1) == b""


def test_the_other_side_hanging_up_goes_on_with_a_suspended_request(suspending: Served) -> None:
    client, called = suspending.begin("/suspended/20000")
    called.close()
    assert body(client) == b""


@pytest.mark.parametrize("path", ["/held", "/suspended/20000"])
def test_a_stop_lets_requests_end_and_idle_connections_go(kind: str, tmp_path: Path, path: str) -> None:
    with serving(tmp_path, kind) as served:
        idle, fresh = served.connect(), served.connect()
        idle.sendall(get("/process"))
        assert idle.recv(1000)
        running = [served.begin(path) for _ in range(2)]
        served.process.send_signal(signal.SIGTERM)
        assert everything(idle) == b""
        assert everything(fresh) == b""
        assert served.process.poll() is None
        for client, called in running:
            called.sendall(b"go")
            assert body(client) == b"go"
        assert served.process.wait(PATIENCE_S) == 0


def test_connections_that_wait_to_be_taken_are_served_by_a_worker_that_stops(kind: str, tmp_path: Path) -> None:
    # github.com/benoitc/gunicorn/issues/2409: they were reset, which nobody may answer by sending a POST again
    with serving(tmp_path, kind, more="worker_connections = 2\n") as served:
        running = [served.begin("/held") for _ in range(2)]
        waiting = [served.connect() for _ in range(20)]
        for client in waiting:
            client.sendall(post("/echo", b"waited"))
        served.process.send_signal(signal.SIGTERM)
        for client in waiting:
            assert body(client) == b"waited"
        for client, called in running:
            called.sendall(b"go")
            assert body(client) == b"go"
        assert served.process.wait(PATIENCE_S) == 0


def test_a_worker_that_has_answered_its_requests_is_replaced_without_loss(kind: str, tmp_path: Path) -> None:
    with serving(tmp_path, kind, more="max_requests = 20\nmax_requests_jitter = 0\n") as served:
        processes = [served.ask("/process") for _ in range(70)]
        assert 3 <= len(set(processes)) <= 4
        with served.connect() as client:
            client.sendall(get("/process") * 100)
            replies = parse(everything(client))
            assert 1 <= len(replies) <= 20
            assert replies[-1].values("Connection") == ["close"]


@pytest.fixture(params=["Epoll", "Poll"])
def worker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """One that serves nobody yet."""
    if request.param == "Poll":
        monkeypatch.delattr("select.epoll", raising=False)
    configuration = gunicorn.config.Config()
    made = Worker(1, 1, [], None, 30, configuration, None)
    made.prepare()
    yield made
    made.tmp.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_an_event_of_a_connection_that_had_the_same_number_holds_no_thread(
    worker: Worker, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    connection = Connection(worker.plain, ours, "", ("here", 1))
    connection.expires = 12345.0
    worker.idle[ours.fileno()] = connection
    for _ in range(3):
        done = threading.Thread(target=worker.take, args=(ours.fileno(),), daemon=True)
        done.start()
        done.join(PATIENCE_S)
        assert not done.is_alive()
        assert worker.idle == {ours.fileno(): connection}
        assert connection.expires == 12345.0
    theirs.sendall(b"x")
    assert worker.poller.wait() == [ours.fileno()]  # it was asked about again

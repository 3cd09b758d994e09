"""The embedded Postgres survives whatever a laptop does to it."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from alicerce import binaries, postgres
from alicerce.postgres import EmbeddedPostgres
from kit.config import ConfigurationError

Eventually = Callable[[Callable[[], object], str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server, whoever started it, is ended with the test."""
    path = tmp_path / "generated"
    yield path
    pid = postgres.ready_pid(path)
    if pid:
        os.kill(pid, signal.SIGINT)


def started(folder: Path) -> EmbeddedPostgres:
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    return server


def ask(url: str, statement: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def test_the_first_start_makes_a_private_server_and_the_second_finds_it(folder: Path) -> None:
    server = started(folder)
    ask(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    assert ask(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url, "SHOW unix_socket_directories") == ""
    assert ask(server.url, "SHOW server_encoding") == "UTF8"
    assert ask(server.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    port = server.port
    server.stop()
    assert server.poll() == 0

    again = started(folder)
    assert again.port == port
    assert ask(again.url, "SELECT one FROM kept") == 1
    again.stop()


def test_a_wrong_password_is_refused(folder: Path) -> None:
    server = started(folder)
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres")
    server.stop()


def test_a_first_start_that_was_cut_leaves_nothing_half_made(folder: Path) -> None:
    cut = folder / "postgres.new"
    cut.mkdir(parents=True)
    (cut / "PG_VERSION").write_text("18\n")
    (cut / "base").mkdir()
    server = started(folder)
    assert ask(server.url, "SELECT 1") == 1
    assert not cut.exists()
    server.stop()


def test_it_starts_again_after_kill_9(folder: Path) -> None:
    server = EmbeddedPostgres(folder, durable=True)
    server.start()
    ask(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
    os.kill(server.pid, signal.SIGKILL)
    again = started(folder)  # the dead one is a zombie at this moment, as under an init that does not reap
    assert ask(again.url, "SELECT one FROM kept") == 1
    again.stop()
    assert server.poll() == -signal.SIGKILL


START_AND_DIE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from alicerce import binaries, postgres, processes
namespaces, outlives = "namespaces" in sys.argv, "outlives" in sys.argv
works = binaries._works
binaries._works = lambda way, *rest: (namespaces or not way.prefix) and works(way, *rest)
if outlives:
    processes.PR_SET_PDEATHSIG = -1  # which the kernel refuses
server = postgres.EmbeddedPostgres(Path(sys.argv[1]), durable=False)
url = server.start()
asking = "import psycopg2, sys; psycopg2.connect(sys.argv[1]).cursor().execute('SELECT pg_sleep(600)')"
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
client = subprocess.Popen([sys.executable, "-c", asking, url], **quiet)
deadline = time.monotonic() + 120
while b"pg_sleep" not in subprocess.run(
    [sys.executable, "-c", "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]).cursor(); "
     "c.execute('SELECT query FROM pg_stat_activity WHERE wait_event = %s', ['PgSleep']); print(c.fetchall())", url],
    capture_output=True).stdout:
    if time.monotonic() > deadline or client.poll() is not None:
        sys.exit("The client never slept in the server.")
print(server.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def orphaned(folder: Path, *words: str) -> int:
    """The process id of a server with a busy client, whose supervisor was killed once both ran."""
    command = [sys.executable, "-c", START_AND_DIE, str(folder), *words]
    ran = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return int(ran.stdout)


WAYS = [
    ["namespaces"],
    pytest.param([], marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes nobody")),
]
IDS = ["as it is, or in a namespace", "as nobody"]


@pytest.mark.parametrize("words", WAYS, ids=IDS)
def test_a_server_that_outlived_its_supervisor_is_ended_first(folder: Path, words: list[str]) -> None:
    orphan = orphaned(folder, *words, "outlives")
    assert postgres.ready_pid(folder) == orphan
    server = started(folder)
    assert server.pid != orphan
    assert ask(server.url, "SELECT 1") == 1
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("words", WAYS, ids=IDS)
def test_a_server_and_all_its_processes_end_when_its_supervisor_is_killed(
    folder: Path, words: list[str], eventually: Eventually
) -> None:
    orphan = orphaned(folder, *words)
    eventually(lambda: not of_session(orphan), "Postgres has shut down, with all its processes")
    assert not (folder / "postgres" / "postmaster.pid").exists()


def of_session(leader: int) -> list[str]:
    """The processes that live in the session of this one: a server and what it started."""
    stats = [text for path in Path("/proc").glob("[0-9]*/stat") if (text := _read(path))]
    return [stat for stat in stats if stat.rpartition(")")[2].split()[3] == str(leader)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""


def test_the_mark_of_a_stranger_is_removed_and_the_stranger_lives(folder: Path) -> None:
    server = started(folder)
    server.stop()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        (folder / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{folder}/postgres\n")
        again = started(folder)
        assert ask(again.url, "SELECT 1") == 1
        again.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_another_port_is_taken_when_its_own_is_not_free(folder: Path) -> None:
    server = started(folder)
    server.stop()
    with socket.create_server(("127.0.0.1", server.port)):
        again = started(folder)
        assert again.port != server.port
        assert ask(again.url, "SELECT 1") == 1
        again.stop()


def test_no_room_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1024))
    with pytest.raises(ConfigurationError, match="Less than 200 MB are free"):
        started(folder)
    assert not (folder / "postgres").exists()


def test_a_server_that_dies_at_its_start_shows_its_last_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres.SETTINGS, "max_connections", "nonsense")
    with pytest.raises(ConfigurationError, match=r"did not start\. Its last words:\n.*max_connections"):
        started(folder)


def test_data_of_another_version_is_one_sentence(folder: Path) -> None:
    server = started(folder)
    server.stop()
    (folder / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match="was made by Postgres 14, but"):
        started(folder)


def test_no_postgres_at_all_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "_major", lambda path: 0)
    with pytest.raises(ConfigurationError, match="No Postgres of version 15 or newer was found"):
        started(folder)


@pytest.fixture
def closed_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The programs of Postgres in a folder that its owner alone may enter, as below root's home folder."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    found = binaries.find()
    package = found.folder.parent.parent
    for name in (package.name, f"{package.name}.libs"):
        if (source := package.with_name(name)).exists():
            shutil.copytree(source, closed / name, ignore=shutil.ignore_patterns("pginstall16"))
    folder = closed / found.folder.relative_to(package.parent)
    monkeypatch.setattr(binaries, "find", lambda: binaries.Programs(folder, found.major))
    return closed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_user_namespaces_becomes_nobody(
    folder: Path, closed_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = binaries._works
    monkeypatch.setattr(binaries, "_works", lambda way, *rest: not way.prefix and works(way, *rest))
    server = started(folder)
    status = (Path("/proc") / str(server.pid) / "status").read_text()
    assert f"Uid:\t{binaries.NOBODY}\t{binaries.NOBODY}\t" in status
    assert "CapPrm:\t0000000000000002\n" in status
    assert (folder / "postgres").stat().st_uid == binaries.NOBODY
    assert stat.S_IMODE((folder / "postgres").stat().st_mode) == 0o700
    assert stat.S_IMODE(closed_programs.stat().st_mode) == 0o700
    server.stop()
    monkeypatch.undo()
    again = started(folder)
    assert ask(again.url, "SELECT 1") == 1
    again.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_that_may_not_become_another_user_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_works", lambda *way: False)
    with pytest.raises(ConfigurationError, match="start Alicerce as a normal user, move it to a folder"):
        started(folder)

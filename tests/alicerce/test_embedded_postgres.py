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
import os, sys
from pathlib import Path
from alicerce import postgres, processes
processes.die_with_parent = lambda number: None
server = postgres.EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_server_that_outlived_its_supervisor_is_ended_first(folder: Path, eventually: Eventually) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", START_AND_DIE, str(folder)], check=False, capture_output=True, text=True
    )
    orphan = int(ran.stdout)
    assert postgres.ready_pid(folder) == orphan
    server = started(folder)
    assert server.pid != orphan
    assert ask(server.url, "SELECT 1") == 1
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_server_ends_when_its_supervisor_is_killed(folder: Path, eventually: Eventually) -> None:
    program = START_AND_DIE.replace("processes.die_with_parent = lambda number: None\n", "")
    subprocess.run([sys.executable, "-c", program, str(folder)], check=False, capture_output=True)
    eventually(lambda: not (folder / "postgres" / "postmaster.pid").exists(), "Postgres has shut down")


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_user_namespaces_becomes_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works = binaries._works
    monkeypatch.setattr(binaries, "_works", lambda way, *rest: way.prefix[0] != "unshare" and works(way, *rest))
    server = started(folder)
    assert (folder / "postgres").stat().st_uid == binaries.NOBODY
    server.stop()
    monkeypatch.undo()
    again = started(folder)
    assert ask(again.url, "SELECT 1") == 1
    again.stop()

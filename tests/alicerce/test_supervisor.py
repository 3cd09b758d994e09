"""The supervisor, run as a person runs it, over a small stand-in for the gateway and the services."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.alicerce.standin import ROOT, Eventually, Project, gone, ready

IN_A_TERMINAL = """
import os, pty, sys, threading
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
def read():
    while os.read(master, 4096):
        pass
threading.Thread(target=read, daemon=True).start()
sys.stdin.read()
os.kill(pid, 0)
os._exit(0)  # which closes the terminal
"""


def test_one_command_runs_everything_and_stop_ends_it(project: Project, eventually: Eventually) -> None:
    process = project.run()
    ready(project, eventually)
    assert f"http://localhost:{project.port} (solo, " in project.said()
    assert "migrated auth customer" in project.said()
    assert project.get().startswith("alicerce.solo")
    environment = (project.home / "environment").read_text()
    assert "AUTH_SERVICE_DATABASE_OWNER_URL=postgresql://auth_owner:" in environment
    assert (project.home / "keys" / "private" / "customer.pem").exists()

    table = project.command("status")
    assert table.returncode == 0
    rows = {line.split()[0]: line for line in table.stdout.splitlines()}
    assert set(rows) == {"name", "supervisor", "postgres", "solo"}
    assert all(" ready " in rows[name] and "MiB" in rows[name] for name in ("postgres", "solo"))
    assert str(project.port) in rows["solo"]

    running = project.children()
    stopped = project.command("stop")
    assert stopped.stdout == "Alicerce has stopped.\n"
    assert process.wait() == 0
    assert all(gone(pid) for pid in running.values())
    assert "SAID-BY-alicerce.solo" in (project.home / "logs" / "alicerce.log").read_text()

    assert project.command("status").returncode == 3
    assert project.command("stop").returncode == 0
    assert project.command("restart").returncode == 1


def test_split_runs_a_process_per_service(project: Project, eventually: Eventually) -> None:
    project.run("split")
    ready(project, eventually)
    assert set(project.children()) == {"postgres", "gateway", "auth", "customer"}
    address = f"http://127.0.0.1:{project.ports['customer']}"
    assert project.get().startswith("gateway ")
    assert project.get().endswith(address)
    assert project.get(port=project.ports["auth"]).startswith("services.auth ")
    assert "customer | SAID-BY-services.customer\n" in project.said()
    assert "auth     | SAID-BY-services.auth\n" in project.said()
    project.command("stop")
    written = [json.loads(line) for line in (project.home / "logs" / "alicerce.log").read_text().splitlines()]
    said = {(record["process"], record["message"]) for record in written}
    assert {("customer", "SAID-BY-services.customer"), ("supervisor", "Alicerce is stopping.")} <= said
    log = project.command("logs", "auth").stdout
    assert "SAID-BY-services.auth" in log
    assert "customer" not in log
    project.settings["LOG_FORMAT"] = "text"
    assert "SAID-BY-services.auth" in project.command("logs", "auth").stdout.splitlines()


def test_an_address_that_was_given_is_kept(project: Project, eventually: Eventually) -> None:
    project.settings["CUSTOMER_SERVICE_URL"] = "http://127.0.0.1:1"
    project.run("split")
    ready(project, eventually)
    assert project.get().endswith(" http://127.0.0.1:1")


def test_a_second_run_is_refused(project: Project, eventually: Eventually) -> None:
    process = project.run()
    ready(project, eventually)
    second = project.command("run")
    assert second.returncode == 1
    assert second.stderr == f"Alicerce already runs here as process {process.pid}. `make stop` ends it.\n"
    assert project.answers()


def test_a_port_that_is_taken_is_one_sentence(project: Project) -> None:
    with socket.create_server(("127.0.0.1", project.port)):
        refused = project.command("run")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"Port {project.port} is taken by another program. Stop it, or choose another one: "
        f"GATEWAY_PORT={project.port + 10} make run\n"
    )
    assert not (project.home / "postgres").exists()


def test_a_program_that_does_not_start_says_why(project: Project) -> None:
    (project.folder / "broken").touch()
    failed = project.command("run")
    assert failed.returncode == 1
    assert failed.stderr.startswith("solo did not start:\n")
    assert "ValueError: the stand-in is broken" in failed.stderr


def test_a_wrong_setting_is_one_sentence(project: Project) -> None:
    source = "from kit.config import ConfigurationError\n\ndef create_app():\n    raise ConfigurationError('Set X.')\n"
    (project.folder / "alicerce" / "solo.py").write_text(source)
    failed = project.command("run")
    assert failed.returncode == 1
    assert failed.stderr == "Set X.\n"


def test_a_failing_preparation_ends_the_start(project: Project) -> None:
    source = (
        "from kit.config import ConfigurationError\n\ndef migrate(services):\n    raise ConfigurationError('No.')\n"
    )
    (project.folder / "alicerce" / "migrate.py").write_text(source)
    failed = project.command("run")
    assert failed.returncode == 1
    assert "No.\n" in failed.stdout
    assert failed.stderr == "Alicerce did not start: keys, databases or migrations failed, see above.\n"


def test_what_dies_is_started_again(project: Project, eventually: Eventually) -> None:
    project.run()
    ready(project, eventually)
    before = project.children()
    for name in ("solo", "postgres"):
        os.kill(before[name], signal.SIGKILL)
    eventually(lambda: all(project.children().get(name, pid) != pid for name, pid in before.items()), "both are new")
    eventually(project.answers, "it answers again")
    eventually(lambda: "not ready" not in project.command("status").stdout, "Postgres is ready again")


def test_restart_replaces_processes_and_refuses_nothing(project: Project, eventually: Eventually) -> None:
    project.run()
    ready(project, eventually)
    before = project.children()
    assert project.command("restart").returncode == 0
    while "Alicerce has restarted." not in project.said():
        assert project.get()
    after = project.children()
    assert after["solo"] != before["solo"]
    assert after["postgres"] == before["postgres"]


def test_one_service_alone_is_restarted(project: Project, eventually: Eventually) -> None:
    project.run("split")
    ready(project, eventually)
    before = project.children()
    assert project.command("restart", "customer").returncode == 0
    eventually(lambda: "Alicerce has restarted." in project.said(), "it has restarted")
    changed = {name for name, pid in project.children().items() if before[name] != pid}
    assert changed == {"customer"}


def test_what_does_not_start_leaves_the_process_before_it_at_work(project: Project, eventually: Eventually) -> None:
    project.run()
    ready(project, eventually)
    before = project.children()
    (project.folder / "broken").touch()
    assert project.command("restart").returncode == 0
    eventually(lambda: "Not restarted: solo." in project.said(), "it gave up")
    assert "The solo from before serves on." in project.said()
    assert project.answers()
    assert project.children() == before
    (project.folder / "broken").unlink()
    assert project.command("restart").returncode == 0
    eventually(lambda: "Alicerce has restarted." in project.said(), "it has restarted")
    assert project.children()["solo"] != before["solo"]


def test_closing_the_terminal_ends_it(project: Project, eventually: Eventually) -> None:
    # A process of its own makes the terminal: forking this one, which may have threads, would not be safe.
    terminal = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, sys.executable, "-m", "alicerce", "run"],
        cwd=project.folder,
        env=project.environment(),
        stdin=subprocess.PIPE,
    )
    eventually(lambda: (project.home / "children.json").exists() and project.answers(), "it answers")
    running = project.children()
    terminal.communicate()
    assert terminal.returncode == 0
    eventually(lambda: all(gone(pid) for pid in running.values()), "everything has ended")
    assert project.command("status").returncode == 3


def test_stop_lets_a_request_end(project: Project, eventually: Eventually) -> None:
    process = project.run()
    ready(project, eventually)
    with socket.create_connection(("127.0.0.1", project.port)) as slow:
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        eventually((project.folder / "entered").exists, "the request is being worked on")
        process.send_signal(signal.SIGINT)
        eventually(lambda: "Alicerce is stopping." in project.said(), "it is stopping")
        (project.folder / "go-on").touch()
        answer = b""
        while data := slow.recv(4096):
            answer += data
    assert b"200 OK" in answer
    assert process.wait() == 0


def test_it_starts_again_after_the_supervisor_was_killed(project: Project, eventually: Eventually) -> None:
    first = project.run()
    ready(project, eventually)
    left = project.children()
    first.kill()
    first.wait()
    project.run()
    ready(project, eventually)
    assert project.answers()
    assert all(gone(pid) for pid in left.values())


def test_it_starts_again_after_everything_was_killed(project: Project, eventually: Eventually) -> None:
    first = project.run()
    ready(project, eventually)
    left = project.children()
    for pid in (first.pid, *left.values()):
        os.kill(pid, signal.SIGKILL)
    first.wait()
    project.run()
    ready(project, eventually)
    assert project.answers()


def test_a_full_disk_for_the_log_does_not_end_it(project: Project, eventually: Eventually) -> None:
    (project.home / "logs").mkdir(parents=True)
    (project.home / "logs" / "alicerce.log").symlink_to("/dev/full")
    process = project.run()
    ready(project, eventually)
    assert project.answers()
    project.command("stop")
    assert process.wait() == 0


def test_a_terminal_that_nobody_reads_neither_freezes_nor_keeps_it(project: Project, eventually: Eventually) -> None:
    unread, full = os.pipe()
    os.set_blocking(full, False)
    with suppress(BlockingIOError):
        while os.write(full, b"." * select.PIPE_BUF):
            pass
    os.set_blocking(full, True)
    process = project.run(terminal=full)
    try:
        eventually(lambda: process.poll() is not None or project.answers(), "it answers")
        for _ in range(3):
            assert project.get()
        process.send_signal(signal.SIGTERM)
        eventually(lambda: process.poll() is not None, "it has ended")
    finally:
        os.close(unread)
        os.close(full)
    assert process.returncode == 0
    log = (project.home / "logs" / "alicerce.log").read_text()
    assert "Alicerce is ready at" in log and "Alicerce is stopping." in log


def test_the_topology_may_stand_among_the_settings(project: Project, eventually: Eventually) -> None:
    (project.folder / ".env").write_text("TOPOLOGY=split\n")
    project.run(topology=None)
    ready(project, eventually)
    assert set(project.children()) == {"postgres", "gateway", "auth", "customer"}


def test_make_names_a_topology_only_when_it_was_told_one() -> None:
    outer = ("TOPOLOGY", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    for words, end in (([], "alicerce run"), (["TOPOLOGY=split"], "alicerce run --topology split")):
        asked = ["make", "--dry-run", "--old-file=.venv/run.stamp", "run", *words]
        shown = subprocess.run(asked, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
        assert shown.splitlines()[-1].strip().endswith(end)


def test_commands_that_need_the_server_say_that_it_does_not_run(project: Project) -> None:
    for words in (("migrate",), ("prepare",)):
        failed = project.command(*words)
        assert failed.returncode == 1
        assert failed.stderr == ("The embedded Postgres does not run: start Alicerce first, with `make run`.\n")


def test_a_server_that_was_given_is_used_instead(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / ".env").write_text("DATABASE_SERVER_URL=postgresql://a:b@127.0.0.1:1/postgres\n")
    failed = project.command("run")
    assert failed.returncode == 1
    assert "127.0.0.1:1 cannot be used (Connection refused): check DATABASE_SERVER_URL." in failed.stdout
    assert not (project.home / "postgres").exists()


def test_a_command_line_is_explained(project: Project) -> None:
    assert "rotate-keys" in project.command("--help").stdout
    assert project.command("nonsense").returncode == 2

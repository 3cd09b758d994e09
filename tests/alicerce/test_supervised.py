"""The environment that children get, and the lines that stay of them."""

import json
import os
import secrets
import sys
from pathlib import Path

import pytest

from alicerce.children import CHUNK_BYTES, RECORD_BYTES, Child
from alicerce.postgres import EmbeddedPostgres
from tests.alicerce.standin import Eventually, Project, ready


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process")
@pytest.mark.parametrize("topology", ["solo", "split"])
def test_no_web_process_is_handed_an_administrator_or_the_database_of_another(
    project: Project, server: EmbeddedPostgres, topology: str, eventually: Eventually
) -> None:
    secret = secrets.token_hex(16)
    given = ("DATABASE_ADMIN_URL", "AUTH_SERVICE_DATABASE_ADMIN_URL", "CUSTOMER_SERVICE_DATABASE_OWNER_URL")
    libpq = {"PGPASSWORD": secret, "PGPASSFILE": f"/{secret}", "PGAPPNAME": secret}
    project.settings |= libpq
    project.settings |= {"DATABASE_SERVER_URL": server.url, **dict.fromkeys(given, f"postgresql://a:{secret}@b/c")}
    own = {noun: f"{noun.upper()}_SERVICE_DATABASE_JOB_URL" for noun in project.ports}
    project.settings |= {name: f"postgresql://of-{noun}@b/c" for noun, name in own.items()}
    project.run(topology)
    ready(project, eventually)
    handed = {name: environment_of(pid) for name, pid in project.children().items()}
    assert set(handed) == ({"gateway", "auth", "customer"} if topology == "split" else {"solo"})
    for name, variables in handed.items():
        assert not [value for value in variables.values() if server.url in value or secret in value]
        expected = set(own.values()) if name == "solo" else {own[name]} if name in own else set()
        assert {variable for variable in variables if "DATABASE" in variable} == expected
        assert variables["GATEWAY_PORT"] == str(project.port)


def environment_of(pid: int) -> dict[str, str]:
    text = (Path("/proc") / str(pid) / "environ").read_text()
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def test_two_starts_keep_the_log_of_what_went_wrong(project: Project) -> None:
    (project.folder / "broken").touch()
    assert project.command("run").returncode == 1
    (project.home / "logs" / "postgres.log").write_text("PANIC:  the last words of a server\n")
    application = project.folder / "alicerce" / "solo.py"
    application.write_text(application.read_text().replace("the stand-in is broken", "no better"))
    for _ in range(2):
        assert project.command("run").returncode == 1
    log = (project.home / "logs" / "alicerce.log").read_text()
    assert "ValueError: the stand-in is broken" in log
    assert all(json.loads(line)["message"] for line in log.splitlines())
    assert (project.home / "logs" / "postgres.log").read_text().startswith("PANIC:  the last words of a server\n")


def lines_of(text: str) -> list[str]:
    """Return the lines that a child writes, as the supervisor gets them."""
    child = Child("writer", [sys.executable, "-c", f"print({text}, flush=True)"], dict(os.environ))
    child.spawn()
    got: list[str] = []
    while (more := child.lines()) is not None:
        got += more
    assert child.process is not None and child.process.wait() == 0
    child.close()
    return got


def test_a_long_record_stays_whole_and_other_text_is_cut() -> None:
    longest = RECORD_BYTES - CHUNK_BYTES
    (record,) = lines_of(f"'{{\"a\":\"' + 'x' * {longest} + '\"}}'")
    assert json.loads(record) == {"a": "x" * longest}
    assert len(lines_of(f"'x' * {3 * CHUNK_BYTES}")) > 1
    assert len(lines_of(f"'{{' + 'x' * {3 * RECORD_BYTES}")) > 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the descriptors of a process")
def test_a_start_that_fails_leaves_no_descriptor_behind() -> None:
    child = Child("absent", ["/nonexistent/program"], {})
    opened = set(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        with pytest.raises(OSError):
            child.spawn()
    child.close()
    assert set(Path("/proc/self/fd").iterdir()) == opened

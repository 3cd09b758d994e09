"""The compose project on a real engine: `make test-compose`. It is no part of `make test`, which needs no engine.

Everything happens in a copy of what git and the image need, under a project name and on a port of its own, and goes
at the end, volumes included. Where there is no engine it is skipped; CI_DOCKER=1 makes that exit status 2.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from alicerce.services import services
from tests.api import Person, new_person
from tests.deploy.composition import COMPONENTS, ROOT

# The same story as in one process; it finds the `register` of this file.
from tests.journeys.test_business import test_a_first_product_call_and_payment  # noqa: F401
from tests.topologies import eventually, free_ports

COPIED = ("alicerce", "contracts", "deploy", "gateway", "kit", "services")
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock")
START_S, RECOVERY_S = 300.0, 60.0


class Project:
    """A compose project in a folder, published on a port."""

    def __init__(self, folder: Path) -> None:
        self.folder, (self.port,) = folder, free_ports(1)
        self.name = f"alicerce-test-{secrets.token_hex(4)}"
        self.url = f"http://127.0.0.1:{self.port}"

    def compose(self, *words: str) -> tuple[int, str]:
        """One compose command: its exit status, and what it said."""
        command = ["docker", "compose", "--progress", "plain", "-p", self.name, *words]
        environment = {**os.environ, "GATEWAY_PORT": str(self.port)}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.returncode, done.stdout

    def inside(self, service: str, *words: str) -> str:
        """What a command that succeeds says within a running container."""
        code, said = self.compose("exec", "-T", service, *words)
        assert code == 0, said
        return said

    def states(self) -> dict[str, str]:
        """Each container's health, or how it ended."""
        _, said = self.compose("ps", "-a", "--format", "json")
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return {row["Service"]: row["Health"] or f"{row['State']} {row['ExitCode']}" for row in rows}

    def health(self) -> dict[str, str]:
        """What the gateway knows of each service."""
        answer = requests.get(f"{self.url}/health", timeout=15).json()
        return {"": answer["status"], **answer["services"]}


def missing() -> str:
    """Why nothing can be tried here; empty when it can."""
    for words in (["docker", "compose", "version"], ["docker", "info"]):
        if not shutil.which("docker") or subprocess.run(words, capture_output=True).returncode:
            return f"There is no container engine here: `{' '.join(words)}` fails."
    return ""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    if reason := missing():
        if os.environ.get("CI_DOCKER") == "1":
            pytest.exit(reason, returncode=2)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("compose")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("docker-compose*.yml"), *map(ROOT.joinpath, FILES)):
        shutil.copy(path, folder)
    shutil.copy(ROOT / ".env.example", folder / ".env")
    made = Project(folder)
    try:
        code, said = made.compose("up", "--build", "-d")
        assert code == 0, said + made.compose("logs")[1]
        eventually(lambda: set(made.states().values()) <= {"healthy", "exited 0"}, "all are healthy", START_S)
        yield made
    finally:
        made.compose("down", "--volumes", "--rmi", "local", "--timeout", "5")


@pytest.fixture
def register(project: Project) -> Callable[..., Person]:
    """Makes a new person behind the published port."""
    return lambda **fields: new_person(project.url, **fields)


def test_everybody_is_healthy_and_the_one_shots_have_ended(project: Project) -> None:
    expected = dict.fromkeys((*COMPONENTS, "postgres"), "healthy") | dict.fromkeys(("keys", "migrate"), "exited 0")
    assert project.states() == expected
    assert set(project.health().values()) == {"healthy"}


def test_the_seed_fills_it(project: Project) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "seed_data.py"], env={**os.environ, "API": project.url})
    assert done.returncode == 0


@pytest.mark.parametrize("service", services())
def test_flask_db_answers_in_its_container(project: Project, service: str) -> None:
    assert "(head)" in project.inside(service, "flask", "db", "current")
    project.inside(service, "flask", "db", "upgrade")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_container_is_nobody_knows_little_and_changes_nothing(project: Project, component: str) -> None:
    assert project.inside(component, "id", "-u").strip() == "10001"
    keys = {"auth": ["access.pem", "auth.pem"]}.get(component, [f"{component}.pem"])
    assert project.inside(component, "ls", "/generated/keys/private").split() == keys
    assert project.compose("exec", "-T", component, "touch", "/app/changed")[0] != 0
    assert project.compose("exec", "-T", component, "touch", "/generated/changed")[0] != 0


def test_a_service_that_is_killed_is_missed_and_comes_back(project: Project) -> None:
    assert project.compose("kill", "product")[0] == 0
    eventually(lambda: project.health()[""] == "degraded", "the gateway notices", RECOVERY_S)
    assert {name for name, state in project.health().items() if state == "unreachable"} == {"product"}
    assert project.compose("start", "product")[0] == 0
    eventually(lambda: project.health()[""] == "healthy", "the gateway notices again", RECOVERY_S)


def test_starting_again_changes_nothing(project: Project) -> None:
    before = project.inside("auth", "ls", "-lR", "--full-time", "/generated")
    assert project.compose("up", "-d")[0] == 0
    assert project.inside("auth", "ls", "-lR", "--full-time", "/generated") == before
    eventually(lambda: set(project.states().values()) <= {"healthy", "exited 0"}, "all are healthy", START_S)

"""The compose project on a real engine: `make test-compose`. It is no part of `make test`, which needs no engine.

Everything happens in a copy of what git and the image need, under a project name and on ports of its own, and goes
at the end, volumes included. Where there is no engine it is skipped; CI_DOCKER=1 makes that exit status 2. A
docker-compose.override.yml is obeyed, as compose itself does. The tests run in their order: the last ones change most.
What they measure is printed; what is asserted of times is what the documents promise.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from alicerce.services import services
from tests.api import Person, new_person
from tests.deploy.composition import COMPONENTS, ROOT
from tests.deploy.edge import certify
from tests.deploy.load import Load

# The same story as in one process; it finds the `register` of this file.
from tests.journeys.test_business import test_a_first_product_call_and_payment  # noqa: F401
from tests.topologies import eventually, free_ports

COPIED = ("alicerce", "contracts", "deploy", "gateway", "kit", "services")
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock")
START_S, RECOVERY_S = 300.0, 60.0
UPGRADE_GAP_S = 1.5  # the worst that docs/docker.md names for one gateway whose port is published
FAIR_SHARE = 0.25  # the least of two replicas that each must get
SHARING_S = 10.0  # after which a new replica has its share


class Project:
    """A compose project in a folder, published on a port."""

    def __init__(self, folder: Path) -> None:
        self.folder, (self.port, self.http, self.https) = folder, free_ports(3)
        self.name = f"alicerce-test-{secrets.token_hex(4)}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.files = ["docker-compose.yml"]
        self.files += ["docker-compose.override.yml"] if (folder / "docker-compose.override.yml").exists() else []

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which compose, also in a script, means this project and no other."""
        ports = {"GATEWAY_PORT": self.port, "HTTP_PORT": self.http, "HTTPS_PORT": self.https}
        named = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": ":".join(self.files)}
        return {**os.environ, **named, **{name: str(port) for name, port in ports.items()}}

    def compose(self, *words: str) -> tuple[int, str]:
        """One compose command: its exit status, and what it said."""
        return self.run("docker", "compose", "--progress", "plain", *words)

    def run(self, *words: str) -> tuple[int, str]:
        """A program in the project's folder: its exit status, and what it said."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def must(self, *words: str) -> str:
        """Return the output of a compose command that has to succeed."""
        code, said = self.compose(*words)
        assert code == 0, said
        return said

    def ids(self, service: str) -> list[str]:
        """The running containers of a service, the oldest first."""
        found = self.must("ps", "-q", service).split()
        return sorted(found, key=lambda one: self.run("docker", "inspect", "-f", "{{.Created}}", one)[1])

    def settled(self) -> None:
        """Wait until whatever should run is healthy, also for the gateway."""
        fine = {"healthy", "exited 0", "running 0"}  # the edge has no health check
        eventually(lambda: set(self.states().values()) <= fine, "all are healthy", START_S)

    def change(self) -> None:
        """Change the code of every component, in a comment."""
        with (self.folder / "kit" / "app.py").open("a") as source:
            source.write(f"# {secrets.token_hex(4)}\n")

    def upgrade(self) -> None:
        """Bring new code up as docs/docker.md says."""
        code, said = self.run("deploy/upgrade.sh")
        assert code == 0, said

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
        made.settled()
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
    project.must("exec", "-T", "-e", "FLASK_APP=manage.py", service, "flask", "db", "upgrade")


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
    project.settled()


def test_starting_again_changes_nothing(project: Project) -> None:
    before = project.inside("auth", "ls", "-lR", "--full-time", "/generated")
    project.must("up", "-d")
    assert project.inside("auth", "ls", "-lR", "--full-time", "/generated") == before
    project.settled()


def test_the_page_of_the_platform_opens_as_the_readme_says(project: Project) -> None:
    assert requests.get(f"{project.url}/ops", timeout=15).status_code == 401
    token = project.inside("gateway", "cat", "/generated/environment").strip().partition("=")[2]
    assert requests.get(f"{project.url}/ops", auth=("anybody", token), timeout=15).status_code == 200


def test_a_backup_is_made_and_brought_back(project: Project) -> None:
    person = new_person(project.url)
    kept = person.post("/api/customers", {"name": "Padaria"}).ok(201)["customer"]["id"]
    project.must("run", "--rm", "backup")
    lost = person.post("/api/customers", {"name": "Later"}).ok(201)["customer"]["id"]
    project.must("stop", *COMPONENTS)
    project.must("run", "--rm", "backup", "python", "-m", "alicerce", "restore", "latest", "--force")
    project.must("run", "--rm", "keys")
    project.must("up", "-d")
    project.settled()
    person.get(f"/api/customers/{kept}").ok()
    assert person.get(f"/api/customers/{lost}").status == 404


# --- Under a steady load ---------------------------------------------------------------------------------------------


def test_a_second_replica_has_its_share_and_either_may_stop(project: Project) -> None:
    with Load(project.url, new_person(project.url)) as load:
        project.must("up", "-d", "--no-deps", "--no-recreate", "--scale", "customer=2", "customer")
        project.settled()
        time.sleep(SHARING_S)  # the age of a kept connection: there is no sooner sign of its end
        before = [answered(project, one) for one in project.ids("customer")]
        sent = load.sent
        eventually(lambda: load.sent >= sent + 400, "enough was asked to compare")
        after = [answered(project, one) for one in project.ids("customer")]
        shares = [now - then for now, then in zip(after, before, strict=True)]
        project.run("docker", "stop", project.ids("customer")[0])
        sent = load.sent
        eventually(lambda: load.sent >= sent + 100, "it went on")
    sys.stdout.write(f"customer=2: shares {shares}, one stopped: {load}\n")
    assert min(shares) >= FAIR_SHARE * sum(shares), shares
    assert not load.failures, load
    project.must("up", "-d")
    project.settled()


def test_an_upgrade_of_one_replica_is_hardly_noticed(project: Project) -> None:
    before = {component: project.ids(component) for component in COMPONENTS}
    project.change()
    with Load(project.url, new_person(project.url)) as load:
        project.upgrade()
    sys.stdout.write(f"upgrade, one of each: {load}\n")
    assert load.failing_s <= UPGRADE_GAP_S, load
    assert not [component for component in COMPONENTS if set(before[component]) & set(project.ids(component))]
    project.settled()


def test_an_upgrade_that_cannot_start_leaves_what_runs(project: Project) -> None:
    before = {component: project.ids(component) for component in COMPONENTS}
    routes = project.folder / "services" / "auth" / "routes.py"
    text = routes.read_text("utf-8")
    routes.write_text("raise SystemExit('no')\n")
    try:
        code, said = project.run("deploy/upgrade.sh")
        assert (code, "the old one answers" in said) == (1, True), said
    finally:
        routes.write_text(text)
        project.must("build", "--quiet")  # compose would start what was built last
    assert {component: project.ids(component) for component in COMPONENTS} == before
    new_person(project.url)


def test_an_upgrade_of_two_replicas_behind_the_edge_is_not_noticed(project: Project) -> None:
    certificate = certify(project.folder / "deploy" / "tls")
    for path in certificate.parent.iterdir():
        path.chmod(0o644)
    project.files.append("docker-compose.tls.yml")
    twice = [word for service in services() for word in ("--scale", f"{service}=2")]
    project.must("up", "-d", *twice)
    project.settled()
    url = f"https://localhost:{project.https}"
    answer = requests.get(f"http://localhost:{project.http}/docs", allow_redirects=False, timeout=15)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/docs")
    project.change()
    with trusting(certificate), Load(url, new_person(url), str(certificate)) as load:
        project.upgrade()
    sys.stdout.write(f"upgrade, two of each behind the edge: {load}\n")
    assert not load.failures, load
    assert {len(project.ids(component)) for component in COMPONENTS} == {2}


def answered(project: Project, container: str) -> int:
    """The requests that a container has answered, by its own log."""
    code, said = project.run("docker", "logs", container)
    assert code == 0, said
    return said.count('"message":"request"')


@contextmanager
def trusting(certificate: Path) -> Iterator[None]:
    """Let every client of this process trust a certificate that was made here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        yield

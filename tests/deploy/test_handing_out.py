"""Each component's volume holds what it alone may know."""

import os
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from alicerce import containers, databases, home, keys
from alicerce.postgres import EmbeddedPostgres
from alicerce.services import services
from tests.deploy.composition import COMPONENTS
from tests.deploy.conftest import Project

SIGNS_AS = {"auth": {"auth", "access"}}


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_finds_its_own_keys_and_the_public_set(project: Project, component: str) -> None:
    found = contents(project.volumes / component)
    private = {f"keys/private/{name}.pem" for name in SIGNS_AS.get(component, {component})}
    assert set(found) - {"environment"} == {"keys/public.json", *private}
    assert found["keys/public.json"] == (project.generated / "keys" / "public.json").read_text()


@pytest.mark.parametrize("service", services())
def test_a_service_finds_its_own_database_and_not_its_owner(project: Project, service: str) -> None:
    found = dotenv_values(project.volumes / service / "environment")
    prefix = f"{service.upper()}_SERVICE_DATABASE_"
    assert set(found) == {f"{prefix}URL", f"{prefix}JOB_URL"}
    assert f"//{service}_app:" in str(found[f"{prefix}URL"])
    assert f"//{service}_job:" in str(found[f"{prefix}JOB_URL"])


def test_the_gateway_alone_finds_what_opens_its_page(project: Project) -> None:
    token = dotenv_values(project.volumes / "gateway" / "environment")["METRICS_TOKEN"]
    assert len(str(token)) >= 32
    others = [path for path in project.volumes.rglob("*") if path.is_file() and "gateway" not in path.parts]
    assert all(str(token) not in path.read_text() for path in others)


def test_what_is_handed_out_is_for_its_receiver_alone(project: Project) -> None:
    for path in project.volumes.rglob("*"):
        theirs = path.is_dir() or path.parent.name in ("postgres", "pgadmin")  # they run as another user
        assert theirs or path.stat().st_mode & 0o777 == 0o600, path
    assert (project.volumes / "postgres" / "password").stat().st_mode & 0o777 == 0o644
    assert (project.generated / "pgpass").stat().st_mode & 0o777 == 0o600


def test_handing_out_again_writes_nothing(project: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.volumes.rglob("*") if path.is_file()}
    assert project.once("keys") == (0, "")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_fault_is_one_sentence(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = project.once("keys", "python", "-m", "alicerce.containers", str(tmp_path / "file"))
    assert (code, said.count("\n")) == (1, 1)
    assert "cannot be used" in said


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A generated folder of a test's own, with a server to point at that nobody asks anything."""
    for name in [name for name in os.environ if "_SERVICE_DATABASE_" in name]:  # of the platform in this process
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALICERCE_HOME", str(tmp_path / "generated"))
    monkeypatch.setenv("DATABASE_SERVER_URL", "postgresql://postgres@postgres:5432/postgres")
    return tmp_path / "generated"


def test_a_new_key_is_public_everywhere_before_it_signs_anywhere(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.hand_out(tmp_path)
    keys.rotate("all")
    written: list[str] = []
    write = home.write

    def note(path: Path, *rest: Any) -> None:
        written.append(path.name)
        write(path, *rest)

    monkeypatch.setattr(home, "write", note)
    containers.hand_out(tmp_path)
    assert written == ["public.json"] * len(COMPONENTS) + [name for name in written if name.endswith(".pem")]
    assert len(written) == 2 * len(COMPONENTS) + 1


def test_a_database_that_the_user_gave_is_handed_on(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_URL", "postgresql://mine@elsewhere/customers")
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_OWNER_URL", "postgresql://boss@elsewhere/customers")
    containers.hand_out(tmp_path)
    assert dotenv_values(tmp_path / "customer" / "environment") == {
        "CUSTOMER_SERVICE_DATABASE_URL": "postgresql://mine@elsewhere/customers"
    }


def test_the_administrators_password_may_have_any_characters(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", r"a:b\c")
    containers.hand_out(tmp_path)
    assert (tmp_path / "postgres" / "password").read_text() == r"a:b\c"
    assert (generated / "pgpass").read_text() == "*:*:*:postgres:a\\:b\\\\c\n"


def test_a_service_can_have_its_database_on_another_server(
    project: Project, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = EmbeddedPostgres(tmp_path / "own", durable=False)
    shared = project.postgres.url
    try:
        monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_SERVER_URL", own.start())
        monkeypatch.setenv("DATABASE_SERVER_URL", shared)
        found = databases.prepare(shared, ("customer",))
        assert f":{own.port}/customer_db" in found["CUSTOMER_SERVICE_DATABASE_URL"]
        with databases.connected(found["CUSTOMER_SERVICE_DATABASE_URL"]) as connection:
            assert connection.info.port == own.port
    finally:
        own.stop()

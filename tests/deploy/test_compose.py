"""The compose files: who is there, what is open to whom, and who knows which secret."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from alicerce.services import ports, services
from tests.deploy.composition import COMPONENTS, ONE_SHOT, OWN_SERVERS, ROOT, environment, load, settings_of

FILES = ("docker-compose.yml", "docker-compose.databases.yml", "docker-compose.tls.yml")
OURS = (*COMPONENTS, *ONE_SHOT)
HARDENED = (*OURS, "postgres")
EVERY = (*HARDENED, "pgadmin")
DONE = {"condition": "service_completed_successfully"}
HEALTHY = {"condition": "service_healthy"}


def entry(name: str) -> Any:
    return load()["services"][name]


def volumes_of(name: str) -> dict[str, str]:
    """Where each volume or file is mounted, with `:ro` where it is."""
    return dict(text.split(":", 1) for text in entry(name)["volumes"])


def test_the_services_are_the_platforms_and_no_others() -> None:
    assert set(load()["services"]) == set(EVERY)


@pytest.mark.parametrize("service", services())
def test_compose_and_the_example_environment_know_each_service(service: str) -> None:
    port = ports()[service]
    assert entry(service)["build"]["args"]["PACKAGE"] == f"services/{service}"
    assert entry(service)["environment"]["PORT"] == port
    for component in COMPONENTS:
        assert entry(component)["environment"][f"{service.upper()}_SERVICE_URL"] == f"http://{service}:{port}"
    assert settings_of((ROOT / ".env.example").read_text())[f"{service.upper()}_SERVICE_PORT"] == str(port)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_one_line_and_is_also_found_by_its_older_name(component: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert len(re.findall(rf"^  {component}: {{<<: \*.*}}$", text, re.MULTILINE)) == 1
    assert entry(component)["networks"]["inside"]["aliases"] == [f"{component}-service"]


# --- What is open ----------------------------------------------------------------------------------------------------


def test_only_the_gateway_is_published_and_the_tools_to_this_machine() -> None:
    published = {name: found["ports"] for name, found in load()["services"].items() if "ports" in found}
    assert published == {
        "gateway": ["${LISTEN_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"],
        "pgadmin": ["127.0.0.1:8083:8083"],
    }
    assert [name for name, found in load()["services"].items() if "profiles" in found] == ["backup", "pgadmin"]


def test_only_the_gateway_leads_outside_and_it_cannot_reach_a_database() -> None:
    networks = {name: set(entry(name).get("networks", ())) for name in EVERY}
    assert load()["networks"] == {"outside": {}, "inside": {"internal": True}, "data": {"internal": True}}
    assert networks.pop("gateway") == {"outside", "inside"}
    assert networks.pop("pgadmin") == {"outside", "data"}
    assert {name: networks.pop(name) for name in services()} == {name: {"data", "inside"} for name in services()}
    assert networks == {"keys": set(), "migrate": {"data"}, "backup": {"data"}, "postgres": {"data"}}
    assert entry("keys")["network_mode"] == "none"


@pytest.mark.parametrize("name", HARDENED)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    found = entry(name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(found)


@pytest.mark.parametrize("name", EVERY)
def test_a_container_has_bounds_and_ends_in_order(name: str) -> None:
    found = entry(name)
    assert found["init"] is True
    assert found["mem_limit"]
    assert set(found["logging"]["options"]) == {"max-size", "max-file"}
    if name in (*COMPONENTS, "postgres"):
        assert found["restart"] == "unless-stopped"
        # gunicorn gives requests 30 seconds to end, and must not be killed in them.
        assert int(found["stop_grace_period"].removesuffix("s")) > 30


def test_each_waits_for_what_it_needs() -> None:
    needs = {name: entry(name).get("depends_on", {}) for name in EVERY}
    for component in COMPONENTS:
        assert needs.pop(component) == {"migrate": DONE}
    assert needs.pop("migrate") == {"keys": DONE, "postgres": HEALTHY}
    assert needs.pop("keys") == {}
    assert needs.pop("backup") == {"migrate": DONE}
    assert needs == {name: {"keys": DONE} for name in ("postgres", "pgadmin")}


def test_nobody_is_asked_how_they_are_more_often_than_every_half_minute() -> None:
    check = entry("postgres")["healthcheck"]
    assert (check["interval"], check["start_interval"]) == ("30s", "1s")


# --- Who knows what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_reads_its_own_volume_and_no_other(component: str) -> None:
    assert volumes_of(component) == {component: "/generated:ro"}
    assert volumes_of("keys")[component] == f"/handed/{component}"


def test_the_generated_folder_is_for_the_one_shots_alone() -> None:
    holders = {name for name in EVERY if "generated" in volumes_of(name)}
    assert holders == set(ONE_SHOT)
    named = {volume for name in EVERY for volume in volumes_of(name) if not volume.startswith(".")}
    assert named == set(load()["volumes"])


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_env_says_of_databases_reaches_no_component(component: str) -> None:
    names = settings_of((ROOT / ".env.example").read_text())
    private = [name for name in names if "DATABASE" in name or name == "POSTGRES_PASSWORD"]
    written = "".join(f"{name}=of-somebody\n" for name in private)
    assert len(private) == 3 * len(services()) + 4
    assert "of-somebody" not in environment(component, written).values()


def test_no_secret_and_no_moving_image_stands_in_the_files() -> None:
    for name in FILES:
        text = (ROOT / name).read_text()
        assert not re.search(r"PASSWORD\w*\"?: +[^\s\"/]", text), name
        assert not re.search(r"://[^@\s\"]*:[^@\s\"]*@", text), name
        images = re.findall(r"image: (\S+)", text)
        assert all(re.fullmatch(r"[\w/]+:\d[\w.-]*", image) for image in images), images
    for path in (ROOT / "deploy" / "pgadmin").glob("*.json"):
        assert "assword" not in path.read_text()


# --- A server of its own for each service ----------------------------------------------------------------------------


def test_each_service_can_have_a_server_of_its_own() -> None:
    found = load("docker-compose.databases.yml")
    assert set(found["services"]) == {*OWN_SERVERS, *ONE_SHOT, "postgres", "pgadmin"}
    for service in services():
        server = found["services"][f"{service}-database"]
        assert server["extends"] == {"file": "docker-compose.yml", "service": "postgres"}
        assert server["volumes"] == [f"{service}-data:/var/lib/postgresql"]
        for one_shot in ONE_SHOT:
            url = found["services"][one_shot]["environment"][f"{service.upper()}_SERVICE_DATABASE_SERVER_URL"]
            assert url == f"postgresql://postgres@{service}-database:5432/postgres"
    assert found["services"]["migrate"]["depends_on"] == {"keys": DONE, **dict.fromkeys(OWN_SERVERS, HEALTHY)}
    assert set(found["volumes"]) == {f"{service}-data" for service in services()}


@pytest.mark.parametrize(
    ("file", "hosts"), [("servers.json", ("postgres",)), ("databases.json", OWN_SERVERS)], ids=["one", "own"]
)
def test_pgadmin_knows_every_server(file: str, hosts: tuple[str, ...]) -> None:
    listed = json.loads((ROOT / "deploy" / "pgadmin" / file).read_text())["Servers"].values()
    assert {server["Host"] for server in listed} == set(hosts)


# --- TLS before two gateways -----------------------------------------------------------------------------------------


def test_the_edge_alone_is_published_and_reaches_the_gateways_alone() -> None:
    file = load("docker-compose.tls.yml")
    edge, gateway = file["services"]["edge"], file["services"]["gateway"]
    assert set(file["services"]) == {"edge", "gateway"}
    assert edge["ports"] == [
        "${LISTEN_ADDRESS:-127.0.0.1}:${HTTP_PORT:-80}:80",
        "${LISTEN_ADDRESS:-127.0.0.1}:${HTTPS_PORT:-443}:443",
    ]
    assert (gateway["ports"], gateway["scale"]) == (None, 2)
    assert file["networks"] == {"front": {"internal": True}}
    assert (set(edge["networks"]), set(gateway["networks"])) == ({"outside", "front"}, {"front"})


def test_the_edge_can_do_no_more_than_it_must() -> None:
    edge = load("docker-compose.tls.yml")["services"]["edge"]
    assert (edge["read_only"], edge["cap_drop"], edge["user"]) == (True, ["ALL"], "101:101")
    assert edge["security_opt"] == ["no-new-privileges:true"]
    assert all(volume.endswith(":ro") for volume in edge["volumes"])
    assert (edge["init"], edge["restart"], bool(edge["mem_limit"])) == (True, "unless-stopped", True)


# --- Compose itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [FILES[:1], FILES[:2], FILES[::2]], ids=["one server", "own servers", "tls"])
def test_compose_accepts_the_files_beside_an_example_that_nobody_edited(files: tuple[str, ...], tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker client with compose")
    for name in (*FILES, ".env.example"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    words = [docker, "compose", *(word for name in files for word in ("-f", name)), "config", "--format", "json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=bare_environment())
    assert (done.returncode, done.stderr) == (0, "")
    read = json.loads(done.stdout)["services"]
    published = {port["published"] for found in read.values() for port in found.get("ports", ())}
    assert published == ({"80", "443"} if "edge" in read else {"8080"})
    servers = OWN_SERVERS if FILES[1] in files else ("postgres",)
    # A service with a profile is listed by some versions and not by others.
    assert set(read) | {"backup"} == {*OURS, *servers, *(["edge"] if FILES[2] in files else [])}
    for component in services():
        assert {k: v or "" for k, v in read[component]["environment"].items()} == environment(
            component, (tmp_path / ".env").read_text()
        )


def bare_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ}

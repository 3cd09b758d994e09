"""deploy/upgrade.sh without an engine: a `docker` that keeps state, and fails or hangs where it is told to."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.composition import ROOT
from tests.topologies import PATIENCE_S, eventually

FAKE = Path(__file__).with_name("fake_docker.py")
BEFORE = {
    "old1": {"service": "customer", "running": True, "networks": []},
    "old2": {"service": "gateway", "running": True, "networks": ["doors"]},
}


class Folder:
    """A folder with the script, one service and a gateway that run, and a `docker` for them."""

    def __init__(self, path: Path) -> None:
        self.path, self.state = path, path / "state.json"
        for name in ("deploy", "services/customer", "bin"):
            (path / name).mkdir(parents=True)
        (path / "services" / "customer" / "app.py").touch()
        shutil.copy(ROOT / "deploy" / "upgrade.sh", path / "deploy")
        docker = path / "bin" / "docker"
        docker.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {FAKE} "$@"\n')
        docker.chmod(0o755)
        self.state.write_text(json.dumps({"made": 0, "containers": BEFORE}))

    def start(self, **faults: str) -> "subprocess.Popen[str]":
        """Begin an upgrade, as a group of processes of its own that heeds Ctrl-C."""
        path = f"{self.path / 'bin'}:{os.environ['PATH']}"
        return subprocess.Popen(
            [self.path / "deploy" / "upgrade.sh"],
            env={"PATH": path, "FAKE_STATE": str(self.state), "WAIT_S": "2", **faults},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def upgrade(self, **faults: str) -> tuple[int, str]:
        """An upgrade to its end: its exit status, and what it said."""
        process = self.start(**faults)
        said, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said

    @property
    def containers(self) -> Any:
        return json.loads(self.state.read_text())["containers"]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_each_has_a_successor_and_the_port_is_published(folder: Folder) -> None:
    code, said = folder.upgrade()
    assert (code, said.splitlines()[-1]) == (0, "Done")
    assert folder.containers == {
        "new1": {"service": "customer", "running": True, "networks": []},
        "new2": {"service": "gateway", "running": True, "networks": ["doors"]},
    }


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({"FAIL": "start new1"}, "did not start (above). It goes, the old one answers"),
        ({"UNHEALTHY": "customer"}, "did not become healthy (above). It goes, the old one answers"),
        ({"FAIL": "compose up"}, "the engine refuses"),
        ({"FAIL": "compose run"}, "the engine refuses"),
    ],
    ids=["start", "unhealthy", "create", "migrate"],
)
def test_a_service_that_cannot_be_replaced_stays(folder: Folder, faults: dict[str, str], sentence: str) -> None:
    code, said = folder.upgrade(**faults)
    assert (code, sentence in said) == (1, True), said
    assert folder.containers == BEFORE


@pytest.mark.parametrize(
    "faults",
    [
        {"FAIL": "start new2"},
        {"UNHEALTHY": "gateway"},
        {"FAIL": "network connect doors new2"},
        {"FAIL": "network disconnect doors new2"},
        {"FAIL": "network disconnect doors old2"},
        {"NETWORKS": ""},
    ],
    ids=lambda faults: " ".join(faults.values()) or "no network of compose",
)
def test_a_gateway_that_cannot_be_replaced_stays_published(folder: Folder, faults: dict[str, str]) -> None:
    code, said = folder.upgrade(**faults)
    assert code == 1, said
    gateways = {name: it for name, it in folder.containers.items() if it["service"] == "gateway"}
    assert gateways == {"old2": BEFORE["old2"]}, said


def test_who_cannot_be_published_again_is_named_with_the_command(folder: Folder) -> None:
    code, said = folder.upgrade(FAIL="network connect")
    assert (code, "docker network connect doors old2" in said) == (1, True), said
    assert "new2" not in folder.containers


def test_a_network_that_compose_did_not_make_is_said(folder: Folder) -> None:
    _, said = folder.upgrade(NETWORKS="")
    assert "Do: docker compose up -d gateway" in said


def test_the_image_of_the_backup_is_built_too(folder: Folder) -> None:
    code, said = folder.upgrade(FAIL="compose --profile backup build")
    assert (code, "the engine refuses" in said) == (1, True), said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize(
    "moment",
    ["compose up", "start new1", "compose ps -aq gateway", "start new2", "network disconnect doors old2"],
)
def test_an_upgrade_that_is_interrupted_leaves_nothing_unfinished(
    folder: Folder, moment: str, number: signal.Signals
) -> None:
    process = folder.start(HANG=moment)
    eventually(folder.state.with_suffix(".hangs").exists, f"it is at: {moment}")
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number, said
    first = "old1" if moment in ("compose up", "start new1") else "new1"
    assert folder.containers == {first: BEFORE["old1"], "old2": BEFORE["old2"]}, said


@pytest.mark.parametrize("moment", ["stop old1", "stop old2"])
def test_who_was_ending_when_it_is_interrupted_ends(folder: Folder, moment: str) -> None:
    process = folder.start(HANG=moment)
    eventually(folder.state.with_suffix(".hangs").exists, f"it is at: {moment}")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert moment.split()[1] not in folder.containers
    assert {it["running"] for it in folder.containers.values()} == {True}

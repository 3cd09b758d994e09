"""The scripts, run as a person runs them: in the background, and while sources change."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from alicerce.processes import die_with_parent
from alicerce.services import services
from alicerce.watch import Watch, affected
from tests.scripts.trees import copy_of_the_tree
from tests.topologies import ROOT, environment, eventually, free_ports


@pytest.fixture
def ports() -> dict[str, int]:
    names = ("gateway", *services())
    return dict(zip(names, free_ports(len(names)), strict=True))


def script(home: Path, ports: dict[str, int], *words: str, name: str = "alicerce") -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / f"{name}.sh", *words]
    variables = environment(home, ports)
    return subprocess.run(command, cwd=home.parent, env=variables, check=False, capture_output=True, text=True)


def test_it_starts_shows_itself_and_stops(tmp_path: Path, ports: dict[str, int]) -> None:
    home = tmp_path / "alicerce"
    assert "does not run here" in script(home, ports, "status").stdout
    started = script(home, ports, "--env", "test", name="start_services")
    try:
        address = f"http://localhost:{ports['gateway']}"
        assert started.returncode == 0 and address in started.stdout, started.stderr
        assert requests.get(f"{address}/ready", timeout=5).status_code == 200
        shown = script(home, ports, "status").stdout.splitlines()
        assert [line.split()[0] for line in shown] == ["name", "supervisor", "postgres", "solo"]
        assert "already runs here" in script(home, ports, "start").stderr
        with following(home, ports) as log:
            assert log.stdout is not None
            assert any("Alicerce is ready at" in line for line in log.stdout)
    finally:
        assert script(home, ports, "stop").stdout == "Alicerce has stopped.\n"
    assert script(home, ports, "status").returncode == 3


@contextmanager
def following(home: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[str]]:
    command = [ROOT / "scripts" / "alicerce.sh", "logs"]
    variables = environment(home, ports)
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_what_does_not_start_says_why(tmp_path: Path, ports: dict[str, int]) -> None:
    with socket.create_server(("127.0.0.1", ports["gateway"])):
        refused = script(tmp_path / "alicerce", ports, "start", "--env=dev")
    assert refused.returncode == 1
    assert f"Port {ports['gateway']} is taken" in refused.stderr


def test_the_scripts_hold_no_trap_of_the_shell() -> None:
    program = Path(sys.executable).with_name("shellcheck")
    checked = subprocess.run(
        [program, *(ROOT / "scripts").glob("*.sh"), *(ROOT / "deploy").glob("*.sh"), ROOT / ".ci" / "run"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_what_ci_cannot_install_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "env"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name, text in {"make": "exit 0", "sudo": 'shift; exec "$@"', "apt-get": '[ "$1" = update ]'}.items():
        (tmp_path / name).write_text(f"#!{tmp_path}/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    ran = subprocess.run(
        [tmp_path / "bash", ROOT / ".ci" / "run"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path), "CI": "true"},
    )
    assert (ran.returncode, "Not installed: chromium nginx-light curl mmdebstrap" in ran.stderr) == (0, True), ran


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "Usage"),
        (["fly"], "Usage"),
        (["start", "customer"], "all services at once"),
        (["restart", "one", "two"], "at a time"),
        (["start", "--env", "moon"], "no environment 'moon'"),
        (["start", "--env"], "which environment"),
        (["start", "--fast"], "no option --fast"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    refused = script(tmp_path / "alicerce", {}, *words)
    assert refused.returncode == 2
    assert reason in refused.stderr


@contextmanager
def developing(tree: Path, ports: dict[str, int], *words: str) -> Iterator[str]:
    """`alicerce.sh dev` in a copy of the tree, with the interpreter of this one; the gateway's address."""
    for name in (".venv", ".tools"):
        (tree / name).symlink_to(ROOT / name)
    with (tree.parent / "output").open("w") as output:
        process = subprocess.Popen(
            [tree / "scripts" / "alicerce.sh", "dev", *words],
            env=environment(tree / ".alicerce", ports),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        yield f"http://127.0.0.1:{ports['gateway']}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (tree.parent / "output").read_text()


def title(address: str) -> str:
    """The description of one operation; nothing while nobody answers."""
    try:
        document = requests.get(f"{address}/openapi.json", timeout=5).json()
        return str(document["paths"]["/api/products"]["post"]["summary"])
    except (requests.RequestException, KeyError):
        return ""


@pytest.mark.long
def test_a_changed_file_is_served_and_a_broken_one_is_mended(tmp_path: Path, ports: dict[str, int]) -> None:
    tree = copy_of_the_tree(tmp_path)
    source = tree / "services" / "product" / "routes.py"
    before = source.read_text()
    with developing(tree, ports, "product_service") as address:
        first = eventually(lambda: title(address), "the first answer")
        source.write_text(before.replace(first, "Something quite different"))
        eventually(lambda: title(address).startswith("Something quite different"), "the change is served")
        source.write_text("this is no Python")
        eventually(lambda: "SyntaxError" in (tmp_path / "output").read_text(), "the mistake is shown")
        source.write_text(before)
        eventually(lambda: title(address) == first, "the mended file is served")


def test_what_changed_says_what_starts_anew(tmp_path: Path) -> None:
    for folder in ("gateway", "services/customer/migrations", "services/auth", "kit", "contracts"):
        (tmp_path / folder).mkdir(parents=True)
    everything, one = Watch(tmp_path), Watch(tmp_path, "customer")
    (tmp_path / "services" / "auth" / "domain.py").write_text("")
    (tmp_path / "services" / "auth" / ".domain.py.swp").write_text("")
    assert one.changed() == []
    assert affected(everything.changed()) == {"auth"}
    (tmp_path / "services" / "customer" / "migrations" / "0001_create.py").write_text("")
    (tmp_path / "gateway" / "page.html").write_text("")
    assert affected(one.changed()) == {"customer"}
    assert affected(everything.changed()) == {"customer", "gateway"}
    assert everything.changed() == []
    (tmp_path / "kit" / "db.py").write_text("")
    assert affected(everything.changed()) is None

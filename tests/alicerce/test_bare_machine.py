"""The promises of the README, in a container of python3 and make: root, in root's home folder, no namespaces."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.alicerce import bare
from tests.journeys.test_readme import tell
from tests.topologies import eventually, free_ports

pytestmark = pytest.mark.long
PATIENCE_S = 600.0
# Postgres as nobody, what becomes of it, the generated folder, and a verb of a service on the whole platform.
SUBSET = (
    "tests/alicerce/test_embedded_postgres.py tests/alicerce/test_generated_folder.py tests/journeys/test_stories.py"
)
SCRIPT = """
cd /root/alicerce
unshare --user true 2>/dev/null && { echo "This container has user namespaces."; exit 1; }
command -v curl pip && { echo "This machine is not bare."; exit 1; }
make run; echo "make run ended with $?."
while [ ! -e /root/go-on ]; do sleep 0.2; done
make .venv/dev.stamp && .venv/bin/python -m pytest -p no:cacheprovider SUBSET; echo "The tests ended with $?."
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian 13 with python3 and make."""
    if os.geteuid() != 0:
        pytest.skip("only root makes a root file system")
    if reason := bare.missing():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("bare") / "root"
    bare.build(folder, ["python3", "make"])
    yield folder


def test_a_container_with_python3_and_make_runs_it_all(root: Path, tmp_path: Path) -> None:
    tree, output = bare.furnish(root), tmp_path / "output"
    (port,) = free_ports(1)

    def said(text: str) -> bool:
        assert process.poll() is None or text in output.read_text(), output.read_text()[-5000:]
        return text in output.read_text()

    with bare.entered(root, SCRIPT.replace("SUBSET", SUBSET), {"GATEWAY_PORT": str(port)}, output) as process:
        eventually(lambda: said("Alicerce is ready at"), "it is ready", PATIENCE_S)
        tell(f"http://127.0.0.1:{port}")
        assert (tree / ".alicerce").stat().st_mode & 0o777 == 0o700
        assert (tree / ".alicerce" / "postgres").stat().st_mode & 0o777 == 0o700
        running = bare.living(root)
        # The first process is the shell of the script: it stays.
        platform = {pid for pid, command in running.items() if not command.startswith("sh -c")}
        supervisors = [pid for pid in platform if "-m alicerce run" in running[pid]]
        assert len(platform) > 5
        os.kill(min(supervisors), signal.SIGKILL)
        eventually(lambda: not platform & set(bare.living(root)), "nothing is left", PATIENCE_S)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/ready", timeout=5)
        (root / "root" / "go-on").touch()
        eventually(lambda: said("The tests ended with"), "the tests have ended", PATIENCE_S)
        assert said("The tests ended with 0."), output.read_text()[-5000:]

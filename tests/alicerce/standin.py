"""A small stand-in for the gateway and the services, below the real supervisor."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from alicerce import processes

ROOT = Path(__file__).resolve().parents[2]
Eventually = Callable[[Callable[[], object], str], None]

APPLICATION = """
import os, time
from pathlib import Path

def create_app():
    print("SAID-BY-%s" % __name__, flush=True)
    if Path("broken").exists():
        raise ValueError("the stand-in is broken")
    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/slow":
            Path("entered").touch()
            while not Path("go-on").exists():
                time.sleep(0.01)
        sibling = os.environ.get("CUSTOMER_SERVICE_URL", "")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [("%s %d %s" % (__name__, os.getppid(), sibling)).encode()]
    return app
"""
SERVICE = "from kit.app import create_service\n\ndef wire():\n    return create_service('{0}', port={1}, db=None)\n"
GUNICORN = """
import os
worker_class, threads, workers, control_socket_disable, accesslog = "gthread", 4, 1, True, None
def post_worker_init(worker):
    os.write(int(os.environ["ALICERCE_SERVING"]), b".")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Project:
    """A copy of the composition root with two small services, and what a person does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        for package in ("alicerce", "kit"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "kit" / "gunicorn.py").write_text(GUNICORN)
        (folder / "alicerce" / "solo.py").write_text(APPLICATION)
        (folder / "alicerce" / "migrate.py").write_text("def migrate(services):\n    print('migrated', *services)\n")
        for package in ("gateway", "services", "services/auth", "services/customer"):
            (folder / package).mkdir()
            (folder / package / "__init__.py").write_text("" if package == "services" else APPLICATION)
        self.ports = {"auth": free_port(), "customer": free_port()}
        for noun, port in self.ports.items():
            (folder / "services" / noun / "app.py").write_text(SERVICE.format(noun, port))
            (folder / "services" / noun / "migrations").mkdir()
            (folder / "services" / noun / "migrations" / "0001_first.py").touch()
        self.home = folder / ".alicerce"
        self.settings: dict[str, str] = {}
        self.supervisors: list[subprocess.Popen[str]] = []

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "GATEWAY_PORT": str(self.port), "PYTHONDONTWRITEBYTECODE": "1", **self.settings}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alicerce", *words],
            check=False,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def run(self, topology: str | None = "solo", terminal: int | None = None) -> subprocess.Popen[str]:
        """Start, and return at once. What it writes goes to a file unless a descriptor for it is given."""
        choice = ["--topology", topology] if topology else []
        with (self.folder / "out").open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "alicerce", "run", *choice],
                cwd=self.folder,
                env=self.environment(),
                stdout=out if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.supervisors.append(process)
        return process

    def said(self) -> str:
        return (self.folder / "out").read_text()

    def get(self, path: str = "/", port: int = 0) -> str:
        url = f"http://127.0.0.1:{port or self.port}{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())

    def answers(self) -> bool:
        try:
            return bool(self.get())
        except (urllib.error.URLError, OSError):
            return False

    def children(self) -> dict[str, int]:
        return {child["name"]: child["pid"] for child in json.loads((self.home / "children.json").read_text())}


def ready(project: Project, eventually: Eventually) -> None:
    def settled() -> bool:
        assert project.supervisors[-1].poll() is None, project.said()
        return "Alicerce is ready at" in project.said()

    eventually(settled, "Alicerce is ready")


def gone(pid: int) -> bool:
    return processes.identify(pid) is None

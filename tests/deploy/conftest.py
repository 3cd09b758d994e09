"""The compose project without an engine: images in folders, volumes in folders, ports of this machine."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alicerce import home
from alicerce.postgres import EmbeddedPostgres
from tests.deploy.composition import COMPONENTS, ROOT, environment, load
from tests.deploy.images import Image, build
from tests.topologies import PATIENCE_S, eventually, free_ports

EDITED = "ENV=test\nLOG_LEVEL=WARNING\nPASSWORD_HASH_MEMORY_KIB=64\nREVOCATION_POLL_SECONDS=0.05\n"


class Project:
    """What `docker compose up` would make of the files, with `.env` a copy of the example and a password in it."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        self.folder, self.postgres = folder, postgres
        self.volumes = folder / "volumes"
        self.generated = folder / "generated"
        password = f"POSTGRES_PASSWORD={home.secret('postgres', postgres.folder)}\n"
        self.dotenv = (ROOT / ".env.example").read_text("utf-8") + EDITED + password
        self.ports = dict(zip(COMPONENTS, free_ports(len(COMPONENTS)), strict=True))
        self.platform = build("platform", folder / "images" / "platform")

    def environment(self, name: str) -> dict[str, str]:
        """The environment that compose gives to a container, with addresses of this machine in it."""
        generated = self.volumes / name if name in COMPONENTS else self.generated
        found = environment(name, self.dotenv)
        if name in self.ports:
            found["PORT"] = str(self.ports[name])
        for variable, value in found.items():
            value = value.replace("/generated", str(generated))
            value = value.replace("@postgres:5432", f"@127.0.0.1:{self.postgres.port}")
            found[variable] = value
        for component, port in self.ports.items():
            if component != "gateway":
                found[f"{component.upper()}_SERVICE_URL"] = f"http://127.0.0.1:{port}"
        return found

    def once(self, name: str, *words: str) -> tuple[int, str]:
        """Run a one-shot container, with its own command unless another one is given."""
        command = [word.replace("/handed", str(self.volumes)) for word in load()["services"][name]["command"]]
        return self.platform.run(list(words) or command, self.environment(name))

    def image(self, component: str) -> Image:
        """The image of a component."""
        folder = self.folder / "images" / component
        package = load()["services"][component]["build"]["args"]["PACKAGE"]
        return build("component", folder, package)

    @contextmanager
    def running(self, component: str, image: Image) -> Iterator["subprocess.Popen[str]"]:
        """A component by the command of its image, from when its health check says yes until SIGTERM has ended it."""
        process = image.start(image.command, self.environment(component))
        try:
            eventually(lambda: self.healthy(component, image, process), f"{component} is healthy")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)

    def healthy(self, component: str, image: Image, process: "subprocess.Popen[str]") -> bool:
        """What the health check of the image says."""
        assert process.poll() is None, process.communicate()
        return image.run(image.healthcheck, self.environment(component)) == (0, "")


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project after `keys` and `migrate` have run."""
    folder = tmp_path_factory.mktemp("project")
    postgres = EmbeddedPostgres(folder / "server", durable=False)
    postgres.start()
    try:
        made = Project(folder, postgres)
        assert made.once("keys") == (0, "")
        assert made.once("migrate")[0] == 0
        yield made
    finally:
        postgres.stop()

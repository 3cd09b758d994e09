"""Start-up and memory: of the platform as it is, and of 25 services, the real ones filled up with scaffolded ones."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from alicerce.processes import memory_mib
from bench.platform import ROOT, Platform, copy_tree, platform
from bench.results import Row
from scripts.new_service import MAP, Names, map_lines, plural

SERVICES = 25
START_S = 15.0
SOLO_MIB = (256.0, 200.0)
RESTED_S = 5.0
NOUNS = (
    *("alarm", "asset", "budget", "channel", "device", "invoice", "message", "parcel", "payment", "project"),
    *("quote", "receipt", "sensor", "shipment", "supplier", "survey", "ticket", "vehicle", "visit", "warehouse"),
)
DOORS = next(heading for heading in MAP if heading.startswith("gateway/routes.py"))


def rows() -> Iterator[Row]:
    """A first start, a second one, and rest, of each tree in both topologies."""
    with tempfile.TemporaryDirectory() as name:
        many = scaffolded(Path(name) / "tree")
        for tree in (ROOT, many):
            for topology in ("solo", "split"):
                yield from _tree_rows(tree, topology, Path(name) / f"{tree.name}-{topology}")


def _tree_rows(tree: Path, topology: str, folder: Path) -> Iterator[Row]:
    count = len(list(tree.glob("services/*/app.py")))
    label = f"{topology}, {count} services"
    with platform(folder, topology, root=tree) as running:
        yield Row(f"{label}: first start, from an empty folder", running.ready_s, "s")
    with platform(folder, topology, root=tree) as running:
        yield Row(f"{label}: second start", running.ready_s, "s")
        time.sleep(RESTED_S)  # threads and pools of the start have settled
        yield _whole_row(label, running, count)
        if tree == ROOT:
            for name, pid in running.processes().items():
                yield Row(f"{label}: of it {name}", memory_mib(pid) or 0.0, "MiB")


def _whole_row(label: str, running: Platform, count: int) -> Row:
    asked = running.topology == "solo" and count == SERVICES
    target, ambition = SOLO_MIB if asked else (None, None)
    whole, postgres = memory_mib(running.pid) or 0.0, memory_mib(running.processes()["postgres"]) or 0.0
    note = f"Postgres has {postgres:.0f} MiB of it"
    name = f"{label}: memory at rest, with Postgres (PSS)"
    return Row(name, whole, "MiB", target, ambition, note=note, why=f"{note}: two connections for each service")


def scaffolded(folder: Path) -> Path:
    """A copy of the tree in which `make new-service` filled the services up to 25, routes and all."""
    tree = copy_tree(folder)
    doors = []
    for noun in NOUNS[: SERVICES - len(list(tree.glob("services/*/app.py")))]:
        subprocess.run([sys.executable, "scripts/new_service.py", noun], cwd=tree, check=True, capture_output=True)
        doors.append(map_lines(Names(noun, plural(noun), 0))[DOORS])
    table = tree / "gateway" / "routes.py"
    before, end, after = table.read_text("utf-8").partition("\n)\n\n\n@dataclass")
    assert end, "the table of gateway/routes.py ends elsewhere"
    table.write_text("\n".join([before, *doors]) + end + after, "utf-8")
    return tree

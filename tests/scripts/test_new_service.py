"""`make new-service`: what it writes is green as soon as its map lines stand where it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alicerce.services import ports
from scripts import new_service
from tests.scripts.trees import copy_of_the_tree
from tests.topologies import environment

ADDED_BEFORE = {
    "gateway/routes.py": ("\n)\n\n\n@dataclass(frozen=True, slots=True)\nclass Operation",),
    "docker-compose.yml": ("\n\n  keys:\n",),
    ".env.example": ("\n\n# --- Databases",),
    "README.md": ("\n\nEverything public is documented",),
}


def python(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    variables = environment(tree / ".alicerce", {})
    return subprocess.run(
        [sys.executable, *words], cwd=tree, env=variables, check=False, capture_output=True, text=True
    )


def pytest_in(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return python(tree, "-m", "pytest", "-p", "no:cacheprovider", "-rf", *words)


def put_on_the_map(tree: Path, printed: str) -> None:
    """Do by program what a person does: paste each block where its heading says."""
    places = {file: list(marks) for file, marks in ADDED_BEFORE.items()}
    for file, block in re.findall(r"^--- ([^,]+),[^\n]*\n(.*?)\n(?=\n)", printed, re.MULTILINE | re.DOTALL):
        path, mark = tree / file, places[file].pop(0)
        text = path.read_text()
        assert text.count(mark) == 1
        path.write_text(text.replace(mark, f"\n{block}{mark}"))
    assert not any(places.values())


@pytest.mark.long
def test_a_new_service_is_green_once_it_is_on_the_map(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    made = python(tree, "scripts/new_service.py", "parcel")
    assert made.returncode == 0, made.stderr
    rules = ["tests/test_architecture.py", "tests/deploy/test_compose.py"]
    red = pytest_in(tree, *rules, "-k", "parcel")
    for rule in ("compose_and_the_example_environment", "readme_maps_each", "rows_in_the_public_table"):
        assert re.search(rf"^FAILED .*{rule}", red.stdout, re.MULTILINE), red.stdout
    put_on_the_map(tree, made.stdout)
    files = [*rules, "tests/services/test_parcel.py", "tests/security/test_catalogue.py"]
    named = "parcel or every_database or environment or prefixes or functions or inside or commits or server_of_its_own"
    green = pytest_in(tree, *files, "-k", named, "--durations=8")
    assert green.returncode == 0, green.stdout
    for check in (["ruff", "check"], ["ruff", "format", "--check"], ["alicerce.check_models"]):
        checked = python(tree, "-m", *check)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Parcel", "no name"),
        ("par-cel", "no name"),
        ("parcel_service", "no name"),
        ("p", "no name"),
        ("", "no name"),
        ("import", "word of Python"),
        ("match", "word of Python"),
        ("order", "reserved word of SQL"),
        ("user", "reserved word of SQL"),
        ("customer", "already"),
        ("transaction", "address of interaction"),
        ("gateway", "something else"),
        ("roles", "something else"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name: str, reason: str) -> None:
    with pytest.raises(new_service.Refused, match=reason):
        new_service.check(name, new_service.plural(name))


def test_a_port_that_is_taken_becomes_the_next_free_one() -> None:
    taken = set(ports().values())
    assert new_service.free_port(8240) == min(set(range(8240, 8400)) - taken)
    assert new_service.free_port(9001) == 9001
    assert new_service.free_port(None) not in taken
    with pytest.raises(new_service.Refused, match="1024 to 65535"):
        new_service.free_port(80)


@pytest.mark.parametrize(
    ("noun", "nouns"),
    [("parcel", "parcels"), ("delivery", "deliveries"), ("key", "keys"), ("box", "boxes"), ("branch", "branches")],
)
def test_plurals_are_english(noun: str, nouns: str) -> None:
    assert new_service.plural(noun) == nouns
